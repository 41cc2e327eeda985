"""``liveness``: when each op runs and where in which buffer its results live."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dlc.ir.graph import Graph
from dlc.plan import plan_lifetimes
from dlc.rewrite.base import Pass


@dataclass(frozen=True, slots=True)
class Liveness(Pass):
    """Order the ops and let values share memory so that least bytes are live at one step.

    Annotates each op with its ``step``, the ``place`` of each result (buffer number, byte offset),
    the buffer of its ``scratch`` and the arena buffers it ``frees``; values of one buffer share
    memory. Reshapes, contiguous slices, splits and concats become views where that is sound, and
    element-wise results take the place of a dying operand. The graph gets ``steps``,
    ``lower_bound`` (peak of live arena bytes), ``peak_step`` and ``peak_bytes_with_io`` (the peak
    with the caller's buffers). Nothing but annotations changes; any later change drops them.

    Before:

        graph "g" {
          %0 = input() "x" : f32[4]
          %1 = map(%0) {expr = `exp(a0)`} "exp" : f32[4]
          %2 = reduce(%1) {arity = 1, axes = [0], element = `a0`, epilogue = `a0`, function = "add", keepdims = true} "sum" : f32[1]
          %3 = map(%1, %2) {expr = `a0 / a1`} "div" : f32[4]
          output(%3) {names = ["y"]}
        }

    After:

        graph "g" @ {lower_bound = 4, peak_bytes_with_io = 32, peak_step = 1, steps = 3} {
          %0 = input() "x" @ {place = [[0, 0]]} : f32[4]
          %1 = map(%0) {expr = `exp(a0)`} "exp" @ {place = [[1, 0]], step = 0} : f32[4]
          %2 = reduce(%1) {arity = 1, axes = [0], element = `a0`, epilogue = `a0`, function = "add", keepdims = true} "sum" @ {place = [[2, 0]], step = 1} : f32[1]
          %3 = map(%1, %2) {expr = `a0 / a1`} "div" @ {frees = [2], place = [[1, 0]], step = 2} : f32[4]
          output(%3) {names = ["y"]}
        }
    """

    name: ClassVar[str] = "liveness"
    requires: ClassVar[str] = "core"
    into_regions: ClassVar[bool] = False  # bodies are planned with the op that has them
    ensures: ClassVar[str] = "planned"

    def run(self, graph: Graph) -> tuple[Graph, bool]:
        before = graph.annotations, {op.id: dict(op.annotations) for op in graph.ops}
        graph.annotations = {}
        plan_lifetimes(graph)
        return graph, before != (graph.annotations, {op.id: op.annotations for op in graph.ops})
