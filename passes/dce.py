"""Dead code elimination."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dlc.ir.graph import Graph
from dlc.ir.operator import Input, Output
from dlc.rewrite.base import Pass


@dataclass(frozen=True, slots=True)
class DeadCode(Pass):
    """Remove what no output depends on. Graph inputs stay, for callers pass them.

    Before:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[4]
          %1 = onnx.Relu(%0) : f32[4]
          %2 = onnx.Exp(%0) : f32[4]
          output(%1) {names = ["y"]}
        }

    After:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[4]
          %1 = onnx.Relu(%0) : f32[4]
          output(%1) {names = ["y"]}
        }
    """

    name: ClassVar[str] = "dce"

    def run(self, graph: Graph) -> tuple[Graph, bool]:
        changed = False
        for op in reversed(graph.ops):
            if not graph.is_used(op) and not isinstance(op.operator, Input | Output):
                graph.erase(op)
                changed = True
        return graph, changed
