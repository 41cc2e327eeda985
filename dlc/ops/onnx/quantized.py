"""Expansions of integer products: MatMulInteger, ConvInteger, QLinearMatMul, QLinearConv.

Operands less their zero points are exact in i32, so sums are: they wrap as ONNX says. Requantising
scales the sum in f32, as onnxruntime does.
"""

from __future__ import annotations

from dlc.ir.graph import Value
from dlc.ir.types import DType
from dlc.ops import build
from dlc.ops.onnx.conv import per_channel
from dlc.ops.onnx.elementwise import compute
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.onnx.padding import resolve_pads, window_of


def _centred(x: Value, zero: Value | None, axis: int | None = None) -> Value:
    """``x - zero`` in i32; a vector of zero points lies along ``axis``."""
    if zero is None:
        return build.cast(x, DType.I32)
    return compute("i32(a0) - i32(a1)", x, _along(zero, x, axis))


def _along(parameter: Value, x: Value, axis: int | None) -> Value:
    """A scale or zero point, shaped to broadcast against ``x``."""
    if parameter.type.capacity == 1:
        return build.reshape(parameter, ())
    if parameter.type.rank > 1 or axis is None:
        return parameter
    return build.reshape(parameter, [-1] + [1] * (x.type.rank - 1 - axis % x.type.rank))


def _requantized(call: Call, sums: Value, scales: list[Value], zero: Value) -> Value:
    """``saturate(round(sums * (scales[0] * scales[1] / scales[2])) + zero)``."""
    a, b, y = (build.cast(scale, DType.F32) for scale in scales)
    scaled = compute("a0 * a1 / a2", a, b, y)
    text = f"{call.dtype.value}(round(f32(a0) * a1) + f32(a2))"
    return compute(
        text, sums, scaled, build.reshape(zero, () if zero.type.capacity == 1 else zero.type.shape)
    )


def _product(a: Value, b: Value) -> Value:
    row, column = a.type.rank == 1, b.type.rank == 1
    a = build.reshape(a, (1, *a.type.shape)) if row else a
    b = build.reshape(b, (*b.type.shape, 1)) if column else b
    product = build.contract(a, b)
    *batch, rows, cols = product.type.shape
    kept = [*batch, *([] if row else [rows]), *([] if column else [cols])]
    return build.reshape(product, kept)


@expansion("MatMulInteger")
def matmul_integer(call: Call, a: Value, b: Value, a_zero: Value | None = None,
                   b_zero: Value | None = None) -> Value:  # fmt: skip
    """A vector of zero points has one for each row of ``a``, or each column of ``b``."""
    return _product(_centred(a, a_zero, -2), _centred(b, b_zero, -1))


@expansion("QLinearMatMul")
def qlinear_matmul(call: Call, a: Value, a_scale: Value, a_zero: Value, b: Value, b_scale: Value,
                   b_zero: Value, y_scale: Value, y_zero: Value) -> Value:  # fmt: skip
    sums = _product(_centred(a, a_zero, -2), _centred(b, b_zero, -1))
    scales = [_along(a_scale, sums, -2), _along(b_scale, sums, -1), _along(y_scale, sums, -2)]
    return _requantized(call, sums, scales, _along(y_zero, sums, -2))


def _convolution(call: Call, x: Value, w: Value, x_zero: Value | None, w_zero: Value | None,
                 *extras: Value, epilogue: str = "a0") -> Value:  # fmt: skip
    window = window_of(call, w.shape[2:])
    pads = resolve_pads(window, x.type.shape[2:])
    return build.conv(_centred(x, x_zero), _centred(w, w_zero, 0), *extras, strides=window.strides,
                      dilations=window.dilations, pads=pads, groups=call.attr("group"),
                      epilogue=epilogue)  # fmt: skip


@expansion("ConvInteger")
def conv_integer(call: Call, x: Value, w: Value, x_zero: Value | None = None,
                 w_zero: Value | None = None) -> Value:  # fmt: skip
    return _convolution(call, x, w, x_zero, w_zero)


@expansion("QLinearConv")
def qlinear_conv(call: Call, x: Value, x_scale: Value, x_zero: Value, w: Value, w_scale: Value,
                 w_zero: Value, y_scale: Value, y_zero: Value, bias: Value | None = None) -> Value:  # fmt: skip
    extras = [] if bias is None else [per_channel(bias, x)]
    sums = _convolution(call, x, w, x_zero, w_zero, *extras,
                        epilogue="a0 + a1" if extras else "a0")  # fmt: skip
    scales = [_along(scale, sums, 1) for scale in (x_scale, w_scale, y_scale)]
    return _requantized(call, sums, scales, _along(y_zero, sums, 1))
