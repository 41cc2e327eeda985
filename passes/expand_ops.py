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

    before:
        %0 = input "x" : f32[4]
        %1 = onnx.Relu %0 : f32[4]
        output %1 as "y"

    after:
        %0 = input "x" : f32[4]
        %1 = map %0 {expr = max(a0, 0)} : f32[4]
        output %1 as "y"
    """

    name: ClassVar[str] = "expand-ops"
    ensures: ClassVar[str] = "core"

    def run(self, graph: Graph) -> tuple[Graph, bool]:
        expanded = [op for op in graph.ops if expand_op(op)]
        return graph, bool(expanded)
