"""Expansion of DeformConv: the image sampled at every tap's own place, then one matrix product."""

from __future__ import annotations

import math

from dlc.ir.graph import Value
from dlc.ir.sizes import product
from dlc.ops.build import broadcast, cast, contract, iota, map_, reshape, slice_, transpose
from dlc.ops.nest import same_shape
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.onnx.grid_sample import neighbours, weighed
from dlc.ops.onnx.indexing import grid
from dlc.ops.onnx.padding import window_of
from dlc.ops.onnx.precision import in_f32
from dlc.ops.window import output_sizes


@expansion("DeformConv")
@in_f32
def deform_conv(call: Call, x: Value, w: Value, offset: Value, bias: Value | None = None,
                mask: Value | None = None) -> Value:  # fmt: skip
    """Dai et al. (2017), with the mask of Zhu et al. (2018); taps outside the image count 0."""
    batch, channels, *image = x.type.shape
    filters, each, *kernel = w.shape
    window, rank = window_of(call, kernel), len(kernel)
    parts, groups = int(call.attr("offset_group")), int(call.attr("group"))
    out = output_sizes(image, kernel, window.strides, window.pads, window.dilations)
    taps, spots = math.prod(kernel), product(out)
    fits = (rank == len(image) and channels == groups * each and filters % groups == 0
            and parts > 0 and channels % parts == 0
            and 0 not in same_shape(offset.type.shape, (batch, parts * taps * rank, *out)))  # fmt: skip
    if not fits:
        raise call.unsupported(f"operands {x.type}, {w.type} and {offset.type} do not fit")
    moved = reshape(offset, [batch, parts, taps, rank, spots])
    tap, spot = grid(x, kernel), grid(x, out)
    axes = []
    for axis, size in enumerate(image):
        step, move = window.strides[axis], window.pads[axis]
        taps_at = broadcast(map_(f"a0 * {window.dilations[axis]}", tap[axis]), kernel)
        spots_at = broadcast(map_(f"a0 * {step} - {move}", spot[axis]), out)
        own = slice_(moved, [0, 0, 0, axis, 0], [batch, parts, taps, 1, spots])
        where = map_("a0 + a1 + a2", reshape(own, [batch, parts, taps, spots]),
                     cast(reshape(taps_at, [taps, 1]), x.type.dtype),
                     cast(reshape(spots_at, [spots]), x.type.dtype))  # fmt: skip
        axes.append(neighbours(where, size, "linear", "zeros", True))
    inner = channels // parts
    grouped = reshape(x, [batch, parts, inner, product(image)])
    rows = reshape(transpose(grouped, (0, 1, 3, 2)), [batch * parts * product(image), inner])
    lead = [
        reshape(iota(x, dim), [dim, *ones]) for dim, ones in ((batch, (1, 1, 1)), (parts, (1, 1)))
    ]
    columns = weighed(rows, lead, axes, [batch, parts, *image])
    if mask is not None:
        columns = map_("a0 * a1", columns, reshape(mask, [batch, parts, taps, spots, 1]))
    columns = reshape(transpose(columns, (0, 1, 4, 2, 3)), [batch, groups, each * taps, spots])
    weights = reshape(w, [groups, filters // groups, each * taps])
    extras = [] if bias is None else [reshape(bias, [groups, filters // groups, 1])]
    result = contract(weights, columns, *extras, epilogue="a0 + a1" if extras else "a0")
    return reshape(result, [batch, filters, *out])
