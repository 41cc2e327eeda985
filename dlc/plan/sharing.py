"""Choosing what to share: links are tried by benefit, and none may raise the peak."""

from __future__ import annotations

from collections.abc import Iterable

from dlc.plan.aliasing import Sharing
from dlc.plan.links import Link
from dlc.plan.timeline import Timeline

#: steps up to which every strategy is tried
THOROUGH = 1000

Candidate = tuple[int, list[Link]]
"""Links of the op at a step that are best taken together (the parts of one concat)."""


def share(timeline: Timeline) -> Sharing:
    """The best sharing found: least peak, then fewest bytes copied, then least peak with the
    caller's buffers counted.

    Which copies vanish decides which operands may be overwritten and the other way round, so a few
    orders are tried.
    """
    joins, overwrites = _candidates(timeline)
    views = [c for c in joins if all(_is_view(timeline, c[0], link) for link in c[1])]
    strategies: list[list[list[Candidate]]] = [[views, overwrites, joins]]
    if joins and len(timeline.steps) <= THOROUGH:
        strategies += [[joins, overwrites, joins], [overwrites, joins]]
    return min((_apply(timeline, phases) for phases in strategies), key=cost)


def cost(sharing: Sharing) -> tuple[int, int, int]:
    """What is minimised."""
    return sharing.peak, _copied(sharing), sharing.peak_with_io


def _candidates(timeline: Timeline) -> tuple[list[Candidate], list[Candidate]]:
    """Copies, those that save most first (views of read-only memory before all); overwrites."""
    joins: list[Candidate] = []
    overwrites: list[Candidate] = []
    for step, op in enumerate(timeline.steps):
        links = timeline.anatomy.links[op]
        copies = [link for link in links if link.content]
        if copies:
            joins.append((step, copies))
        overwrites += [(step, [link]) for link in links if not link.content]
    joins.sort(key=lambda c: -sum(link.count for link in c[1]))
    return joins, overwrites


def _is_view(timeline: Timeline, step: int, link: Link) -> bool:
    """Whether the result lies inside the operand."""
    value = timeline.steps[step].results[link.result]
    return link.count == timeline.size[timeline.anatomy.number[value]]


def _apply(timeline: Timeline, phases: Iterable[list[Candidate]]) -> Sharing:
    sharing = Sharing(timeline)
    for candidates in phases:
        for step, links in candidates:
            if not _take(sharing, step, links) and len(links) > 1:
                for link in links:
                    _take(sharing, step, [link])
    return sharing


def _take(sharing: Sharing, step: int, links: Iterable[Link]) -> bool:
    """Unite what links join unless that raises the peak, or (the peak staying as it is) that with
    the caller's buffers; False when it was undone.
    """
    before, mark = (sharing.peak, sharing.peak_with_io), sharing.mark
    for link in links:
        sharing.unite(step, link)
    if sharing.mark == mark or (sharing.peak, sharing.peak_with_io) <= before:
        return True
    sharing.rollback(mark)
    return False


def _copied(sharing: Sharing) -> int:
    """Bytes of copies that could vanish but do not."""
    copied = 0
    for step, op in enumerate(sharing.timeline.steps):
        for link in sharing.timeline.anatomy.links[op]:
            if link.content and not sharing.joined(step, link):
                copied += link.count
    return copied
