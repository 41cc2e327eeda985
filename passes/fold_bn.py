"""Batch normalisation into the weights beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.graph import Graph, Op, Value
from dlc.ir.operator import Array
from dlc.ops.fusion import joined_label
from dlc.ops.onnx.operator import OnnxOperator
from dlc.rewrite.driver import Rule, RulePass
from dlc.rewrite.pattern import Match, OpPattern, constant, op, optional, value


@dataclass(frozen=True, slots=True)
class FoldBatchNorm(RulePass):
    """Fold a BatchNormalization into the weights of the op before or after it.

    Into a Conv, ConvTranspose, Gemm or MatMul before it, or a Conv, Gemm or MatMul after it.
    In inference it is `x * scale + shift` for each channel. New weights are made, in f64 and rounded
    once, so weights that other ops share stay as they are. It stays on its own when the value between
    has other readers, when it is training, when something is no constant, and before a Conv whose
    padding would need the shift too. Reassociates: results differ in the last digits.

    Before:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[1,1,2,2]
          %1 = constant() {value = dense<f32[1,1,1,1] 3.0>} "w" : f32[1,1,1,1]
          %2 = onnx.Conv(%0, %1) "conv" : f32[1,1,2,2]
          %3 = constant() {value = dense<f32[1] 2.0>} "gamma" : f32[1]
          %4 = constant() {value = dense<f32[1] 1.0>} "beta" : f32[1]
          %5 = onnx.BatchNormalization(%2, %3, %4, %4, %4) {epsilon = 0.0} "bn" : f32[1,1,2,2]
          output(%5) {names = ["y"]}
        }

    After:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[1,1,2,2]
          %1 = constant() {value = dense<f32[1,1,1,1] 6.0>} "w" : f32[1,1,1,1]
          %2 = constant() {value = dense<f32[1] -1.0>} "beta" : f32[1]
          %3 = onnx.Conv(%0, %1, %2) "conv+bn" : f32[1,1,2,2]
          output(%3) {names = ["y"]}
        }
    """

    name: ClassVar[str] = "fold-bn"
    contract: ClassVar[str] = "reassociates"

    def rules(self) -> Sequence[Rule]:
        return [FoldIntoPrevious(), FoldIntoNext()]


_PARAMETERS = (constant("scale"), constant("bias"), constant("mean"), constant("variance"))
_ANCHORS = ("onnx.Conv", "onnx.ConvTranspose", "onnx.Gemm", "onnx.MatMul")


class FoldIntoPrevious(Rule):
    """Weights times scale, bias times scale plus shift."""

    name: ClassVar[str] = "fold-bn-into-previous"
    pattern: ClassVar[OpPattern] = op(
        "onnx.BatchNormalization",
        op(_ANCHORS, value("x"), constant("w"), optional("b"), name="anchor", once=True),
        *_PARAMETERS, name="bn",
    )  # fmt: skip

    def check(self, match: Match) -> str | None:
        return _refusal(match, channels_in_result=True)

    def rewrite(self, match: Match) -> Sequence[Value | None]:
        anchor, bn = match.op("anchor"), match.op("bn")
        scale, shift = _scale_and_shift(match)
        weights = _wide(match["w"]) * _along_outputs(anchor, match["w"].type.dims, scale)
        bias = _bias(match) * scale + shift
        return [_rebuilt(match, weights, bias, bn), *[None] * len(bn.results[1:])]


class FoldIntoNext(Rule):
    """Weights times scale; the shift times the weights joins the bias."""

    name: ClassVar[str] = "fold-bn-into-next"
    pattern: ClassVar[OpPattern] = op(
        ("onnx.Conv", "onnx.Gemm", "onnx.MatMul"),
        op("onnx.BatchNormalization", value("x"), *_PARAMETERS, name="bn", once=True),
        constant("w"), optional("b"), name="anchor",
    )  # fmt: skip

    def check(self, match: Match) -> str | None:
        reason = _refusal(match, channels_in_result=False)
        if reason is not None:
            return reason
        anchor = match.op("anchor").operator
        assert isinstance(anchor, OnnxOperator)
        padded = any(anchor.attr("pads") or ()) or anchor.attr("auto_pad", "").startswith("SAME")
        if anchor.type == "Conv" and padded and np.any(_scale_and_shift(match)[1]):
            return "the padding of the conv after it would need the shift too"
        return None

    def rewrite(self, match: Match) -> Value:
        anchor, w = match.op("anchor"), _wide(match["w"])
        scale, shift = _scale_and_shift(match)
        along = _input_channels(anchor, w.shape)
        weights, moved = w * along(scale), w * along(shift)
        operator = anchor.operator
        assert isinstance(operator, OnnxOperator)
        if operator.type == "Conv":
            bias = _bias(match) + moved.sum(axis=tuple(range(1, w.ndim)))
        else:
            depth = 1 if operator.type == "Gemm" and operator.attr("transB") else 0
            alpha = operator.attr("alpha") if operator.type == "Gemm" else 1.0
            bias = _bias(match) + alpha * moved.sum(axis=depth)
        return _rebuilt(match, weights, bias, anchor)


def _refusal(match: Match, channels_in_result: bool) -> str | None:
    bn, anchor = match.op("bn"), match.op("anchor")
    norm, operator = bn.operator, anchor.operator
    assert isinstance(norm, OnnxOperator)
    assert isinstance(operator, OnnxOperator)
    if len(bn.results) > 1 or norm.attr("training_mode") or (
        norm.version < 7 and not norm.attr("is_test")
    ):  # fmt: skip
        return "it is in training mode"
    parameters = [match[name].type for name in ("scale", "bias", "mean", "variance")]
    if norm.attr("spatial") == 0 or any(t.rank != 1 for t in parameters):
        return "its statistics are not per channel"
    if match.get("b") is not None and match["b"].constant is None:
        return f"the bias of {anchor.label!r} is not a constant"
    if operator.type in ("Gemm", "MatMul"):
        if operator.version < 7:
            return "Gemm before opset 7 broadcasts its bias in another way"
        if anchor.types[0].rank != 2 or match["x"].type.rank != 2 or match["w"].type.rank != 2:
            return f"the product {anchor.label!r} is not of two matrices"
        if operator.type == "Gemm" and operator.attr("transA") and not channels_in_result:
            return f"{anchor.label!r} reads it transposed"
    with np.errstate(all="ignore"):
        scale, shift = _scale_and_shift(match)
        largest = np.abs(_wide(match["w"])).max(initial=0) * np.abs(scale).max(initial=0)
    limit = np.finfo(np.float16 if match["w"].type.dtype.nbytes == 2 else _dtype(match)).max
    if not (np.isfinite(shift).all() and np.isfinite(scale).all() and largest < limit):
        return "the new weights would not be finite"
    return None


def _dtype(match: Match) -> np.dtype[np.floating]:
    return match["w"].type.dtype.numpy


def _wide(x: Value) -> Array:
    assert x.constant is not None
    return x.constant.astype(np.float64)


def _scale_and_shift(match: Match) -> tuple[Array, Array]:
    """What the normalisation multiplies each channel by, and then adds."""
    norm = match.op("bn").operator
    assert isinstance(norm, OnnxOperator)
    scale = _wide(match["scale"]) / np.sqrt(_wide(match["variance"]) + norm.attr("epsilon"))
    return scale, _wide(match["bias"]) - _wide(match["mean"]) * scale


def _bias(match: Match) -> Array:
    """The bias of the anchor, times Gemm's beta; 0 when it has none."""
    if match.get("b") is None:
        return np.zeros(())
    operator = match.op("anchor").operator
    assert isinstance(operator, OnnxOperator)
    return _wide(match["b"]) * (operator.attr("beta") if operator.type == "Gemm" else 1.0)


