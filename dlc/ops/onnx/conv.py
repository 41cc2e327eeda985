"""Expansions of Conv and ConvTranspose; the bias becomes the epilogue."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dlc.ir.graph import Value
from dlc.ir.sizes import Dim, maximum, minimum
from dlc.ir.types import DType
from dlc.ops import build
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.onnx.padding import Dims, Window, resolve_pads, split, window_of
from dlc.ops.onnx.precision import in_f32
from dlc.ops.take import take


def per_channel(b: Value, x: Value) -> Value:
    """A vector of channels, shaped to broadcast along axis 1 of ``x``."""
    return build.reshape(b, (*b.type.shape, *(1,) * (x.type.rank - 2)))


def _bias(b: Value | None, x: Value) -> tuple[list[Value], str]:
    return ([], "a0") if b is None else ([per_channel(b, x)], "a0 + a1")


@expansion("Conv")
@in_f32
def conv(call: Call, x: Value, w: Value, b: Value | None = None) -> Value:
    window = window_of(call, w.shape[2:])
    extras, epilogue = _bias(b, x)
    return build.conv(x, w, *extras, strides=window.strides, dilations=window.dilations,
                      pads=resolve_pads(window, x.type.shape[2:]),
                      groups=call.attr("group"), epilogue=epilogue)  # fmt: skip


@expansion("ConvTranspose")
@in_f32
def conv_transpose(call: Call, x: Value, w: Value, b: Value | None = None) -> Value:
    """Output size, given or chosen by auto_pad, and output_padding become begin and end pads."""
    window = window_of(call, w.shape[2:])
    image = x.type.shape[2:]
    rank, extras, epilogue = len(image), *_bias(b, x)
    added = call.attr("output_padding") or (0,) * rank
    each = zip(image, window.strides, window.spread, added, strict=True)
    full = [(size - 1) * s + spread + more for size, s, spread, more in each]
    out: Sequence[Dim] | None = call.attr("output_shape")
    pads: Dims = window.pads
    if not out and window.auto_pad.startswith("SAME"):
        out = [minimum(f, size * s) for f, size, s in zip(full, image, window.strides, strict=True)]
    if out:
        total = [f - o for f, o in zip(full, out[-rank:], strict=True)]
        begins = split([maximum(t, 0) for t in total], window.auto_pad == "SAME_UPPER")[:rank]
        pads = (*begins, *(t - begin for t, begin in zip(total, begins, strict=True)))
    ends = [end - more for end, more in zip(pads[rank:], added, strict=True)]
    if x.type.dtype is not DType.F32:
        result = _transposed(x, w, window, (*pads[:rank], *ends), int(call.attr("group")))
        return build.map_(epilogue, result, *extras)
    return build.conv_transpose(x, w, *extras, strides=window.strides, pads=(*pads[:rank], *ends),
                                dilations=window.dilations, groups=call.attr("group"),
                                epilogue=epilogue)  # fmt: skip


def _transposed(x: Value, w: Value, window: Window, pads: Sequence[Dim], groups: int) -> Value:
    """Where there is no kernel: zeros between the elements, then a convolution turned round."""
    rank, (each, filters, *kernel) = len(window.kernel), w.shape
    for axis, step in enumerate(window.strides, 2):
        before, size, after = x.type.shape[:axis], x.type.shape[axis], x.type.shape[axis + 1 :]
        between = [0] * axis + [0, step - 1] + [0] * len(after)
        spaced = build.pad(
            build.reshape(x, [*before, size, 1, *after]), [0] * len(between), between
        )
        whole = build.reshape(spaced, [*before, size * step, *after])
        x = build.slice_(whole, [0] * (rank + 2), [*before, (size - 1) * step + 1, *after])
    turned = take(w, {2 + i: np.arange(size)[::-1] for i, size in enumerate(kernel)})
    grouped = build.reshape(turned, [groups, each // groups, filters, *kernel])
    swapped = build.transpose(grouped, (0, 2, 1, *range(3, 3 + rank)))
    weights = build.reshape(swapped, [groups * filters, each // groups, *kernel])
    around = [span - 1 for span in window.spread]
    full = build.conv(x, weights, pads=around * 2, dilations=window.dilations, groups=groups)
    begins, ends = (0, 0, *pads[:rank]), (0, 0, *pads[rank:])
    first, last = ([maximum(-p, 0) for p in side] for side in (begins, ends))
    grown = build.pad(full, first, last)
    starts, rest = ([maximum(p, 0) for p in side] for side in (begins, ends))
    sizes = [size - s - e for size, s, e in zip(grown.type.shape, starts, rest, strict=True)]
    return build.slice_(grown, starts, sizes)
