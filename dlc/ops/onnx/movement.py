"""Expansions of ONNX ops that move elements without changing them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dlc.ir.graph import Value
from dlc.ir.operator import Array
from dlc.ir.types import strides_of
from dlc.ops.build import broadcast, concat, gather, reshape, slice_, transpose
from dlc.ops.onnx import indexing
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.take import spread, take


def axis_of(call: Call, rank: int, default: int = 0) -> int:
    """The op's ``axis`` attribute, counted from the front."""
    axis = int(call.attr("axis", default))
    return axis + rank if axis < 0 else axis


@expansion("Transpose")
def transpose_(call: Call, x: Value) -> Value:
    return transpose(x, call.attr("perm") or range(x.type.rank)[::-1])


@expansion("Concat")
def concat_(call: Call, *values: Value) -> Value:
    return concat(values, axis_of(call, values[0].type.rank))


@expansion("Split")
def split(call: Call, x: Value, *_: Value | None) -> Sequence[Value]:
    axis, start, parts = axis_of(call, x.type.rank), 0, []
    for part in call.types:
        starts = [start if i == axis else 0 for i in range(x.type.rank)]
        parts.append(slice_(x, starts, part.dims))
        start += part.dims[axis]
    return parts


@expansion("Slice")
def slice_of(call: Call, x: Value, *_: Value | None) -> Value:
    """Bounds are attributes before opset 10."""
    if call.version < 10:
        starts, ends, axes = (call.attr(name) for name in ("starts", "ends", "axes"))
        steps: Array | None = None
    else:
        starts, ends, axes, steps = (call.constant(i) for i in range(1, 5))
        assert starts is not None
    given = [starts, ends, np.arange(len(starts)) if axes is None else axes,
             np.ones_like(starts) if steps is None else steps]  # fmt: skip
    ranges = [range(dim) for dim in x.shape]
    for start, end, axis, step in zip(*(np.asarray(a).tolist() for a in given), strict=True):
        ranges[axis] = _clamped(start, end, step, x.shape[axis])
    return slice_(
        x, [r.start if r else 0 for r in ranges], [len(r) for r in ranges], [r.step for r in ranges]
    )


def _clamped(start: int, end: int, step: int, dim: int) -> range:
    """As ONNX clamps: not quite as Python, which leaves out element 0 when -dim - 1 steps back."""
    low, high = (0, dim) if step > 0 else (-1, dim - 1)
    start, end = (bound + dim if bound < 0 else bound for bound in (start, end))
    return range(min(max(start, 0), high), min(max(end, low), high), step)


@expansion("Expand")
def expand(call: Call, x: Value, shape: Value) -> Value:
    return broadcast(x, call.shape)


@expansion("Tile")
def tile(call: Call, x: Value, *_: Value) -> Value:
    repeats = call.constant(1)
    assert repeats is not None
    return spread(x, [1] * x.type.rank, [int(times) for times in repeats])


def _from_front(call: Call, indices: Array, bound: int) -> Array:
    """Constant indices with negative ones counted from the front."""
    indices = np.asarray(indices, dtype=np.int64)
    if indices.size and not (-bound <= indices.min() and indices.max() < bound):
        raise call.unsupported(f"an index is out of range for an axis {bound} long")
    return np.where(indices < 0, indices + bound, indices)


@expansion("Gather")
def gather_(call: Call, data: Value, indices: Value) -> Value:
    axis = axis_of(call, data.type.rank)
    if indices.constant is None:
        return gather(data, indices, axis)
    positions = _from_front(call, indices.constant, data.shape[axis])
    return reshape(take(data, {axis: positions.ravel()}), call.shape)


def _flat(positions: Sequence[Array], shape: Sequence[int]) -> Array:
    """Row-major numbers of the elements at these coordinates (which broadcast together)."""
    strides = strides_of(tuple(shape))
    products = [p * stride for p, stride in zip(positions, strides, strict=True)]
    return np.asarray(np.ravel(sum(products, np.int64(0))))


@expansion("GatherElements")
def gather_elements(call: Call, data: Value, where: Value) -> Value:
    axis, indices = axis_of(call, data.type.rank), where.constant
    if indices is None:
        return indexing.gather_elements(call, data, where, axis)
    positions: list[Array] = [*np.indices(indices.shape, sparse=True)]
    positions[axis] = _from_front(call, indices, data.shape[axis])
    return reshape(take(reshape(data, [-1]), {0: _flat(positions, data.shape)}), call.shape)


@expansion("GatherND")
def gather_nd(call: Call, data: Value, where: Value) -> Value:
    batch, indices = int(call.attr("batch_dims", 0)), where.constant
    if indices is None:
        return indexing.gather_nd(call, data, where, batch)
    depth = batch + indices.shape[-1]
    positions: list[Array] = [*np.indices(indices.shape[:-1], sparse=True)[:batch]]
    for axis in range(batch, depth):
        positions.append(_from_front(call, indices[..., axis - batch], data.shape[axis]))
    rows = reshape(data, [int(np.prod(data.shape[:depth])), *data.shape[depth:]])
    return reshape(take(rows, {0: _flat(positions, data.shape[:depth])}), call.shape)


@expansion("DepthToSpace")
def depth_to_space(call: Call, x: Value) -> Value:
    (n, c, h, w), b = x.shape, int(call.attr("blocksize"))
    depth_first = call.attr("mode", "DCR") == "DCR"
    blocks = [n, b, b, c // b**2, h, w] if depth_first else [n, c // b**2, b, b, h, w]
    perm = (0, 3, 4, 1, 5, 2) if depth_first else (0, 1, 4, 2, 5, 3)
    return reshape(transpose(reshape(x, blocks), perm), call.shape)


@expansion("SpaceToDepth")
def space_to_depth(call: Call, x: Value) -> Value:
    (n, c, h, w), b = x.shape, int(call.attr("blocksize"))
    depth_first = call.attr("mode", "DCR") == "DCR"
    perm = (0, 3, 5, 1, 2, 4) if depth_first else (0, 1, 3, 5, 2, 4)
    return reshape(transpose(reshape(x, [n, c, h // b, b, w // b, b]), perm), call.shape)
