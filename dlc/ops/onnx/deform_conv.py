"""Expansion of DeformConv: the image sampled at every tap's own place, then one matrix product."""

from __future__ import annotations

import math

import numpy as np

from dlc.ir.graph import Value
from dlc.ops.build import constant, contract, map_, reshape, slice_, transpose
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.onnx.grid_sample import neighbours, weighed
from dlc.ops.onnx.padding import window_of
from dlc.ops.onnx.precision import in_f32


@expansion("DeformConv")
@in_f32
def deform_conv(call: Call, x: Value, w: Value, offset: Value, bias: Value | None = None,
                mask: Value | None = None) -> Value:  # fmt: skip
    """Dai et al. (2017), with the mask of Zhu et al. (2018); taps outside the image count 0."""
    batch, channels, *image = x.shape
    filters, each, *kernel = w.shape
    window, rank = window_of(call, kernel), len(kernel)
    parts, groups = int(call.attr("offset_group")), int(call.attr("group"))
    taps, spots = math.prod(kernel), math.prod(call.shape[2:])
    fits = (rank == len(image) and channels == groups * each and filters % groups == 0
            and parts > 0 and channels % parts == 0
            and offset.shape == (batch, parts * taps * rank, *call.shape[2:]))  # fmt: skip
    if not fits:
        raise call.unsupported(f"operands {x.type}, {w.type} and {offset.type} do not fit")
    moved = reshape(offset, [batch, parts, taps, rank, spots])
    tap, spot = np.indices(kernel).reshape(rank, -1), np.indices(call.shape[2:]).reshape(rank, -1)
    axes = []
    for axis, size in enumerate(image):
        fixed = np.add.outer(tap[axis] * window.dilations[axis],
                             spot[axis] * window.strides[axis] - window.pads[axis])  # fmt: skip
        own = slice_(moved, [0, 0, 0, axis, 0], [batch, parts, taps, 1, spots])
        where = map_("a0 + a1", reshape(own, [batch, parts, taps, spots]),
                     constant(x, fixed, x.type.dtype))  # fmt: skip
        axes.append(neighbours(where, size, "linear", "zeros", True))
    inner = channels // parts
    grouped = reshape(x, [batch, parts, inner, math.prod(image)])
    rows = reshape(transpose(grouped, (0, 1, 3, 2)), [-1, inner])
    lead = [np.arange(batch).reshape(-1, 1, 1, 1), np.arange(parts).reshape(-1, 1, 1)]
    columns = weighed(rows, lead, axes, [batch, parts, *image])
    if mask is not None:
        columns = map_("a0 * a1", columns, reshape(mask, [batch, parts, taps, spots, 1]))
    columns = reshape(transpose(columns, (0, 1, 4, 2, 3)), [batch, groups, each * taps, spots])
    weights = reshape(w, [groups, filters // groups, each * taps])
    extras = [] if bias is None else [reshape(bias, [groups, filters // groups, 1])]
    product = contract(weights, columns, *extras, epilogue="a0 + a1" if extras else "a0")
    return reshape(product, call.shape)
