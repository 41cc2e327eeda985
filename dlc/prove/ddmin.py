"""Delta debugging (``ddmin``).

Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE Transactions on
Software Engineering 28(2), 2002.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeVar

T = TypeVar("T")


def ddmin(items: Sequence[T], interesting: Callable[[Sequence[T]], bool]) -> list[T]:
    """A part of ``items``, in their order, that is interesting and of which no item can be left out.

    ``items`` themselves must be interesting; the empty part is tried as well. No part is tried twice.
    """
    current = list(items)
    tried: dict[tuple[int, ...], bool] = {}
    places = list(range(len(current)))

    def test(part: list[int]) -> bool:
        key = tuple(part)
        if key not in tried:
            tried[key] = interesting([current[i] for i in part])
        return tried[key]

    if not places or test([]):
        return []
    parts = 2
    while len(places) > 1:
        chunks = _split(places, parts)
        smaller = next((chunk for chunk in chunks if test(chunk)), None)
        if smaller is not None:
            places, parts = smaller, 2
            continue
        for chunk in chunks:
            dropped = set(chunk)
            rest = [place for place in places if place not in dropped]
            if test(rest):
                places, parts = rest, max(parts - 1, 2)
                break
        else:
            if parts >= len(places):
                break
            parts = min(2 * parts, len(places))
    return [current[i] for i in places]


def _split(items: list[int], parts: int) -> list[list[int]]:
    """``items`` in so many runs of nearly equal length."""
    parts = min(parts, len(items))
    bounds = [len(items) * i // parts for i in range(parts + 1)]
    return [items[a:b] for a, b in pairwise(bounds)]
