"""Convs that read the same value as one conv."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.graph import Graph, Op, Value
from dlc.ir.operator import Array
from dlc.ops.fusion import joined_label
from dlc.ops.onnx.named import onnx_operator, split
from dlc.ops.onnx.operator import is_onnx
from dlc.rewrite.base import Pass
from dlc.rewrite.driver import erase_dead, refuse


@dataclass(frozen=True, slots=True)
class MergeParallelConv(Pass):
    """Make Convs of one value with equal attributes and kernel sizes one Conv, then a Split.

    Their weights and biases, which must be constants, are stacked. Convs of several groups stay.
    `max_bytes` bounds the weights of a merged Conv. Each channel is computed as before, but a
    runtime may choose another algorithm for more channels. For runtimes; an activation behind a
    Split is not fused into the Conv.

    Before:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[1,1,2,2]
          %1 = constant() {value = dense<f32[1,1,1,1] 3.0>} "wa" : f32[1,1,1,1]
          %2 = onnx.Conv(%0, %1) "a" : f32[1,1,2,2]
          %3 = constant() {value = dense<f32[2,1,1,1] 4.0 5.0>} "wb" : f32[2,1,1,1]
          %4 = constant() {value = dense<f32[2] 1.0 2.0>} "bb" : f32[2]
          %5 = onnx.Conv(%0, %3, %4) "b" : f32[1,2,2,2]
          output(%2, %5) {names = ["a", "b"]}
        }

    After:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[1,1,2,2]
          %1 = constant() {value = dense<f32[3,1,1,1] 3.0 4.0 5.0>} "a+b" : f32[3,1,1,1]
          %2 = constant() {value = dense<f32[3] 0.0 1.0 2.0>} "a+b" : f32[3]
          %3 = onnx.Conv(%0, %1, %2) "a+b" : f32[1,3,2,2]
          %4 = constant() {value = dense<i64[2] 1 2>} "a+b" : i64[2]
          %5, %6 = onnx.Split(%3, %4) {axis = 1, results = 2} "a+b" : f32[1,1,2,2], f32[1,2,2,2]
          output(%5, %6) {names = ["a", "b"]}
        }
    """

    name: ClassVar[str] = "merge-parallel-conv"
    contract: ClassVar[str] = "reassociates"
    #: another algorithm of a runtime, and what a sigmoid makes of it where it is close to 0
    tolerance: ClassVar[float] = 4096.0
    max_bytes: int = 1 << 26

    def run(self, graph: Graph) -> tuple[Graph, bool]:
        alike: dict[Hashable, list[Op]] = {}
        for op in graph.ops:
            if is_onnx(op, "Conv"):
                reason = _refusal(op)
                if reason is None:
                    alike.setdefault(_key(op), []).append(op)
                else:
                    refuse(self.name, op, reason)
        changed = False
        for convs in alike.values():
            weights = sum(op.operands[1].type.nbytes for op in convs if op.operands[1] is not None)
            if len(convs) == 1:
                refuse(self.name, convs[0], "no other Conv like it reads its operand")
            elif weights > self.max_bytes:
                refuse(self.name, convs[0], f"the weights would have {weights} bytes")
            else:
                _merge(graph, convs)
                changed = True
        return graph, changed


def _refusal(conv: Op) -> str | None:
    if onnx_operator(conv).attr("group") != 1:
        return "it has groups"
    if any(value is not None and value.constant is None for value in conv.operands[1:]):
        return "its weights or bias are not constant"
    return None


def _key(conv: Op) -> Hashable:
    weights = conv.operands[1]
    assert weights is not None
    operator, rank = onnx_operator(conv), weights.type.rank - 2
    # defaults may be written out or not
    ones, zeros = (1,) * rank, (0,) * 2 * rank
    geometry = (
        operator.attr("auto_pad"), operator.attr("pads") or zeros,
        operator.attr("strides") or ones, operator.attr("dilations") or ones,
    )  # fmt: skip
    return conv.operands[0], operator.version, geometry, weights.type.shape[1:]


def _merge(graph: Graph, convs: list[Op]) -> None:
    stacked = [_constant(op.operands[1]) for op in convs]
    operands: list[Value | None] = [convs[0].operands[0]]
    label, first = joined_label(*convs), convs[0]
    with graph.labelled(label):
        operands.append(graph.add_constant(np.concatenate(stacked)))
        if any(len(op.operands) > 2 and op.operands[2] is not None for op in convs):
            biases = [
                _constant(op.operands[2]) if len(op.operands) > 2 and op.operands[2] is not None
                else np.zeros(len(w), w.dtype)
                for op, w in zip(convs, stacked, strict=True)
            ]  # fmt: skip
            operands.append(graph.add_constant(np.concatenate(biases)))
        n, _, *image = first.types[0].shape
        type = first.types[0].with_shape((n, sum(map(len, stacked)), *image))
        merged = graph.add(first.operator, operands, types=[type]).result
        parts = split(merged, [len(w) for w in stacked], 1, onnx_operator(first).version)
    for op, part in zip(convs, parts, strict=True):
        read = [value.op for value in op.operands if value is not None]
        graph.replace(op, [part])
        erase_dead(graph, *read)


def _constant(value: Value | None) -> Array:
    assert value is not None
    assert value.constant is not None
    return value.constant
