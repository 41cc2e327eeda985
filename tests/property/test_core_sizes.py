"""Core ops over sizes known at run time: at every size they do what they do when it is fixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import emission_machine
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlc.ir.expr import A0, parse_expr
from dlc.ir.sizes import Dim, Size, Symbol, substitute, symbols_of
from dlc.ir.types import DType, TensorType
from dlc.ops.core.arg_reduce import ArgReduce
from dlc.ops.core.bit_cast import BitCast
from dlc.ops.core.broadcast import Broadcast
from dlc.ops.core.concat import Concat
from dlc.ops.core.contract import Contract
from dlc.ops.core.conv import Conv
from dlc.ops.core.conv_transpose import ConvTranspose
from dlc.ops.core.det import Det
from dlc.ops.core.gather import Gather
from dlc.ops.core.iota import Iota
from dlc.ops.core.map import Map
from dlc.ops.core.operator import CoreOperator
from dlc.ops.core.pad import Pad
from dlc.ops.core.pool import Pool
from dlc.ops.core.random import Random
from dlc.ops.core.recurrence import Recurrence
from dlc.ops.core.reduce import Reduce
from dlc.ops.core.resample import Resample
from dlc.ops.core.reshape import Reshape
from dlc.ops.core.roi_align import RoiAlign
from dlc.ops.core.roi_max_pool import RoiMaxPool
from dlc.ops.core.scatter import Scatter
from dlc.ops.core.slice import Slice
from dlc.ops.core.top_k import TopK
from dlc.ops.core.transpose import Transpose
from dlc.ops.emission import Check, Emission, Kernel

EXAMPLES = settings(max_examples=60, deadline=None)
Values = Mapping[Symbol, int]


def fixed(item: Any, values: Values) -> Any:
    """An operator, a type or an emission with sizes replaced by their values."""
    if isinstance(item, Size):
        return substitute(item, values)
    if isinstance(item, tuple):
        return tuple(fixed(part, values) for part in item)
    if is_dataclass(item) and not isinstance(item, type) and not isinstance(item, Check):
        return type(item)(**{f.name: fixed(getattr(item, f.name), values) for f in fields(item)})
    return item


class Drawn:
    """Sizes drawn as symbols or ints, and the values of the symbols."""

    def __init__(self, data: st.DataObject) -> None:
        self.data, self.values = data, dict[Symbol, int]()

    def size(self, low: int = 0, high: int = 5) -> Dim:
        """A dim, often one drawn before."""
        known: list[Dim] = [s for s, v in self.values.items() if low <= v <= high]
        if known and self.data.draw(st.booleans()):
            return self.data.draw(st.sampled_from(known))
        return self.like(self.data.draw(st.integers(low, high)))

    def like(self, value: int) -> Dim:
        """A dim of this value."""
        if self.data.draw(st.integers(0, 3)) == 0:
            return value
        low = self.data.draw(st.sampled_from([min(value, 0), min(value, 1), value]))
        symbol = Symbol(f"s{len(self.values)}", value + self.data.draw(st.integers(0, 40)), low)
        self.values[symbol] = value
        return symbol

    def shape(self, low: int = 0, high: int = 5, rank: tuple[int, int] = (0, 4)) -> tuple[Dim, ...]:
        return tuple(self.size(low, high) for _ in range(self.data.draw(st.integers(*rank))))

    def narrowed(self, shape: Sequence[Dim]) -> tuple[Dim, ...]:
        """A shape that broadcasts to this one."""
        kept: list[Dim] = []
        for dim in shape[self.data.draw(st.integers(0, len(shape))) :]:
            how = self.data.draw(st.sampled_from(["same", "like", "one"]))
            kept.append(dim if how == "same" else self.like(self.at(dim) if how == "like" else 1))
        return tuple(kept)

    def at(self, dim: Dim) -> int:
        value = substitute(dim, self.values)
        assert isinstance(value, int)
        return value


def array(type: TensorType, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).integers(-3, 4, type.dims)
    return values.astype(type.dtype.numpy)


def agree(operator: CoreOperator, types: Sequence[TensorType], values: Values) -> Emission:
    """Types and emission at the values are those of the operator with fixed sizes."""
    results = operator.infer(types)
    still: CoreOperator = fixed(operator, values)
    operands = [fixed(t, values) for t in types]
    expected = still.infer(operands)
    assert fixed(results, values) == expected
    for result, at in zip(results, expected, strict=True):
        assert all(dim <= bound for dim, bound in zip(at.dims, result.bounds, strict=True))
        assert at.capacity <= result.capacity
    symbolic = operator.emission(types, results)
    parts = []
    for part in symbolic.parts:
        if isinstance(part, Check):
            assert substitute(part.condition, values) != 0
        else:
            parts.append(part)
    emission: Emission = fixed(Emission(tuple(parts), symbolic.scratch), values)
    if any(isinstance(part, Kernel) for part in emission.parts):
        assert emission.parts == still.emission(operands, expected).parts
        return symbolic
    arrays = [array(t, seed) for seed, t in enumerate(operands)]
    (wanted,) = still.evaluate(arrays)
    found = emission_machine.execute(emission, expected[0], arrays)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
    return symbolic


def f32(shape: Sequence[Dim]) -> TensorType:
    return TensorType(DType.F32, tuple(shape))


@EXAMPLES
@given(st.data())
def test_map_and_broadcast(data):
    drawn = Drawn(data)
    shape = drawn.shape()
    types = [f32(drawn.narrowed(shape)) for _ in range(2)]
    agree(Map(parse_expr("a0 + a1 * a2")), [f32(shape), *types], drawn.values)
    agree(Broadcast(shape), types[:1], drawn.values)


@EXAMPLES
@given(st.data())
def test_reshape(data):
    drawn = Drawn(data)
    shape = drawn.shape()
    result = data.draw(st.permutations(shape))
    if result and data.draw(st.booleans()):
        result[-1] = drawn.like(drawn.at(result[-1]))
    agree(Reshape(tuple(result)), [f32(shape)], drawn.values)


@EXAMPLES
@given(st.data())
def test_transpose_and_concat(data):
    drawn = Drawn(data)
    shape = drawn.shape(rank=(1, 4))
    perm = tuple(data.draw(st.permutations(range(len(shape)))))
    agree(Transpose(perm), [f32(shape)], drawn.values)
    axis = data.draw(st.integers(0, len(shape) - 1))
    types = [f32(shape)]
    for _ in range(data.draw(st.integers(0, 2))):
        other = [drawn.like(drawn.at(d)) if data.draw(st.booleans()) else d for d in shape]
        types.append(f32((*other[:axis], drawn.size(), *other[axis + 1 :])))
    agree(Concat(axis), types, drawn.values)


@EXAMPLES
@given(st.data())
def test_slice_and_pad(data):
    drawn = Drawn(data)
    shape = drawn.shape()
    starts, sizes, steps = [], [], []
    for dim in shape:
        extent, step = drawn.at(dim), data.draw(st.sampled_from([-2, -1, 1, 2, 3]))
        size = data.draw(st.integers(0, -(-extent // abs(step))))
        room = extent - 1 - (size - 1) * abs(step) if size else max(extent - 1, 0)
        start = data.draw(st.integers(0, room))
        if step < 0 and size:
            start += (size - 1) * -step
        for kept, value in zip((starts, sizes, steps), (start, size, step), strict=True):
            kept.append(drawn.like(value))
    agree(Slice(tuple(starts), tuple(sizes), tuple(steps)), [f32(shape)], drawn.values)
    before, after = (tuple(drawn.size(0, 2) for _ in shape) for _ in range(2))
    agree(Pad(before, after, 1.0), [f32(shape)], drawn.values)


@EXAMPLES
@given(st.data())
def test_gather(data):
    drawn = Drawn(data)
    shape = drawn.shape(rank=(1, 4))
    axis = data.draw(st.integers(0, len(shape) - 1))
    agree(Gather(axis), [f32(shape), TensorType(DType.I64, drawn.shape())], drawn.values)


@EXAMPLES
@given(st.data())
def test_reduce(data):
    drawn = Drawn(data)
    shape = drawn.shape()
    function = data.draw(st.sampled_from(["add", "max", "min", "mul"]))
    types = [f32(shape), f32(drawn.narrowed(shape))]
    element, epilogue = parse_expr("a0 + a1"), parse_expr("a0 * 2.0 + a1")
    which = data.draw(st.lists(st.booleans(), min_size=len(shape), max_size=len(shape)))
    axes = tuple(i for i, one in enumerate(which) if one)
    keepdims = data.draw(st.booleans())
    result = Reduce(function, axes, keepdims, element, 2).infer(types)[0]
    types.append(f32(drawn.narrowed(result.shape)))
    agree(Reduce(function, axes, keepdims, element, 2, epilogue=epilogue), types, drawn.values)
    if shape:
        mask = tuple(drawn.like(int(one)) for one in which)
        masked = Reduce(function, (), True, element, 2, mask, epilogue=epilogue)
        result = Reduce(function, (), True, element, 2, mask).infer(types[:2])[0]
        agree(masked, [*types[:2], f32(drawn.narrowed(result.shape))], drawn.values)


@EXAMPLES
@given(st.data())
def test_contract(data):
    drawn = Drawn(data)
    batch, (rows, depth, cols) = drawn.shape(rank=(0, 2)), drawn.shape(rank=(3, 3), high=40)
    left, right = data.draw(st.booleans()), data.draw(st.booleans())
    other = drawn.like(drawn.at(depth)) if data.draw(st.booleans()) else depth
    lhs = (*drawn.narrowed(batch), *((depth, rows) if left else (rows, depth)))
    rhs = (*batch, *((cols, other) if right else (other, cols)))
    bias = f32(drawn.narrowed((*batch, rows, cols)))
    operator = Contract(left, right, epilogue=parse_expr("a0 + a1"))
    agree(operator, [f32(lhs), f32(rhs), bias], drawn.values)


N, M = Symbol("N", 8), Symbol("M", 8)


@pytest.mark.parametrize(
    ("operator", "shapes", "good", "bad"),
    [
        (Map(parse_expr("a0 + a1")), [(N,), (M,)], (1, 3), (2, 3)),
        (Broadcast((N,)), [(M,)], (3, 1), (3, 2)),
        (Reshape((N, 2)), [(M,)], (3, 6), (3, 5)),
        (Concat(0), [(2, N), (2, M)], (3, 3), (3, 2)),
        (Contract(), [(2, N), (M, 3)], (3, 3), (3, 2)),
        (Slice((N,), (2,), (1,)), [(M,)], (3, 5), (3, 4)),
        (Slice((1,), (2,), (N,)), [(M,)], (2, 4), (2, 3)),
    ],
)
def test_checks(operator, shapes, good, bad):
    """What does not fit at run time fails a check, what fits none."""
    types = [f32(shape) for shape in shapes]
    parts = operator.emission(types, operator.infer(types)).parts
    found = [part.condition for part in parts if isinstance(part, Check)]
    for values, fits in ((good, True), (bad, False)):
        at = dict(zip((N, M), values, strict=True))
        assert all(substitute(condition, at) != 0 for condition in found) == fits


def test_what_is_proven_is_not_checked():
    """Equal normal forms, intervals and fixed dims need no check."""
    cases = [
        (Map(parse_expr("a0 + a1")), [(N, 4), (1, 4)]),
        (Reshape((N * M, 2)), [(N, 2, M)]),
        (Concat(1), [(N, M), (N, 3)]),
        (Contract(), [(2, N), (N, 3)]),
        (Slice((0,), (N,), (1,)), [(N + 2,)]),
        (Pad((N,), (1,)), [(M,)]),
    ]
    for operator, shapes in cases:
        types = [f32(shape) for shape in shapes]
        emission = operator.emission(types, operator.infer(types))
        assert not any(isinstance(part, Check) for part in emission.parts), operator
        assert set(symbols_of(tuple(t.shape for t in operator.infer(types)))) <= {N, M}


def image(drawn: Drawn, batch_and_channels: tuple[Dim, Dim]) -> tuple[Dim, ...]:
    return (*batch_and_channels, *drawn.shape(3, 9, rank=(1, 2)))


@EXAMPLES
@given(st.data())
def test_conv(data):
    drawn = Drawn(data)
    groups, depth = data.draw(st.sampled_from([(1, 1), (1, 3), (2, 1), (2, 2)]))
    x = image(drawn, (drawn.size(0, 2), drawn.like(groups * depth)))
    rank = len(x) - 2
    kernel = [drawn.size(1, 3) for _ in range(rank)]
    strides, dilations = (data.draw(st.tuples(*[st.integers(1, 2)] * rank)) for _ in range(2))
    spread = [(drawn.at(k) - 1) * d for k, d in zip(kernel, dilations, strict=True)]
    pads = tuple(drawn.like(data.draw(st.integers(max(s - 2, 0), s))) for s in spread * 2)
    w = (drawn.like(groups * 2), drawn.like(depth), *kernel)
    operator = Conv(strides, pads, dilations, groups, epilogue=parse_expr("a0 + a1"))
    result = replace(operator, epilogue=A0).infer([f32(x), f32(w)])[0]
    agree(operator, [f32(x), f32(w), f32(drawn.narrowed(result.shape))], drawn.values)
    pointwise = Conv((1,) * rank, (0,) * 2 * rank, (1,) * rank, groups)
    agree(pointwise, [f32(x), f32((*w[:2], *[1] * rank))], drawn.values)
    plain = replace(operator, pads=(0,) * 2 * rank, dilations=(1,) * rank, epilogue=A0)
    f64 = [TensorType(DType.F64, shape) for shape in (x, w)]
    agree(plain, f64, drawn.values)


@EXAMPLES
@given(st.data())
def test_pool(data):
    drawn = Drawn(data)
    x = image(drawn, (drawn.size(0, 2), drawn.size(0, 3)))
    rank = len(x) - 2
    kernel, strides, dilations = (
        data.draw(st.tuples(*[st.integers(1, high)] * rank)) for high in (3, 2, 1)
    )
    pads = tuple(drawn.like(data.draw(st.integers(0, k - 1))) for k in kernel * 2)
    overhang = tuple(drawn.size(0, 1) for _ in kernel)
    for kind in ("max", "avg"):
        operator = Pool(kind, kernel, strides, pads, dilations, overhang, data.draw(st.booleans()))
        agree(operator, [f32(x)], drawn.values)


@EXAMPLES
@given(st.data())
def test_conv_transpose(data):
    drawn = Drawn(data)
    groups, depth = data.draw(st.sampled_from([(1, 1), (1, 3), (2, 1), (2, 2)]))
    channels = drawn.like(groups * depth)
    x = (drawn.size(0, 2), channels, *drawn.shape(3, 5, rank=(1, 2)))
    rank = len(x) - 2
    strides, dilations = (data.draw(st.tuples(*[st.integers(1, 2)] * rank)) for _ in range(2))
    pads = (*(drawn.size(0, 1) for _ in range(rank)), *(drawn.size(-1, 1) for _ in range(rank)))
    w = (drawn.like(groups * depth), drawn.like(2), *(drawn.size(1, 3) for _ in range(rank)))
    agree(ConvTranspose(strides, pads, dilations, groups), [f32(x), f32(w)], drawn.values)


@EXAMPLES
@given(st.data())
def test_along_an_axis(data):
    drawn = Drawn(data)
    shape = drawn.shape(1, rank=(1, 4))
    axis = data.draw(st.integers(0, len(shape) - 1))
    agree(ArgReduce("max", axis, True), [f32(shape)], drawn.values)
    k = drawn.like(data.draw(st.integers(0, drawn.at(shape[axis]))))
    agree(TopK(axis, k), [f32(shape)], drawn.values)
    rows = drawn.size()
    index = TensorType(DType.I64, (drawn.like(drawn.at(rows)),))
    updates = f32((rows, *shape[1:]))
    agree(Scatter("add"), [f32(shape), index, updates], drawn.values)
    still = f32((*shape[:axis], 4, *shape[axis + 1 :]))
    tables = [TensorType(DType.I32, (3, 2)), f32((3, 2))]
    agree(Resample(axis), [still, *tables], drawn.values)
    agree(BitCast(DType.I32), [f32(shape)], drawn.values)
    agree(Random(shape, 7), [], drawn.values)
    agree(Iota(shape[0]), [], drawn.values)
    agree(Det(), [f32((*shape[:-1], rows, drawn.like(drawn.at(rows))))], drawn.values)


@EXAMPLES
@given(st.data())
def test_recurrence(data):
    drawn = Drawn(data)
    steps, batch = drawn.shape(rank=(2, 2))
    h, size = f32((batch, 3)), drawn.like(3)
    lengths = TensorType(DType.I32, (batch,))
    gru = Recurrence("gru", ("Sigmoid", "Tanh"), (0.0, 0.0), (0.0, 0.0))
    types = [f32((steps, batch, 9)), f32((size, 9)), h, lengths, f32((size,))]
    agree(gru, types, drawn.values)
    lstm = Recurrence("lstm", ("Sigmoid", "Tanh", "Tanh"), (0.0,) * 3, (0.0,) * 3)
    types = [f32((steps, batch, 12)), f32((size, 12)), h, lengths, h, f32((9,))]
    agree(lstm, types, drawn.values)


@EXAMPLES
@given(st.data())
def test_regions_of_interest(data):
    drawn = Drawn(data)
    x, regions = drawn.shape(1, rank=(4, 4)), drawn.size()
    agree(RoiMaxPool((2, 2)), [f32(x), f32((regions, 5))], drawn.values)
    image = TensorType(DType.I64, (drawn.like(drawn.at(regions)),))
    agree(RoiAlign((2, 2)), [f32(x), f32((regions, 4)), image], drawn.values)
