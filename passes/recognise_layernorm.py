"""LayerNormalization and RMSNormalization, as exporters spell them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.graph import Op, Value
from dlc.ir.operator import Array
from dlc.ir.types import DType
from dlc.ops.onnx.operator import OnnxOperator
from dlc.ops.onnx.recognition import named, refusal
from dlc.ops.onnx.reduction import reduced_axes
from dlc.rewrite.algebra import inverse, negative, product, total
from dlc.rewrite.driver import Rule, RulePass
from dlc.rewrite.pattern import Match, OpPattern, Pattern, constant, either, op, scalar, value


@dataclass(frozen=True, slots=True)
class RecogniseLayerNorm(RulePass):
    """Make one LayerNormalization, or one RMSNormalization, of the ops that exporters write for it.

    `(x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon) * scale + bias` over the last axes: with Pow
    or Mul, Div or Reciprocal or a power, the factors in any order; as Keras groups it,
    `x * g + (bias - mean * g)`; and as InstanceNormalization over three dims with a scale and a
    shift behind it (tf2onnx). Without the mean it is RMSNormalization. A scale and bias that stay
    behind it are for fold-norm-affine. LayerNormalization came with opset 17, RMSNormalization with
    23; below, nothing changes (see raise-opset). Reassociates.

    Before:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[2,4]
          %1 = onnx.ReduceMean(%0) {axes = [-1]} : f32[2,1]
          %2 = onnx.Sub(%0, %1) : f32[2,4]
          %3 = constant() {value = dense<f32[] 2.0>} : f32[]
          %4 = onnx.Pow(%2, %3) : f32[2,4]
          %5 = onnx.ReduceMean(%4) {axes = [-1]} : f32[2,1]
          %6 = constant() {value = dense<f32[] 0.5>} : f32[]
          %7 = onnx.Add(%5, %6) : f32[2,1]
          %8 = onnx.Sqrt(%7) : f32[2,1]
          %9 = onnx.Div(%2, %8) "norm" : f32[2,4]
          output(%9) {names = ["y"]}
        }

    After:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[2,4]
          %1 = constant() {value = dense<f32[4] 1.0 1.0 1.0 1.0>} "norm" : f32[4]
          %2 = onnx.LayerNormalization(%0, %1) {axis = -1, epsilon = 0.5} "norm" : f32[2,4]
          output(%2) {names = ["y"]}
        }
    """

    name: ClassVar[str] = "recognise-layernorm"
    contract: ClassVar[str] = "reassociates"

    def rules(self) -> Sequence[Rule]:
        return [LayerNorm(), RmsNorm(), AffineLayerNorm(), InstanceNorm()]


X = value("x")


_RESTORING = ("onnx.Reshape", "onnx.Unsqueeze")


def _mean(of: Pattern) -> OpPattern:
    """The mean, its axes kept as ones: by the op itself or put back behind it."""
    return either(
        op("onnx.ReduceMean", of, ..., keepdims=1),
        op(_RESTORING, op("onnx.ReduceMean", of, ..., keepdims=0), ...),
    )


def _over_root(of: Pattern, *factors: Pattern, name: str | None = None) -> OpPattern:
    """The factors, divided by ``sqrt(mean(of^2) + epsilon)``."""
    shifted = total(_mean(product(of, of)), plus="epsilon")
    root = either(op("onnx.Sqrt", shifted), op("onnx.Pow", shifted, scalar(0.5)))
    power = op("onnx.Pow", shifted, scalar(-0.5))
    return either(product(*factors, inverse(root), name=name), product(*factors, power, name=name))


def _normalised(of: Pattern) -> OpPattern:
    """``of`` divided by its quadratic mean, perhaps scaled (a scale behind it is found later)."""
    return either(_over_root(of, of), _over_root(of, of, constant("scale")))


_DEVIATION = total(X, negative(_mean(X)))


class LayerNorm(Rule):
    """``(x - mean) / sqrt(variance + epsilon)``."""

    name: ClassVar[str] = "recognise-layernorm"
    pattern: ClassVar[OpPattern] = _normalised(_DEVIATION)
    type: ClassVar[str] = "LayerNormalization"

    def check(self, match: Match) -> str | None:
        reason = refusal(match, self.type)
        if reason is not None:
            return reason
        x = match["x"].type
        axes, *others = [reduced_axes(mean) for mean in _matched(match, "onnx.ReduceMean")]
        if not axes or any(other != axes for other in others):
            return "the means are not over the same axes"
        if axes != list(range(axes[0], x.rank)):
            return f"the mean is over axes {axes}, not over the last ones"
        kept = (*x.shape[: axes[0]], *[1] * len(axes))
        if any(op.types[0].shape != kept for op in _matched(match, *_RESTORING)):
            return "the variance is not along the axes of the mean"
        if not x.with_shape(x.shape[axes[0] :]).is_static:
            return "the normalised shape is not fixed"
        if x.dtype is DType.F64:
            return f"{self.type} computes its statistics in f32"
        if match.number("epsilon") < 0:
            return "epsilon is negative"
        given = (match.get("scale"), match.get("bias"))
        if any(v is not None and _fitted(v, _normal(match)) is None for v in given):
            return "its scale or bias does not have the normalised shape"
        return None

    def rewrite(self, match: Match) -> Value:
        graph, shape = match.graph, _normal(match)
        scale, bias = match.get("scale"), match.get("bias")
        ones = np.ones(shape, match["x"].type.dtype.numpy)
        operands = [match["x"], graph.add_constant(ones)]
        if scale is not None:
            operands[1] = graph.add_constant(_fitted(scale, shape), scale.op.label)
        if bias is not None:
            operands.append(graph.add_constant(_fitted(bias, shape), bias.op.label))
        epsilon = float(np.float32(match.number("epsilon")))
        norm = named(graph, self.type, axis=-len(shape), epsilon=epsilon)
        return graph.add(norm, operands, types=match.root.types).result


class RmsNorm(LayerNorm):
    """``x / sqrt(mean(x^2) + epsilon)``."""

    name: ClassVar[str] = "recognise-rmsnorm"
    pattern: ClassVar[OpPattern] = _normalised(X)
    type: ClassVar[str] = "RMSNormalization"


_FACTORS = (
    _over_root(_DEVIATION, constant("scale"), name="factor"),
    _over_root(_DEVIATION, name="factor"),
)
_RETURNS = (
    negative(product(_mean(X), value("factor"))),
    product(_mean(X), value("factor"), times=-1.0),
)


class AffineLayerNorm(LayerNorm):
    """``x * g + (bias - mean * g)`` where ``g`` is ``scale / sqrt(variance + epsilon)``."""

    name: ClassVar[str] = "recognise-layernorm-affine"
    pattern: ClassVar[OpPattern] = either(*(
        total(product(factor, X), back, *bias)
        for factor in _FACTORS for back in _RETURNS for bias in ([constant("bias")], [])
    ))  # fmt: skip


class InstanceNorm(Rule):
    """InstanceNormalization of three dims, which normalises the last, scaled along that one."""

    name: ClassVar[str] = "recognise-layernorm-instance"
    pattern: ClassVar[OpPattern] = op(
        "onnx.Mul",
        op("onnx.InstanceNormalization", X, constant("ones"), constant("zeros"), name="norm"),
        constant("scale"), commutative=True,
    )  # fmt: skip

    def check(self, match: Match) -> str | None:
        reason = refusal(match, "LayerNormalization")
        if reason is not None:
            return reason
        x, ones, zeros = match["x"].type, match["ones"].constant, match["zeros"].constant
        if x.rank != 3 or not x.is_static:
            return f"its operand is of type {x}, not of three fixed dims"
        if np.any(ones != 1) or np.any(zeros):
            return "it has a scale or bias of its own"
        if _fitted(match["scale"], x.dims[2:]) is None:
            return "the scale behind it is not along the last axis"
        return None

    def rewrite(self, match: Match) -> Value:
        graph, scale, x = match.graph, match["scale"], match["x"]
        fitted = graph.add_constant(_fitted(scale, x.shape[2:]), scale.op.label)
        operator = match.op("norm").operator
        assert isinstance(operator, OnnxOperator)
        epsilon = operator.attr("epsilon")
        norm = named(graph, "LayerNormalization", axis=-1, epsilon=epsilon)
        return graph.add(norm, [x, fitted], types=match.root.types).result


def _matched(match: Match, *kinds: str) -> list[Op]:
    return [op for op in match.matched if op.operator.label in kinds]


def _normal(match: Match) -> tuple[int, ...]:
    """The normalised shape."""
    axes = reduced_axes(_matched(match, "onnx.ReduceMean")[0])
    assert axes
    return match["x"].type.with_shape(match["x"].type.shape[axes[0] :]).dims


def _fitted(value: Value, shape: tuple[int, ...]) -> Array | None:
    """A constant broadcast to the normalised shape; None when it reaches beyond it."""
    array = value.constant
    if array is None:
        return None
    beyond = max(array.ndim - len(shape), 0)
    try:
        return np.broadcast_to(array.reshape(array.shape[beyond:]), shape).copy()
    except ValueError:
        return None
