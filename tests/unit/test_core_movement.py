"""The ops that move data: evaluate against numpy, emission run element by element against evaluate."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlc.errors import VerifyError
from dlc.ir.graph import Graph
from dlc.ir.operator import Array
from dlc.ir.types import DType, TensorType
from dlc.ops import build
from dlc.ops.core.broadcast import Broadcast
from dlc.ops.core.concat import Concat
from dlc.ops.core.gather import Gather
from dlc.ops.core.operator import CoreOperator
from dlc.ops.core.pad import Pad
from dlc.ops.core.resample import Resample
from dlc.ops.core.reshape import Reshape
from dlc.ops.core.slice import Slice
from dlc.ops.core.transpose import Transpose
from dlc.ops.emission import Access, Kernel, Nest, Operand, as_copy
from dlc.ops.take import spread, take

shapes = st.lists(st.integers(0, 4), max_size=4).map(tuple)
dtypes = st.sampled_from(
    [np.float32, np.float64, np.float16, ml_dtypes.bfloat16, np.int8, np.uint16, np.int64, np.bool_]
)


def array(shape, dtype=np.float32):
    """Distinct elements, as far as the dtype has them."""
    return np.arange(1, math.prod(shape) + 1).reshape(shape).astype(dtype)


def offset(access: Access, index):
    strides = access.index.strides
    return access.index.base + sum(i * s for i, s in zip(index, strides, strict=True))


def emitted(operator: CoreOperator, arrays, results) -> Array:
    """The result that an emission of loop nests stores, every element exactly once."""
    (result,) = results
    stored = np.zeros(result.capacity, dtype=result.dtype.numpy)
    times = np.zeros(result.capacity, dtype=int)
    operands = [TensorType(DType.of(a), a.shape) for a in arrays]
    for part in operator.emission(operands, results).parts:
        assert isinstance(part, Nest)
        for index in np.ndindex(part.extents):
            reads = []
            for read in part.reads:
                assert isinstance(read.buffer, Operand)
                flat, at = arrays[read.buffer.index].ravel(), offset(read, index)
                assert 0 <= at < flat.size
                reads.append(flat[at])
            target = offset(part.write, index)
            stored[target] = part.expr.evaluate(reads)
            times[target] += 1
    assert (times == 1).all()
    return stored.reshape(result.dims)


def check(operator: CoreOperator, arrays, expected):
    types = [TensorType(DType.of(a), a.shape) for a in arrays]
    results = operator.infer(types)
    (got,) = operator.evaluate(arrays)
    for actual in (got, emitted(operator, arrays, results)):
        assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
        np.testing.assert_array_equal(actual, expected)
    assert results == (TensorType(DType.of(expected), expected.shape),)


@given(st.data(), shapes, dtypes)
def test_transpose(data, shape, dtype):
    perm = tuple(data.draw(st.permutations(range(len(shape)))))
    x = array(shape, dtype)
    check(Transpose(perm), [x], np.transpose(x, perm))


@given(st.data(), shapes, dtypes)
def test_reshape(data, shape, dtype):
    x = array(shape, dtype)
    target = data.draw(st.permutations([*shape, 1]).map(tuple))
    check(Reshape(target), [x], x.reshape(target))


@given(st.data(), shapes, dtypes)
def test_slice(data, shape, dtype):
    bound = st.none() | st.integers(-5, 5)
    step = st.integers(-3, 3).filter(bool)
    taken = tuple(slice(*data.draw(st.tuples(bound, bound, step))) for _ in shape)
    ranges = [range(*part.indices(dim)) for part, dim in zip(taken, shape, strict=True)]
    operator = Slice(
        tuple(r.start if r else 0 for r in ranges),
        tuple(map(len, ranges)),
        tuple(r.step for r in ranges),
    )
    x = array(shape, dtype)
    check(operator, [x], x[taken])


@given(st.data(), shapes, dtypes, st.sampled_from([0, 1, 7]))
def test_pad(data, shape, dtype, value):
    widths = [data.draw(st.tuples(st.integers(0, 2), st.integers(0, 2))) for _ in shape]
    x = array(shape, dtype)
    operator = Pad(tuple(w[0] for w in widths), tuple(w[1] for w in widths), value)
    expected = np.pad(x, widths, constant_values=value) if shape else x
    check(operator, [x], expected)


@given(st.data(), shapes.filter(len), dtypes)
def test_concat(data, shape, dtype):
    axis = data.draw(st.integers(0, len(shape) - 1))
    sizes = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=4))
    parts = [array((*shape[:axis], size, *shape[axis + 1 :]), dtype) for size in sizes]
    check(Concat(axis), parts, np.concatenate(parts, axis))


@given(st.data(), shapes, dtypes)
def test_broadcast(data, shape, dtype):
    narrow = tuple(1 if data.draw(st.booleans()) else dim for dim in shape)
    narrow = narrow[data.draw(st.integers(0, len(shape))) :]
    x = array(narrow, dtype)
    check(Broadcast(shape), [x], np.broadcast_to(x, shape))


@given(st.data(), shapes.filter(lambda s: len(s) > 0 and 0 not in s), dtypes)
def test_gather(data, shape, dtype):
    axis = data.draw(st.integers(0, len(shape) - 1))
    indices = np.array(
        data.draw(st.lists(st.integers(-shape[axis], shape[axis] - 1), max_size=4)), dtype=np.int64
    )
    x = array(shape, dtype)
    (got,) = Gather(axis).evaluate([x, indices])
    np.testing.assert_array_equal(got, np.take(x, indices, axis))
    assert got.dtype == x.dtype
    types = [TensorType(DType.of(a), a.shape) for a in (x, indices)]
    (result,) = Gather(axis).infer(types)
    assert result.dims == got.shape
    (part,) = Gather(axis).emission(types, [result]).parts
    assert isinstance(part, Kernel)
    assert part.fallible
    outer, extent, inner_bytes, count = part.args[-4:]
    assert outer * extent * inner_bytes == x.nbytes
    assert count == indices.size


@given(st.data(), shapes.filter(lambda s: len(s) > 0 and 0 not in s))
def test_resample(data, shape):
    axis = data.draw(st.integers(0, len(shape) - 1))
    count, taps = data.draw(st.tuples(st.integers(0, 4), st.integers(1, 3)))
    rng = np.random.default_rng(0)
    index = rng.integers(0, shape[axis], (count, taps), dtype=np.int32)
    weight = rng.standard_normal((count, taps)).astype(np.float32)
    x = array(shape)
    table = np.zeros((count, shape[axis]))
    for row, (positions, weights) in enumerate(zip(index, weight, strict=True)):
        np.add.at(table[row], positions, weights)
    expected = np.moveaxis(np.tensordot(table, x, axes=(1, axis)), 0, axis)
    (got,) = Resample(axis).evaluate([x, index, weight])
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def part_of(operator: CoreOperator, *shapes: tuple[int, ...]):
    operands = [TensorType(DType.F32, shape) for shape in shapes]
    return [as_copy(part) for part in operator.emission(operands, operator.infer(operands)).parts]


def test_contiguous_moves_are_copies():
    (whole,) = part_of(Reshape((6, 4)), (2, 3, 4))
    assert whole is not None
    assert whole.count == 24
    (rows,) = part_of(Slice((0, 1, 0), (1, 2, 4), (1, 1, 1)), (1, 3, 4))
    assert rows is not None
    assert (rows.source, rows.target, rows.count) == (4, 0, 8)
    joined = part_of(Concat(1), (1, 2, 4), (1, 3, 4))
    assert [(c.operand, c.target, c.count) for c in joined if c] == [(0, 0, 8), (1, 8, 12)]
    (unit,) = part_of(Transpose((1, 0, 2)), (1, 3, 4))  # moves a unit axis only
    assert unit is not None
    assert part_of(Slice((0, 1), (3, 2), (1, 1)), (3, 4)) == [None]
    assert part_of(Concat(1), (2, 2), (2, 3)) == [None, None]


@pytest.mark.parametrize(
    "operator, types, constraint",
    [
        (Transpose((0, 0)), ["f32[2,3]"], "C2"),
        (Transpose((0,)), [], "C1"),
        (Reshape((5,)), ["f32[2,3]"], "C2"),
        (Reshape((-2, -3)), ["f32[2,3]"], "C2"),
        (Slice((0,), (4,), (1,)), ["f32[3]"], "C3"),
        (Slice((0,), (2,), (-1,)), ["f32[3]"], "C3"),
        (Slice((0,), (1,), (0,)), ["f32[3]"], "C3"),
        (Slice((0,), (1,), (1,)), ["f32[3,3]"], "C2"),
        (Pad((0,), (-1,)), ["f32[3]"], "C2"),
        (Pad((0,), (1,)), ["string[3]"], "C1"),
        (Concat(0), [], "C1"),
        (Concat(0), ["f32[3]", "i8[3]"], "C1"),
        (Concat(1), ["f32[3]"], "C2"),
        (Concat(0), ["f32[3,2]", "f32[3,3]"], "C3"),
        (Broadcast((2, 3)), ["f32[3,2]"], "C2"),
        (Broadcast((1, 3)), ["f32[2,3]"], "C2"),
        (Gather(0), ["f32[3]", "f32[3]"], "C1"),
        (Gather(1), ["f32[3]", "i64[3]"], "C2"),
        (Resample(0), ["f64[3]", "i32[2,1]", "f32[2,1]"], "C1"),
        (Resample(1), ["f32[3]", "i32[2,1]", "f32[2,1]"], "C2"),
        (Resample(0), ["f32[3]", "i32[2,1]", "f32[2,2]"], "C3"),
    ],
)
def test_constraints(operator, types, constraint):
    with pytest.raises(VerifyError, match=constraint):
        operator.infer([tensor(text) for text in types])


def tensor(text: str) -> TensorType:
    name, _, dims = text.rstrip("]").partition("[")
    return TensorType(DType(name), tuple(int(dim) for dim in dims.split(",")))


def test_constants_are_checked_when_compiling():
    graph = Graph()
    x = graph.add_input("x", tensor("f32[3,2]"))
    with pytest.raises(VerifyError, match="C3"):
        build.gather(x, build.constant(x, [3]), 0)
    with pytest.raises(VerifyError, match="C4"):
        build.resample(x, [[3]], [[1.0]], 0)
    with pytest.raises(VerifyError, match="C3"):
        Gather(0).evaluate([array((3, 2)), np.array([-4])])


def names(graph: Graph):
    return [op.operator.name for op in graph.ops if op.operator.name not in ("input", "constant")]


@pytest.mark.parametrize(
    "positions, ops",
    [
        ([0, 1, 2, 3], []),
        ([1, 2], ["slice"]),
        ([3, 1], ["slice"]),
        ([2], ["slice"]),
        ([], ["slice"]),
        ([0, 0, 1, 1, 2, 2, 3, 3], ["reshape", "broadcast", "reshape"]),
        ([0, 0, 0, 1, 2, 3], ["slice", "slice", "reshape", "broadcast", "reshape", "concat"]),
        ([2, 0, 3, 3, 1, 0, 2, 1], ["gather"]),
    ],
)
def test_take_is_as_cheap_as_its_positions_allow(positions, ops):
    graph = Graph()
    x = graph.add_input("x", tensor("f32[2,4]"))
    result = take(x, {1: np.array(positions, dtype=np.int64)})
    graph.set_outputs({"y": result})
    assert sorted(names(graph)) == sorted([*ops, "output"])


def evaluate(graph: Graph, x: Array) -> Array:
    from dlc.interp import run

    return run(graph, {"x": x})["y"]


@given(st.data(), st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple))
def test_take(data, shape):
    x = array(shape)
    graph = Graph()
    value = graph.add_input("x", TensorType(DType.F32, shape))
    positions = {}
    expected = x
    for axis, dim in enumerate(shape):
        if data.draw(st.booleans()):
            picked = data.draw(st.lists(st.integers(0, dim - 1), max_size=9).map(sorted))
            positions[axis] = np.array(picked, dtype=np.int64)
            expected = np.take(expected, positions[axis], axis)
    graph.set_outputs({"y": take(value, positions)})
    np.testing.assert_array_equal(evaluate(graph, x), expected)


def test_spread_repeats_and_tiles_in_one_broadcast():
    graph = Graph()
    x = graph.add_input("x", tensor("f32[2,3]"))
    graph.set_outputs({"y": spread(x, [2, 1], [1, 2])})
    assert names(graph).count("broadcast") == 1
    a = array((2, 3))
    np.testing.assert_array_equal(evaluate(graph, a), np.tile(np.repeat(a, 2, 0), (1, 2)))
