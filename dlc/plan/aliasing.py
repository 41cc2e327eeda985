"""Which values share memory: views, copies that vanish, results in the place of a dying operand.

Values are united into *storages* (union-find with byte offsets, undoable): all values of one
storage have a fixed distance, and every pair that overlaps either holds the same content there
(one is a copy of the other) or is alive at different times. A copy between two places of one
address costs nothing, whoever made it: reshape, slice, split and concat need no special treatment.

Where one storage is in the caller's or in constant memory nothing is ever stored that is not the
caller's own result.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dlc.plan.links import Link
from dlc.plan.program import Space
from dlc.plan.timeline import Timeline

#: pairs of values compared for one union, and for all of them; what takes more is refused unexamined
PATIENCE = 20_000
ALL_PATIENCE = 4_000_000


@dataclass(slots=True)
class Storage:
    """Memory that some values share; bytes ``low`` to ``high`` of its own coordinates."""

    low: int
    high: int
    first: int
    last: int
    space: Space
    count: int
    """Number of values."""
    stored: int
    """Number of values that are not mere views of another one."""
    solid: bool
    """Whether some value is alive in every byte from the first step to the last."""


class Sharing:
    """The storages of a timeline, united step by step, with the bytes live at each step."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self.steps = len(timeline.steps)
        values = range(len(timeline.size))
        space = timeline.anatomy.space
        self.storage: list[Storage] = [
            Storage(0, timeline.size[v], timeline.born[v], timeline.last[v], space[v], 1,
                    int(timeline.born[v] >= 0), solid=True)
            for v in values
        ]  # fmt: skip
        self._parent = list(values)
        self._shift = [0 for _ in values]
        self._group = list(values)  # values that hold the same content wherever they overlap
        self._next = list(values)  # circular lists of the values of a storage
        self._undo: list[tuple[int, int, Storage, Storage, int]] = []
        self._patience = ALL_PATIENCE
        self.live = np.zeros(self.steps + 1, np.int64)  # arena bytes
        self.total = np.zeros(self.steps + 1, np.int64)  # the same with the caller's buffers
        for step, op in enumerate(timeline.steps):
            scratch = timeline.anatomy.emissions[op].scratch
            self.live[step] += scratch
            self.total[step] += scratch
        for storage in self.storage:
            self._charge(storage, 1)

    # ---- reading --------------------------------------------------------------------------

    def find(self, value: int) -> tuple[int, int]:
        """The storage a value is in (named by one of its values), and the value's offset in it."""
        offset = 0
        while self._parent[value] != value:
            offset += self._shift[value]
            value = self._parent[value]
        return value, offset

    def members(self, root: int) -> Iterator[tuple[int, int]]:
        """The values of a storage with their offsets."""
        value = root
        while True:
            yield value, self.find(value)[1]
            value = self._next[value]
            if value == root:
                return

    @property
    def peak(self) -> int:
        """Most arena bytes live at one step: the lower bound of the arena."""
        return int(self.live.max())

    @property
    def peak_with_io(self) -> int:
        """The same with the caller's buffers counted."""
        return int(self.total.max())

    def numbers(self, step: int, link: Link) -> tuple[int, int]:
        """The values a link of the op at a step joins."""
        op, number = self.timeline.steps[step], self.timeline.anatomy.number
        operand = op.operands[link.operand]
        assert operand is not None  # core ops have no absent operands
        return number[operand], number[op.results[link.result]]

    def joined(self, step: int, link: Link) -> bool:
        """Whether both sides of a link have one address."""
        source, target = self.numbers(step, link)
        (a, at_a), (b, at_b) = self.find(source), self.find(target)
        return a == b and at_a + link.source == at_b + link.target

    # ---- uniting --------------------------------------------------------------------------

    @property
    def mark(self) -> int:
        """What ``rollback`` returns to."""
        return len(self._undo)

    def unite(self, step: int, link: Link) -> bool:
        """Give both sides of a link one address; False when that is unsound."""
        source, target = self.numbers(step, link)
        a, at_a = self.find(source)
        b, at_b = self.find(target)
        shift = at_a + link.source - link.target - at_b  # from b's coordinates to a's
        if a == b:
            return shift == 0
        space = self._space(a, b, shift, link, covers=link.count == self.timeline.size[target])
        if space is None:
            return False
        sound, alike = self._sound(step, link, a, b, shift)
        if sound:
            self._join(a, b, shift, space, step, link, alike)
        return sound

    def _space(self, a: int, b: int, shift: int, link: Link, covers: bool) -> Space | None:
        """Where the union lives; None when the spaces do not agree."""
        x, y = self.storage[a], self.storage[b]
        if x.space in (Space.INPUT, Space.CONSTANT):
            # read only: views of it alone may live there
            viewed = link.content and covers and y.space is Space.ARENA and y.stored == 1
            return x.space if viewed else None
        if y.space in (Space.INPUT, Space.CONSTANT) or (x.space is y.space is Space.OUTPUT):
            return None
        if x.space is Space.OUTPUT:
            inside = x.low <= y.low + shift and y.high + shift <= x.high
        elif y.space is Space.OUTPUT:
            inside = y.low + shift <= x.low and x.high <= y.high + shift
        else:
            return Space.ARENA
        return Space.OUTPUT if inside else None

    def _sound(self, step: int, link: Link, a: int, b: int, shift: int) -> tuple[bool, bool]:
        """Whether no value destroys another one that is alive; and whether the values that hold the
        link's content do so wherever they overlap, even outside the link.
        """
        x, y = self.storage[a], self.storage[b]
        source, target = self.numbers(step, link)
        start = self.find(source)[1] + link.source
        linked = (start, start + link.count)
        low, high = max(x.low, y.low + shift), min(x.high, y.high + shift)
        if x.last <= step <= y.first and linked[0] <= low and high <= linked[1]:
            # one storage ends where the other begins: only this step's own values can clash
            op, number = self.timeline.steps[step], self.timeline.anatomy.number
            others = [number[v] for v in op.operands if v is not None]
            others += [number[v] for v in op.results]
            self._patience -= len(others)
            if all(v in (source, target) or self.find(v)[0] not in (a, b) for v in others):
                return link.content or self._exact(source, target, shift), link.content
        crowded = x.solid and y.solid and max(x.first, y.first) < min(x.last, y.last)
        if crowded and low < high and not link.content:
            return False, False  # some step needs both
        if x.count * y.count > min(PATIENCE, self._patience):
            return False, False
        self._patience -= x.count * y.count
        group = self._content(source), self._content(target)
        left = [(v, o, o + self.timeline.size[v]) for v, o in self.members(a)]
        right = [(v, o + shift, o + shift + self.timeline.size[v]) for v, o in self.members(b)]
        alike = link.content
        for u, u_low, u_high in left:
            for w, w_low, w_high in right:
                low, high = max(u_low, w_low), min(u_high, w_high)
                if low >= high:
                    continue
                if link.content and (self._content(u), self._content(w)) == group:
                    if linked[0] <= low and high <= linked[1]:
                        continue
                    alike = False
                if not (self._before(u, w, u_low - w_low) or self._before(w, u, w_low - u_low)):
                    return False, False
        return True, alike

    def _before(self, u: int, w: int, distance: int) -> bool:
        """Whether u is dead when w, ``distance`` bytes before it, is stored."""
        last, born = self.timeline.last[u], self.timeline.born[w]
        if last != born:
            return last < born
        return self.timeline.born[u] < born and distance == 0 and self._overwrites(u, w, born)

    def _exact(self, source: int, target: int, shift: int) -> bool:
        distance = self.find(source)[1] - self.find(target)[1] - shift
        return self._before(source, target, distance)

    def _overwrites(self, u: int, w: int, step: int) -> bool:
        """Whether every operand of a step that is u may be overwritten by the result w."""
        op, anatomy = self.timeline.steps[step], self.timeline.anatomy
        allowed = {
            (link.operand, link.result)
            for link in anatomy.links[op]
            if not link.content and link.count == self.timeline.size[u] == self.timeline.size[w]
        }
        result = next(i for i, value in enumerate(op.results) if anatomy.number[value] == w)
        operands = [value for value in op.operands if value is not None]
        return all(
            (i, result) in allowed for i, value in enumerate(operands) if anatomy.number[value] == u
        )

    def _content(self, value: int) -> int:
        while self._group[value] != value:
            value = self._group[value]
        return value

    def _join(self, a: int, b: int, shift: int, space: Space, step: int, link: Link, alike: bool) -> None:  # fmt: skip
        x, y = self.storage[a], self.storage[b]
        source, target = self.numbers(step, link)
        group = -1
        if alike:
            group, into = self._content(source), self._content(target)
            if self.storage[a].count > self.storage[b].count:
                group, into = into, group
            self._group[group] = into
        viewed = link.content and link.count == self.timeline.size[target]
        child, root = (a, b) if x.count < y.count else (b, a)
        move = shift if root == b else 0  # of the coordinates of b, seen from the new root
        self._undo.append((child, root, x if root == a else y, y if root == a else x, group))
        self._parent[child] = root
        self._shift[child] = shift if child == b else -shift
        self._next[child], self._next[root] = self._next[root], self._next[child]
        self._charge(x, -1)
        self._charge(y, -1)
        alike_extents = (x.low, x.high) == (y.low + shift, y.high + shift)
        touching = max(x.first, y.first) <= min(x.last, y.last)
        self.storage[root] = Storage(
            min(x.low, y.low + shift) - move, max(x.high, y.high + shift) - move,
            min(x.first, y.first), max(x.last, y.last),
            space, x.count + y.count, x.stored + y.stored - viewed,
            x.solid and y.solid and alike_extents and touching,
        )  # fmt: skip
        self._charge(self.storage[root], 1)

    def rollback(self, mark: int) -> None:
        """Undo every union since ``mark``."""
        while len(self._undo) > mark:
            child, root, of_root, of_child, group = self._undo.pop()
            self._charge(self.storage[root], -1)
            self.storage[root] = of_root
            self._charge(of_root, 1)
            self._charge(of_child, 1)
            self._next[child], self._next[root] = self._next[root], self._next[child]
            self._parent[child] = child
            self._shift[child] = 0
            if group >= 0:
                self._group[group] = group

    def _charge(self, storage: Storage, sign: int) -> None:
        bytes = sign * (storage.high - storage.low)
        end = self.steps + 1 if storage.space is Space.OUTPUT else storage.last + 1
        if not bytes or storage.space is Space.CONSTANT:
            return
        self.total[max(storage.first, 0) : end] += bytes
        if storage.space is Space.ARENA:
            self.live[storage.first : end] += bytes
