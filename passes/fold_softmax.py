"""Softmax of single elements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.graph import Value
from dlc.ops.onnx.named import axis_from_front, onnx_operator
from dlc.rewrite.driver import Rule, RulePass
from dlc.rewrite.pattern import Match, OpPattern, op, value


@dataclass(frozen=True, slots=True)
class FoldSoftmax(RulePass):
    """Replace Softmax, LogSoftmax and Hardmax of single elements by the constants they are.

    Attention over windows of one token leaves them behind; the scores, and what only they read, go.
    The softmax of infinity or NaN alone would be NaN: it is taken to be 1, as of any finite number.

    Before:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[2,1]
          %1 = input() "v" : f32[2,1]
          %2 = onnx.Softmax(%0) "attention" : f32[2,1]
          %3 = onnx.Mul(%2, %1) : f32[2,1]
          output(%3) {names = ["y"]}
        }

    After:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[2,1]
          %1 = input() "v" : f32[2,1]
          %2 = constant() {value = dense<f32[2,1] 1.0 1.0>} "attention" : f32[2,1]
          %3 = onnx.Mul(%2, %1) : f32[2,1]
          output(%3) {names = ["y"]}
        }
    """

    name: ClassVar[str] = "fold-softmax"
    contract: ClassVar[str] = "exact"
    max_elements: int = 1 << 16

    def rules(self) -> Sequence[Rule]:
        return [FoldSingle(self.max_elements)]


#: what each gives for a single number
_OF_ONE = {"Softmax": 1, "LogSoftmax": 0, "Hardmax": 1}


class FoldSingle(Rule):
    """One element's share of itself is 1, and its logarithm 0."""

    name: ClassVar[str] = "fold-softmax"
    pattern: ClassVar[OpPattern] = op(tuple(f"onnx.{type}" for type in _OF_ONE), value("x"))

    def __init__(self, max_elements: int) -> None:
        self.max_elements = max_elements

    def check(self, match: Match) -> str | None:
        operator, type = onnx_operator(match.root), match.root.types[0]
        axis = axis_from_front(operator.attr("axis"), type.rank)
        # before opset 13 it is over all axes from this one on
        over = type.shape[axis:] if operator.version < 13 else type.shape[axis : axis + 1]
        if any(dim != 1 for dim in over):
            return f"it is over {' x '.join(map(str, over))} elements"
        if not type.is_static:
            return "the shape is not fixed"
        if type.capacity > self.max_elements:
            return f"its {type.capacity} elements are more than max_elements={self.max_elements}"
        return None

    def rewrite(self, match: Match) -> Value:
        type = match.root.types[0]
        array = np.full(type.dims, _OF_ONE[onnx_operator(match.root).type], type.dtype.numpy)
        return match.graph.add_constant(array)
