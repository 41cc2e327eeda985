"""Plans of random graphs are sound: proven by running them in their own bytes."""

from __future__ import annotations

import itertools
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlc.backends.c99.emit import emit
from dlc.errors import PlanError
from dlc.ir.evaluate import evaluate_graph
from dlc.ir.graph import Graph, Value
from dlc.ir.types import DType, TensorType
from dlc.ops.build import concat, constant, map_, pad, reduce, reshape, slice_, transpose
from dlc.ops.emission import Access, Nest, Operand, Result
from dlc.plan import Program, Space, Step, plan_lifetimes, plan_offsets, program_of
from dlc.plan.check import check_overlaps, verify_plan
from dlc.plan.emitted import read_metadata
from dlc.plan.offsets import Block, assign, height, lower_bound
from dlc.plan.replay import Replay
from dlc.plan.simulate import simulate

UNARY = ["neg(a0)", "a0 * a0", "max(a0, 0.5)", "a0 + 1.0"]
BINARY = ["a0 + a1", "a0 - a1", "max(a0, a1)", "a0 * a1 + a0"]


@st.composite
def graphs(
    draw: st.DrawFn,
    kinds: tuple[str, ...] = (
        "map",
        "binary",
        "reshape",
        "slice",
        "concat",
        "pad",
        "transpose",
        "reduce",
        "split",
        "constant",
    ),
) -> Graph:
    graph = Graph()
    values: list[Value] = [
        graph.add_input(
            f"x{i}", TensorType(DType.F32, (draw(st.integers(1, 3)), draw(st.sampled_from([2, 4]))))
        )
        for i in range(draw(st.integers(1, 2)))
    ]
    for _ in range(draw(st.integers(1, 14))):
        kind = draw(st.sampled_from(kinds))
        # late values more often than early ones, so that chains and reuse are both common
        x = values[
            -1 - min(draw(st.integers(0, len(values) - 1)), draw(st.integers(0, len(values) - 1)))
        ]
        rows, cols = x.shape
        if kind == "map":
            values.append(map_(draw(st.sampled_from(UNARY)), x))
        elif kind == "binary":
            others = [v for v in values if v.shape in (x.shape, (1, cols), (rows, 1))]
            values.append(
                map_(
                    draw(st.sampled_from(BINARY)),
                    *draw(st.permutations([x, draw(st.sampled_from(others))])),
                )
            )
        elif kind == "reshape":
            values.append(reshape(x, (cols, rows)))
        elif kind == "slice":
            start = draw(st.integers(0, rows - 1))
            stop = draw(st.integers(start + 1, rows))
            values.append(slice_(x, (start, 0), (stop - start, cols)))
        elif kind == "split" and rows > 1:
            cut = draw(st.integers(1, rows - 1))
            values += [slice_(x, (0, 0), (cut, cols)), slice_(x, (cut, 0), (rows - cut, cols))]
        elif kind == "concat":
            others = [v for v in values if v.shape[1] == cols]
            parts = draw(st.lists(st.sampled_from(others), min_size=1, max_size=3))
            if sum(v.shape[0] for v in parts) + rows <= 24:
                values.append(concat([*parts, x], 0))
        elif kind == "pad" and rows < 20:
            values.append(pad(x, (draw(st.integers(0, 1)), 0), (draw(st.integers(0, 1)), 0), 7.0))
        elif kind == "transpose":
            values.append(transpose(x, (1, 0)))
        elif kind == "reduce":
            values.append(reduce("add", x, (draw(st.integers(0, 1)),)))
        elif kind == "constant":
            values.append(
                constant(graph, np.arange(rows * cols, dtype=np.float32).reshape(rows, cols))
            )
    chosen = draw(st.lists(st.sampled_from(values), min_size=1, max_size=4))
    graph.set_outputs([(f"y{i}", v) for i, v in enumerate([values[-1], *chosen])])
    return graph


def planned(graph: Graph) -> Program:
    plan_lifetimes(graph)
    return plan_offsets(graph)


def inputs_of(graph: Graph) -> list[Any]:
    rng = np.random.default_rng(0)
    return [rng.uniform(-2, 2, v.shape).astype(np.float32) for v in graph.inputs]


@settings(max_examples=100, deadline=None)
@given(graphs())
def test_a_plan_computes_what_the_graph_does(graph: Graph) -> None:
    inputs = inputs_of(graph)
    expected = evaluate_graph(graph, inputs)
    for got, want in zip(simulate(planned(graph), inputs), expected, strict=True):
        np.testing.assert_array_equal(got, want)


@settings(max_examples=100, deadline=None)
@given(graphs(kinds=("map", "binary", "reshape", "slice", "concat", "pad", "split", "constant")))
def test_a_plan_holds_element_by_element(graph: Graph) -> None:
    """As C does it: one element after the other, in the arena."""
    inputs = inputs_of(graph)
    expected = evaluate_graph(graph, inputs)
    for got, want in zip(run_nests(planned(graph), inputs), expected, strict=True):
        np.testing.assert_array_equal(got, want)


