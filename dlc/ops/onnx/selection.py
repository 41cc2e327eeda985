"""Expansions of ONNX ops whose results are as many as the data says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dlc.ir.graph import Value
from dlc.ir.sizes import minimum
from dlc.ir.types import DType, strides_of
from dlc.ops.build import (
    apply,
    cast,
    concat,
    constant,
    gather,
    map_,
    reshape,
    sizes,
    slice_,
    transpose,
)
from dlc.ops.core.non_max_suppression import NonMaxSuppression
from dlc.ops.core.nonzero import NonZero
from dlc.ops.core.unique import Unique
from dlc.ops.onnx.axes import normal_axis
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.onnx.precision import in_f32


def positions_of(call: Call, condition: Value, name: str) -> Value:
    """Row-major numbers of the true elements, i64[count] with a symbol named ``name``."""
    count = call.graph.fresh_symbol(name, condition.type.capacity)
    return apply(NonZero(count), cast(condition, DType.BOOL))


@expansion("NonZero")
def nonzero(call: Call, x: Value) -> Value:
    x = x if x.type.rank else reshape(x, [1])
    flat = positions_of(call, x, "nonzero")
    count = flat.type.shape[0]
    rows = [
        reshape(map_("fmod(a0 / a1, a2)", flat, sizes(x, stride), sizes(x, dim)), [1, count])
        for dim, stride in zip(x.type.shape, strides_of(x.type.shape), strict=True)
    ]
    return concat(rows, 0)


@expansion("Compress")
def compress(call: Call, x: Value, condition: Value) -> Value:
    """A condition shorter than the axis leaves the rest out; what is beyond the axis is ignored."""
    axis = call.attr("axis")
    x, axis = (reshape(x, [-1]), 0) if axis is None else (x, normal_axis(call, axis, x.type.rank))
    length = minimum(condition.type.shape[0], x.type.shape[axis])
    return gather(x, positions_of(call, slice_(condition, [0], [length]), "kept"), axis)


@expansion("Unique")
@in_f32
def unique(call: Call, x: Value) -> Sequence[Value]:
    axis, rank = call.attr("axis"), x.type.rank
    if axis is None:
        moved, axis, perm = reshape(x, [-1]), 0, [0]
    else:
        axis = normal_axis(call, axis, rank)
        perm = [axis, *(i for i in range(rank) if i != axis)]
        moved = transpose(x, perm)
    rows, inner = moved.type.shape[0], strides_of(moved.type.shape)[0]
    matrix = reshape(moved, [rows, inner])
    matrix = cast(matrix, DType.U8) if matrix.type.dtype is DType.BOOL else matrix
    count = call.graph.fresh_symbol("unique", matrix.type.bounds[0])
    operator = Unique(count, bool(call.attr("sorted", 1)))
    first, inverse, counts = call.graph.add(operator, [matrix]).results
    values = transpose(gather(moved, first, 0), np.argsort(perm).tolist())
    return [values, first, inverse, counts][: call.results]


@expansion("NonMaxSuppression")
def non_max_suppression(
    call: Call, boxes: Value, scores: Value, most: Value | None = None,
    overlap: Value | None = None, least: Value | None = None,
) -> Value:  # fmt: skip
    batches, classes, count = scores.type.bounds
    room = count
    if most is None:
        most, room = constant(boxes, 0, DType.I64), 0
    elif most.constant is not None:
        room = min(max(int(most.constant.item()), 0), count)
    symbol = call.graph.fresh_symbol("selected", batches * classes * room)
    scalars = [
        reshape(most, ()),
        constant(boxes, 0, DType.F32) if overlap is None else reshape(overlap, ()),
        constant(boxes, -np.inf, DType.F32) if least is None else reshape(least, ()),
    ]
    operator = NonMaxSuppression(symbol, room, bool(call.attr("center_point_box", 0)))
    return apply(operator, boxes, scores, *scalars)
