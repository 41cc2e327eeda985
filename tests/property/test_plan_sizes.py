"""Plans of random graphs of run-time sizes are sound: run in their own bytes, in Python and in C."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from backend_support import EXACT, compiled
from hypothesis import given, settings
from hypothesis import strategies as st

from dlc.errors import DlcError, InputError
from dlc.interp import largest
from dlc.ir.graph import Graph, Op, Value
from dlc.ir.operator import Array, Input, Output
from dlc.ir.sizes import Symbol, bound_of
from dlc.ir.types import DType, TensorType
from dlc.ops.build import concat, map_, pad, reshape, slice_, transpose
from dlc.ops.core.slice import Slice
from dlc.plan import plan_offsets
from dlc.plan.check import verify_plan
from dlc.plan.simulate import simulate

N, M = Symbol("N", 4), Symbol("M", 3)
ROWS = [N, M, N + 1, 2 * N, N * M, N // 2]
UNARY = ["neg(a0)", "a0 * a0", "max(a0, 0.5)"]
BINARY = ["a0 + a1", "max(a0, a1)"]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    graph = Graph("sized")
    values: list[Value] = [
        graph.add_input("x", TensorType(DType.F32, (N, 2))),
        graph.add_input("y", TensorType(DType.F32, (M, 2))),
        graph.add_input("z", TensorType(DType.F32, (draw(st.sampled_from(ROWS)), 2))),
    ]
    for _ in range(draw(st.integers(1, 10))):
        x = values[-1 - min(draw(st.integers(0, len(values) - 1)) for _ in range(2))]
        with contextlib.suppress(DlcError):  # what does not fit together is not drawn
            values.append(_step(draw, x, values))
    outputs = draw(
        st.lists(st.sampled_from(values[3:] or values), min_size=1, max_size=3, unique=True)
    )
    graph.set_outputs([(f"out{i}", value) for i, value in enumerate(outputs)])
    return graph


def _step(draw: st.DrawFn, x: Value, values: list[Value]) -> Value:
    rows, cols = x.type.shape
    alike = [v for v in values if v.type.shape == x.type.shape]
    kind = draw(
        st.sampled_from(["map", "binary", "reshape", "slice", "concat", "pad", "transpose"])
    )
    if kind == "map":
        return map_(draw(st.sampled_from(UNARY)), x)
    if kind == "binary":
        return map_(draw(st.sampled_from(BINARY)), x, draw(st.sampled_from(alike)))
    if kind == "reshape":
        return reshape(x, draw(st.sampled_from([(cols, rows), (rows * cols, 1), (1, rows * cols)])))
    if kind == "slice":
        start = draw(st.sampled_from([0, 0, 1]))
        return slice_(x, (start, 0), (draw(st.sampled_from([rows - start, N, 1])), cols))
    if kind == "concat":
        fitting = [v for v in values if v.type.shape[1] == cols]
        return concat(draw(st.lists(st.sampled_from(fitting), min_size=2, max_size=3)), 0)
    if kind == "pad":
        return pad(x, (draw(st.integers(0, 1)), 0), (1, 0))
    return transpose(x, (1, 0))


def inputs_of(graph: Graph, sizes: Mapping[Symbol, int]) -> list[Array]:
    rng = np.random.default_rng(sum(sizes.values()))
    shapes = [largest(v.type, sizes).dims for v in graph.inputs]
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


def _reaches_out(op: Op, sizes: Mapping[Symbol, int]) -> bool:
    """Whether a slice has positions outside its operand, which numpy overlooks in empty arrays."""
    if not isinstance(op.operator, Slice):
        return False
    (x,), operator = op.operands, op.operator.at(sizes)
    assert x is not None
    entries = zip(operator.starts, operator.sizes, largest(x.type, sizes).dims, strict=True)
    return any(bound_of(size) > 0 and bound_of(start + size) > dim for start, size, dim in entries)


def expected_of(graph: Graph, sizes: Mapping[Symbol, int], inputs: list[Array]) -> list[Array] | None:  # fmt: skip
    """None where sizes contradict each other: a result has not the shape its type gives it."""
    arrays: dict[Value, Array] = dict(zip(graph.inputs, inputs, strict=True))
    for op in graph.ops:
        if isinstance(op.operator, Input | Output):
            continue
        try:
            results = op.operator.at(sizes).evaluate([arrays[v] for v in op.operands if v])
        except (DlcError, ValueError, IndexError):
            return None
        for value, array in zip(op.results, results, strict=True):
            if array.shape != largest(value.type, sizes).dims or _reaches_out(op, sizes):
                return None
            arrays[value] = array
    return [arrays[value] for value in graph.outputs]


@settings(max_examples=150, deadline=None)
@given(graphs(), st.integers(0, 4), st.integers(0, 3))
def test_every_step_finds_its_operands(graph: Graph, n: int, m: int) -> None:
    program, sizes = plan_offsets(graph), {N: n, M: m}
    inputs = inputs_of(graph, sizes)
    expected = expected_of(graph, sizes, inputs)
    if expected is not None:
        for got, wanted in zip(simulate(program, inputs), expected, strict=True):
            np.testing.assert_array_equal(got, wanted)


@settings(max_examples=10, deadline=None)
@given(graphs())
def test_c_agrees_at_every_size(graph: Graph) -> None:
    with tempfile.TemporaryDirectory() as folder:
        module = compiled(graph, Path(folder) / "m", EXACT)
        verify_plan(Path(folder) / "m")
        for n, m in itertools.product(range(5), range(4)):
            sizes = {N: n, M: m}
            inputs = inputs_of(graph, sizes)
            expected = expected_of(graph, sizes, inputs)
            named = dict(zip(graph.input_names, inputs, strict=True))
            if expected is None:
                with pytest.raises(InputError, match="two contradict"):
                    module.run(named)
            else:
                for got, wanted in zip(module.run(named).values(), expected, strict=True):
                    np.testing.assert_array_equal(got, wanted)
