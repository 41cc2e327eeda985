"""Constants of bodies become operands of the op that has the bodies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dlc.ir.graph import Graph, Op, Value
from dlc.ir.operator import Constant, Data
from dlc.ops.core.operator import CoreOperator
from dlc.rewrite.base import Pass


@dataclass(frozen=True, slots=True)
class HoistConstants(Pass):
    """Pass the constants of the bodies of `if` and `loop` into them from outside.

    Bodies then hold no memory of their own: all weights are the model's, each once, and bodies that
    differ in them only become one C function. What is known inside a body is forgotten, so this comes
    last, right before memory is planned.

    Before:

        graph "g" {
          %0 = input() "c" : bool[]
          %1 = input() "x" : f32[2]
          %2 = if(%0, %1) {otherwise = graph "no" {
            %0 = input() "x" : f32[2]
            output(%0) {names = ["y"]}
          }, symbols = [], then = graph "yes" {
            %0 = input() "x" : f32[2]
            %1 = constant() {value = dense<f32[2] 1.0 2.0>} "w" : f32[2]
            %2 = map(%0, %1) {expr = `a0 + a1`} : f32[2]
            output(%2) {names = ["y"]}
          }} : f32[2]
          output(%2) {names = ["y"]}
        }

    After:

        graph "g" {
          %0 = input() "c" : bool[]
          %1 = input() "x" : f32[2]
          %2 = constant() {value = dense<f32[2] 1.0 2.0>} "w" : f32[2]
          %3 = if(%0, %1, %2) {otherwise = graph "no" {
            %0 = input() "x" : f32[2]
            %1 = input() "constant0" : f32[2]
            output(%0) {names = ["y"]}
          }, symbols = [], then = graph "yes" {
            %0 = input() "x" : f32[2]
            %1 = input() "constant0" : f32[2]
            %2 = map(%0, %1) {expr = `a0 + a1`} : f32[2]
            output(%2) {names = ["y"]}
          }} : f32[2]
          output(%3) {names = ["y"]}
        }
    """

    name: ClassVar[str] = "hoist-constants"
    requires: ClassVar[str] = "core"

    def run(self, graph: Graph) -> tuple[Graph, bool]:
        owners = [op for op in graph.ops if any(op.operator.regions())]
        known = {
            id(op.operator.value.array): op.result
            for op in graph.ops if owners and isinstance(op.operator, Constant)
        }  # fmt: skip
        moved = [op for op in owners if _hoist(graph, op, known)]
        return graph, bool(moved)


def _hoist(graph: Graph, op: Op, known: dict[int, Value]) -> bool:
    """Move the constants out of the bodies of one op; bodies are changed in place."""
    assert isinstance(op.operator, CoreOperator)
    bodies = list(op.operator.regions())
    found: dict[int, tuple[Data, str]] = {}
    for body in bodies:
        for inner in body.ops:
            if isinstance(inner.operator, Constant):
                found[id(inner.operator.value.array)] = inner.operator.value, inner.label
    if not found:
        return False
    more = []
    for number, (data, label) in found.items():
        value = known.get(number)
        if value is None:
            value = known[number] = graph.add_constant(data, label)
        more.append(value)
    for body in bodies:
        taken = set(body.input_names)
        names = (n for n in map("constant{}".format, range(len(taken) + len(found))) if n not in taken)  # fmt: skip
        inputs = {
            number: body.add_input(name, value.type)
            for number, value, name in zip(found, more, names, strict=False)
        }
        for inner in body.ops:
            if isinstance(inner.operator, Constant):
                body.replace(inner, [inputs[id(inner.operator.value.array)]])
    graph.set_operands(op, [*op.operands, *more])
    return True
