"""Which values share memory, and which must not."""

from __future__ import annotations

import numpy as np
import pytest

from dlc.errors import PlanError
from dlc.ir.evaluate import evaluate_graph
from dlc.ir.graph import Graph, Value
from dlc.ir.text import parse_graph, print_graph
from dlc.ir.types import DType, TensorType
from dlc.ops.build import concat, constant, conv, map_, reduce, reshape, slice_
from dlc.ops.onnx.operator import OnnxOperator
from dlc.plan import Program, is_planned, plan_lifetimes, plan_offsets, program_of
from dlc.plan.simulate import simulate


def graph_with(*shapes: tuple[int, ...]) -> tuple[Graph, list[Value]]:
    graph = Graph("test")
    return graph, [graph.add_input(f"x{i}", TensorType(DType.F32, s)) for i, s in enumerate(shapes)]


def planned(graph: Graph, *outputs: Value) -> Program:
    """The program, proven by running it."""
    graph.set_outputs([(f"y{i}", v) for i, v in enumerate(outputs)])
    program = plan_offsets(graph)
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=v.shape).astype(np.float32) for v in graph.inputs]
    for got, want in zip(simulate(program, inputs), evaluate_graph(graph, inputs), strict=True):
        np.testing.assert_array_equal(got, want)
    assert program.arena_bytes == program.lower_bound
    return program


def spaces(program: Program) -> list[str]:
    return [buffer.space.value for buffer in program.buffers]


def total(x: Value) -> Value:
    return reduce("add", x, range(len(x.shape)))


def test_a_chain_of_elementwise_ops_needs_one_buffer() -> None:
    graph, (x,) = graph_with((8,))
    program = planned(graph, total(map_("sin(a0)", map_("exp(a0)", map_("a0 * a0", x)))))
    assert spaces(program) == ["input", "output", "arena"]
    assert program.arena_bytes == 32


def test_inputs_and_constants_are_never_overwritten() -> None:
    graph, (x,) = graph_with((8,))
    c = constant(graph, np.ones(8, np.float32))
    program = planned(graph, map_("a0 + a1", x, c))
    assert spaces(program) == ["input", "constant", "output"]


def test_a_value_may_be_squared_in_place() -> None:
    graph, (x,) = graph_with((8,))
    a = map_("exp(a0)", x)
    assert planned(graph, total(map_("a0 * a1", a, a))).arena_bytes == 32


def test_an_operand_read_elsewhere_too_is_not_overwritten() -> None:
    """The same value once element by element, once broadcast, through views."""
    graph, (x,) = graph_with((4,))
    a = map_("exp(a0)", x)
    row, column = reshape(a, (1, 4)), reshape(a, (4, 1))
    assert planned(graph, total(map_("a0 + a1", row, column))).arena_bytes == 64 + 16
    graph, (x,) = graph_with((4, 4))
    a = map_("exp(a0)", x)
    first = slice_(a, (0, 0), (1, 4))
    # copying the row is cheaper than a second matrix
    assert planned(graph, total(map_("a0 + a1", a, first))).arena_bytes == 64 + 16


def test_a_residual_is_added_in_the_place_of_the_dying_operand() -> None:
    graph, (x,) = graph_with((1, 6, 5, 5))
    w = constant(graph, np.random.default_rng(0).normal(size=(6, 6, 3, 3)).astype(np.float32))
    a = map_("exp(a0)", x)
    b = conv(a, w, pads=(1, 1, 1, 1))
    c = conv(b, w, a, pads=(1, 1, 1, 1), epilogue="a0 + a1")
    program = planned(graph, total(c))
    assert program.arena_bytes == 2 * 600
    *_, last, _ = program.steps
    assert last.results[0] == last.operands[2]


def test_a_conv_may_not_overwrite_its_image_even_if_it_is_also_the_residual() -> None:
    graph, (x,) = graph_with((1, 6, 5, 5))
    w = constant(graph, np.random.default_rng(0).normal(size=(6, 6, 3, 3)).astype(np.float32))
    a = map_("exp(a0)", x)
    c = conv(a, w, a, pads=(1, 1, 1, 1), epilogue="a0 + a1")
    program = planned(graph, total(c))
    assert program.steps[1].results[0] != program.steps[1].operands[0]


def test_parts_are_made_inside_the_joined_value() -> None:
    graph, (x,) = graph_with((4,))
    joined = concat([map_("exp(a0)", x), map_("sin(a0)", x)], 0)
    program = planned(graph, total(joined))
    assert program.arena_bytes == 32
    assert program.steps[2].elided == {0, 1}


def test_parts_that_are_read_only_or_appear_twice_are_copied() -> None:
    graph, (x,) = graph_with((4,))
    a = map_("exp(a0)", x)
    program = planned(graph, total(concat([x, a, a], 0)))
    assert len(program.steps[1].elided) == 1
    assert 0 not in program.steps[1].elided


def test_a_value_may_be_part_of_two_joined_values_that_lie_side_by_side() -> None:
    graph, (x,) = graph_with((4,))
    a, b, c = (map_(f"a0 + {i}.0", x) for i in range(3))
    program = planned(graph, total(concat([b, a], 0)), total(concat([a, c], 0)))
    joins = [step for step in program.steps if step.op.operator.name == "concat"]
    assert [step.elided for step in joins] == [{0, 1}, {0, 1}]


