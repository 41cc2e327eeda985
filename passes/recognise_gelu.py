"""Gelu, as exporters spell it out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from dlc.ir.graph import Value
from dlc.ops.onnx.recognition import named, refusal
from dlc.rewrite.algebra import product, total
from dlc.rewrite.driver import Rule, RulePass
from dlc.rewrite.pattern import Match, OpPattern, either, op, value


@dataclass(frozen=True, slots=True)
class RecogniseGelu(RulePass):
    """Make one Gelu of the ops that exporters write for it.

    The exact form `x * 0.5 * (1 + erf(x / sqrt(2)))` and the approximate one
    `x * 0.5 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3)))`, with factors in any order and
    grouping, Mul or Div by constants, Pow or Mul for the power. Constants may be off by 1e-5 of
    their value. Gelu came with opset 20; below it nothing changes (see raise-opset). Reassociates.

    Before:

        graph "g" {opsets = {"" = 20}} {
          %0 = input() "x" : f32[4]
          %1 = constant() {value = dense<f32[] 1.4142135>} : f32[]
          %2 = onnx.Div(%0, %1) : f32[4]
          %3 = onnx.Erf(%2) : f32[4]
          %4 = constant() {value = dense<f32[] 1.0>} : f32[]
          %5 = onnx.Add(%3, %4) : f32[4]
          %6 = onnx.Mul(%0, %5) : f32[4]
          %7 = constant() {value = dense<f32[] 0.5>} : f32[]
          %8 = onnx.Mul(%6, %7) "gelu" : f32[4]
          output(%8) {names = ["y"]}
        }

    After:

        graph "g" {opsets = {"" = 20}} {
          %0 = input() "x" : f32[4]
          %1 = onnx.Gelu(%0) "gelu" : f32[4]
          output(%1) {names = ["y"]}
        }
    """

    name: ClassVar[str] = "recognise-gelu"
    contract: ClassVar[str] = "reassociates"

    def rules(self) -> Sequence[Rule]:
        return [ErfGelu(), TanhGelu()]


X = value("x")
_SLOPE, _CUBIC = math.sqrt(2 / math.pi), 0.044715
_ERF = op("onnx.Erf", product(X, times=math.sqrt(0.5)))
_TANH = op("onnx.Tanh", either(
    product(total(product(X, X, X, times=_CUBIC), X), times=_SLOPE),
    product(X, total(product(X, X, times=_CUBIC), plus=1.0), times=_SLOPE),
    total(product(X, X, X, times=_CUBIC * _SLOPE), product(X, times=_SLOPE)),
    product(X, total(product(X, X, times=_CUBIC * _SLOPE), plus=_SLOPE)),
))  # fmt: skip


def _gelu(probability: OpPattern) -> OpPattern:
    """``x / 2 * (1 + p)``, the half perhaps inside the sum, for a ``p`` between -1 and 1."""
    return either(
        product(total(probability, plus=1.0), X, times=0.5),
        product(total(product(probability, times=0.5), plus=0.5), X),
        total(product(probability, X, times=0.5), product(X, times=0.5)),
    )


class ErfGelu(Rule):
    """The exact form."""

    name: ClassVar[str] = "recognise-gelu-erf"
    pattern: ClassVar[OpPattern] = _gelu(_ERF)
    approximate: ClassVar[str | None] = None

    def check(self, match: Match) -> str | None:
        return refusal(match, "Gelu")

    def rewrite(self, match: Match) -> Value:
        gelu = named(match.graph, "Gelu", approximate=self.approximate)
        return match.graph.add(gelu, [match["x"]]).result


class TanhGelu(ErfGelu):
    """The approximate form."""

    name: ClassVar[str] = "recognise-gelu-tanh"
    pattern: ClassVar[OpPattern] = _gelu(_TANH)
    approximate: ClassVar[str | None] = "tanh"
