"""Products of the same value by several constants as one product."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.graph import Graph, Op, Value
from dlc.ir.operator import Array
from dlc.ops.fusion import joined_label
from dlc.ops.onnx.named import apply, onnx_operator, split
from dlc.ops.onnx.operator import is_onnx
from dlc.rewrite.base import Pass
from dlc.rewrite.driver import erase_dead, refuse


@dataclass(frozen=True, slots=True)
class MergeParallelMatMul(Pass):
    """Make MatMuls (or Gemms) of one value by constant matrices one product, then a Split.

    As the query, key and value projections of attention are written. The matrices are put side by
    side, and so are the constant biases that each branch adds. `max_bytes` bounds the merged matrix.
    Each element is computed as before, but a runtime may block a larger product differently.

    Before:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[1,3,2]
          %1 = constant() {value = dense<f32[2,1] 1.0 2.0>} "wq" : f32[2,1]
          %2 = onnx.MatMul(%0, %1) "q" : f32[1,3,1]
          %3 = constant() {value = dense<f32[2,2] 3.0 4.0 5.0 6.0>} "wk" : f32[2,2]
          %4 = onnx.MatMul(%0, %3) "k" : f32[1,3,2]
          output(%2, %4) {names = ["q", "k"]}
        }

    After:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[1,3,2]
          %1 = constant() {value = dense<f32[2,3] 1.0 3.0 4.0 2.0 5.0 6.0>} "q+k" : f32[2,3]
          %2 = onnx.MatMul(%0, %1) "q+k" : f32[1,3,3]
          %3 = constant() {value = dense<i64[2] 1 2>} "q+k" : i64[2]
          %4, %5 = onnx.Split(%2, %3) {axis = 2, results = 2} "q+k" : f32[1,3,1], f32[1,3,2]
          output(%4, %5) {names = ["q", "k"]}
        }
    """

    name: ClassVar[str] = "merge-parallel-matmul"
    contract: ClassVar[str] = "reassociates"
    max_bytes: int = 1 << 26

    def run(self, graph: Graph) -> tuple[Graph, bool]:
        alike: dict[Hashable, list[_Branch]] = {}
        for op in graph.ops:
            if is_onnx(op, "MatMul", "Gemm"):
                branch = _branch(op)
                if isinstance(branch, str):
                    refuse(self.name, op, branch)
                else:
                    alike.setdefault(branch.key, []).append(branch)
        changed = False
        for branches in alike.values():
            size = sum(branch.matrix.nbytes for branch in branches)
            first = branches[0].product
            if len(branches) == 1:
                refuse(self.name, first, "no other product like it reads its operand")
            elif size > self.max_bytes:
                refuse(self.name, first, f"the matrix would have {size} bytes")
            else:
                _merge(graph, branches)
                changed = True
        return graph, changed


@dataclass(frozen=True, slots=True)
class _Branch:
    """A product, the Add of a bias after it if there is one, and their constants."""

    product: Op
    last: Op
    matrix: Array
    bias: Array | None

    @property
    def key(self) -> Hashable:
        return self.product.operands[0], self.product.operator, self.last is self.product

    @property
    def columns(self) -> int:
        return int(self.matrix.shape[0 if onnx_operator(self.product).attr("transB") else 1])


def _branch(product: Op) -> _Branch | str:
    """The branch a product begins, or why it cannot be merged."""
    x, w, *rest = product.operands
    assert x is not None
    assert w is not None
    if w.constant is None:
        return "its matrix is not constant"
    if w.type.rank != 2 or x.type.rank < 2:
        return "its operands are not matrices"
    if onnx_operator(product).type == "MatMul":
        last, bias = _bias_after(product) or (product, None)
        return _Branch(product, last, w.constant, bias)
    if onnx_operator(product).version < 7:
        return "it broadcasts as before opset 7"
    c = rest[0] if rest else None
    bias = None if c is None else _row(c, product)
    if c is not None and bias is None:
        return "its bias is not one constant row"
    return _Branch(product, product, w.constant, bias)


def _bias_after(product: Op) -> tuple[Op, Array] | None:
    """The Add of a constant row that is all that reads the product."""
    add = product.result.user
    if add is None or not is_onnx(add, "Add") or onnx_operator(add).version < 7:
        return None
    c = next((v for v in add.operands if v is not product.result), None)
    bias = None if c is None or add.types != product.types else _row(c, product)
    return None if bias is None else (add, bias)


def _row(value: Value, product: Op) -> Array | None:
    """A constant that adds the same to every row of the product, as one row."""
    array, columns = value.constant, product.types[0].shape[-1]
    if array is None or not isinstance(columns, int) or array.size not in (1, columns):
        return None
    if array.ndim and array.shape[-1] != array.size:
        return None
    return np.broadcast_to(array.reshape(-1), (columns,))


def _merge(graph: Graph, branches: list[_Branch]) -> None:
    first = branches[0].product
    operator, x = onnx_operator(first), first.operands[0]
    assert x is not None
    matrix = np.concatenate([b.matrix for b in branches], 0 if operator.attr("transB") else 1)
    rows = [np.zeros(b.columns, matrix.dtype) if b.bias is None else b.bias for b in branches]
    given = rows if any(branch.bias is not None for branch in branches) else []
    with graph.labelled(joined_label(*(op for b in branches for op in (b.product, b.last)))):
        operands: list[Value | None] = [x, graph.add_constant(matrix)]
        row = graph.add_constant(np.concatenate(given)) if given else None
        if operator.type == "Gemm" and row is not None:
            operands.append(row)
        columns, type = [branch.columns for branch in branches], first.types[0]
        type = type.with_shape((*type.shape[:-1], sum(columns)))
        merged = graph.add(operator, operands, types=[type]).result
        if operator.type == "MatMul" and row is not None:
            merged = apply("Add", merged, row, version=operator.version)
        parts = split(merged, columns, type.rank - 1, operator.version)
    for branch, part in zip(branches, parts, strict=True):
        read = [v.op for v in (*branch.product.operands, *branch.last.operands) if v is not None]
        graph.replace(branch.last, [part])
        erase_dead(graph, branch.product, *read)