def _along_outputs(anchor: Op, shape: tuple[int, ...], scale: Array) -> Array:
    """One factor for each output channel, shaped to multiply weights of ``shape``."""
    operator = anchor.operator
    assert isinstance(operator, OnnxOperator)
    rest = (1,) * (len(shape) - 2)
    if operator.type == "Conv":
        return scale.reshape(-1, 1, *rest)
    if (
        operator.type == "ConvTranspose"
    ):  # weights [C, M / groups, ...]; channel c is of group c // (C / groups)
        groups = operator.attr("group")
        return np.repeat(scale.reshape(groups, -1), shape[0] // groups, axis=0).reshape(
            shape[0], -1, *rest
        )
    transposed = operator.type == "Gemm" and operator.attr("transB")
    return scale[:, None] if transposed else scale[None, :]


def _input_channels(anchor: Op, shape: tuple[int, ...]) -> Callable[[Array], Array]:
    """Shapes one factor for each input channel to multiply weights of ``shape``."""
    operator = anchor.operator
    assert isinstance(operator, OnnxOperator)
    if operator.type == "Conv":  # weights [M, C / groups, ...]; row m is of group m // (M / groups)
        groups = operator.attr("group")
        return lambda factor: np.repeat(
            factor.reshape(groups, -1), shape[0] // groups, axis=0
        ).reshape(shape[0], -1, *(1,) * (len(shape) - 2))
    transposed = operator.type == "Gemm" and operator.attr("transB")
    return lambda factor: factor[None, :] if transposed else factor[:, None]


def _rebuilt(match: Match, weights: Array, bias: Array, replaced: Op) -> Value:
    """The anchor with new weights and bias, reading what the pattern's innermost op read."""
    graph: Graph = match.graph
    anchor = match.op("anchor")
    operator = anchor.operator
    assert isinstance(operator, OnnxOperator)
    if operator.type in ("Gemm", "MatMul"):
        attrs = tuple((k, v) for k, v in operator.attrs if k != "beta" and operator.type == "Gemm")
        operator = OnnxOperator("Gemm", operator.version, attrs)
    dtype = _dtype(match)
    label = joined_label(
        *((anchor, replaced) if replaced is not anchor else (match.op("bn"), anchor))
    )
    shift_label = (match.get("b") or match["bias"]).op.label
    new_weights = graph.add_constant(weights.astype(dtype), match["w"].op.label)
    new_bias = graph.add_constant(bias.astype(dtype), shift_label)
    operands = [match["x"], new_weights, new_bias]
    return graph.add(operator, operands, types=replaced.types[:1], label=label).result
