"""Constant right-hand sides of matrix products, packed as the kernel reads them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from dlc.ir.graph import Graph, Op, Value
from dlc.ir.types import DType
from dlc.ops.build import apply
from dlc.ops.core.contract import Contract
from dlc.ops.core.contract_packed import ContractPacked, pack_panels
from dlc.rewrite.base import Pass
from dlc.rewrite.driver import erase_dead


@dataclass(frozen=True, slots=True)
class PackWeights(Pass):
    """Pack constant right-hand sides of matrix products in panels of 32 columns.

    For `contract` of f32 with a left-hand side that is not transposed and has `least_rows` rows or
    more: fewer read each weight too seldom to gain. What is left of the columns is padded with
    zeros to a multiple of 16; a matrix that would grow by more than `most_growth` stays as it is, and
    so does one that several ops read, which would be there twice. Sums are in another order.

    Before:

        graph "g" {
          %0 = input() "x" : f32[4,1]
          %1 = constant() {value = dense<f32[1,16] 2.0 2.0 2.0 2.0 2.0 2.0 2.0 2.0 2.0 2.0 2.0 2.0 2.0 2.0 2.0 2.0>} "w" : f32[1,16]
          %2 = contract(%0, %1) "product" : f32[4,16]
          output(%2) {names = ["y"]}
        }

    After:

        graph "g" {
          %0 = input() "x" : f32[4,1]
          %1 = constant() {value = dense<f32[16] 2.0 2.0 2.0 2.0 2.0 2.0 2.0 2.0 2.0 2.0 2.0 2.0 2.0 2.0 2.0 2.0>} "product" : f32[16]
          %2 = contract_packed(%0, %1) {cols = 16, epilogue = `a0`} "product" : f32[4,16]
          output(%2) {names = ["y"]}
        }
    """

    name: ClassVar[str] = "pack-weights"
    requires: ClassVar[str] = "core"
    contract: ClassVar[str] = "reassociates"
    least_rows: int = 4
    most_growth: float = 0.1

    def run(self, graph: Graph) -> tuple[Graph, bool]:
        changed = False
        for op in graph.ops:
            if isinstance(op.operator, Contract) and self._gains(op, op.operator):
                _pack(graph, op, op.operator)
                changed = True
        return graph, changed

    def _gains(self, op: Op, operator: Contract) -> bool:
        lhs, rhs = (value.type for value in _operands(op)[:2])
        static = all(isinstance(d, int) for t in (lhs, rhs) for d in t.shape)
        if not static or rhs.rank != 2 or lhs.dtype is not DType.F32 or operator.transpose_lhs:
            return False
        matrix = _operands(op)[1]
        if matrix.constant is None or len(matrix.uses) != 1:
            return False
        depth, cols = rhs.dims[::-1] if operator.transpose_rhs else rhs.dims
        if depth == 0 or cols == 0 or math.prod(lhs.dims[:-1]) < self.least_rows:
            return False
        return -(-cols // 16) * 16 <= cols * (1 + self.most_growth)


def _pack(graph: Graph, op: Op, operator: Contract) -> None:
    lhs, rhs, *extras = _operands(op)
    matrix = rhs.constant
    assert matrix is not None
    if operator.transpose_rhs:
        matrix = matrix.T
    with graph.labelled(op.label):
        packed = graph.add_constant(pack_panels(matrix), op.label)
        found = ContractPacked(matrix.shape[1], epilogue=operator.epilogue)
        graph.replace(op, [apply(found, lhs, packed, *extras)])
    erase_dead(graph, rhs.op)


def _operands(op: Op) -> list[Value]:
    return [value for value in op.operands if value is not None]
