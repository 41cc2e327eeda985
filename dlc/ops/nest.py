"""Iteration spaces of loop nests: broadcasting strides, and merging loops that step as one."""

from __future__ import annotations

from collections.abc import Sequence

from dlc.ir.types import strides_of
from dlc.ops.emission import Access, Affine, Buffer


def broadcast_strides(shape: Sequence[int], extents: Sequence[int]) -> tuple[int, ...]:
    """Strides that read a row-major array of ``shape`` broadcast to ``extents``."""
    lead = len(extents) - len(shape)
    return (0,) * lead + tuple(
        0 if dim == 1 else stride
        for dim, stride in zip(shape, strides_of(tuple(shape)), strict=True)
    )


def merge_loops(
    extents: Sequence[int], accesses: Sequence[Affine]
) -> tuple[tuple[int, ...], list[Affine]]:
    """The same iterations with fewer loops: unit loops dropped, contiguous neighbours joined."""
    kept: list[int] = []
    columns: list[list[int]] = []
    for axis, extent in enumerate(extents):
        steps = [access.strides[axis] for access in accesses]
        if extent == 1:
            continue
        if kept and all(
            outer == step * extent for outer, step in zip(columns[-1], steps, strict=True)
        ):
            kept[-1] *= extent
            columns[-1] = steps
            continue
        kept.append(extent)
        columns.append(steps)
    merged = [
        Affine(access.base, tuple(column[i] for column in columns))
        for i, access in enumerate(accesses)
    ]
    return tuple(kept), merged


def collapse(
    extents: Sequence[int], buffers: Sequence[tuple[Buffer, Sequence[int]]]
) -> tuple[tuple[int, ...], list[Access]]:
    """Loops over ``extents`` that read row-major buffers of the given shapes, broadcast to it."""
    affines = [Affine(0, broadcast_strides(shape, extents)) for _, shape in buffers]
    loops, merged = merge_loops(extents, affines)
    return loops, [Access(buffer, a) for (buffer, _), a in zip(buffers, merged, strict=True)]
