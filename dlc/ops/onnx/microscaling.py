"""Conversion to f8e8m0, the powers of two that scale blocks in microscaling formats (OCP MX).

The rounding is that of ``onnx.numpy_helper.to_float8e8m0``, on the bits of the f32: its exponent is
the result, one more where the fraction rounds up. What is negative loses its sign, 0 becomes 2^-127.
"""

from __future__ import annotations

from dlc.ir.graph import Value
from dlc.ir.types import DType
from dlc.ops.build import apply, cast, map_
from dlc.ops.core.bit_cast import BitCast
from dlc.ops.onnx.expansion import Call

_EXPONENT = "bitand(shr(a0, 23), 255)"
_ROUNDS_UP = {
    "up": "lt(0, bitand(a0, 8388607))",
    # a fraction above one half, or of one half beside an exponent that is not 0
    "nearest": "and_(lt(0, bitand(a0, 4194304)),"
               f" or_(lt(0, bitand(a0, 4194303)), lt(0, {_EXPONENT})))",
    "down": None,
}  # fmt: skip


def power_of_two(call: Call, x: Value) -> Value:
    """``x`` rounded to a power of two as the attributes ``round_mode`` and ``saturate`` say."""
    mode = call.attr("round_mode", "up")
    if mode not in _ROUNDS_UP:
        raise call.unsupported(f"round_mode {mode!r} is none of {', '.join(_ROUNDS_UP)}")
    bits = apply(BitCast(DType.U32), cast(x, DType.F32))
    text, rounds_up = _EXPONENT, _ROUNDS_UP[mode]
    if rounds_up is not None:
        # exponent 255 is NaN or infinity, which have no power of two; 254 is the greatest
        last = 254 if call.attr("saturate", 1) else 255
        rounds_up = f"and_(lt({_EXPONENT}, {last}), {rounds_up})"
        text = f"select({rounds_up}, {_EXPONENT} + 1, {_EXPONENT})"
    return apply(BitCast(DType.F8E8M0), map_(f"u8({text})", bits))
