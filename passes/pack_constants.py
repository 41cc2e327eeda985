"""Weights of less than a byte take no more memory than their bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.graph import Graph, Op, Value
from dlc.ir.operator import Constant
from dlc.ir.types import DType
from dlc.ops.build import apply
from dlc.ops.core.bit_cast import BitCast
from dlc.ops.core.unpack import Unpack, packed
from dlc.rewrite.base import Pass


@dataclass(frozen=True, slots=True)
class PackConstants(Pass):
    """Store constants of 4 and 2 bits as ONNX does, two or four a byte, and unpack them where they are used.

    Unpacked they are in the arena, one a byte, only while they are needed. Constants of fewer than
    `least` elements stay as they are.

    Before:

        graph "g" {
          %0 = constant() {value = dense<i4[16] 1 -2 3 -8 0 0 0 0 1 1 1 1 -1 -1 -1 -1>} "w" : i4[16]
          %1 = map(%0) {expr = `f32(a0)`} : f32[16]
          output(%1) {names = ["y"]}
        }

    After:

        graph "g" {
          %0 = constant() {value = dense<u8[8] 225 131 0 0 17 17 255 255>} "w" : u8[8]
          %1 = unpack(%0) {dtype = i4, shape = [16]} "w" : i4[16]
          %2 = map(%1) {expr = `f32(a0)`} : f32[16]
          output(%2) {names = ["y"]}
        }
    """

    name: ClassVar[str] = "pack-constants"
    requires: ClassVar[str] = "core"
    least: int = 16

    def run(self, graph: Graph) -> tuple[Graph, bool]:
        changed = False
        for op in graph.ops:
            if isinstance(op.operator, Constant) and self._is_packable(op):
                graph.replace(op, [_packed(graph, op)])
                changed = True
        return graph, changed

    def _is_packable(self, op: Op) -> bool:
        type = op.types[0]
        return type.dtype.per_byte > 1 and type.capacity >= max(self.least, 2)


def _packed(graph: Graph, op: Op) -> Value:
    array, dtype = op.results[0].constant, op.types[0].dtype
    assert array is not None
    integer = {DType.F4E2M1: DType.U4}.get(dtype, dtype)
    if integer is not dtype:
        array = np.ascontiguousarray(array).view(np.uint8).astype(integer.numpy)
    with graph.labelled(op.label):
        raw = graph.add_constant(packed(array), op.label)
        value = apply(Unpack(integer, op.types[0].dims), raw)
        return value if integer is dtype else apply(BitCast(dtype), value)
