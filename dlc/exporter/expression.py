"""Scalar expressions as ONNX nodes.

Runtimes implement element-wise operators for few dtypes, so narrow ones are computed in a wider
dtype and cast back, which gives the same bits: integers wrap, halves round once per operation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dlc.errors import UnsupportedError, VerifyError
from dlc.ir.expr import CASTS, Arg, Call, Const, Expr, operand_dtype, parse_expr
from dlc.ir.scalars import SCALARS
from dlc.ir.types import DType, TensorType, broadcast_shapes

if TYPE_CHECKING:
    from dlc.exporter.functions import FunctionBody

_WIDER = {
    DType.BOOL: DType.I32, DType.I8: DType.I32, DType.U8: DType.I32, DType.I16: DType.I32,
    DType.U16: DType.I32, DType.U32: DType.I64, DType.F16: DType.F32, DType.BF16: DType.F32,
}  # fmt: skip
#: functions that ONNX lacks, of those it has
_COMPOSED = {
    # exact where 1 + a0 rounds: the error of the sum cancels in the quotient (Higham 2002, 1.14.1)
    "log1p": parse_expr(
        "select(lt(a0, 1), select(eq(1 + a0, 1), a0, log(1 + a0) * (a0 / (1 + a0 - 1))), log(1 + a0))"
    ),
}
_BITS = frozenset({"bitand", "bitor", "bitxor", "bitnot", "shl", "shr"})
_LOGIC = frozenset({"and", "or", "xor", "not"})


def write_expression(
    body: FunctionBody, expr: Expr, arguments: Sequence[str], types: Sequence[TensorType]
) -> str:
    """Append the nodes of an expression; the result has the broadcast shape of all arguments."""
    name = _Expression(body, arguments, [type.dtype for type in types]).write(expr, None)
    used = {node.index for node in expr.walk() if isinstance(node, Arg)}
    shape = broadcast_shapes(*(type.shape for type in types))
    if shape != broadcast_shapes(*(types[k].shape for k in sorted(used))):
        sizes = [dim for dim in shape if isinstance(dim, int)]
        if len(sizes) < len(shape):
            raise UnsupportedError(f"{expr} has a result of symbolic size that it does not read")
        name = body.node("Expand", [name, body.constant(np.array(sizes, np.int64))])
    return name


class _Expression:
    def __init__(
        self, body: FunctionBody, arguments: Sequence[str], dtypes: Sequence[DType]
    ) -> None:
        self.body = body
        self.arguments = arguments
        self.dtypes = dtypes
        self._written: dict[tuple[Expr, DType | None], str] = {}

    def write(self, node: Expr, want: DType | None) -> str:
        """The name of the node's value; ``want`` is the dtype of a constant without siblings."""
        if isinstance(node, Arg):
            return self.arguments[node.index]
        key = (node, want)
        if key not in self._written:
            self._written[key] = self._append(node, want)
        return self._written[key]

    def _append(self, node: Expr, want: DType | None) -> str:
        if isinstance(node, Const):
            return self._constant(node, want)
        assert isinstance(node, Call)
        if node.function in CASTS:
            target = CASTS[node.function]
            source = self._dtype(node.args[0], target)
            return self._cast(self.write(node.args[0], target), source, target)
        if node.function in _COMPOSED:
            return self.write(_COMPOSED[node.function].substitute(node.args.__getitem__), want)
        dtype = operand_dtype(node, self.dtypes) or want
        if dtype is None:
            raise VerifyError(f"the operands of {node} have no dtype; wrap one in a cast")
        names = [self.write(arg, dtype) for arg in node.args]
        return self._call(node, names, dtype)

    def _constant(self, node: Const, want: DType | None) -> str:
        dtype = DType.BOOL if isinstance(node.value, bool) else want
        if dtype is None:
            raise VerifyError(f"the constant {node} has no dtype; wrap it in a cast")
        return self.body.constant(np.asarray(node.value).astype(dtype.numpy))

    def _call(self, node: Call, names: list[str], dtype: DType) -> str:
        function = SCALARS[node.function]
        native = _LOGIC | {"eq", "select"} if dtype is DType.BOOL else _LOGIC | _BITS
        wide = dtype if function.name in native else _WIDER.get(dtype, dtype)
        first = 1 if function.name == "select" else 0
        names[first:] = [self._cast(name, dtype, wide) for name in names[first:]]
        if function.name in ("shl", "shr"):
            return self._shift(function.name, names, dtype)
        if function.name in ("div", "fmod") and wide.is_integer:
            result = self._divide(function.name, node.args[1], names, wide)
        elif function.name == "fmod":
            result = self.body.node("Mod", names, fmod=1)
        else:
            assert function.onnx is not None, function.name
            result = self.body.node(function.onnx, names)
        return result if function.result == "bool" else self._cast(result, wide, dtype)

    def _shift(self, function: str, names: list[str], dtype: DType) -> str:
        """ONNX shifts unsigned integers only, and says nothing of counts that reach the width."""
        if dtype.is_signed:
            raise UnsupportedError(f"a shift of {dtype.value} has no ONNX form")
        wide = DType.U32 if dtype is DType.U16 else dtype  # runtimes shift no 16 bits
        value, count = (self._cast(name, dtype, wide) for name in names)
        zero, width = (self.body.constant(np.array(n, wide.numpy)) for n in (0, 8 * dtype.nbytes))
        inside = self.body.node("Less", [count, width])
        direction = "LEFT" if function == "shl" else "RIGHT"
        near = self.body.node("Where", [inside, count, zero])
        shifted = self.body.node("BitShift", [value, near], direction=direction)
        return self._cast(self.body.node("Where", [inside, shifted, zero]), wide, dtype)

    def _divide(self, function: str, divisor: Expr, names: list[str], dtype: DType) -> str:
        """Integer division and remainder; a zero divisor gives 0 and never a trap."""

        def divide(by: str) -> str:
            if function == "div":
                return self.body.node("Div", [names[0], by])
            return self.body.node("Mod", [names[0], by], fmod=1)

        if isinstance(divisor, Const) and divisor.value:
            return divide(names[1])
        zero, one = (self.body.constant(np.array(value, dtype.numpy)) for value in (0, 1))
        empty = self.body.node("Equal", [names[1], zero])
        return self.body.node(
            "Where", [empty, zero, divide(self.body.node("Where", [empty, one, names[1]]))]
        )

    def _dtype(self, node: Expr, want: DType) -> DType:
        """The dtype of a node that stands where ``want`` types its constants."""
        if isinstance(node, Const):
            return DType.BOOL if isinstance(node.value, bool) else want
        if isinstance(node, Call) and node.function not in CASTS:
            if SCALARS[node.function].result == "bool":
                return DType.BOOL
            return operand_dtype(node, self.dtypes) or want
        return node.dtype_of(self.dtypes)

    def _cast(self, name: str, source: DType, target: DType) -> str:
        if source is target:
            return name
        if source.is_float and target.is_integer:
            return self._saturating_cast(name, source, target)
        return self.body.node("Cast", [name], to=target.onnx)

    def _saturating_cast(self, name: str, source: DType, target: DType) -> str:
        """Out of range becomes the nearest, NaN becomes 0 (``dlc.ir.scalars.convert``).

        ONNX leaves both open. Only beyond 2**64 is the result an ulp of float64 short of u64's end.
        """
        bits = int(target.value[1:])
        low, end = (
            (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1)) if target.is_signed else (0.0, 2.0**bits)
        )
        high = end - 1 if bits < 53 else np.nextafter(end, 0)
        zero, first, last = (self.body.constant(np.float64(value)) for value in (0.0, low, high))
        wide = self._cast(name, source, DType.F64)
        number = self.body.node("Where", [self.body.node("IsNaN", [wide]), zero, wide])
        clipped = self.body.node("Clip", [number, first, last])
        result = self.body.node("Cast", [clipped], to=target.onnx)
        if target is DType.I64:  # its end is no float64
            inside = self.body.node("Less", [number, self.body.constant(np.float64(end))])
            most = self.body.constant(np.int64(2**63 - 1))
            result = self.body.node("Where", [inside, result, most])
        return result
