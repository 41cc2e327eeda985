"""Expansions of bitwise operators."""

from __future__ import annotations

from dlc.ir.graph import Value
from dlc.ir.types import DType
from dlc.ops.build import apply, cast
from dlc.ops.core.bit_cast import BitCast
from dlc.ops.onnx.elementwise import compute
from dlc.ops.onnx.expansion import Call, Expansion, expansion

_BITWISE = {
    "BitwiseAnd": "bitand(a0, a1)", "BitwiseOr": "bitor(a0, a1)", "BitwiseXor": "bitxor(a0, a1)",
    "BitwiseNot": "bitnot(a0)",
}  # fmt: skip


def _bitwise(text: str) -> Expansion:
    def expand(call: Call, *operands: Value) -> Value:
        return compute(text, *operands)

    return expand


for _type, _text in _BITWISE.items():
    expansion(_type)(_bitwise(_text))


@expansion("BitShift")
def bit_shift(call: Call, x: Value, count: Value) -> Value:
    left = call.attr("direction") == "LEFT"
    return compute(f"{'shl' if left else 'shr'}(a0, a1)", x, count)


@expansion("BitCast")
def bit_cast(call: Call, x: Value) -> Value:
    if x.type.dtype is DType.BOOL and call.dtype is not DType.BOOL:
        x = cast(x, DType.U8)
    return x if x.type.dtype is call.dtype else apply(BitCast(call.dtype), x)
