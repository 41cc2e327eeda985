"""Expansions that address elements by index tensors: row-major numbers of elements, then one gather
or scatter of rows. An index out of range becomes a number out of range, which those refuse.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dlc.ir.graph import Value
from dlc.ir.operator import Array
from dlc.ir.types import DType, strides_of
from dlc.ops.build import (
    broadcast,
    cast,
    constant,
    gather,
    map_,
    reshape,
    scatter,
    slice_,
    transpose,
)
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.onnx.precision import in_f32


def flat_index(positions: Sequence[Value | Array], dims: Sequence[int]) -> Value:
    """Row-major numbers (i64) of the elements of an array of ``dims`` at these coordinates.

    Coordinates broadcast together; Values may count from the end, arrays are in range. Where a
    Value is out of range the result is ``prod(dims)``.
    """
    (first, *_) = (p for p in positions if isinstance(p, Value))
    operands: list[Value] = []
    terms: list[str] = []
    outside: list[str] = []
    for position, dim, stride in zip(positions, dims, strides_of(tuple(dims)), strict=True):
        name = f"a{len(operands)}"
        if isinstance(position, Value):
            operands.append(cast(position, DType.I64))
            outside += [f"lt({name}, {-dim})", f"le({dim}, {name})"]
            terms.append(f"select(lt({name}, 0), {name} + {dim}, {name}) * {stride}")
        elif dim > 1:
            operands.append(constant(first, position * stride, DType.I64))
            terms.append(name)
    bad = outside[0]
    for test in outside[1:]:
        bad = f"or_({bad}, {test})"
    return map_(f"select({bad}, {math.prod(dims)}, {' + '.join(terms)})", *operands)


def grid(shape: Sequence[int]) -> list[Value | Array]:
    """Coordinates of every element, one array an axis, which broadcast together."""
    return list(np.indices(tuple(shape), np.int64, sparse=True))


def coordinates(indices: Value) -> list[Value | Array]:
    """The entries of the last axis of ``indices``, one Value each."""
    *shape, depth = indices.shape
    starts = [0] * len(shape)
    return [reshape(slice_(indices, [*starts, k], [*shape, 1]), shape) for k in range(depth)]


def gather_elements(call: Call, data: Value, indices: Value, axis: int) -> Value:
    """``result[i, j, ...] = data[i, indices[i, j, ...], ...]``."""
    positions = grid(indices.shape)
    positions[axis] = indices
    number = flat_index(positions, data.shape)
    return gather(reshape(data, [-1]), number, 0)


def gather_nd(call: Call, data: Value, indices: Value, batch: int) -> Value:
    """``result[..., :] = data[indices[..., 0], indices[..., 1], ..., :]``."""
    depth = batch + indices.shape[-1]
    positions = [*grid(indices.shape[:-1])[:batch], *coordinates(indices)]
    if depth == batch:
        raise call.unsupported("indices of no coordinates that are not a constant")
    number = flat_index(positions, data.shape[:depth])
    rows = reshape(data, [math.prod(data.shape[:depth]), *data.shape[depth:]])
    return gather(rows, number, 0)


def _reduction(call: Call) -> str:
    function = str(call.attr("reduction", "none"))
    return "set" if function == "none" else function


def _scattered(call: Call, data: Value, number: Value, updates: Value, depth: int) -> Value:
    """Rows of ``data``, axes from ``depth`` on, scattered."""
    function, inner = _reduction(call), data.shape[depth:]
    wanted = data.type.dtype
    if wanted is DType.BOOL and function != "set":
        function = {"add": "max", "mul": "min"}.get(function, function)
        data, updates = cast(data, DType.U8), cast(updates, DType.U8)
    rows = reshape(data, [math.prod(data.shape[:depth]), *inner])
    result = scatter(function, rows, reshape(number, [-1]),
                     reshape(updates, [number.type.capacity, *inner]))  # fmt: skip
    return cast(reshape(result, data.shape), wanted)


@expansion("ScatterElements", "Scatter")
@in_f32
def scatter_elements(call: Call, data: Value, indices: Value, updates: Value) -> Value:
    axis = int(call.attr("axis")) % max(data.type.rank, 1)
    positions = grid(indices.shape)
    positions[axis] = indices
    return _scattered(call, data, flat_index(positions, data.shape), updates, data.type.rank)


@expansion("ScatterND")
@in_f32
def scatter_nd(call: Call, data: Value, indices: Value, updates: Value) -> Value:
    depth = indices.shape[-1]
    if depth == 0:
        raise call.unsupported("indices of no coordinates")
    number = flat_index(coordinates(indices), data.shape[:depth])
    return _scattered(call, data, number, updates, depth)


@expansion("ReverseSequence")
def reverse_sequence(call: Call, x: Value, lengths: Value) -> Value:
    """The first ``lengths[b]`` steps of row ``b`` backwards, the others as they are."""
    time, batch = int(call.attr("time_axis")), int(call.attr("batch_axis"))
    steps, count = x.shape[time], x.shape[batch]
    column = np.arange(steps).reshape(-1, 1)
    at = map_("select(lt(a0, a1), a1 - 1 - a0, a0)", constant(x, column, DType.I64),
              cast(reshape(lengths, [1, count]), DType.I64))  # fmt: skip
    positions: list[Value | Array] = [at, np.arange(count).reshape(1, -1)]
    if time > batch:
        positions.reverse()
        at = reshape(at, [steps, count])

        positions = [np.arange(count).reshape(-1, 1), transpose(at, (1, 0))]
    dims = x.shape[:2]
    rows = reshape(x, [dims[0] * dims[1], *x.shape[2:]])
    return reshape(gather(rows, flat_index(positions, dims), 0), x.shape)


@expansion("TensorScatter")
def tensor_scatter(call: Call, past: Value, update: Value, first: Value | None = None) -> Value:
    """``update`` written along ``axis`` of a cache, from position ``first[batch]`` on."""
    axis = int(call.attr("axis")) % past.type.rank
    positions = grid(update.shape)
    if first is not None:
        where = [1] * update.type.rank
        where[0] = first.type.capacity
        expr = "a0 + a1"
        if call.attr("mode") == "circular":
            expr = f"fmod({expr}, {past.shape[axis]})"
        steps = constant(first, positions[axis], DType.I64)
        positions[axis] = map_(expr, cast(reshape(first, where), DType.I64), steps)
    else:
        positions[axis] = constant(past, positions[axis], DType.I64)
    number = broadcast(flat_index(positions, past.shape), update.shape)
    rows = scatter("set", reshape(past, [-1]), reshape(number, [-1]), reshape(update, [-1]))
    return reshape(rows, past.shape)
