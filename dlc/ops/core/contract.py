"""``contract``: a matrix product, batched with broadcasting, either side transposed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import numpy as np

from dlc.ir.expr import parse_expr
from dlc.ir.operator import Array
from dlc.ir.sizes import Dim, equal
from dlc.ir.types import DType, TensorType, broadcast_shapes, strides_of
from dlc.ops.core.epilogue import WithEpilogue, wide
from dlc.ops.core.operator import Condition, OnnxBody
from dlc.ops.emission import Acc, Access, Accumulate, Affine, Emission, Nest, Operand, Result, Tile
from dlc.ops.nest import broadcast_strides, fits, merge_loops
from dlc.ops.tiling import blocks

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Contract(WithEpilogue):
    """Operands lhs[batch...,M,K], rhs[batch...,K,N], extras; result [batch...,M,N].

    A transposed side is stored [batch...,K,M] or [batch...,N,K]. Batch dims broadcast.

    C1: lhs and rhs have rank 2 or more and one dtype.
    C2: their depths K are equal.
    C3: their batch dims broadcast together.
    """

    name: ClassVar[str] = "contract"
    transpose_lhs: bool = False
    transpose_rhs: bool = False

    @property
    def main_operands(self) -> int:
        return 2

    def _matrices(self, lhs: Sequence[T], rhs: Sequence[T]) -> tuple[Sequence[T], Sequence[T]]:
        """Pairs (M, K) and (K, N) from pairs as they are stored."""
        return (lhs[::-1] if self.transpose_lhs else lhs, rhs[::-1] if self.transpose_rhs else rhs)

    def accumulated(self, main: Sequence[TensorType]) -> TensorType:
        lhs, rhs = main
        self.require(min(lhs.rank, rhs.rank) >= 2, "C1", f"{lhs} and {rhs} need rank 2 or more")
        self.require(lhs.dtype is rhs.dtype, "C1", f"{lhs} and {rhs} differ in dtype")
        (rows, _), (_, cols) = self._matrices(lhs.shape[-2:], rhs.shape[-2:])
        return lhs.with_shape((*broadcast_shapes(lhs.shape[:-2], rhs.shape[:-2]), rows, cols))

    def main_conditions(self, main: Sequence[TensorType]) -> Iterator[Condition]:
        lhs, rhs = main
        (_, depth), (other, _) = self._matrices(lhs.shape[-2:], rhs.shape[-2:])
        yield (equal(depth, other),), "C2", f"{lhs} and {rhs} differ in depth"
        batch = broadcast_shapes(lhs.shape[:-2], rhs.shape[:-2])
        for t in main:
            yield fits(t.shape[:-2], batch), "C3", f"{lhs} and {rhs} differ in batch dims"

    def accumulate(self, main: Sequence[Array]) -> Array:
        lhs, rhs = (wide(a) for a in main)
        product: Array = np.matmul(
            np.swapaxes(lhs, -1, -2) if self.transpose_lhs else lhs,
            np.swapaxes(rhs, -1, -2) if self.transpose_rhs else rhs,
        )
        return product

    def macs(self, main: Sequence[TensorType], result: TensorType) -> int:
        return result.capacity * main[0].bounds[-2 if self.transpose_lhs else -1]

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        lhs, rhs, *extras = operands
        shape = results[0].shape
        *batch, rows, cols = shape
        depth = lhs.shape[-2 if self.transpose_lhs else -1]
        (ls, ld), (rd, rs) = self._matrices(strides_of(lhs.shape)[-2:], strides_of(rhs.shape)[-2:])
        # batch dims and rows merge into one loop where every operand allows it
        lines, (a, b, *cells) = merge_loops((*batch, rows), [
            Affine(0, (*_batch_strides(lhs, batch), ls)),
            Affine(0, (*_batch_strides(rhs, batch), 0)),
            *(Affine(0, s[:-1]) for s in (
                strides_of(shape), *(broadcast_strides(t.shape, shape) for t in extras),
            )),
        ])  # fmt: skip
        widths = [strides_of(shape)[-1], *(broadcast_strides(t.shape, shape)[-1] for t in extras)]
        stored = [
            Affine(0, (*cell.strides, width)) for cell, width in zip(cells, widths, strict=True)
        ]
        if lhs.dtype is not DType.F32:
            nest = _nest(self, (*lines, cols), depth, (a, ld), (b, rd, rs), stored)
            return Emission((*self.checks(operands), nest))
        if not lines:
            lines, a, b = (1,), Affine(0, (0,)), Affine(0, (0,))
            stored = [Affine(0, (0, *s.strides)) for s in stored]
        if b.strides[-1] != 0:  # one row a matrix: rows of a tile must share the right-hand side
            lines, a, b = (*lines, 1), _append(a, 0), _append(b, 0)
            stored = [Affine(0, (*s.strides[:-1], 0, s.strides[-1])) for s in stored]
        left, right = _append(a, 0), _append(b, rs)
        parts = [
            Tile(
                block.outer, block.rows, block.cols, "dlc_gemm_tile_f32",
                (Acc(), block.rows, block.cols, depth,
                 Access(Operand(0), block.corner(left)), a.strides[-1], ld,
                 Access(Operand(1), block.corner(right)), rd, rs),
                Access(Result(), block.element(stored[0])), self.epilogue,
                tuple(Access(Operand(2 + i), block.element(s)) for i, s in enumerate(stored[1:])),
            )
            for block in blocks(lines[:-1], lines[-1], cols)
        ]  # fmt: skip
        return Emission((*self.checks(operands), *parts))

    def accumulate_onnx(self, body: OnnxBody, main: Sequence[str], types: Sequence[TensorType],
                        result: TensorType) -> str:  # fmt: skip
        names = list(main)
        for i, transposed in enumerate((self.transpose_lhs, self.transpose_rhs)):
            if transposed:
                *batch, rows, cols = range(types[i].rank)
                names[i] = body.node("Transpose", [names[i]], perm=(*batch, cols, rows))
        return body.node("MatMul", names)


def _batch_strides(matrix: TensorType, batch: Sequence[Dim]) -> tuple[Dim, ...]:
    size = matrix.shape[-2] * matrix.shape[-1]
    return tuple(size * s for s in broadcast_strides(matrix.shape[:-2], batch))


def _append(affine: Affine, stride: Dim) -> Affine:
    return Affine(affine.base, (*affine.strides, stride))


def _nest(op: Contract, lines: tuple[Dim, ...], depth: Dim, lhs: tuple[Affine, Dim],
          rhs: tuple[Affine, Dim, Dim], stored: Sequence[Affine]) -> Nest:  # fmt: skip
    """The product as a loop nest, in any dtype: lines, columns, then depth."""
    a, ld = lhs
    b, rd, rs = rhs
    write, *reads = stored
    accumulate = Accumulate(
        "add", 1, op.epilogue, tuple(Access(Operand(2 + i), s) for i, s in enumerate(reads))
    )
    return Nest(
        (*lines, depth),
        (Access(Operand(0), Affine(0, (*a.strides, 0, ld))),
         Access(Operand(1), Affine(0, (*b.strides, rs, rd)))),
        Access(Result(), write), parse_expr("a0 * a1"), accumulate,
    )  # fmt: skip
