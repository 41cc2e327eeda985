"""LeakyRelu and PRelu, as exporters spell them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.graph import Value
from dlc.ops.onnx.recognition import named, refusal
from dlc.rewrite.algebra import negative, product, total
from dlc.rewrite.driver import Rule, RulePass
from dlc.rewrite.pattern import Match, OpPattern, constant, either, op, value


@dataclass(frozen=True, slots=True)
class RecognisePRelu(RulePass):
    """Make one LeakyRelu or PRelu of the ops that exporters write for it.

    `max(x, alpha * x)` with alpha between 0 and 1 is LeakyRelu; `relu(x) - alpha * relu(-x)`, as Keras
    writes it, is LeakyRelu where alpha is one number and PRelu where it is an array. Exact.

    Before:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[4]
          %1 = constant() {value = dense<f32[] 0.25>} : f32[]
          %2 = onnx.Mul(%0, %1) : f32[4]
          %3 = onnx.Max(%0, %2) "leaky" : f32[4]
          output(%3) {names = ["y"]}
        }

    After:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[4]
          %1 = onnx.LeakyRelu(%0) {alpha = 0.25} "leaky" : f32[4]
          output(%1) {names = ["y"]}
        }
    """

    name: ClassVar[str] = "recognise-prelu"

    def rules(self) -> Sequence[Rule]:
        return [LeakyMax(), LeakyParts(), PReluParts()]


#: the opset from which PRelu broadcasts its slope
_BROADCASTS = 7
X = value("x")
_POSITIVE = op("onnx.Relu", X)
_NEGATIVE = op("onnx.Relu", product(X, times=-1.0))


class LeakyMax(Rule):
    """``max(x, alpha * x)``."""

    name: ClassVar[str] = "recognise-leakyrelu"
    pattern: ClassVar[OpPattern] = op("onnx.Max", X, product(X, times="alpha"), commutative=True)

    def check(self, match: Match) -> str | None:
        alpha = match.number("alpha")
        if not 0 <= alpha < 1:
            return f"the slope is {alpha:g}, not between 0 and 1"
        return refusal(match, "LeakyRelu")

    def rewrite(self, match: Match) -> Value:
        alpha = float(np.float32(match.number("alpha")))
        return match.graph.add(named(match.graph, "LeakyRelu", alpha=alpha), [match["x"]]).result


class LeakyParts(Rule):
    """``relu(x) - alpha * relu(-x)`` for a number."""

    name: ClassVar[str] = "recognise-leakyrelu-parts"
    pattern: ClassVar[OpPattern] = either(
        total(_POSITIVE, negative(product(_NEGATIVE, times="alpha"))),
        total(_POSITIVE, product(_NEGATIVE, times="-alpha")),
    )

    def check(self, match: Match) -> str | None:
        return refusal(match, "LeakyRelu")

    def rewrite(self, match: Match) -> Value:
        numbers = match.numbers
        alpha = numbers["alpha"] if "alpha" in numbers else -numbers["-alpha"]
        leaky = named(match.graph, "LeakyRelu", alpha=float(np.float32(alpha)))
        return match.graph.add(leaky, [match["x"]]).result


class PReluParts(Rule):
    """``relu(x) - alpha * relu(-x)`` for an array."""

    name: ClassVar[str] = "recognise-prelu"
    pattern: ClassVar[OpPattern] = either(
        total(_POSITIVE, negative(product(_NEGATIVE, constant("alpha")))),
        total(_POSITIVE, product(_NEGATIVE, constant("-alpha"))),
        total(_POSITIVE, product(_NEGATIVE, constant("alpha"), times=-1.0)),
    )

    def check(self, match: Match) -> str | None:
        if match.graph.opsets[""] < _BROADCASTS:
            return f"PRelu broadcasts its slope from opset {_BROADCASTS} on"
        return refusal(match, "PRelu")

    def rewrite(self, match: Match) -> Value:
        slope = match.get("alpha")
        if slope is None:
            array = match["-alpha"].constant
            assert array is not None
            slope = match.graph.add_constant(-array, match["-alpha"].op.label)
        return match.graph.add(named(match.graph, "PRelu"), [match["x"], slope]).result
