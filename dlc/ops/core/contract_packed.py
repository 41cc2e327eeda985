"""``contract_packed``: a matrix product whose right-hand side is packed in panels of columns."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.operator import Array
from dlc.ir.types import DType, TensorType, strides_of
from dlc.ops.core.epilogue import WithEpilogue
from dlc.ops.core.operator import OnnxBody
from dlc.ops.emission import Acc, Access, Affine, Emission, Operand, Result, Tile
from dlc.ops.nest import broadcast_strides, merge_loops

PANEL = 32
"""Columns of a panel: two of the widest vectors."""
UNIT = 16
"""The last panel is padded with zeros to a multiple of this."""
_ROWS = 14  # of a tile: as many as the registers hold sums of


@dataclass(frozen=True, slots=True)
class ContractPacked(WithEpilogue):
    """Operands lhs[batch...,M,K], packed[], extras; result [batch...,M,N], N being ``cols``.

    The right-hand side [K,N] lies as ``pack_panels`` puts it: a panel [K][32] for every 32 columns,
    the last one of the columns left over, padded with zeros to a multiple of 16.

    C1: lhs and packed are f32, lhs of rank 2 or more, packed of rank 1, sizes are known.
    C2: ``cols`` and K are positive, and packed has K times ``cols`` rounded up to 16 elements.
    """

    name: ClassVar[str] = "contract_packed"
    cols: int

    @property
    def main_operands(self) -> int:
        return 2

    def accumulated(self, main: Sequence[TensorType]) -> TensorType:
        lhs, packed = main
        self.require({t.dtype for t in main} == {DType.F32} and lhs.rank >= 2 and packed.rank == 1,
                     "C1", f"{lhs} and {packed} do not suit")  # fmt: skip
        (*lines, depth), (size,) = lhs.dims, packed.dims
        fits = self.cols > 0 and depth > 0 and size == depth * _padded(self.cols)
        self.require(fits, "C2", f"{packed} does not suit {lhs} and {self.cols} columns")
        return lhs.with_shape((*lines, self.cols))

    def accumulate(self, main: Sequence[Array]) -> Array:
        lhs, packed = main
        product: Array = np.matmul(lhs, unpack_panels(packed, (lhs.shape[-1], self.cols)))
        return product

    def macs(self, main: Sequence[TensorType], result: TensorType) -> int:
        return result.capacity * main[0].dims[-1]

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        lhs, _, *extras = operands
        shape, depth = results[0].dims, lhs.dims[-1]
        stored = (strides_of(shape), *(broadcast_strides(t.shape, shape) for t in extras))
        # batch dims and rows are one loop where every operand allows it
        lines, (a, *cells) = merge_loops(shape[:-1], [
            Affine(0, (*strides_of(lhs.dims)[:-1],)), *(Affine(0, s[:-1]) for s in stored)
        ])  # fmt: skip
        lines = lines or (1,)
        a, *cells = (affine if affine.strides else Affine(0, (0,)) for affine in (a, *cells))
        widths = [strides[-1] for strides in stored]
        *outer, rows = self.fixed(lines)
        pairs = list(zip(cells, self.fixed(widths), strict=True))
        tiles = [
            self._tile(depth, tuple(outer), columns, some, a, pairs)
            for columns in panels(self.cols)
            for some in row_groups(rows)
        ]
        return Emission((*self.checks(operands), *tiles))

    def _tile(self, depth: int, outer: tuple[int, ...], columns: tuple[int, int, int],
              some: tuple[int, int, int], a: Affine, stored: list[tuple[Affine, int]]) -> Tile:  # fmt: skip
        """Tiles of one group of rows and columns; panels are the outermost loop: each is read once."""
        (col, panels, width), (row, tiles, rows) = columns, some

        def corner(affine: Affine, across: int) -> Affine:
            *loops, down = affine.strides
            base = row * down + col * across
            return Affine(base, (width * across, *loops, rows * down))

        cells = [
            Affine((at := corner(affine, across)).base, (*at.strides, affine.strides[-1], across))
            for affine, across in stored
        ]
        packed = Affine(col * depth, (width * depth, *(0 for _ in outer), 0))
        return Tile(
            (panels, *outer, tiles), rows, width, "dlc_gemm_packed_f32",
            (Acc(), rows, width, depth, Access(Operand(0), corner(a, 0)), a.strides[-1],
             Access(Operand(1), packed)),
            Access(Result(), cells[0]), self.epilogue,
            tuple(Access(Operand(2 + i), cell) for i, cell in enumerate(cells[1:])),
        )  # fmt: skip

    def accumulate_onnx(self, body: OnnxBody, main: Sequence[str], types: Sequence[TensorType],
                        result: TensorType) -> str:  # fmt: skip
        shape = (types[0].dims[-1], self.cols)
        order = unpack_panels(np.arange(types[1].capacity), shape)
        unpacked = body.node("Gather", [main[1], body.constant(order)], axis=0)
        return body.node("MatMul", [main[0], unpacked])


def panels(cols: int) -> Iterator[tuple[int, int, int]]:
    """Groups of panels of equal width: (first column, how many panels, columns each)."""
    whole = cols // PANEL
    if whole:
        yield 0, whole, PANEL
    if cols % PANEL:
        yield whole * PANEL, 1, cols % PANEL


def row_groups(rows: int) -> Iterator[tuple[int, int, int]]:
    """Tiles of nearly equal height, at most 14: (first row, how many tiles, rows each)."""
    if rows == 0:
        return
    tiles = math.ceil(rows / _ROWS)
    height, taller = divmod(rows, tiles)
    if taller:
        yield 0, taller, height + 1
    yield taller * (height + 1), tiles - taller, height


def pack_panels(matrix: Array) -> Array:
    """A right-hand side [K,N] in the order ``dlc_gemm_packed_f32`` reads it."""
    cols = matrix.shape[1]
    wide = np.pad(matrix, ((0, 0), (0, _padded(cols) - cols)))
    return np.concatenate([wide[:, c : c + PANEL].ravel() for c in range(0, cols, PANEL)])


def unpack_panels(packed: Array, shape: tuple[int, int]) -> Array:
    """The matrix [K,N] of this shape that ``pack_panels`` packed."""
    depth, cols = shape
    padded = _padded(cols)
    parts = [
        packed[c * depth : min(c + PANEL, padded) * depth].reshape(depth, -1)
        for c in range(0, cols, PANEL)
    ]
    return np.concatenate(parts, axis=1)[:, :cols]


def _padded(cols: int) -> int:
    return -(-cols // UNIT) * UNIT
