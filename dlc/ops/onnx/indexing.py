"""Expansions that address elements by index tensors: row-major numbers of elements, then one gather
or scatter of rows. An index out of range becomes a number out of range, which those refuse.
"""

from __future__ import annotations

from collections.abc import Sequence

from dlc.ir.graph import Value
from dlc.ir.sizes import product, surely_at_most
from dlc.ir.types import Dim, DType, strides_of
from dlc.ops.build import (
    broadcast,
    cast,
    gather,
    iota,
    reshape,
    scatter,
    sizes,
    slice_,
)
from dlc.ops.core.iota import Iota
from dlc.ops.core.reshape import Reshape
from dlc.ops.onnx.elementwise import compute
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.onnx.precision import in_f32


def flat_index(positions: Sequence[Value], dims: Sequence[Dim]) -> Value:
    """Row-major numbers (i64) of the elements of an array of ``dims`` at these coordinates.

    Coordinates broadcast together and may count from the end; where one is out of range the result
    is ``product(dims)``.
    """
    names, operands = list[str](), [cast(position, DType.I64) for position in positions]

    def name(dim: Dim) -> str:
        """A dim in the text: a number, or an operand."""
        if isinstance(dim, int):
            return str(dim)
        operands.append(sizes(positions[0], dim))
        return f"a{len(operands) - 1}"

    outside = []
    for i, (dim, stride) in enumerate(zip(dims, strides_of(dims), strict=True)):
        size = name(dim)
        if not _counts(positions[i], dim):
            outside += [f"lt(a{i}, 0 - {size})", f"le({size}, a{i})"]
            names.append(f"select(lt(a{i}, 0), a{i} + {size}, a{i}) * {name(stride)}")
        else:
            names.append(f"a{i} * {name(stride)}")
    number = " + ".join(names)
    if outside:
        bad = outside[0]
        for test in outside[1:]:
            bad = f"or_({bad}, {test})"
        number = f"select({bad}, {name(product(dims))}, {number})"
    return compute(number, *operands)


def _counts(position: Value, dim: Dim) -> bool:
    """Whether a coordinate is sure to be in range: what ``grid`` makes, as it is."""
    array = position.constant
    if array is not None:
        return isinstance(dim, int) and bool(((array >= 0) & (array < dim)).all())
    while isinstance(position.op.operator, Reshape):
        (source,) = position.op.operands
        assert source is not None
        position = source
    return isinstance(position.op.operator, Iota) and surely_at_most(position.type.count, dim)


def grid(where: Value, shape: Sequence[Dim]) -> list[Value]:
    """Coordinates of every element, one Value an axis, which broadcast together."""
    rank = len(shape)
    return [
        reshape(iota(where, dim), [*[1] * axis, dim, *[1] * (rank - axis - 1)])
        for axis, dim in enumerate(shape)
    ]


def coordinates(call: Call, indices: Value) -> list[Value]:
    """The entries of the last axis of ``indices``, one Value each."""
    *shape, depth = indices.type.shape
    if not isinstance(depth, int):
        raise call.unsupported("indices of as many coordinates as only the run says")
    starts = [0] * len(shape)
    return [reshape(slice_(indices, [*starts, k], [*shape, 1]), shape) for k in range(depth)]


def gather_elements(call: Call, data: Value, indices: Value, axis: int) -> Value:
    """``result[i, j, ...] = data[i, indices[i, j, ...], ...]``."""
    positions = grid(data, indices.type.shape)
    positions[axis] = indices
    number = broadcast(flat_index(positions, data.type.shape), indices.type.shape)
    return gather(reshape(data, [-1]), number, 0)