def test_halves_split_and_joined_again_stay_where_they_are() -> None:
    """The block of ShuffleNet: one half passes, the other is computed in place."""
    graph, (x,) = graph_with((2, 4))
    a = map_("exp(a0)", x)
    left, right = slice_(a, (0, 0), (1, 4)), slice_(a, (1, 0), (1, 4))
    program = planned(graph, total(concat([left, map_("sin(a0)", right)], 0)))
    assert program.arena_bytes == 32
    assert all(step.elided for step in program.steps[1:3])


def test_a_placement_that_raises_the_peak_is_refused() -> None:
    """``small`` waits long for its join; inside the wide joined value all of that would wait."""
    graph, (x,) = graph_with((2, 4))
    small = map_("exp(a0)", x)
    peak = map_("a0 * a1", constant(graph, np.ones((80, 4), np.float32)), total(small))
    wide = map_("a0 + a1", constant(graph, np.ones((60, 4), np.float32)), total(peak))
    program = planned(graph, total(concat([wide, small], 0)))
    assert program.arena_bytes == 32 + 4 + 80 * 16
    (join,) = (step for step in program.steps if step.op.operator.name == "concat")
    assert join.elided == {0}


def test_outputs_that_are_inputs_constants_or_outputs_already_are_copied_at_the_end() -> None:
    graph, (x,) = graph_with((4,))
    c = constant(graph, np.ones(4, np.float32))
    y = map_("a0 + a1", x, c)
    program = planned(graph, x, y, c, y)
    assert [(copy.output, copy.size) for copy in program.copies] == [(0, 16), (2, 16), (3, 16)]


def test_an_output_that_is_a_view_of_an_input_is_made_in_the_callers_buffer() -> None:
    graph, (x,) = graph_with((2, 4))
    program = planned(graph, reshape(x, (8,)), slice_(x, (1, 0), (1, 4)))
    assert not program.copies
    assert [step.elided for step in program.steps] == [frozenset(), frozenset()]


def test_two_outputs_one_inside_the_other_have_memory_of_their_own() -> None:
    graph, (x,) = graph_with((2, 4))
    y = map_("exp(a0)", x)
    program = planned(graph, y, slice_(y, (1, 0), (1, 4)))
    assert spaces(program) == ["input", "output", "output"]


def test_peaks_count_inputs_until_their_last_read_and_outputs_from_their_first_store() -> None:
    graph, (x,) = graph_with((8,))
    a = total(x)
    program = planned(graph, map_("a0 + a1", a, constant(graph, np.ones(16, np.float32))))
    assert (program.lower_bound, program.peak_step, program.peak_bytes_with_io) == (4, 0, 68)


def test_a_graph_without_ops_has_a_plan() -> None:
    graph, (x,) = graph_with((4,))
    program = planned(graph, x)
    assert (program.steps, program.arena_bytes, program.peak_step) == ((), 0, -1)
    assert program.peak_bytes_with_io == 32


def test_empty_values_take_no_room() -> None:
    graph, (x,) = graph_with((0, 4))
    program = planned(graph, map_("exp(a0)", map_("a0 + 1.0", x)), concat([x, x], 0))
    assert program.arena_bytes == 0


def test_a_plan_survives_a_round_trip_through_text() -> None:
    graph, (x,) = graph_with((4, 4))
    a = map_("exp(a0)", x)
    planned(graph, total(concat([a, map_("sin(a0)", a)], 0)), a)
    other = parse_graph(print_graph(graph))
    assert is_planned(other)
    left, right = program_of(graph), program_of(other)
    assert left.buffers == right.buffers
    assert [s.results for s in left.steps] == [s.results for s in right.steps]
    plan_offsets(other)
    assert other.annotations == parse_graph(print_graph(graph)).annotations


def test_any_change_of_the_graph_drops_the_plan() -> None:
    graph, (x,) = graph_with((4,))
    planned(graph, map_("exp(a0)", x))
    constant(graph, np.ones(1, np.float32))
    with pytest.raises(PlanError, match="run the passes liveness and plan-arena"):
        program_of(graph)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("step", 3, "where step 0 is missing"),
        ("step", "x", "annotated 'x' where a number is needed"),
        ("place", (), "one place for each result"),
        ("place", ((1,),), "a buffer and an offset are needed"),
        ("place", ((-1, 0),), "a number is needed"),
        ("place", ((10**9, 0),), "more than it has values"),
    ],
)
def test_annotations_that_do_not_fit_are_refused(key: str, value: object, message: str) -> None:
    graph, (x,) = graph_with((4,))
    y = map_("exp(a0)", x)
    planned(graph, y)
    y.op.annotations[key] = value
    with pytest.raises(PlanError, match=message):
        program_of(graph)


def test_named_ops_cannot_be_placed() -> None:
    graph, (x,) = graph_with((4,))
    graph.set_outputs([("y", graph.add(OnnxOperator("Relu", 14), [x], types=[x.type]).result)])
    with pytest.raises(PlanError, match=r"onnx.Relu .* run the pass expand-ops first"):
        plan_lifetimes(graph)
