"""Softmax, as exporters spell it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from dlc.ir.graph import Value
from dlc.ops.onnx.recognition import named, refusal
from dlc.ops.onnx.reduction import reduced_axes
from dlc.rewrite.algebra import inverse, negative, product, total
from dlc.rewrite.driver import Rule, RulePass
from dlc.rewrite.pattern import Match, OpPattern, either, op, value


@dataclass(frozen=True, slots=True)
class RecogniseSoftmax(RulePass):
    """Make one Softmax of `exp(x) / sum(exp(x))` along one axis.

    The exponent may have the maximum along the axis subtracted, as Softmax does itself; where it has
    not, an exp that overflowed to infinity, and the NaN it led to, become right. Before opset 13
    Softmax knows the last axis only. Reassociates.

    Before:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[2,4]
          %1 = onnx.Exp(%0) : f32[2,4]
          %2 = constant() {value = dense<i64[1] -1>} : i64[1]
          %3 = onnx.ReduceSum(%1, %2) : f32[2,1]
          %4 = onnx.Div(%1, %3) "softmax" : f32[2,4]
          output(%4) {names = ["y"]}
        }

    After:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[2,4]
          %1 = onnx.Softmax(%0) {axis = 1} "softmax" : f32[2,4]
          output(%1) {names = ["y"]}
        }
    """

    name: ClassVar[str] = "recognise-softmax"
    contract: ClassVar[str] = "reassociates"

    def rules(self) -> Sequence[Rule]:
        return [Softmax()]


_ANY_AXIS = 13
X = value("x")
_MAXIMUM = op("onnx.ReduceMax", X, ..., name="maximum", keepdims=1)


class Softmax(Rule):
    """``exp(x - max(x)) / sum(exp(x - max(x)))``, with or without the maximum."""

    name: ClassVar[str] = "recognise-softmax"
    pattern: ClassVar[OpPattern] = product(
        op("onnx.Exp", either(total(X, negative(_MAXIMUM)), X), name="exp"),
        inverse(op("onnx.ReduceSum", value("exp"), ..., name="sum", keepdims=1)),
    )

    def check(self, match: Match) -> str | None:
        reason = refusal(match, "Softmax")
        if reason is not None:
            return reason
        axes = reduced_axes(match.op("sum"))
        if axes is None or len(axes) != 1:
            return "the sum is not along one axis"
        if "maximum" in match.ops and reduced_axes(match.op("maximum")) != axes:
            return "the maximum is not along the axis of the sum"
        version = match.graph.opsets[""]
        if axes[0] != match["x"].type.rank - 1 and version < _ANY_AXIS:
            return f"Softmax of opset {version} is along the last axis only"
        return None

    def rewrite(self, match: Match) -> Value:
        (axis,) = reduced_axes(match.op("sum")) or [-1]
        return match.graph.add(named(match.graph, "Softmax", axis=axis), [match["x"]]).result