def gather_nd(call: Call, data: Value, indices: Value, batch: int) -> Value:
    """``result[..., :] = data[indices[..., 0], indices[..., 1], ..., :]``."""
    lead = indices.type.shape[:-1]
    positions = [*grid(data, lead)[:batch], *coordinates(call, indices)]
    depth, shape = len(positions), data.type.shape
    if depth == batch:
        raise call.unsupported("indices of no coordinates that are not a constant")
    number = broadcast(flat_index(positions, shape[:depth]), lead)
    return gather(reshape(data, [product(shape[:depth]), *shape[depth:]]), number, 0)


def _reduction(call: Call) -> str:
    function = str(call.attr("reduction", "none"))
    return "set" if function == "none" else function


def _scattered(call: Call, data: Value, number: Value, updates: Value, depth: int) -> Value:
    """Rows of ``data``, axes from ``depth`` on, scattered."""
    function, shape = _reduction(call), data.type.shape
    wanted, inner = data.type.dtype, shape[depth:]
    if wanted is DType.BOOL and function != "set":
        function = {"add": "max", "mul": "min"}.get(function, function)
        data, updates = cast(data, DType.U8), cast(updates, DType.U8)
    rows = reshape(data, [product(shape[:depth]), *inner])
    result = scatter(function, rows, reshape(number, [-1]),
                     reshape(updates, [number.type.count, *inner]))  # fmt: skip
    return cast(reshape(result, shape), wanted)


@expansion("ScatterElements", "Scatter")
@in_f32
def scatter_elements(call: Call, data: Value, indices: Value, updates: Value) -> Value:
    axis, shape = int(call.attr("axis")) % max(data.type.rank, 1), indices.type.shape
    positions = grid(data, shape)
    positions[axis] = indices
    number = broadcast(flat_index(positions, data.type.shape), shape)
    return _scattered(call, data, number, updates, data.type.rank)


@expansion("ScatterND")
@in_f32
def scatter_nd(call: Call, data: Value, indices: Value, updates: Value) -> Value:
    positions = coordinates(call, indices)
    depth = len(positions)
    if depth == 0:
        raise call.unsupported("indices of no coordinates")
    number = flat_index(positions, data.type.shape[:depth])
    return _scattered(call, data, number, updates, depth)


@expansion("ReverseSequence")
def reverse_sequence(call: Call, x: Value, lengths: Value) -> Value:
    """The first ``lengths[b]`` steps of row ``b`` backwards, the others as they are."""
    time, batch = int(call.attr("time_axis")), int(call.attr("batch_axis"))
    shape = x.type.shape
    positions = grid(x, shape[:2])
    limits: list[Dim] = [1, 1]
    limits[batch] = shape[batch]
    ends = cast(reshape(lengths, limits), DType.I64)
    reversed_ = "select(lt(a0, a1), a1 - 1 - a0, a0)"
    outside = "or_(lt(a1, 0), lt(a2, a1))"  # no such length: an index out of range
    positions[time] = compute(f"select({outside}, a2, {reversed_})", positions[time], ends,
                              sizes(x, shape[time]))  # fmt: skip
    number = flat_index(positions, shape[:2])
    rows = reshape(x, [shape[0] * shape[1], *shape[2:]])
    return reshape(gather(rows, number, 0), shape)


@expansion("TensorScatter")
def tensor_scatter(call: Call, past: Value, update: Value, first: Value | None = None) -> Value:
    """``update`` written along ``axis`` of a cache, from position ``first[batch]`` on."""
    axis = int(call.attr("axis")) % past.type.rank
    shape = past.type.shape
    positions = grid(past, update.type.shape)
    if first is not None:
        where = [-1, *[1] * (update.type.rank - 1)]
        text = "fmod(a0 + a1, a2)" if call.attr("mode") == "circular" else "a0 + a1"
        first = cast(reshape(first, where), DType.I64)
        positions[axis] = compute(text, first, positions[axis], sizes(past, shape[axis]))
    number = broadcast(flat_index(positions, shape), update.type.shape)
    rows = scatter("set", reshape(past, [-1]), reshape(number, [-1]), reshape(update, [-1]))
    return reshape(rows, shape)
