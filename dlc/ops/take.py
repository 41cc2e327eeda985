"""Selections and repetitions known when compiling, as the cheapest core ops that make them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from dlc.ir.graph import Value
from dlc.ir.operator import Array
from dlc.ir.types import DType
from dlc.ops.build import broadcast, concat, constant, gather, reshape, slice_

_MOST_RUNS = 3  # beyond it one gather beats a concat of slices


def take(x: Value, positions: Array, axis: int) -> Value:
    """``np.take(x, positions, axis)`` for 1-D constant positions, none of them negative.

    Equally spaced positions are a slice, each repeated alike a slice and a broadcast, a few runs
    of such a concat; anything else is a gather.
    """
    positions = np.asarray(positions, dtype=np.int64)
    times = _repeats(positions)
    firsts = positions[::times]
    if len(list(_runs(firsts))) <= 1:
        starts, sizes, steps = [0] * x.type.rank, list(x.shape), [1] * x.type.rank
        starts[axis] = int(firsts[0]) if len(firsts) else 0
        sizes[axis] = len(firsts)
        steps[axis] = int(firsts[1] - firsts[0]) if len(firsts) > 1 else 1
        return spread(
            slice_(x, starts, sizes, steps), [times if i == axis else 1 for i in range(len(sizes))]
        )
    runs = list(_runs(positions))
    if len(runs) <= _MOST_RUNS:
        return concat([take(x, run, axis) for run in runs], axis)
    return gather(x, constant(x, positions, DType.I32), axis)


def _repeats(positions: Array) -> int:
    """How often each position comes in a row, if all come equally often (else 1)."""
    changes = np.flatnonzero(np.diff(positions))
    times = int(changes[0]) + 1 if len(changes) else max(len(positions), 1)
    alike = np.array_equal(np.repeat(positions[::times], times)[: len(positions)], positions)
    return times if alike and len(positions) % times == 0 else 1


def _runs(positions: Array) -> Iterator[Array]:
    """Cut into maximal runs of equal distance."""
    start = 0
    while start < len(positions):
        end = start + 1
        if end < len(positions):
            bends = np.flatnonzero(np.diff(positions[start:], 2))
            end = start + int(bends[0]) + 2 if len(bends) else len(positions)
        yield positions[start:end]
        start = end


def spread(x: Value, each: Sequence[int], whole: Sequence[int] | None = None) -> Value:
    """``np.tile(np.repeat(x, each), whole)`` with a factor for each axis, as one broadcast."""
    whole = [1] * len(each) if whole is None else whole
    shape = x.shape
    narrow = [dim for size in shape for dim in (1, size, 1)]
    wide = [
        dim for w, size, e in zip(whole, shape, each, strict=True) for dim in (int(w), size, int(e))
    ]
    if narrow == wide:
        return x
    totals = [w * size * e for w, size, e in zip(whole, shape, each, strict=True)]
    return reshape(broadcast(reshape(x, narrow), wide), totals)
