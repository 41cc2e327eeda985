"""Selections and repetitions known when compiling, as the cheapest core ops that make them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from dlc.ir.graph import Value
from dlc.ir.operator import Array
from dlc.ir.types import Dim, DType
from dlc.ops.build import broadcast, concat, constant, gather, reshape, slice_

_MOST_RUNS = 3  # beyond it one gather beats a concat of slices


def take(x: Value, positions: Mapping[int, Array]) -> Value:
    """``np.take(x, positions[axis], axis)`` for every axis given; positions are 1-D, not negative.

    Equally spaced positions on any axes are one slice, those that each come equally often one slice
    and one broadcast; a few runs of such are a concat, anything else is a gather.
    """
    rank = x.type.rank
    starts, steps, times = [0] * rank, [1] * rank, [1] * rank
    sizes: list[Dim] = list(x.type.shape)
    uneven = {}
    for axis, wanted in positions.items():
        count = _repeats(wanted)
        firsts = wanted[::count]
        if len(list(_runs(firsts))) > 1:
            uneven[axis] = wanted
            continue
        starts[axis], sizes[axis], times[axis] = int(firsts[:1].sum()), len(firsts), count
        steps[axis] = int(firsts[1] - firsts[0]) if len(firsts) > 1 else 1
    x = slice_(x, starts, sizes, steps)
    for axis, wanted in uneven.items():
        runs = list(_runs(wanted))
        if len(runs) <= _MOST_RUNS:
            x = concat([take(x, {axis: run}) for run in runs], axis)
        else:
            x = gather(x, constant(x, wanted, DType.I32), axis)
    return spread(x, times)


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
        bends = np.flatnonzero(np.diff(positions[start:], 2))
        end = start + int(bends[0]) + 2 if len(bends) else len(positions)
        yield positions[start:end]
        start = end


def spread(x: Value, each: Sequence[Dim], whole: Sequence[Dim] | None = None) -> Value:
    """``np.tile(np.repeat(x, each), whole)`` with a factor for each axis, as one broadcast."""
    whole = [1] * len(each) if whole is None else whole
    factors = list(zip(whole, x.type.shape, each, strict=True))
    narrow = [dim for _, size, _ in factors for dim in (1, size, 1)]
    wide = [dim for factor in factors for dim in factor]
    if narrow == wide:
        return x
    totals = [before * size * after for before, size, after in factors]
    return reshape(broadcast(reshape(x, narrow), wide), totals)
