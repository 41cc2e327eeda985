"""Expansions of ONNX ops that move elements without changing them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from dlc.ir.graph import Value
from dlc.ir.operator import Array
from dlc.ir.sizes import bound_of, ceildiv, equal, less, low_of, maximum, minimum, select
from dlc.ir.types import Dim, broadcast_shapes, strides_of
from dlc.ops.build import assume, broadcast, concat, gather, reshape, slice_, transpose
from dlc.ops.nest import fits
from dlc.ops.onnx import indexing
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.symbols import held, let
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
    """Part sizes are an attribute before opset 13, else an operand; without either all are equal."""
    axis, rank = axis_of(call, x.type.rank), x.type.rank
    extent = x.type.shape[axis]
    parts = call.attr("split") or call.sizes(1, 0, bound_of(extent)) or []
    if not parts:
        each = ceildiv(extent, call.results)
        parts = [each] * (call.results - 1)
        parts.append(extent - each * len(parts))
    if len(parts) != call.results:
        raise call.unsupported(f"{len(parts)} part sizes for {call.results} parts")
    x = assume(x, [sum(parts) if i == axis else dim for i, dim in enumerate(x.type.shape)])
    start: Dim = 0
    found = []
    for size in parts:
        starts = [start if i == axis else 0 for i in range(rank)]
        sizes = [size if i == axis else dim for i, dim in enumerate(x.type.shape)]
        found.append(slice_(x, starts, sizes))
        start = start + size
    return found


@expansion("Slice")
def slice_of(call: Call, x: Value, *_: Value | None) -> Value:
    """Bounds are attributes before opset 10."""
    most = max(x.type.bounds, default=0)
    starts: Sequence[Dim] | None
    ends, axes, steps = None, None, None
    if call.version < 10:
        starts, ends, axes = (call.attr(name) for name in ("starts", "ends", "axes"))
    else:
        starts = call.sizes(1, -most - 1, most, clamp=True)
        ends = call.sizes(2, -most - 1, most, clamp=True)
        axes = call.sizes(3, -x.type.rank, x.type.rank - 1)
        steps = call.sizes(4, -most, most, clamp=True)
    if starts is None or ends is None:
        raise call.unsupported("it has no starts and ends")
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    given: list[Sequence[Dim]] = list(zip(starts, ends, steps, strict=True))
    once = [1 - equal((a - b) % x.type.rank, 0) for a, b in combinations(axes, 2)]
    ranges: list[list[Dim]] = []
    for axis, dim in enumerate(x.type.shape):
        if all(isinstance(n, int) and n % x.type.rank != axis for n in axes):
            ranges.append([0, dim, 1])  # as it is, under the name it has
            continue
        # names on the way: what is computed from these in turn stays short
        bounds = let(call.graph, "bounds", _pick(axes, axis, x.type.rank, given, (0, dim, 1)))
        ranges.append(_range(call, bounds, dim))
    starts, sizes, steps = (list(column) for column in zip(*ranges, strict=True))
    return slice_(x, starts, held(call.graph, "sliced", sizes, once), steps)


def _pick(axes: Sequence[Dim], axis: int, rank: int, given: Sequence[Sequence[Dim]],
          default: Sequence[Dim]) -> Sequence[Dim]:  # fmt: skip
    """What is given for an axis, which may be known only at run time."""
    for number, row in zip(axes, given, strict=True):
        here = maximum(equal(number, axis), equal(number, axis - rank))
        default = [select(here, new, old) for new, old in zip(row, default, strict=True)]
    return default


def _range(call: Call, bounds: Sequence[Dim], dim: Dim) -> list[Dim]:
    """Start, count and step as ONNX clamps: not quite as Python, which leaves out element 0 when
    -dim - 1 steps back.
    """
    start, end, step = bounds
    forward = less(0, step)
    low, high = select(forward, 0, -1), select(forward, dim, dim - 1)
    start, end = (select(less(bound, 0), bound + dim, bound) for bound in (start, end))
    first, last = let(call.graph, "ends", [
        minimum(maximum(start, 0), high), minimum(maximum(end, low), high)
    ])  # fmt: skip
    count = select(forward, ceildiv(last - first, maximum(step, 1)),
                   ceildiv(first - last, maximum(-step, 1)))  # fmt: skip
    (count,) = let(call.graph, "count", [minimum(maximum(count, 0), dim)])
    return let(call.graph, "first", [select(less(0, count), first, 0), count, step])


@expansion("Expand")
def expand(call: Call, x: Value, shape: Value) -> Value:
    if call.op.types:
        return broadcast(x, call.types[0].shape)
    known = call.known(1)
    if known is not None:
        return broadcast(x, _expanded(call, x, known.tolist()))
    most = call.most()
    asked = call.sizes(1, 0, most, joint=most)
    assert asked is not None
    return broadcast(x, _expanded(call, x, asked))


def _expanded(call: Call, x: Value, asked: Sequence[Dim]) -> list[Dim]:
    """What an operand and the shape asked for broadcast to."""
    dims = broadcast_shapes(x.type.shape, asked)
    return held(call.graph, "expanded", dims, fits(asked, dims))


@expansion("Tile")
def tile(call: Call, x: Value, *_: Value) -> Value:
    if call.version < 6:
        raise call.unsupported("its form before opset 6")
    known = call.known(1)
    if known is not None:
        return spread(x, [1] * x.type.rank, known.tolist())
    most = call.most() // max(low_of(x.type.count), 1)
    repeats = call.sizes(1, 0, most, joint=most)
    assert repeats is not None
    return spread(x, [1] * x.type.rank, repeats)


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
    extent, shape = data.type.shape[axis], data.type.shape
    if not isinstance(extent, int):
        return gather(data, indices, axis)
    positions = _from_front(call, indices.constant, extent)
    whole = (*shape[:axis], *indices.type.shape, *shape[axis + 1 :])
    return reshape(take(data, {axis: positions.ravel()}), whole)


def _flat(positions: Sequence[Array], shape: Sequence[int]) -> Array:
    """Row-major numbers of the elements at these coordinates (which broadcast together)."""
    strides = strides_of(tuple(shape))
    products = [p * stride for p, stride in zip(positions, strides, strict=True)]
    return np.asarray(np.ravel(sum(products, np.int64(0))))


@expansion("GatherElements")
def gather_elements(call: Call, data: Value, where: Value) -> Value:
    axis, indices = axis_of(call, data.type.rank), where.constant
    if indices is None or not data.type.is_static:
        return indexing.gather_elements(call, data, where, axis)
    positions: list[Array] = [*np.indices(indices.shape, sparse=True)]
    positions[axis] = _from_front(call, indices, data.shape[axis])
    return reshape(take(reshape(data, [-1]), {0: _flat(positions, data.shape)}), call.shape)


@expansion("GatherND")
def gather_nd(call: Call, data: Value, where: Value) -> Value:
    batch, indices = int(call.attr("batch_dims", 0)), where.constant
    if indices is None or not data.type.is_static:
        return indexing.gather_nd(call, data, where, batch)
    depth = batch + indices.shape[-1]
    positions: list[Array] = [*np.indices(indices.shape[:-1], sparse=True)[:batch]]
    for axis in range(batch, depth):
        positions.append(_from_front(call, indices[..., axis - batch], data.shape[axis]))
    rows = reshape(data, [int(np.prod(data.shape[:depth])), *data.shape[depth:]])
    return reshape(take(rows, {0: _flat(positions, data.shape[:depth])}), call.shape)


@expansion("DepthToSpace")
def depth_to_space(call: Call, x: Value) -> Value:
    (n, c, h, w), b = x.type.shape, int(call.attr("blocksize"))
    depth_first = call.attr("mode", "DCR") == "DCR"
    blocks = [n, b, b, c // b**2, h, w] if depth_first else [n, c // b**2, b, b, h, w]
    perm = (0, 3, 4, 1, 5, 2) if depth_first else (0, 1, 4, 2, 5, 3)
    return reshape(transpose(reshape(x, blocks), perm), [n, c // b**2, h * b, w * b])


@expansion("SpaceToDepth")
def space_to_depth(call: Call, x: Value) -> Value:
    (n, c, h, w), b = x.type.shape, int(call.attr("blocksize"))
    depth_first = call.attr("mode", "DCR") == "DCR"
    perm = (0, 3, 5, 1, 2, 4) if depth_first else (0, 1, 3, 5, 2, 4)
    blocks = reshape(x, [n, c, h // b, b, w // b, b])
    return reshape(transpose(blocks, perm), [n, c * b**2, h // b, w // b])
