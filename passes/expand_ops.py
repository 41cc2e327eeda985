"""Lowering of named ONNX ops to core ops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dlc.ir.graph import Graph
from dlc.ops.onnx.expand import expand_op
from dlc.rewrite.base import Pass


@dataclass(frozen=True, slots=True)
class ExpandOps(Pass):
    """Replace every named ONNX op by core ops.

    An op dlc cannot expand is an UnsupportedError that names the operator, its node and the remedy.

    Before:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[2,3]
          %1 = onnx.HardSigmoid(%0) : f32[2,3]
          %2 = onnx.Flatten(%1) {axis = 0} : f32[1,6]
          output(%2) {names = ["y"]}
        }

    After:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[2,3]
          %1 = map(%0) {expr = `max(min(0.20000000298023224 * a0 + 0.5, 1.0), 0.0)`} : f32[2,3]
          %2 = reshape(%1) {shape = [1, 6]} : f32[1,6]
          output(%2) {names = ["y"]}
        }
    """

    name: ClassVar[str] = "expand-ops"
    contract: ClassVar[str] = "reassociates"
    ensures: ClassVar[str] = "core"

    def run(self, graph: Graph) -> tuple[Graph, bool]:
        expanded = [op for op in graph.ops if expand_op(op)]
        return graph, bool(expanded)
