"""The constraints of ``if`` and ``loop``, and what they do to the graph around them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from dlc.errors import PlanError, VerifyError
from dlc.interp import run
from dlc.ir.graph import Graph
from dlc.ir.sizes import Symbol
from dlc.ir.types import DType, TensorType
from dlc.ir.verify import verify
from dlc.ops import build
from dlc.ops.core.if_ import If
from dlc.ops.core.loop import Loop
from dlc.ops.emission import Branch, Repeat
from dlc.ops.unrolling import unrolled
from dlc.plan import plan_lifetimes, plan_offsets

BOOL, I64 = TensorType(DType.BOOL, ()), TensorType(DType.I64, ())
TWO, THREE = TensorType(DType.F32, (2,)), TensorType(DType.F32, (3,))
N, INSIDE = Symbol("n", 4), Symbol("n_now", 4)
ANY = TensorType(DType.F32, (INSIDE,))


def body(expr: str, *types: TensorType, extra: tuple[int, ...] | None = None) -> Graph:
    graph = Graph("body")
    inputs = [graph.add_input(f"x{i}", type) for i, type in enumerate(types)]
    outputs = {"y": build.map_(expr, *inputs[-1:])}
    if extra is not None:
        outputs["sizes"] = build.sizes(graph, list(extra))
    graph.set_outputs(outputs)
    return graph


def turn(state: TensorType = TWO, expr: str = "a0 + 1.0", rows: bool = False) -> Graph:
    graph = Graph("turn")
    graph.add_input("turn", I64)
    going, x = graph.add_input("going", BOOL), graph.add_input("x", state)
    y = build.map_(expr, x)
    graph.set_outputs({"again": going, "y": y, **({"row": y} if rows else {})})
    return graph


@pytest.mark.parametrize(
    ("operator", "operands", "constraint"),
    [
        (lambda: If(body("a0", TWO), body("a0", TWO)), [], "C1"),
        (lambda: If(body("a0", TWO), body("a0", TWO)), [I64, TWO], "C1"),
        (lambda: If(body("a0", TWO), body("a0", TWO)), [BOOL, THREE], "C2"),
        (lambda: If(body("a0", TWO), body("i64(a0)", TWO)), [BOOL, TWO], "C3"),
        (lambda: If(body("a0", TWO), body("a0", TWO), (N,)), [BOOL, TWO], "C4"),
        (
            lambda: If(body("a0", TWO, extra=(2,)), body("a0", TWO, extra=(2,)), (N,)),
            [BOOL, TWO],
            "C4",
        ),
        (lambda: Loop(turn(), 1), [I64, BOOL], "C1"),
        (lambda: Loop(turn(), 1), [BOOL, BOOL, TWO], "C1"),
        (lambda: Loop(turn(), 1), [I64, BOOL, THREE], "C2"),
        (lambda: Loop(turn(expr="i64(a0)"), 1), [I64, BOOL, TWO], "C3"),
        (lambda: Loop(turn(), 1, symbols=(N, N)), [I64, BOOL, TWO], "C4"),
        (lambda: Loop(turn(), 1, turns=3, symbols=(N,)), [I64, BOOL, TWO], "C4"),
        (lambda: Loop(turn(ANY), 1, 0, (INSIDE,), (N,)), [I64, BOOL, TWO], "C4"),
    ],
)
def test_constraints_are_cited(
    operator: Callable[[], If | Loop], operands: list[TensorType], constraint: str
) -> None:
    with pytest.raises(VerifyError, match=rf"\({constraint}\)"):
        operator().infer(operands)


def looping(limit: int, rows: bool = False) -> Graph:
    graph = Graph("g")
    x = graph.add_input("x", TWO)
    operands = [build.constant(graph, limit, DType.I64), build.constant(graph, True), x]
    op = graph.add(Loop(turn(rows=rows), 1, limit), operands)
    graph.set_outputs({f"y{i}": value for i, value in enumerate(op.results)})
    return graph


@pytest.mark.parametrize("limit", [0, 1])
def test_a_loop_of_no_turn_or_one_needs_no_body(limit: int) -> None:
    graph = looping(limit, rows=True)
    arrays = {"x": np.array([1, 2], np.float32)}
    expected = run(graph, arrays)
    (op,) = (op for op in graph.ops if isinstance(op.operator, Loop))
    values = unrolled(op)
    assert values is not None
    graph.replace(op, values)
    verify(graph)
    for name, array in run(graph, arrays).items():
        np.testing.assert_array_equal(array, expected[name])
    assert expected["y1"].shape == (limit, 2)


def test_a_body_is_planned_with_its_op() -> None:
    graph = looping(5)
    (op,) = (op for op in graph.ops if isinstance(op.operator, Loop))
    operands = [t for t in op.operand_types if t is not None]
    with pytest.raises(PlanError, match="has no plan; run the pass liveness"):
        op.operator.emission(operands, op.types)
    plan_lifetimes(graph)
    (*_, repeat) = op.operator.emission(operands, op.types).parts
    assert isinstance(repeat, Repeat)
    assert repeat.most is None  # no result is as long as the number of turns
    assert plan_offsets(graph).arena_bytes == 8  # the state's second place


def test_a_branch_has_the_scratch_of_the_larger_body() -> None:
    graph = Graph("g")
    condition, x = graph.add_input("c", BOOL), graph.add_input("x", TWO)
    wide = Graph("wide")
    inner = build.broadcast(build.reshape(wide.add_input("x", TWO), (1, 2)), (50, 2))
    wide.set_outputs({"y": build.reduce("add", build.map_("exp(a0)", inner), [0], keepdims=False)})
    op = graph.add(If(wide, body("a0 * 2.0", TWO)), [condition, x])
    graph.set_outputs({"y": op.result})
    program = plan_offsets(graph)
    (step,) = program.steps
    (branch,) = step.emission.parts
    assert isinstance(branch, Branch)
    assert step.emission.scratch == wide.annotations["arena_bytes"] == program.arena_bytes > 0
