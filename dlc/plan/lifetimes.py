"""Lifetimes of buffers, what dies after each step, and the peaks they add up to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from dlc.plan.program import Buffer, FinalCopy, Space


@dataclass(frozen=True, slots=True)
class Peaks:
    """The most memory alive at one step."""

    lower_bound: int
    """Arena bytes."""
    step: int
    """The first step where they are live (-1 when the program has none)."""
    with_io: int
    """With inputs, from the start until their last read, and outputs, from their first store."""


def peaks(buffers: Sequence[Buffer], copies: Sequence[FinalCopy], steps: int) -> Peaks:
    """Peaks of a program of so many steps; the copies at its end count as one more."""
    arena, total = [0] * (steps + 2), [0] * (steps + 2)
    for buffer in buffers:
        if buffer.space is Space.CONSTANT:
            continue
        first, end = max(buffer.first, 0), min(buffer.last, steps) + 1
        if buffer.space is Space.INPUT and buffer.last < 0:
            continue
        total[first] += buffer.size
        total[end] -= buffer.size
        if buffer.space is Space.ARENA:
            arena[first] += buffer.size
            arena[end] -= buffer.size
    total[steps] += sum(copy.size for copy in copies)
    live = list(accumulate(arena))[: steps + 1]
    most = max(live)
    step = live.index(most) if steps else -1
    return Peaks(most, step, max(list(accumulate(total))[: steps + 1]))


def frees(buffers: Sequence[Buffer], steps: int) -> list[tuple[int, ...]]:
    """Numbers of the arena buffers that are dead after each step."""
    dead: list[list[int]] = [[] for _ in range(steps)]
    for buffer in buffers:
        if buffer.space is Space.ARENA and 0 <= buffer.last < steps:
            dead[buffer.last].append(buffer.id)
    return [tuple(ids) for ids in dead]
