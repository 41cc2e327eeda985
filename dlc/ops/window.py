"""Sliding windows: geometry, numpy views, and emission shared by conv, conv_transpose and pool.

Position: window element k of output o reads input ``o * stride - pad + k * dilation``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dlc.ir.expr import Expr
from dlc.ir.operator import Array
from dlc.ir.sizes import Dim, floordiv, maximum
from dlc.ir.types import TensorType, strides_of
from dlc.ops.emission import (
    Acc,
    Access,
    Accumulate,
    Affine,
    Index,
    Nest,
    Operand,
    Part,
    Result,
    Tile,
)  # fmt: skip
from dlc.ops.nest import broadcast_strides, merge_loops
from dlc.ops.tiling import blocks

Sizes = tuple[Dim, ...]


def output_sizes(image: Sequence[Dim], kernel: Sequence[Dim], strides: Sequence[int],
                 pads: Sequence[Dim], dilations: Sequence[int]) -> Sizes:  # fmt: skip
    """Windows that fit into the padded image along each axis, 0 where none does."""
    rank = len(kernel)
    return tuple(
        maximum(
            (image[i] + pads[i] + pads[rank + i] - (kernel[i] - 1) * dilations[i] - 1) // strides[i]
            + 1,
            0,
        )
        for i in range(rank)
    )


def pad_image(x: Array, pads: Sequence[int], fill: object) -> Array:
    """``x`` with its trailing axes padded by ``pads`` (begins, then ends)."""
    rank = len(pads) // 2
    if not any(pads):
        return x
    lead = [(0, 0)] * (x.ndim - rank)
    return np.pad(x, [*lead, *zip(pads[:rank], pads[rank:], strict=True)],
                  constant_values=np.asarray(fill, x.dtype))  # fmt: skip


def windows(
    x: Array, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> Array:
    """A view (leading axes..., outputs..., kernel...) of the windows of the trailing axes."""
    rank = len(kernel)
    spread = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True))
    axes = tuple(range(x.ndim - rank, x.ndim))
    view: Array = np.lib.stride_tricks.sliding_window_view(x, spread, axes)
    steps: list[Any] = [slice(None, None, step) for step in (*strides, *dilations)]
    return view[(Ellipsis, *steps)]


def three(values: Sequence[Dim], fill: int) -> Sizes:
    """Sizes of 1 to 3 spatial axes as those of three."""
    return (fill,) * (3 - len(values)) + tuple(values)


def as_3d(shape: Sequence[Dim], rank: int) -> Sizes:
    """A shape that broadcasts to ``rank`` dims, as one that broadcasts to (N, C, D, H, W)."""
    full = (1,) * (rank - len(shape)) + tuple(shape)
    return full[:2] + three(full[2:], 1)


def window_sizes(image: Sequence[Dim], kernel: Sequence[Dim], strides: Sequence[int],
                 begins: Sequence[Dim], dilations: Sequence[int]) -> Sizes:  # fmt: skip
    """The arguments D.. KD.. SD.. PD.. DD.. every window kernel takes."""
    return (
        *three(image, 1),
        *three(kernel, 1),
        *three(strides, 1),
        *three(begins, 0),
        *three(dilations, 1),
    )


def window_tiles(kernel: str, operands: Sequence[TensorType], result: TensorType, epilogue: Expr, *,
                 groups: Dim, main: Sequence[Sizes], sizes: Sizes, rows: bool = True,
                 rows_first: bool = False) -> tuple[Part, ...]:  # fmt: skip
    """Tiles of output channels x output columns.

    ``main`` gives for each main operand its strides along (image, group, channel in group);
    ``rows`` says that the kernel has a rows argument; ``rows_first`` that each block of channels
    visits the whole image before the next does (else each line of the image visits all channels).
    """
    rank = result.rank
    n, channels, *out = as_3d(result.shape, rank)
    per_group = floordiv(channels, groups)

    def walk(strides: Sequence[Dim]) -> Affine:
        sn, sc, sd, sh, sw = strides
        return Affine(0, (sn, sc * per_group, sd, sh, sc, sw))

    inputs = [
        Access(Operand(i), Affine(0, (image, group, 0, 0, channel, 0)))
        for i, (image, group, channel) in enumerate(main)
    ]
    position = [Affine(0, tuple(int(i == axis) for i in range(6))) for axis in (2, 3, 5)]
    full = (n, channels, *out)
    reads = [
        Access(Operand(i), walk(broadcast_strides(as_3d(t.shape, rank), full)))
        for i, t in enumerate(operands) if i >= len(main)
    ]  # fmt: skip
    write = walk(strides_of(full))
    tiles = []
    outer: Sizes = (n, groups, *out[:2])
    for block in blocks(outer, per_group, out[2], rows_at=2 if rows_first else 4):
        tiles.append(Tile(
            block.outer, block.rows, block.cols, kernel,
            (Acc(), *([block.rows] if rows else []), block.cols,
             *(Access(a.buffer, block.corner(a.index)) for a in inputs),
             *(Index(block.corner(p)) for p in position), *sizes),
            Access(Result(), block.element(write)), epilogue,
            tuple(Access(a.buffer, block.element(a.index)) for a in reads),
        ))  # fmt: skip
    return tuple(tiles)


def window_nest(operands: Sequence[TensorType], result: TensorType, epilogue: Expr, *, groups: Dim,
                main: Sequence[Sizes], inner: Sizes, expr: Expr, function: str) -> Nest:  # fmt: skip
    """One loop nest for windows without padding, in any dtype.

    ``main`` gives for each main operand its strides along (image, group, channel in group,
    outputs..., inner...); the loops ``inner`` are accumulated with ``function``.
    """
    shape = result.shape
    outer: Sizes = (shape[0], groups, floordiv(shape[1], groups), *shape[2:])

    def walk(strides: Sequence[Dim]) -> Affine:
        return Affine(0, (strides[0], strides[1] * outer[2], *strides[1:]))

    split = len(outer)
    stores = [walk(strides_of(shape))]
    stores += [walk(broadcast_strides(t.shape, shape)) for t in operands[len(main) :]]
    loads = [Affine(0, strides) for strides in main]
    outside, merged = merge_loops(outer, [*(Affine(0, a.strides[:split]) for a in loads), *stores])
    inside, tails = merge_loops(inner, [Affine(0, a.strides[split:]) for a in loads])
    reads = [
        Access(Operand(i), Affine(0, head.strides + tail.strides))
        for i, (head, tail) in enumerate(zip(merged[: len(main)], tails, strict=True))
    ]
    write, *extras = merged[len(main) :]
    accumulate = Accumulate(
        function, len(inside), epilogue,
        tuple(Access(Operand(len(main) + i), a) for i, a in enumerate(extras)),
    )  # fmt: skip
    return Nest(outside + inside, tuple(reads), Access(Result(), write), expr, accumulate)
