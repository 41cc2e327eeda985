"""Cutting a result into tiles of rows x cols: whole tiles and remainders, and where each lies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dlc.ir.sizes import Dim, bound_of, minimum
from dlc.ops.emission import Affine, spans

ROWS = 4  # rows whose sums share one load of the right-hand side
ACCUMULATORS = 1024  # floats of a tile's accumulator: 4 KiB of stack, well inside L1


@dataclass(frozen=True, slots=True)
class Block:
    """Tiles of one size: ``rows`` x ``cols`` elements at every index of the loops ``outer``.

    ``corner`` and ``element`` translate an affine with one stride per loop given to ``blocks``,
    then those of one row and one column.
    """

    outer: tuple[Dim, ...]
    rows: int
    cols: Dim
    starts: tuple[Dim, Dim]
    extents: tuple[Dim, ...]
    rows_at: int

    def corner(self, affine: Affine) -> Affine:
        """The affine at a tile's first element, one stride for each loop of ``outer``."""
        *loops, row, col = affine.strides
        loops.insert(self.rows_at, row * self.rows)
        loops.append(col * self.cols)
        kept = (s for s, extent in zip(loops, self.extents, strict=True) if extent != 1)
        base = affine.base + self.starts[0] * row + self.starts[1] * col
        return Affine(base, tuple(kept))

    def element(self, affine: Affine) -> Affine:
        """The affine at each element: as ``corner``, then the strides of tile row and column."""
        corner = self.corner(affine)
        return Affine(corner.base, corner.strides + affine.strides[-2:])


def blocks(outer: Sequence[Dim], rows: Dim, cols: Dim, *, row_step: int = ROWS,
           rows_at: int | None = None) -> Iterator[Block]:  # fmt: skip
    """Cut every ``rows`` x ``cols`` plane of a result.

    The loop over blocks of rows runs at position ``rows_at`` among ``outer`` (default: inside them
    all), the loop over blocks of columns innermost. Loops of one iteration are dropped.
    """
    at = len(outer) if rows_at is None else rows_at
    row_step = min(row_step, bound_of(rows))
    if row_step <= 0 or bound_of(cols) <= 0:
        return
    for row_start, row_count, row_size in spans(rows, row_step):
        for col_start, col_count, col_size in _widths(cols, ACCUMULATORS // row_step):
            extents = (*outer[:at], row_count, *outer[at:], col_count)
            kept = tuple(extent for extent in extents if extent != 1)
            yield Block(kept, row_size, col_size, (row_start, col_start), extents, at)


def _widths(cols: Dim, most: int) -> Iterator[tuple[Dim, Dim, Dim]]:
    """Spans of columns, at most ``most`` wide; what whole ones leave over at run time is one more."""
    if isinstance(cols, int):
        # equal widths rather than a narrow rest, in multiples of a vector
        step = cols if cols <= most else min(most, -(-cols // -(-cols // most) // 16) * 16)
        yield from spans(cols, step)
        return
    whole = cols // most
    if whole != 0:
        yield 0, whole, most
    rest = minimum(cols - whole * most, most - 1) if whole != 0 else cols
    yield whole * most, minimum(rest, 1), rest
