"""Padding by a constant into the conv or pool that reads it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from dlc.ir.graph import Op, Value
from dlc.ir.types import DType
from dlc.ops.fusion import joined_label
from dlc.ops.onnx.named import onnx_operator, pads_of, setting, with_attributes
from dlc.ops.onnx.ranges import is_non_negative
from dlc.rewrite.driver import Rule, RulePass
from dlc.rewrite.pattern import Match, OpPattern, op, value


@dataclass(frozen=True, slots=True)
class FoldPad(RulePass):
    """Fold a Pad into the `pads` of the Conv, AveragePool or MaxPool that reads it.

    Only where every result stays the same: a Conv and an AveragePool pad with zeros, so the Pad must
    too; the AveragePool must count its padding, or have none (it does from then on). A MaxPool ignores
    its padding, so the Pad must be no larger than any element: -inf, or no more than 0 before a value
    that is not negative, such as the result of a Relu. Pads of the batch or the channels, negative
    pads, other modes, `auto_pad=SAME_*` and pads as large as a pool's window stay.

    Before:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[1,1,4,4]
          %1 = constant() {value = dense<i64[8] 0 0 1 1 0 0 1 1>} : i64[8]
          %2 = onnx.Pad(%0, %1) "pad" : f32[1,1,6,6]
          %3 = constant() {value = dense<f32[1,1,3,3] 1.0 2.0 3.0 4.0 5.0 6.0 7.0 8.0 9.0>} "w" : f32[1,1,3,3]
          %4 = onnx.Conv(%2, %3) "conv" : f32[1,1,4,4]
          output(%4) {names = ["y"]}
        }

    After:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[1,1,4,4]
          %1 = constant() {value = dense<f32[1,1,3,3] 1.0 2.0 3.0 4.0 5.0 6.0 7.0 8.0 9.0>} "w" : f32[1,1,3,3]
          %2 = onnx.Conv(%0, %1) {pads = [1, 1, 1, 1]} "pad+conv" : f32[1,1,4,4]
          output(%2) {names = ["y"]}
        }
    """

    name: ClassVar[str] = "fold-pad"
    contract: ClassVar[str] = "exact"

    def rules(self) -> Sequence[Rule]:
        return [FoldIntoWindow()]


class FoldIntoWindow(Rule):
    """The sum of both pads."""

    name: ClassVar[str] = "fold-pad"
    pattern: ClassVar[OpPattern] = op(
        ("onnx.Conv", "onnx.AveragePool", "onnx.MaxPool"),
        op("onnx.Pad", value("x"), ..., name="pad"), ..., name="window",
    )  # fmt: skip

    def check(self, match: Match) -> str | None:
        pad, window = match.op("pad"), match.op("window")
        pads = pads_of(pad)
        if onnx_operator(pad).attr("mode") != "constant":
            return f"it pads by mode {onnx_operator(pad).attr('mode')!r}"
        if pads is None:
            return "its pads are not constant"
        if any(pads[0][:2] + pads[1][:2]):
            return "it pads the batch or the channels"
        if min(pads[0] + pads[1]) < 0:
            return "it crops"
        operator = onnx_operator(window)
        if operator.attr("auto_pad") not in ("NOTSET", "VALID"):
            return f"the op after it pads by auto_pad={operator.attr('auto_pad')}"
        fill = _fill(pad)
        if fill is None:
            return "its value is not constant"
        if operator.type == "Conv":
            return None if fill == 0 else f"it pads with {fill}, Conv with 0"
        return _pool_refusal(match, fill)

    def rewrite(self, match: Match) -> Value:
        pad, window = match.op("pad"), match.op("window")
        operator = with_attributes(
            onnx_operator(window), pads=_joined(pad, window), auto_pad=None,
            count_include_pad=1 if window.operator.label == "onnx.AveragePool" else None,
        )  # fmt: skip
        operands = [match["x"], *window.operands[1:]]
        label = joined_label(pad, window)
        return match.graph.add(operator, operands, types=window.types, label=label).result


def _pool_refusal(match: Match, fill: float) -> str | None:
    pad, window = match.op("pad"), match.op("window")
    operator = onnx_operator(window)
    if len(window.results) > 1:
        return "the indices of the maxima count the padding"
    kernel = operator.attr("kernel_shape")
    if any(p >= k for p, k in zip(_joined(pad, window), kernel * 2, strict=True)):
        return "its pads are as large as the window"
    if operator.attr("ceil_mode", 0) or set(operator.attr("dilations") or (1,)) != {1}:
        return "the pool has ceil_mode or dilations"
    if operator.type == "AveragePool":
        if fill != 0:
            return f"it pads with {fill}, AveragePool with 0"
        if any(operator.attr("pads") or ()) and not operator.attr("count_include_pad"):
            return "the pool does not count its own padding"
        return "AveragePool counts no padding before opset 7" if operator.version < 7 else None
    lowest = -math.inf if pad.types[0].dtype.is_float else _least(pad.types[0].dtype)
    if fill <= lowest or (fill <= 0 and is_non_negative(match["x"])):
        return None
    return f"an element may be below the {fill} it pads with"


def _least(dtype: DType) -> int:
    return -(2 ** (int(dtype.value[1:]) - 1)) if dtype.is_signed else 0


def _fill(pad: Op) -> float | None:
    """The number a Pad pads with; None when it is not known when compiling."""
    found = setting(pad, 2, "value", 0.0)
    return None if found is None or found.size != 1 else found.item()


def _joined(pad: Op, window: Op) -> tuple[int, ...]:
    found = pads_of(pad)
    assert found is not None
    inner = found[0][2:] + found[1][2:]
    outer = onnx_operator(window).attr("pads") or (0,) * len(inner)
    return tuple(a + b for a, b in zip(inner, outer, strict=True))
