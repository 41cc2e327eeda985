"""Constants behind a convolution into its weights and bias."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.graph import Value
from dlc.ir.operator import Array
from dlc.ir.types import DType
from dlc.ops.fusion import joined_label
from dlc.ops.onnx.named import onnx_operator
from dlc.rewrite.driver import Rule, RulePass
from dlc.rewrite.pattern import Match, OpPattern, constant, either, op, optional, value


@dataclass(frozen=True, slots=True)
class FoldConvAffine(RulePass):
    """Fold a constant for each channel that a Conv's or ConvTranspose's result is added to or
    multiplied by into its bias, or weights and bias.

    As CNTK and tf2onnx write biases. New constants are made, in f64 and rounded once, so weights that
    other ops share stay as they are. Reassociates: results differ in the last digits.

    Before:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[1,1,2,2]
          %1 = constant() {value = dense<f32[1,1,1,1] 3.0>} "w" : f32[1,1,1,1]
          %2 = onnx.Conv(%0, %1) "conv" : f32[1,1,2,2]
          %3 = constant() {value = dense<f32[1,1,1] 2.0>} "b" : f32[1,1,1]
          %4 = onnx.Add(%2, %3) "bias" : f32[1,1,2,2]
          output(%4) {names = ["y"]}
        }

    After:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[1,1,2,2]
          %1 = constant() {value = dense<f32[1,1,1,1] 3.0>} "w" : f32[1,1,1,1]
          %2 = constant() {value = dense<f32[1] 2.0>} "b" : f32[1]
          %3 = onnx.Conv(%0, %1, %2) "conv+bias" : f32[1,1,2,2]
          output(%3) {names = ["y"]}
        }
    """

    name: ClassVar[str] = "fold-conv-affine"
    contract: ClassVar[str] = "reassociates"

    def rules(self) -> Sequence[Rule]:
        return [FoldConvShift(), FoldConvScale()]


def _conv(weights: bool, *kinds: str) -> OpPattern:
    w = constant("w") if weights else value("w")
    return op(kinds, value("x"), w, optional("b"), name="conv", once=True)


class _Fold(Rule):
    """What shift and factor have in common: a constant ``c`` behind a convolution."""

    def check(self, match: Match) -> str | None:
        conv, bias = match.op("conv"), match.get("b")
        if bias is not None and bias.constant is None:
            return f"the bias of {conv.label!r} is not a constant"
        if onnx_operator(match.root).version < 7:
            return "it broadcasts as before opset 7"
        if conv.types[0].dtype not in (DType.F16, DType.F32, DType.F64):
            return f"its constants of {conv.types[0].dtype.value} would lose too much by rounding"
        if match.root.types != conv.types:
            return "it changes the type"
        if _channels(match) is None:
            return f"its constant {match['c'].type} is not one number for each channel"
        return None

    def rebuilt(self, match: Match, weights: Value, bias: Array | None) -> Value:
        """The convolution with other weights and bias."""
        conv, graph = match.op("conv"), match.graph
        operands = [match["x"], weights]
        if bias is not None:
            old = match.get("b")
            source = match["c"] if old is None else old
            dtype = match.root.types[0].dtype.numpy
            operands.append(graph.add_constant(bias.astype(dtype), source.op.label))
        label = joined_label(conv, match.root)
        return graph.add(conv.operator, operands, types=conv.types, label=label).result


class FoldConvShift(_Fold):
    """``conv(x) + c``: the bias takes the shift."""

    name: ClassVar[str] = "fold-conv-shift"
    pattern: ClassVar[OpPattern] = either(
        op("onnx.Add", _conv(False, "onnx.Conv", "onnx.ConvTranspose"), constant("c"), commutative=True),
        op("onnx.Sub", _conv(False, "onnx.Conv", "onnx.ConvTranspose"), constant("c")),
    )  # fmt: skip

    def rewrite(self, match: Match) -> Value:
        shift = _channels(match)
        assert shift is not None
        sign = -1 if match.root.operator.label == "onnx.Sub" else 1
        return self.rebuilt(match, match["w"], _bias(match) + sign * shift)


class FoldConvScale(_Fold):
    """``conv(x) * c``: weights and bias take the factor."""

    name: ClassVar[str] = "fold-conv-scale"
    pattern: ClassVar[OpPattern] = op(
        "onnx.Mul", _conv(True, "onnx.Conv"), constant("c"), commutative=True
    )

    def check(self, match: Match) -> str | None:
        reason = super().check(match)
        if reason is not None:
            return reason
        limits = np.finfo(match["w"].type.dtype.numpy)
        with np.errstate(all="ignore"):
            largest = np.abs(_scaled(match)).max(initial=0)
        return None if largest < limits.max else "the new weights would not be finite"

    def rewrite(self, match: Match) -> Value:
        w, factor = match["w"], _channels(match)
        weights = match.graph.add_constant(_scaled(match).astype(w.type.dtype.numpy), w.op.label)
        bias = None if match.get("b") is None else _bias(match) * factor
        return self.rebuilt(match, weights, bias)


def _scaled(match: Match) -> Array:
    weights, factor = match["w"].constant, _channels(match)
    assert weights is not None
    assert factor is not None
    return weights.astype(np.float64) * factor.reshape(-1, *(1,) * (weights.ndim - 1))


def _bias(match: Match) -> Array:
    bias = match.get("b")
    return (
        np.zeros(()) if bias is None or bias.constant is None else bias.constant.astype(np.float64)
    )


def _channels(match: Match) -> Array | None:
    """The constant as one f64 number for each channel; None where it is something else."""
    array, type = match["c"].constant, match.root.types[0]
    assert array is not None
    channels = type.shape[1]
    if array.size not in (1, channels) or not isinstance(channels, int):
        return None
    from_back = type.rank - 1  # where the channels are
    if array.size > 1 and (array.ndim < from_back or array.shape[-from_back] != array.size):
        return None
    return np.broadcast_to(array.astype(np.float64).reshape(-1), (channels,))
