"""Quantised groups as integer arithmetic with the rounding of onnxruntime's integer kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.graph import Op, Value
from dlc.ir.operator import Array
from dlc.ir.types import DType
from dlc.ops.build import constant, map_, reduce
from dlc.ops.fusion import joined_label
from dlc.ops.onnx.named import axis_from_front, onnx_operator
from dlc.ops.onnx.operator import OnnxOperator, is_onnx
from dlc.rewrite.driver import Rule, RulePass
from dlc.rewrite.pattern import Match, OpPattern, either, op

_EXACT = 1 << 24
"""Integers up to here are exact in f32, and so are their sums, in any order."""
_BYTES = {DType.U8: (0, 255), DType.I8: (-128, 127)}


@dataclass(frozen=True, slots=True)
class LowerQuantised(RulePass):
    """Let DequantizeLinear, a product and QuantizeLinear work on the integers themselves.

    A Conv, MatMul or Gemm (with a Relu that the saturation repeats) sums integers less their zero
    points; the sum takes one factor, ``x_scale * w_scale / y_scale`` in f32, and is rounded half to
    even, as onnxruntime's QLinearConv, QLinearMatMul and QGemm do. The sums are kept in f32, which
    holds them exactly: a group stays where the weights allow a sum of 2**24 or more. A Softmax
    becomes onnxruntime's QLinearSoftmax, whose factor is ``floor(1 / y_scale)``.

    Only groups that onnxruntime computes with integers, too: it reads signed activations as
    unsigned where a QuantizeLinear has one DequantizeLinear as its only reader, and fuses where both
    sides of the group are of one kind, for a Conv an unsigned one.

    Before:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : u8[1,2]
          %1 = constant() {value = dense<f32[] 0.5>} : f32[]
          %2 = constant() {value = dense<u8[] 3>} : u8[]
          %3 = onnx.DequantizeLinear(%0, %1, %2) "x.dq" : f32[1,2]
          %4 = constant() {value = dense<i8[2,1] 1 -2>} : i8[2,1]
          %5 = onnx.DequantizeLinear(%4, %1) "w.dq" : f32[2,1]
          %6 = onnx.MatMul(%3, %5) "matmul" : f32[1,1]
          %7 = onnx.QuantizeLinear(%6, %1, %2) "y.q" : u8[1,1]
          output(%7) {names = ["y"]}
        }

    After:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : u8[1,2]
          %1 = constant() {value = dense<f32[] 1.0>} "y.q" : f32[]
          %2 = constant() {value = dense<u8[] 3>} : u8[]
          %3 = onnx.DequantizeLinear(%0, %1, %2) "x.dq" : f32[1,2]
          %4 = constant() {value = dense<f32[2,1] 1.0 -2.0>} "y.q" : f32[2,1]
          %5 = onnx.MatMul(%3, %4) "matmul" : f32[1,1]
          %6 = constant() {value = dense<f32[] 0.5>} "y.q" : f32[]
          %7 = onnx.Mul(%5, %6) "matmul+y.q" : f32[1,1]
          %8 = onnx.QuantizeLinear(%7, %1, %2) "y.q" : u8[1,1]
          output(%8) {names = ["y"]}
        }
    """

    name: ClassVar[str] = "lower-quantised"
    contract: ClassVar[str] = "reassociates"

    def rules(self) -> Sequence[Rule]:
        return [LowerProduct(), LowerSoftmax()]


@dataclass(frozen=True, slots=True)
class _Quantised:
    """What a DequantizeLinear reads or a QuantizeLinear makes: integers, scale, zero point."""

    value: Value
    scale: Array
    zero: Array
    axis: int

    @property
    def per_tensor(self) -> bool:
        return self.scale.size == self.zero.size == 1

    @property
    def kind(self) -> DType:
        """The dtype in which onnxruntime reads it on machines whose dot products are unsigned."""
        reader = self.value.user
        if reader is None or not is_onnx(self.value.op, "QuantizeLinear"):
            return self.value.type.dtype
        alone = is_onnx(reader, "DequantizeLinear") and reader.result.user is not None
        return DType.U8 if alone else self.value.type.dtype


def _side(op: Op | None, value: Value | None) -> _Quantised | None:
    """The integers on one side of a QuantizeLinear or DequantizeLinear of constant parameters."""
    if op is None or value is None or not is_onnx(op, "QuantizeLinear", "DequantizeLinear"):
        return None
    scale = op.operands[1].constant if op.operands[1] is not None else None
    if scale is None or scale.dtype != np.float32 or onnx_operator(op).attr("block_size", 0):
        return None
    zero: Array | None = np.zeros_like(scale, value.type.dtype.numpy)
    if len(op.operands) > 2 and op.operands[2] is not None:
        zero = op.operands[2].constant
    axis = axis_from_front(onnx_operator(op).attr("axis", 1), value.type.rank)
    return None if zero is None else _Quantised(value, scale, zero, axis)


def _read(value: Value | None) -> _Quantised | None:
    if value is None or not is_onnx(value.op, "DequantizeLinear"):
        return None
    return _side(value.op, value.op.operands[0])


class _Group(Rule):
    def quantised(self, match: Match) -> tuple[_Quantised, _Quantised] | str:
        """Activation and result of the group, or why it is none."""
        x = _read(match.op("op").operands[0])
        y = _side(match.root, match.root.result)
        if x is None or y is None:
            return "its activation is not dequantised by constant parameters"
        if not x.per_tensor or not y.per_tensor:
            return "its activations are quantised per channel"
        if x.value.type.dtype not in _BYTES or y.value.type.dtype not in _BYTES:
            return f"it quantises {x.value.type.dtype.value} to {y.value.type.dtype.value}"
        if x.kind is not y.kind:
            return "onnxruntime computes it in floats: its sides differ in signedness"
        return x, y


@dataclass(frozen=True, slots=True)
class _Parameters:
    """Constants of a product: weights less their zero point, factors of the sums, the bias."""

    weights: Array
    factors: Array
    bias: Array | None


class LowerProduct(_Group):
    """Conv, MatMul and Gemm of constant weights."""

    name: ClassVar[str] = "lower-quantised-product"
    _product: ClassVar[OpPattern] = op(
        ("onnx.Conv", "onnx.MatMul", "onnx.Gemm"), ..., name="op", once=True
    )
    pattern: ClassVar[OpPattern] = op(
        "onnx.QuantizeLinear", either(_product, op("onnx.Relu", _product, once=True)), ...
    )

    def check(self, match: Match) -> str | None:
        sides = self.quantised(match)
        if isinstance(sides, str):
            return sides
        x, y = sides
        product = match.op("op")
        operator = onnx_operator(product)
        if operator.type == "Conv" and x.kind is not DType.U8:
            return "onnxruntime computes it in floats: its activations are signed"
        direct = match.root.operands[0] is product.result
        if not direct and y.zero.item() != _BYTES[y.value.type.dtype][0]:
            return "the saturation does not repeat its Relu"
        if any(operator.attr(name, 1.0) != 1.0 for name in ("alpha", "beta")):
            return "it scales its operands"
        if operator.attr("transA", 0):
            return "it transposes its activation"
        parameters = _parameters(product, x, y)
        return parameters if isinstance(parameters, str) else None

    def rewrite(self, match: Match) -> Value:
        sides = self.quantised(match)
        assert not isinstance(sides, str)
        product, graph = match.op("op"), match.graph
        parameters = _parameters(product, *sides)
        assert not isinstance(parameters, str)
        assert product.operands[0] is not None
        read, type, one = product.operands[0].op, product.types[0], constant(graph, np.float32(1))
        whole = [read.operands[0], one, *read.operands[2:]]
        centred = graph.add(read.operator, whole, types=read.types, label=read.label).result
        main = [centred, constant(graph, parameters.weights.astype(np.float32))]
        if parameters.bias is not None:
            main.append(constant(graph, parameters.bias.astype(np.float32)))
        sums = graph.add(product.operator, main, types=[type], label=product.label).result
        factors, spatial = parameters.factors, type.rank - 2 if is_onnx(product, "Conv") else 0
        factors = factors.reshape(() if factors.size == 1 else (-1, *(1,) * spatial))
        times = OnnxOperator("Mul", max(onnx_operator(match.root).version, 13))
        label = joined_label(product, match.root)
        scaled = graph.add(times, [sums, constant(graph, factors)], types=[type], label=label)
        whole = [scaled.result, one, *match.root.operands[2:]]
        quantise = match.root.operator
        return graph.add(quantise, whole, types=match.root.types, label=match.root.label).result


def _parameters(product: Op, x: _Quantised, y: _Quantised) -> _Parameters | str:
    """The constants of a product, or why it has to stay."""
    operator = onnx_operator(product)
    w = _read(product.operands[1])
    if w is None or w.value.constant is None or w.value.type.dtype not in _BYTES:
        return "its weights are no constant bytes"
    rank, conv = w.value.type.rank, operator.type == "Conv"
    if not conv and rank != 2:
        return "its weights are no matrix"
    axis = 0 if conv or operator.attr("transB", 0) else 1
    if not w.per_tensor and (w.axis != axis or w.zero.size != w.scale.size):
        return "its weights are quantised along another axis"
    aligned = [-1 if i == axis else 1 for i in range(rank)] if not w.per_tensor else []
    weights = w.value.constant.astype(np.int64) - w.zero.astype(np.int64).reshape(aligned)
    bias, largest = None, 0
    if len(product.operands) > 2 and product.operands[2] is not None:
        b = _read(product.operands[2])
        if b is None or b.value.constant is None or b.value.type.dtype is not DType.I32:
            return "its bias is no constant of i32"
        if b.zero.any():
            return "its bias has a zero point"
        bias = b.value.constant.astype(np.int64)
        largest = int(np.abs(bias).max(initial=0))
    low, high = _BYTES[x.value.type.dtype]
    zero = int(x.zero.item())
    each = np.abs(weights).sum(tuple(i for i in range(rank) if i != axis))
    if int(each.max(initial=0)) * max(zero - low, high - zero) + largest >= _EXACT:
        return "its sums may need more digits than f32 has"
    factors = x.scale.reshape(()) * w.scale.reshape(-1) / y.scale.reshape(())
    return _Parameters(weights, factors, bias)


class LowerSoftmax(_Group):
    """Softmax along the last axis."""

    name: ClassVar[str] = "lower-quantised-softmax"
    pattern: ClassVar[OpPattern] = op(
        "onnx.QuantizeLinear", op("onnx.Softmax", ..., name="op", once=True), ...
    )

    def check(self, match: Match) -> str | None:
        found = self.quantised(match)
        softmax = match.op("op")
        axis, rank = onnx_operator(softmax).attr("axis", -1), softmax.types[0].rank
        if isinstance(found, str):
            return found
        if axis_from_front(axis, rank) != rank - 1:
            return "it is not along the last axis"
        return None

    def rewrite(self, match: Match) -> Value:
        """``round(exp(x - max) * floor(1 / y_scale) / sum) + zero``, all in f32."""
        found = self.quantised(match)
        assert not isinstance(found, str)
        x, y = found
        axes = [x.value.type.rank - 1]
        scale = constant(match.graph, x.scale.reshape(()))
        times = constant(match.graph, np.floor(np.float32(1) / y.scale.reshape(())))
        zero = constant(match.graph, y.zero.reshape(()).astype(np.float32))
        greatest = reduce("max", x.value, axes)
        powers = map_("exp(f32(i32(a0) - i32(a1)) * a2)", x.value, greatest, scale)
        total = reduce("add", powers, axes)
        text = f"{y.value.type.dtype.value}(round(a0 * a2 / a1) + a3)"
        return map_(text, powers, total, times, zero)
