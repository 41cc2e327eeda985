"""Offsets in the arena: greedy placements in several orders, then local search.

The problem is dynamic storage allocation (Garey and Johnson SR2, NP-hard): rectangles of fixed
size and lifetime, stacked as low as possible. Neural networks' instances are easy: the search
stops as soon as the arena is as large as the bytes live at the worst step, which nothing can beat.
"""

from __future__ import annotations

import random
from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass

#: pairs of blocks that live together, up to which orders other than that of time are tried
PAIRS = 2_000_000
#: blocks placed during local search, weighted by how many live together with each
EFFORT = 3_000_000
#: rounds of local search at most
ROUNDS = 2_000


@dataclass(frozen=True, slots=True)
class Block:
    """``size`` bytes needed from step ``first`` to step ``last``, at a multiple of ``align``."""

    size: int
    first: int
    last: int
    align: int = 1


def lower_bound(blocks: Sequence[Block]) -> int:
    """Most bytes needed at one step.

    All offsets are multiples of the least alignment, so every block but the topmost takes a
    multiple of it.
    """
    unit = min((block.align for block in blocks), default=1)
    order = sorted(blocks, key=lambda block: block.first)
    ends = sorted(blocks, key=lambda block: block.last)
    slack = max((-block.size % unit for block in blocks), default=0)
    live = live_units = most = most_units = done = 0
    for block in order:
        while ends[done].last < block.first:
            live -= ends[done].size
            live_units -= -(-ends[done].size // unit)
            done += 1
        live += block.size
        live_units += -(-block.size // unit)
        most, most_units = max(most, live), max(most_units, live_units)
    return max(most_units * unit - slack, most)


def assign(blocks: Sequence[Block], *, seed: int = 0, effort: int = EFFORT) -> list[int]:
    """An offset for each block, such that no two alive at one step overlap.

    Deterministic. The height is the lower bound wherever the search gets that far; ``effort`` bounds
    how far it goes.
    """
    bound = lower_bound(blocks)
    best = _by_time(blocks)
    if height(blocks, best) <= bound:
        return best
    neighbours = _neighbours(blocks)
    if neighbours is None:
        return best
    search = _Search(blocks, neighbours, bound, best, effort)
    return search.run(random.Random(seed))  # noqa: S311  # not for secrets


def height(blocks: Sequence[Block], offsets: Sequence[int]) -> int:
    """Bytes up to the top of the highest block."""
    return max((o + b.size for b, o in zip(blocks, offsets, strict=True)), default=0)


def _by_time(blocks: Sequence[Block]) -> list[int]:
    """What malloc and free would do: blocks in order of time, each in the tightest gap."""
    ends = sorted((b.last, i) for i, b in enumerate(blocks) if b.size)
    offsets = [0] * len(blocks)
    gaps: list[tuple[int, int]] = []  # (start, end), by start, below ``top``
    top = done = 0
    for i in sorted(range(len(blocks)), key=lambda i: (blocks[i].first, -blocks[i].size)):
        block = blocks[i]
        if not block.size:
            continue
        while ends[done][0] < block.first:
            gone = ends[done][1]
            top = _release(gaps, offsets[gone], offsets[gone] + blocks[gone].size, top)
            done += 1
        fits = [
            (end - start, start, end)
            for start, end in gaps
            if start + -start % block.align + block.size <= end
        ]
        if fits:
            _, start, end = min(fits)
            gaps.remove((start, end))
        else:
            start, end = top, 0
        at = offsets[i] = start + -start % block.align
        if start < at:
            insort(gaps, (start, at))
        if at + block.size < end:
            insort(gaps, (at + block.size, end))
        top = max(top, at + block.size)
    return offsets


def _release(gaps: list[tuple[int, int]], start: int, end: int, top: int) -> int:
    """Add a gap, joined with those beside it; the new top."""
    at = bisect_left(gaps, (start, end))
    if at < len(gaps) and gaps[at][0] == end:
        end = gaps.pop(at)[1]
    if at and gaps[at - 1][1] == start:
        start = gaps.pop(at - 1)[0]
        at -= 1
    if end == top:
        return start
    gaps.insert(at, (start, end))
    return top


def _neighbours(blocks: Sequence[Block]) -> list[list[int]] | None:
    """For each block those that live at the same time; None when they are too many."""
    found: list[list[int]] = [[] for _ in blocks]
    pairs = 0
    alive: list[int] = []
    for i in sorted(range(len(blocks)), key=lambda i: blocks[i].first):
        if not blocks[i].size:
            continue
        alive = [j for j in alive if blocks[j].last >= blocks[i].first]
        pairs += len(alive)
        if pairs > PAIRS:
            return None
        for j in alive:
            found[i].append(j)
            found[j].append(i)
        alive.append(i)
    return found


class _Search:
    """Orders of placement, and what came of the best."""

    def __init__(self, blocks: Sequence[Block], neighbours: list[list[int]], bound: int,
                 best: list[int], effort: int) -> None:  # fmt: skip
        self.blocks = blocks
        self.neighbours = neighbours
        self.bound = bound
        self.effort = effort
        self.best = best
        self.least = height(blocks, best)

    def run(self, chance: random.Random) -> list[int]:
        """The best offsets found before the bound is met or the effort spent."""
        starts: list[tuple[int, int, list[int], bool]] = []
        for key in _KEYS:
            order = sorted(range(len(self.blocks)), key=lambda i: key(self.blocks[i]))
            for tight in (False, True):
                starts.append((self._try(order, tight), len(starts), order, tight))
                if self.least <= self.bound:
                    return self.best
        pairs = len(self.blocks) + sum(map(len, self.neighbours))
        rounds = min(ROUNDS, self.effort // pairs)
        starts.sort(key=lambda start: start[:2])
        for _, _, order, tight in starts[:4]:
            self._improve(order, tight, rounds // 4, chance)
            if self.least <= self.bound:
                break
        return self.best

    def _improve(self, order: list[int], tight: bool, rounds: int, chance: random.Random) -> None:
        """Place earlier what stands out above the bound, or swap two blocks at random."""
        current = order
        score, offsets = self._placed(current, tight)
        for _ in range(rounds):
            trial = list(current)
            high = [i for i in trial if offsets[i] + self.blocks[i].size > self.bound]
            pick = chance.choice(high)
            at = trial.index(pick)
            if chance.random() < 0.7 and at:
                trial.insert(chance.randrange(at), trial.pop(at))
            else:
                other = chance.choice(self.neighbours[pick] or [pick])
                there = trial.index(other)
                trial[at], trial[there] = other, pick
            value, placed = self._placed(trial, tight)
            if value <= score:
                current, score, offsets = trial, value, placed
            if self.least <= self.bound:
                return

    def _try(self, order: list[int], tight: bool) -> int:
        return self._placed(order, tight)[0]

    def _placed(self, order: list[int], tight: bool) -> tuple[int, list[int]]:
        """Height and offsets when blocks are placed in this order, each as low as it fits or (when
        ``tight``) in the smallest gap that holds it.
        """
        blocks, neighbours = self.blocks, self.neighbours
        offsets = [-1] * len(blocks)
        top = 0
        for i in order:
            block = blocks[i]
            size, align = block.size, block.align
            taken = sorted((offsets[j], offsets[j] + blocks[j].size)
                           for j in neighbours[i] if offsets[j] >= 0)  # fmt: skip
            at, slack, free = -1, -1, 0
            for low, high in taken:
                start = free + -free % align
                if low - start >= size and (at < 0 or (tight and low - free < slack)):
                    at, slack = start, low - free
                    if not tight:
                        break
                if high > free:
                    free = high
            if at < 0:
                at = free + -free % align
            offsets[i] = at
            top = max(top, at + size)
        if top < self.least:
            self.least, self.best = top, offsets
        return top, offsets


_KEYS: tuple[Callable[[Block], tuple[int, int]], ...] = (
    lambda b: (-b.size, b.first),
    lambda b: (-b.size * (b.last - b.first + 1), b.first),
    lambda b: (b.first - b.last, -b.size),
    lambda b: (b.first, -b.size),
    lambda b: (-b.last, -b.size),
)  # fmt: skip
