"""Expands in front of ops that broadcast anyway."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from dlc.ir.graph import Op, Value
from dlc.ir.types import Dim
from dlc.ops.onnx.named import BROADCASTING, onnx_operator
from dlc.rewrite.driver import Rule, RulePass
from dlc.rewrite.pattern import Match, OpPattern, op


@dataclass(frozen=True, slots=True)
class DropExpand(RulePass):
    """Let an element-wise op read what an Expand reads, where it broadcasts to the same shape itself.

    The expanded array, which may be as large as an activation, is neither written nor kept. Exact.

    Before:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[1,2,2,2]
          %1 = constant() {value = dense<f32[1,2,1,1] 0.25 0.5>} "slope" : f32[1,2,1,1]
          %2 = constant() {value = dense<i64[4] 1 2 2 2>} : i64[4]
          %3 = onnx.Expand(%1, %2) : f32[1,2,2,2]
          %4 = onnx.PRelu(%0, %3) : f32[1,2,2,2]
          output(%4) {names = ["y"]}
        }

    After:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[1,2,2,2]
          %1 = constant() {value = dense<f32[1,2,1,1] 0.25 0.5>} "slope" : f32[1,2,1,1]
          %2 = onnx.PRelu(%0, %1) : f32[1,2,2,2]
          output(%2) {names = ["y"]}
        }
    """

    name: ClassVar[str] = "drop-expand"
    contract: ClassVar[str] = "exact"

    def rules(self) -> Sequence[Rule]:
        return [DropBeforeBroadcast()]


class DropBeforeBroadcast(Rule):
    """``f(x, expand(y))`` is ``f(x, y)``."""

    name: ClassVar[str] = "drop-expand"
    pattern: ClassVar[OpPattern] = op(tuple(sorted(BROADCASTING)), ...)

    def check(self, match: Match) -> str | None:
        if onnx_operator(match.root).version < 7:
            return "it broadcasts as before opset 7"
        if not any(map(_expanded, match.root.operands)):
            return "none of its operands is expanded"
        return None if _narrowed(match.root) else "its result would have another shape"

    def rewrite(self, match: Match) -> None:
        operands = _narrowed(match.root)
        assert operands is not None
        match.graph.set_operands(match.root, operands)


def _expanded(value: Value | None) -> Value | None:
    """What is expanded to ``value``."""
    if value is None or value.op.operator.label != "onnx.Expand":
        return None
    return value.op.operands[0]


def _narrowed(op: Op) -> list[Value | None] | None:
    """The operands with one of them taken from before its Expand; None where that changes the shape."""
    result = op.types[0].shape
    one_way = op.operator.label == "onnx.PRelu"  # only its slope broadcasts
    for index, value in enumerate(op.operands):
        source = _expanded(value)
        if source is None or (one_way and index == 0):
            continue
        operands = [*op.operands[:index], source, *op.operands[index + 1 :]]
        if all(_reaches(operands, axis, dim) for axis, dim in enumerate(reversed(result), start=1)):
            return operands
    return None


def _reaches(operands: Sequence[Value | None], axis: int, dim: Dim) -> bool:
    """Whether an operand has the size ``dim`` on the axis that many from the back."""
    shapes = [value.type.shape for value in operands if value is not None]
    return any(len(shape) >= axis and shape[-axis] == dim for shape in shapes)