def run_nests(program: Program, inputs: list[Any]) -> list[Any]:
    """Every nest in loop order over flat buffers of f32."""
    arena = np.full(program.arena_bytes // 4, np.nan, np.float32)
    memory = []
    for buffer in program.buffers:
        if buffer.space is Space.ARENA:
            memory.append(arena[buffer.offset // 4 : (buffer.offset + buffer.size) // 4])
        elif buffer.space is Space.OUTPUT:
            memory.append(np.full(buffer.size // 4, np.nan, np.float32))
        elif buffer.space is Space.INPUT:
            memory.append(inputs[buffer.index].ravel().copy())
        else:
            memory.append(program.constants[buffer.index].operator.value.array.ravel().copy())
    frozen = [m.copy() for m in memory]
    for step in program.steps:
        for number, part in enumerate(step.emission.parts):
            if number in step.elided:
                continue
            assert isinstance(part, Nest)

            for index in itertools.product(*map(range, part.extents)):
                reads = [
                    buffer[i : i + 1]
                    for buffer, i in (element(step, memory, a, index) for a in part.reads)
                ]
                into, i = element(step, memory, part.write, index)
                into[i] = np.asarray(part.expr.evaluate(reads)).reshape(-1)[0]
        for dead in step.frees:
            memory[dead][:] = np.nan
    outputs: dict[int, Any] = {
        b.index: memory[b.id] for b in program.buffers if b.space is Space.OUTPUT
    }
    for copy in program.copies:
        start = copy.source.offset // 4
        outputs[copy.output] = memory[copy.source.buffer][start : start + copy.size // 4]
    for buffer, now, before in zip(program.buffers, memory, frozen, strict=True):
        if buffer.space in (Space.INPUT, Space.CONSTANT):
            np.testing.assert_array_equal(now, before)
    return [outputs[i].reshape(v.shape) for i, v in enumerate(program.graph.outputs)]


def element(
    step: Step, memory: list[Any], access: Access, index: tuple[int, ...]
) -> tuple[Any, int]:
    """The buffer an access is to, and where in it."""
    where = access.buffer
    assert isinstance(where, Operand | Result)
    place = (step.operands if isinstance(where, Operand) else step.results)[where.index]
    offset = access.index.base + sum(
        i * s for i, s in zip(index, access.index.strides, strict=True)
    )
    return memory[place.buffer], place.offset // 4 + offset


@settings(max_examples=100, deadline=None)
@given(graphs())
def test_a_plan_never_costs_more_than_sharing_nothing(graph: Graph) -> None:
    program = planned(graph)
    live = [0] * (len(program.steps) + 1)
    ops = {step.op: step.index for step in program.steps}
    for op, born in ops.items():
        for value in op.results:
            if value not in graph.outputs:
                last = max((ops[use.op] for use in value.uses), default=born)
                for step in range(born, last + 1):
                    live[step] += value.type.nbytes
    assert program.lower_bound <= max(live)
    assert program.arena_bytes >= program.lower_bound
    assert program_of(graph) == program


blocks = st.lists(
    st.builds(
        lambda size, first, length, align: Block(size, first, first + length, align),
        st.integers(0, 40), st.integers(0, 20), st.integers(0, 6), st.sampled_from([1, 1, 4, 16]),
    ),
    max_size=40,
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(blocks)
def test_offsets_never_overlap_and_respect_alignment(found: list[Block]) -> None:
    offsets = assign(found)
    for (a, at), (b, there) in itertools.combinations(zip(found, offsets, strict=True), 2):
        together = a.first <= b.last and b.first <= a.last
        assert not (together and at < there + b.size and there < at + a.size)
    assert all(at % block.align == 0 for block, at in zip(found, offsets, strict=True))
    assert height(found, offsets) >= lower_bound(found)


@settings(max_examples=30, deadline=None)
@given(graphs(), st.data())
def test_the_checker_accepts_every_plan_and_no_overlap(graph: Graph, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as root:
        folder = emit(planned(graph).graph, Path(root) / "c", name="model")
        report = verify_plan(folder)
        stated = read_metadata(folder)
    assert report.lower_bound == program_of(graph).lower_bound
    movable = [b for b in stated.buffers if b.space == "arena" and b.size]
    if not movable:
        return
    chosen = data.draw(st.sampled_from(movable))
    moved = replace(chosen, offset=data.draw(st.integers(0, 16)) * 4)
    others = [
        b for b in movable if b is not chosen and b.first <= moved.last and moved.first <= b.last
    ]
    clash = any(
        b.offset < moved.offset + moved.size and moved.offset < b.offset + b.size for b in others
    )
    buffers = tuple(moved if b is chosen else b for b in stated.buffers)
    changed = replace(stated, buffers=buffers)
    if clash:
        with pytest.raises(PlanError, match="overlap in the arena"):
            check_overlaps(changed)
    else:
        check_overlaps(changed)
        Replay(changed).run()
