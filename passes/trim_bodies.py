"""Bodies of ``if`` and ``loop`` take only what they need."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar

from dlc.ir.graph import Graph, Op
from dlc.ir.operator import Constant, Data
from dlc.ops.core.if_ import If
from dlc.ops.core.loop import Loop
from dlc.ops.regions import rebuilt
from dlc.rewrite.base import Pass
from dlc.rewrite.driver import erase_dead


@dataclass(frozen=True, slots=True)
class TrimBodies(Pass):
    """Drop operands that no body reads, and tell bodies what is known outside.

    A capture that is a constant becomes one inside the body, where it may be folded. A value that a
    loop carries around without changing it is passed in instead.

    Before:

        graph "g" {
          %0 = input() "limit" : i64[]
          %1 = input() "x" : f32[2]
          %2 = constant() {value = dense<bool[] true>} : bool[]
          %3 = constant() {value = dense<f32[2] 1.0 2.0>} : f32[2]
          %4, %5 = loop(%0, %2, %1, %1, %3) {body = graph "turn" {
            %0 = input() "turn" : i64[]
            %1 = input() "going" : bool[]
            %2 = input() "sum" : f32[2]
            %3 = input() "same" : f32[2]
            %4 = input() "w" : f32[2]
            %5 = map(%2, %3, %4) {expr = `a0 + a1 * a2`} : f32[2]
            output(%1, %5, %3) {names = ["again", "sum_out", "same_out"]}
          }, carried = 2, inside = [], symbols = [], turns = 0} : f32[2], f32[2]
          output(%4, %5) {names = ["y", "z"]}
        }

    After:

        graph "g" {
          %0 = input() "limit" : i64[]
          %1 = input() "x" : f32[2]
          %2 = constant() {value = dense<bool[] true>} : bool[]
          %3 = loop(%0, %2, %1, %1) {body = graph "turn" {
            %0 = input() "turn" : i64[]
            %1 = input() "going" : bool[]
            %2 = input() "sum" : f32[2]
            %3 = input() "same" : f32[2]
            %4 = constant() {value = dense<f32[2] 1.0 2.0>} "w" : f32[2]
            %5 = map(%2, %3, %4) {expr = `a0 + a1 * a2`} : f32[2]
            output(%1, %5) {names = ["again", "sum_out"]}
          }, carried = 1, inside = [], symbols = [], turns = 0} : f32[2]
          output(%3, %1) {names = ["y", "z"]}
        }
    """

    name: ClassVar[str] = "trim-bodies"
    requires: ClassVar[str] = "core"
    into_regions: ClassVar[bool] = False  # from outside in: what is known is handed on

    def run(self, graph: Graph) -> tuple[Graph, bool]:
        return graph, _trim(graph)


def _trim(graph: Graph) -> bool:
    changed = False
    for op in graph.ops:
        producers = [value.op for value in op.operands if value is not None]
        if isinstance(op.operator, If):
            done = _trim_if(op, op.operator)
        else:
            done = isinstance(op.operator, Loop) and _trim_loop(op, op.operator)
        if done:
            erase_dead(graph, *producers)
            changed = True
    for op in graph.ops:
        for body in op.operator.regions():
            changed |= _trim(body)
    return changed


def _trim_if(op: Op, operator: If) -> bool:
    bodies = list(operator.regions())
    known = _known(op, range(1, len(op.operands)))
    kept = [i for i in range(1, len(op.operands)) if i not in known and _reads(bodies, i - 1)]
    if len(kept) + 1 == len(op.operands):
        return False
    inside = {i - 1: data for i, data in known.items()}
    outputs = range(len(operator.then.outputs))
    fresh = [rebuilt(body, [i - 1 for i in kept], outputs, inside) for body in bodies]
    operands = [op.operands[i] for i in (0, *kept)]
    op.graph.set_operator(op, operator.with_regions(fresh), operands, op.types)
    return True


def _trim_loop(op: Op, loop: Loop) -> bool:
    body, end = loop.body, 2 + loop.carried
    same = [
        i for i in range(2, end)
        if body.outputs[i - 1] is body.inputs[i]
        and not any(dim in loop.inside for dim in body.inputs[i].type.shape)
    ]  # fmt: skip
    states = [i for i in range(2, end) if i not in same]
    known = _known(op, [*same, *range(end, len(op.operands))])
    captures = [
        i for i in (*same, *range(end, len(op.operands)))
        if i not in known and any(
            i not in same or use.op is not body.output or use.index != i - 1
            for use in body.inputs[i].uses
        )
    ]  # fmt: skip
    if not same and 2 + len(states) + len(captures) == len(op.operands):
        return False
    outputs = [0, *(i - 1 for i in states), *range(end - 1, len(body.outputs))]
    fresh = rebuilt(body, [0, 1, *states, *captures], outputs, known)
    operands = [op.operands[i] for i in (0, 1, *states, *captures)]
    types = [op.types[i - 2] for i in states] + list(op.types[loop.carried :])
    operator = replace(loop, body=fresh, carried=len(states))
    new = op.graph.add(operator, operands, types=types, label=op.label)
    rest = iter(new.results)
    values = [op.operands[i] if i in same else next(rest) for i in range(2, end)]
    op.graph.replace(op, [v for v in (*values, *rest) if v is not None])
    return True


def _known(op: Op, indices: Iterable[int]) -> dict[int, Data]:
    """Those of the operands that are constants."""
    found = {}
    for i in indices:
        value = op.operands[i]
        if value is not None and isinstance(value.op.operator, Constant):
            found[i] = value.op.operator.value
    return found


def _reads(bodies: Iterable[Graph], index: int) -> bool:
    """Whether some body reads its input of that number."""
    return any(body.inputs[index].uses for body in bodies)
