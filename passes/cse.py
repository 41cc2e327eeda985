"""Common subexpression elimination."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar

from dlc.ir.graph import Graph, Op
from dlc.ir.operator import Array, Constant, Input, Output
from dlc.ops.purity import is_pure
from dlc.rewrite.base import Pass

_SAMPLE = 64


@dataclass(frozen=True, slots=True)
class CommonSubexpressions(Pass):
    """Keep one of several ops that compute the same: one operator, the same operands.

    Constants are compared by content. Random ops and ops with bodies (`if`, `loop`) are left alone.

    Before:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[4]
          %1 = onnx.Exp(%0) : f32[4]
          %2 = onnx.Exp(%0) : f32[4]
          %3 = onnx.Add(%1, %2) : f32[4]
          output(%3) {names = ["y"]}
        }

    After:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[4]
          %1 = onnx.Exp(%0) : f32[4]
          %2 = onnx.Add(%1, %1) : f32[4]
          output(%2) {names = ["y"]}
        }
    """

    name: ClassVar[str] = "cse"

    def run(self, graph: Graph) -> tuple[Graph, bool]:
        seen: dict[Hashable, list[Op]] = {}
        changed = False
        for op in graph.ops:
            if isinstance(op.operator, Input | Output) or not is_pure(op.operator):
                continue
            alike = seen.setdefault(_key(op), [])
            twin = next((other for other in alike if _same(other, op)), None)
            if twin is None:
                alike.append(op)
            else:
                graph.replace(op, twin.results)
                changed = True
        return graph, changed


def _key(op: Op) -> Hashable:
    if isinstance(op.operator, Constant):
        # hashing all weights takes longer than every other pass: equal samples first
        return "constant", op.types, _sample(op.operator.value.array)
    return op.operator, op.operands, op.types


def _sample(array: Array) -> bytes:
    flat = array.reshape(-1)
    return repr(flat[:: max(1, array.size // _SAMPLE)].tolist()).encode()


def _same(first: Op, second: Op) -> bool:
    if isinstance(first.operator, Constant):
        return first.operator == second.operator
    # 0.0 and -0.0 are equal as attributes but not the same
    return repr(first.operator) == repr(second.operator)
