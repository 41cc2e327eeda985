"""Expansions of Cast, CastLike, QuantizeLinear and DequantizeLinear."""

from __future__ import annotations

import numpy as np

from dlc.ir.graph import Value
from dlc.ir.types import DType
from dlc.ops.build import cast, constant, reshape
from dlc.ops.onnx.elementwise import compute
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.take import spread

_CONVERTIBLE = {
    DType.F32, DType.F64, DType.F16, DType.BF16, DType.BOOL, DType.I8, DType.I16, DType.I32,
    DType.I64, DType.U8, DType.U16, DType.U32, DType.U64,
}  # fmt: skip
_QUANTISED = {DType.I8, DType.U8, DType.I16, DType.U16, DType.I32}


@expansion("Cast", "CastLike")
def cast_(call: Call, x: Value, like: Value | None = None) -> Value:
    """Floats outside an integer type's range are undefined in ONNX; ``dlc.ir.scalars.convert`` defines ours."""
    for dtype in (x.type.dtype, call.dtype):
        if dtype not in _CONVERTIBLE:
            raise call.unsupported(
                f"no conversion between {x.type.dtype.value} and {call.dtype.value}"
            )
    return cast(x, call.dtype)


def _per_axis(call: Call, x: Value, parameter: Value) -> Value:
    """Scale or zero point, shaped so that it broadcasts to ``x``."""
    block, axis = call.attr("block_size", 0), call.attr("axis", 1)
    axis += x.type.rank if axis < 0 else 0
    if block:
        times = [1] * x.type.rank
        times[axis] = block
        extents = [slice(0, dim) for dim in x.shape]
        if parameter.constant is not None:
            return constant(x, np.repeat(parameter.constant, block, axis)[tuple(extents)])
        return spread(parameter, times)
    if parameter.type.capacity == 1:
        return reshape(parameter, ())
    return reshape(parameter, [-1] + [1] * (x.type.rank - axis - 1))


@expansion("DequantizeLinear")
def dequantize(call: Call, x: Value, scale: Value, zero: Value | None = None) -> Value:
    if x.type.dtype not in _QUANTISED:
        raise call.unsupported(f"no dequantisation of {x.type.dtype.value}")
    result, scale = call.dtype.value, _per_axis(call, x, scale)
    # the difference is exact in i64 (for i32) or i32, as in onnxruntime
    wide = "i64" if x.type.dtype is DType.I32 else "i32"
    if zero is None:
        return compute(f"{result}(a0) * {result}(a1)", x, scale)
    difference = f"{wide}(a0) - {wide}(a2)"
    return compute(f"{result}({difference}) * {result}(a1)", x, scale, _per_axis(call, x, zero))


@expansion("QuantizeLinear")
def quantize(call: Call, x: Value, scale: Value, zero: Value | None = None) -> Value:
    """``saturate(round_half_even(x / scale) + zero)``, computed in f32."""
    if call.dtype not in _QUANTISED:
        raise call.unsupported(f"no quantisation to {call.dtype.value}")
    rounded, operands = "round(f32(a0) / f32(a1))", [x, _per_axis(call, x, scale)]
    if zero is not None:
        operands.append(_per_axis(call, x, zero))
        rounded += " + f32(a2)"
    return compute(f"{call.dtype.value}({rounded})", *operands)  # the cast saturates
