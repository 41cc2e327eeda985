"""HardSwish and HardSigmoid, as exporters spell them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from dlc.ir.graph import Value
from dlc.ir.types import DType
from dlc.ops.onnx.recognition import named, refusal
from dlc.rewrite.algebra import product, total
from dlc.rewrite.driver import Rule, RulePass
from dlc.rewrite.pattern import Match, OpPattern, Pattern, either, is_close, op, scalar, value


@dataclass(frozen=True, slots=True)
class RecogniseHardSwish(RulePass):
    """Make one HardSwish, or one HardSigmoid, of the ops that exporters write for it.

    `x * clip(x + 3, 0, 6) / 6`, the division before or after the product, the clip as Clip, as Min and
    Max, or as Min and Relu; `x * HardSigmoid(x)` with slope 1/6; and HardSigmoid itself,
    `clip(x + 3, 0, 6) / 6`. Constants may be off by 1e-5 of their value. HardSwish came with opset
    14; below it a HardSigmoid and a Mul remain (see raise-opset). Reassociates.

    Before:

        graph "g" {opsets = {"" = 14}} {
          %0 = input() "x" : f32[4]
          %1 = constant() {value = dense<f32[] 3.0>} : f32[]
          %2 = onnx.Add(%0, %1) : f32[4]
          %3 = constant() {value = dense<f32[] 0.0>} : f32[]
          %4 = constant() {value = dense<f32[] 6.0>} : f32[]
          %5 = onnx.Clip(%2, %3, %4) : f32[4]
          %6 = onnx.Mul(%0, %5) : f32[4]
          %7 = onnx.Div(%6, %4) "hardswish" : f32[4]
          output(%7) {names = ["y"]}
        }

    After:

        graph "g" {opsets = {"" = 14}} {
          %0 = input() "x" : f32[4]
          %1 = onnx.HardSwish(%0) "hardswish" : f32[4]
          output(%1) {names = ["y"]}
        }
    """

    name: ClassVar[str] = "recognise-hardswish"
    contract: ClassVar[str] = "reassociates"

    def rules(self) -> Sequence[Rule]:
        return [HardSwish(), HardSigmoid()]


def _near(wanted: float) -> object:
    return lambda found: isinstance(found, float) and is_close(found, wanted, DType.F32)


def _clip(of: Pattern, high: float) -> OpPattern:
    """``of`` clipped to ``[0, high]``."""
    low = op("onnx.Max", of, scalar(0.0), commutative=True)
    return either(
        op("onnx.Clip", of, scalar(0.0), scalar(high)),
        op("onnx.Clip", of, min=0.0, max=_near(high)),  # attributes before opset 11
        op("onnx.Min", either(op("onnx.Relu", of), low), scalar(high), commutative=True),
        op("onnx.Max", op("onnx.Min", of, scalar(high), commutative=True), scalar(0.0),
           commutative=True),
    )  # fmt: skip


X = value("x")
_GATE = _clip(total(X, plus=3.0), 6.0)
_UNIT_GATE = either(
    op("onnx.HardSigmoid", X, alpha=_near(1 / 6), beta=_near(0.5)),
    _clip(total(product(X, times=1 / 6), plus=0.5), 1.0),
)


class HardSwish(Rule):
    """``x`` times its hard sigmoid."""

    name: ClassVar[str] = "recognise-hardswish"
    pattern: ClassVar[OpPattern] = either(product(_UNIT_GATE, X), product(_GATE, X, times=1 / 6))

    def check(self, match: Match) -> str | None:
        return refusal(match, "HardSwish")

    def rewrite(self, match: Match) -> Value:
        return match.graph.add(named(match.graph, "HardSwish"), [match["x"]]).result


class HardSigmoid(Rule):
    """``clip(x + 3, 0, 6) / 6`` (unless it is part of a HardSwish)."""

    name: ClassVar[str] = "recognise-hardsigmoid"
    pattern: ClassVar[OpPattern] = either(
        product(_GATE, times=1 / 6), _clip(total(product(X, times=1 / 6), plus=0.5), 1.0)
    )

    def check(self, match: Match) -> str | None:
        return refusal(match, "HardSigmoid")

    def rewrite(self, match: Match) -> Value:
        gate = named(match.graph, "HardSigmoid", alpha=1 / 6)
        return match.graph.add(gate, [match["x"]]).result
