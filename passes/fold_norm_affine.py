"""Constants behind a layer normalisation into its scale and bias."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.graph import Value
from dlc.ir.operator import Array
from dlc.ops.fusion import joined_label
from dlc.ops.onnx.operator import OnnxOperator
from dlc.rewrite.driver import Rule, RulePass
from dlc.rewrite.pattern import Match, OpPattern, Pattern, constant, op, optional, value


@dataclass(frozen=True, slots=True)
class FoldNormAffine(RulePass):
    """Fold a constant factor or shift behind a normalisation into its scale or bias.

    Behind LayerNormalization a factor multiplies scale and bias, and a shift is added to the bias;
    behind RMSNormalization, which has no bias, a factor multiplies the scale. New constants are made,
    in f64 and rounded once. The constants must have the shape that is normalised, or broadcast to
    it. recognise-layernorm leaves such constants behind. Reassociates.

    Before:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[2,4]
          %1 = constant() {value = dense<f32[4] 1.0 1.0 1.0 1.0>} "ones" : f32[4]
          %2 = onnx.LayerNormalization(%0, %1) "norm" : f32[2,4]
          %3 = constant() {value = dense<f32[4] 1.0 2.0 3.0 4.0>} "scale" : f32[4]
          %4 = onnx.Mul(%2, %3) "mul" : f32[2,4]
          %5 = constant() {value = dense<f32[] 0.5>} "bias" : f32[]
          %6 = onnx.Add(%4, %5) "add" : f32[2,4]
          output(%6) {names = ["y"]}
        }

    After:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[2,4]
          %1 = constant() {value = dense<f32[4] 1.0 2.0 3.0 4.0>} "scale" : f32[4]
          %2 = constant() {value = dense<f32[4] 0.5 0.5 0.5 0.5>} "bias" : f32[4]
          %3 = onnx.LayerNormalization(%0, %1, %2) "norm+mul+add" : f32[2,4]
          output(%3) {names = ["y"]}
        }
    """

    name: ClassVar[str] = "fold-norm-affine"
    contract: ClassVar[str] = "reassociates"

    def rules(self) -> Sequence[Rule]:
        return [FoldScale(), FoldBias()]


_LAYER, _RMS = "onnx.LayerNormalization", "onnx.RMSNormalization"


def _norm(scale: Pattern, *kinds: str) -> OpPattern:
    return op(kinds, value("x"), scale, optional("bias"), name="norm", once=True)


class _Fold(Rule):
    """What factor and shift have in common: a constant ``c`` behind a normalisation."""

    def check(self, match: Match) -> str | None:
        norm, bias = match.op("norm"), match.get("bias")
        if bias is not None and bias.constant is None:
            return "its bias is not a constant"
        if len(norm.results) > 1:
            return "its mean is a result too"
        if match.root.types != norm.types:
            return "the constant behind it changes the type"
        if not norm.types[0].is_static:
            return "the shape is not fixed"
        if _fitted(match["c"], match) is None:
            return f"the constant behind it is of type {match['c'].type}, more than is normalised"
        return None

    def joined(self, match: Match, join: np.ufunc, old: Value | None) -> Value:
        """A constant (0 when absent) joined with the one behind."""
        array = np.zeros(()) if old is None else _fitted(old, match)
        result = join(array, _fitted(match["c"], match))
        dtype = match.root.types[0].dtype.numpy
        return match.graph.add_constant(result.astype(dtype), match["c"].op.label)

    def rebuilt(self, match: Match, *operands: Value | None) -> Value:
        """The normalisation with new scale and bias."""
        norm = match.op("norm")
        present = [match["x"], *(v for v in operands if v is not None)]
        label = joined_label(norm, match.root)
        return match.graph.add(norm.operator, present, types=norm.types, label=label).result


class FoldScale(_Fold):
    """A factor."""

    name: ClassVar[str] = "fold-norm-scale"
    pattern: ClassVar[OpPattern] = op(
        "onnx.Mul", _norm(constant("scale"), _LAYER, _RMS), constant("c"), commutative=True
    )

    def rewrite(self, match: Match) -> Value:
        bias = match.get("bias")
        scale = self.joined(match, np.multiply, match["scale"])
        return self.rebuilt(match, scale, bias and self.joined(match, np.multiply, bias))


class FoldBias(_Fold):
    """A shift."""

    name: ClassVar[str] = "fold-norm-bias"
    pattern: ClassVar[OpPattern] = op(
        "onnx.Add", _norm(value("scale"), _LAYER), constant("c"), commutative=True
    )

    def rewrite(self, match: Match) -> Value:
        return self.rebuilt(match, match["scale"], self.joined(match, np.add, match.get("bias")))


def _fitted(value: Value, match: Match) -> Array | None:
    """A constant in f64, broadcast to the normalised shape; None when it reaches beyond."""
    norm, x = match.op("norm").operator, match["x"].type
    assert isinstance(norm, OnnxOperator)
    assert value.constant is not None
    shape = x.dims[norm.attr("axis") % x.rank :]
    array = value.constant
    inner = array.shape[max(array.ndim - len(shape), 0) :]
    try:
        return np.broadcast_to(array.astype(np.float64).reshape(inner), shape)
    except ValueError:
        return None
