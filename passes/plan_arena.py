"""``plan-arena``: byte offsets of all buffers in the static arena."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dlc.errors import PassError
from dlc.ir.graph import Graph
from dlc.plan import plan_offsets
from dlc.rewrite.base import Pass


@dataclass(frozen=True, slots=True)
class PlanArena(Pass):
    """Give every arena buffer an offset, so that the arena is as large as the peak of live bytes.

    Annotates the graph with ``offsets`` (of each buffer; -1 for the caller's and constants) and
    ``arena_bytes``; runs ``liveness``' analysis first if its annotations are missing. Buffers are
    placed greedily in several orders, then by local search until the arena equals the lower bound.

    ``align``: offsets are multiples of so many bytes, a power of two. 0 means 16 where that costs
    no arena, and the size of the buffer's elements otherwise.

    Before:

        graph "g" @ {lower_bound = 4, peak_bytes_with_io = 32, peak_step = 1, steps = 3} {
          %0 = input() "x" @ {place = [[0, 0]]} : f32[4]
          %1 = map(%0) {expr = `exp(a0)`} "exp" @ {place = [[1, 0]], step = 0} : f32[4]
          %2 = reduce(%1) {arity = 1, axes = [0], element = `a0`, epilogue = `a0`, function = "add", keepdims = true} "sum" @ {place = [[2, 0]], step = 1} : f32[1]
          %3 = map(%1, %2) {expr = `a0 / a1`} "div" @ {frees = [2], place = [[1, 0]], step = 2} : f32[4]
          output(%3) {names = ["y"]}
        }

    After:

        graph "g" @ {arena_bytes = 4, lower_bound = 4, offsets = [-1, -1, 0], peak_bytes_with_io = 32, peak_step = 1, steps = 3} {
          %0 = input() "x" @ {place = [[0, 0]]} : f32[4]
          %1 = map(%0) {expr = `exp(a0)`} "exp" @ {place = [[1, 0]], step = 0} : f32[4]
          %2 = reduce(%1) {arity = 1, axes = [0], element = `a0`, epilogue = `a0`, function = "add", keepdims = true} "sum" @ {place = [[2, 0]], step = 1} : f32[1]
          %3 = map(%1, %2) {expr = `a0 / a1`} "div" @ {frees = [2], place = [[1, 0]], step = 2} : f32[4]
          output(%3) {names = ["y"]}
        }
    """

    name: ClassVar[str] = "plan-arena"
    requires: ClassVar[str] = "core"
    into_regions: ClassVar[bool] = False  # bodies are planned with the op that has them
    align: int = 0

    def run(self, graph: Graph) -> tuple[Graph, bool]:
        if self.align < 0 or self.align & (self.align - 1):
            raise PassError(f"plan-arena{{align={self.align}}}: align is 0 or a power of two")
        before = dict(graph.annotations)
        plan_offsets(graph, self.align)
        return graph, before != graph.annotations
