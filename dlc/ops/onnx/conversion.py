"""Expansions of Cast, CastLike, QuantizeLinear and DequantizeLinear."""

from __future__ import annotations

import numpy as np

from dlc.ir.graph import Value
from dlc.ir.types import DType
from dlc.ops.build import cast, constant, map_, reshape, slice_
from dlc.ops.onnx.elementwise import compute
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.onnx.microscaling import power_of_two
from dlc.ops.take import spread

_CONVERTIBLE = {
    DType.F32, DType.F64, DType.F16, DType.BF16, DType.BOOL, DType.I8, DType.I16, DType.I32,
    DType.I64, DType.U8, DType.U16, DType.U32, DType.U64, DType.I4, DType.U4, DType.I2, DType.U2,
    DType.F8E4M3FN, DType.F8E4M3FNUZ, DType.F8E5M2, DType.F8E5M2FNUZ, DType.F4E2M1, DType.F8E8M0,
    DType.F6E2M3, DType.F6E3M2,
}  # fmt: skip
#: the greatest finite value of the types that ONNX saturates to
LARGEST = {
    DType.F8E4M3FN: 448.0, DType.F8E4M3FNUZ: 240.0, DType.F8E5M2: 57344.0,
    DType.F8E5M2FNUZ: 57344.0,
}  # fmt: skip
_WRAPPED = {DType.I4, DType.U4, DType.I2, DType.U2}
_QUANTISED = {
    DType.I8,
    DType.U8,
    DType.I16,
    DType.U16,
    DType.I32,
    *_WRAPPED,
    *LARGEST,
    DType.F4E2M1,
    DType.F6E2M3,
    DType.F6E3M2,
}


@expansion("Cast", "CastLike")
def cast_(call: Call, x: Value, like: Value | None = None) -> Value:
    """Floats outside an integer type's range are undefined in ONNX; ``dlc.ir.scalars.convert`` defines ours."""
    source = x.type.dtype
    if x.type.dtype is call.dtype:
        return x
    if (
        source not in _CONVERTIBLE and source is not DType.STRING
    ) or call.dtype not in _CONVERTIBLE:
        reason = "; C has nowhere to put the text" if call.dtype is DType.STRING else ""
        raise call.unsupported(f"no conversion from {source.value} to {call.dtype.value}{reason}")
    if source is DType.STRING:
        x = cast(x, DType.I64 if call.dtype.is_integer else DType.F64)
    if call.dtype is DType.F8E8M0:
        return power_of_two(call, x)
    largest = LARGEST.get(call.dtype)
    if largest is not None and call.attr("saturate", 1):
        return saturated(x, call.dtype)
    if call.dtype in _WRAPPED and x.type.dtype.is_float:
        x = cast(cast(x, DType.F32), DType.I32)  # the lowest bits, as onnx's own tests have it
    return cast(x, call.dtype)


def saturated(x: Value, dtype: DType) -> Value:
    """``x`` in an f8 type, the greatest finite value instead of what is too large."""
    largest = LARGEST[dtype]
    wide = x.type.dtype if x.type.dtype is DType.F64 else DType.F32
    return compute(f"{dtype.value}(max(min({wide.value}(a0), {largest}), {-largest}))", x)


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
        return slice_(spread(parameter, times), [0] * x.type.rank, x.shape)  # the last may be short
    if parameter.type.capacity == 1:
        return reshape(parameter, ())
    return reshape(parameter, [-1] + [1] * (x.type.rank - axis - 1))


@expansion("DequantizeLinear")
def dequantize(call: Call, x: Value, scale: Value, zero: Value | None = None) -> Value:
    if x.type.dtype not in _QUANTISED:
        raise call.unsupported(f"no dequantisation of {x.type.dtype.value}")
    scale = _per_axis(call, x, scale)
    result = "f64" if call.dtype is DType.F64 else "f32"  # halves are rounded once, at the end
    if x.type.dtype.is_float:
        x = cast(x, DType.F32)
        zero = None if zero is None else _per_axis(call, x, cast(zero, DType.F32))
        operands = [x, scale] if zero is None else [x, scale, zero]
        return _rounded(
            call, f"{result}({'a0' if zero is None else 'a0 - a2'}) * {result}(a1)", *operands
        )
    # the difference is exact in i64 (for i32) or i32, as in onnxruntime
    wide = "i64" if x.type.dtype is DType.I32 else "i32"
    if zero is None:
        return _rounded(call, f"{result}(a0) * {result}(a1)", x, scale)
    difference = f"{wide}(a0) - {wide}(a2)"
    return _rounded(
        call, f"{result}({difference}) * {result}(a1)", x, scale, _per_axis(call, x, zero)
    )


def _rounded(call: Call, expr: str, *operands: Value) -> Value:
    """Of halves as f32; ``compute`` would round their products, too."""
    wide = [cast(v, DType.F32) if v.type.dtype in (DType.F16, DType.BF16) else v for v in operands]
    return cast(compute(expr, *wide), call.dtype)


@expansion("QuantizeLinear")
def quantize(call: Call, x: Value, scale: Value, zero: Value | None = None) -> Value:
    """``saturate(round_half_even(x / scale) + zero)``, computed in f32."""
    if call.dtype not in _QUANTISED:
        raise call.unsupported(f"no quantisation to {call.dtype.value}")
    exact = "f64" if x.type.dtype is DType.F64 else "f32"
    operands = [x, _per_axis(call, x, scale)]
    if call.dtype.is_float:
        return _quantize_float(call, map_(f"{exact}(a0) / {exact}(a1)", *operands), zero)
    rounded = "round(f32(a0) / f32(a1))"
    if zero is not None:
        operands.append(_per_axis(call, x, zero))
        rounded += " + f32(a2)"
    return compute(f"{call.dtype.value}({rounded})", *operands)  # the cast saturates


def _quantize_float(call: Call, scaled: Value, zero: Value | None) -> Value:
    """Rounded by the conversion itself; the zero point of a float type is 0."""
    if call.dtype in LARGEST:
        return (
            saturated(scaled, call.dtype) if call.attr("saturate", 1) else cast(scaled, call.dtype)
        )
    return cast(scaled, call.dtype)
