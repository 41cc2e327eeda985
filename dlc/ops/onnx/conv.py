"""Expansions of Conv and ConvTranspose; the bias becomes the epilogue."""

from __future__ import annotations

from dlc.ir.graph import Value
from dlc.ops import build
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.onnx.padding import resolve_pads, split, window_of
from dlc.ops.onnx.precision import in_f32


def per_channel(b: Value, x: Value) -> Value:
    """A vector of channels, shaped to broadcast along axis 1 of ``x``."""
    return build.reshape(b, (*b.shape, *(1,) * (x.type.rank - 2)))


def _bias(b: Value | None, x: Value) -> tuple[list[Value], str]:
    return ([], "a0") if b is None else ([per_channel(b, x)], "a0 + a1")


@expansion("Conv")
@in_f32
def conv(call: Call, x: Value, w: Value, b: Value | None = None) -> Value:
    window = window_of(call, w.shape[2:])
    extras, epilogue = _bias(b, x)
    return build.conv(x, w, *extras, strides=window.strides, dilations=window.dilations,
                      pads=resolve_pads(window, x.type.with_shape(x.type.shape[2:]).dims),
                      groups=call.attr("group"), epilogue=epilogue)  # fmt: skip


@expansion("ConvTranspose")
@in_f32
def conv_transpose(call: Call, x: Value, w: Value, b: Value | None = None) -> Value:
    """Output size, given or chosen by auto_pad, and output_padding become begin and end pads."""
    window = window_of(call, w.shape[2:])
    image = x.type.with_shape(x.type.shape[2:]).dims
    rank, extras, epilogue = len(image), *_bias(b, x)
    added = call.attr("output_padding") or (0,) * rank
    each = zip(image, window.strides, window.spread, added, strict=True)
    full = [(size - 1) * s + spread + more for size, s, spread, more in each]
    out, pads = call.attr("output_shape"), window.pads
    if not out and window.auto_pad.startswith("SAME"):
        out = [min(f, size * s) for f, size, s in zip(full, image, window.strides, strict=True)]
    if out:
        total = [f - o for f, o in zip(full, out[-rank:], strict=True)]
        begins = split([max(0, t) for t in total], window.auto_pad == "SAME_UPPER")[:rank]
        pads = (*begins, *(t - begin for t, begin in zip(total, begins, strict=True)))
    ends = [end - more for end, more in zip(pads[rank:], added, strict=True)]
    return build.conv_transpose(x, w, *extras, strides=window.strides, pads=(*pads[:rank], *ends),
                                dilations=window.dilations, groups=call.attr("group"),
                                epilogue=epilogue)  # fmt: skip
