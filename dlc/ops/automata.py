"""Regular expressions as deterministic automata over bytes (RE2's syntax, as far as Python parses it).

A pattern becomes a nondeterministic automaton (Thompson's construction) over UTF-8, and that a
table by the subset construction. Anchors and word boundaries depend on the byte before and the one
after, so a state of the table knows whether the last byte was of a word, and what follows without
reading is found when the next byte is known.
"""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dlc.errors import UnsupportedError
from dlc.ir.operator import Array

_PARSER: Any = importlib.import_module("re._parser")  # a parser under a public name does not exist
#: of a table: more are an attack, or a pattern that must be rewritten
MAX_STATES = 2000
MAX_NODES = 20_000
_END = 256  # what follows the last byte
_WORD = frozenset((*range(48, 58), *range(65, 91), 95, *range(97, 123)))
_CATEGORIES = {
    "DIGIT": [(48, 57)], "SPACE": [(9, 10), (12, 13), (32, 32)],
    "WORD": [(48, 57), (65, 90), (95, 95), (97, 122)],
}  # fmt: skip
_LAST = 0x10FFFF
Ranges = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Automaton:
    """A table: state 0 is the first, ``next[state, kind[byte]]`` follows, ``accepts`` are the ends."""

    kind: Array  # u8[256]
    next: Array  # u16[states, kinds]
    accepts: Array  # bool[states]

    def matches(self, data: bytes) -> bool:
        """Whether it accepts the bytes, all of them."""
        state = 0
        for byte in data:
            state = int(self.next[state, self.kind[byte]])
        return bool(self.accepts[state])


def compiled(pattern: str) -> Automaton:
    """The automaton that accepts what a pattern matches in full.

    Raises UnsupportedError for what is not regular (back references, lookaround), for flags, and for
    a pattern whose table would be too large.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # [[:alpha:]] of RE2 is something else in Python
            tree: Any = _PARSER.parse(pattern, re.ASCII)
    except (re.error, Warning, RecursionError, OverflowError) as error:
        raise UnsupportedError(f"the pattern {pattern!r} does not parse: {error}") from None
    if tree.state.flags & ~re.ASCII:
        raise UnsupportedError(f"the pattern {pattern!r} has flags; write what they mean")
    nodes = _Nodes(pattern)
    start, end = nodes.new(), nodes.new()
    nodes.sequence(tree, start, end)
    return _table(nodes, start, end)


@dataclass(slots=True)
class _Nodes:
    """The nondeterministic automaton: from each node, steps by a byte, and free ones on a condition."""

    pattern: str
    bytes: list[list[tuple[int, int, int]]] = field(default_factory=list)
    """Of each node: lowest byte, highest, target."""
    free: list[list[tuple[str, int]]] = field(default_factory=list)
    """Of each node: condition ("" for none), target."""

    def new(self) -> int:
        if len(self.bytes) >= MAX_NODES:
            raise UnsupportedError(f"the pattern {self.pattern!r} is too long for a table")
        self.bytes.append([])
        self.free.append([])
        return len(self.bytes) - 1

    def sequence(self, items: Iterable[Any], start: int, end: int) -> None:
        """Between two nodes, what the items match one after the other."""
        here = start
        for op, argument in items:
            after = self.new()
            self.item(str(op), argument, here, after)
            here = after
        self.free[here].append(("", end))

    def item(self, op: str, argument: Any, start: int, end: int) -> None:
        if op in ("LITERAL", "NOT_LITERAL"):
            ranges = [(argument, argument)]
            self.characters(ranges if op == "LITERAL" else _others(ranges), start, end)
        elif op == "ANY":
            self.characters(_others([(10, 10)]), start, end)
        elif op == "IN":
            self.characters(_class(argument), start, end)
        elif op == "AT":
            self.free[start].append((str(argument), end))
        elif op == "SUBPATTERN":
            if argument[1] or argument[2]:
                raise UnsupportedError(
                    f"the pattern {self.pattern!r} has flags; write what they mean"
                )
            self.sequence(argument[3], start, end)
        elif op == "BRANCH":
            for branch in argument[1]:
                self.sequence(branch, start, end)
        elif op in ("MAX_REPEAT", "MIN_REPEAT"):  # which of them is no matter for a full match
            least, most, repeated = argument
            self.repeated(least, most, repeated, start, end)
        else:
            raise UnsupportedError(f"the pattern {self.pattern!r} is not regular ({op.lower()})")

    def repeated(self, least: int, most: Any, items: Any, start: int, end: int) -> None:
        here = start
        for _ in range(least):
            after = self.new()
            self.sequence(items, here, after)
            here = after
        if most is _PARSER.MAXREPEAT:
            again = self.new()
            self.free[here].append(("", again))
            self.sequence(items, again, again)
            self.free[again].append(("", end))
            return
        for _ in range(int(most) - least):
            self.free[here].append(("", end))
            after = self.new()
            self.sequence(items, here, after)
            here = after
        self.free[here].append(("", end))

    def characters(self, ranges: Ranges, start: int, end: int) -> None:
        """Steps over the UTF-8 of any character in the ranges."""
        for low, high in ranges:
            for steps in _utf8(low, high):
                here = start
                for k, (first, last) in enumerate(steps):
                    after = end if k == len(steps) - 1 else self.new()
                    self.bytes[here].append((first, last, after))
                    here = after


def _class(items: Sequence[Any]) -> Ranges:
    ranges: list[tuple[int, int]] = []
    negated = False
    for op, argument in items:
        kind = str(op)
        if kind == "NEGATE":
            negated = True
        elif kind == "LITERAL":
            ranges.append((argument, argument))
        elif kind == "RANGE":
            ranges.append(argument)
        else:
            name = str(argument).removeprefix("CATEGORY_")
            found = _CATEGORIES[name.removeprefix("NOT_")]
            ranges += _others(found) if name.startswith("NOT_") else found
    return _others(ranges) if negated else ranges


def _others(ranges: Ranges) -> Ranges:
    """The characters outside all of the ranges."""
    found, at = [], 0
    for low, high in sorted(ranges):
        if low > at:
            found.append((at, low - 1))
        at = max(at, high + 1)
    return [*found, (at, _LAST)] if at <= _LAST else found


def _utf8(low: int, high: int) -> Iterator[list[tuple[int, int]]]:
    """Sequences of byte ranges that together are the UTF-8 of the characters from low to high."""
    for first, last in ((0, 0x7F), (0x80, 0x7FF), (0x800, 0xFFFF), (0x10000, _LAST)):
        a, b = max(low, first), min(high, last)
        if a <= b:
            count = len(chr(first).encode())
            yield from _aligned(_encoded(a, count), _encoded(b, count))


def _encoded(character: int, count: int) -> list[int]:
    if count == 1:
        return [character]
    tail = [0x80 | character >> 6 * k & 0x3F for k in reversed(range(count - 1))]
    return [(0xF00 >> count & 0xFF) | character >> 6 * (count - 1), *tail]


def _aligned(a: list[int], b: list[int]) -> Iterator[list[tuple[int, int]]]:
    """Ranges for each byte such that every combination of them lies between a and b."""
    if len(a) == 1 or a[0] == b[0]:
        rest = [[]] if len(a) == 1 else _aligned(a[1:], b[1:])
        yield from ([(a[0], b[0] if len(a) == 1 else a[0]), *steps] for steps in rest)
        return
    lowest, highest = [0x80] * (len(a) - 1), [0xBF] * (len(a) - 1)
    first, last = a[0], b[0]
    if a[1:] != lowest:
        yield from ([(first, first), *steps] for steps in _aligned(a[1:], highest))
        first += 1
    tail = []
    if b[1:] != highest:
        tail = [[(last, last), *steps] for steps in _aligned(lowest, b[1:])]
        last -= 1
    if first <= last:
        yield [(first, last), *[(0x80, 0xBF)] * (len(a) - 1)]
    yield from tail


# ---- subset construction ------------------------------------------------------------------------

_State = tuple[frozenset[int], str]
"""Nodes before anything free was followed, and what came last: "start", "word" or "other"."""


def _table(nodes: _Nodes, start: int, end: int) -> Automaton:
    kind, samples = _kinds(nodes)
    first: _State = (frozenset([start]), "start")
    numbers: dict[_State, int] = {first: 0}
    rows: list[list[int]] = []
    accepts: list[bool] = []
    waiting: list[_State] = [first]
    for state in waiting:
        row = []
        for byte in samples:
            found = _after(nodes, state, byte)
            if found not in numbers:
                if len(numbers) >= MAX_STATES:
                    raise UnsupportedError(
                        f"the pattern {nodes.pattern!r} needs a table of over {MAX_STATES} states"
                    )
                numbers[found] = len(numbers)
                waiting.append(found)
            row.append(numbers[found])
        rows.append(row)
        accepts.append(end in _closure(nodes, state, _END))
    return Automaton(kind, np.array(rows, np.uint16), np.array(accepts))


def _kinds(nodes: _Nodes) -> tuple[Array, list[int]]:
    """Bytes that nothing tells apart are of one kind: the kind of each, and one byte of each kind."""
    cuts = {low for steps in nodes.bytes for low, _, _ in steps}
    cuts |= {high + 1 for steps in nodes.bytes for _, high, _ in steps}
    cuts |= {byte for byte in range(257) if (byte in _WORD) != (byte - 1 in _WORD)}
    ordered = sorted(cut for cut in cuts | {0} if cut < 256)
    kind = np.searchsorted(ordered, np.arange(256), side="right") - 1
    return kind.astype(np.uint8), ordered


def _after(nodes: _Nodes, state: _State, byte: int) -> _State:
    reached = {
        target
        for node in _closure(nodes, state, byte)
        for low, high, target in nodes.bytes[node]
        if low <= byte <= high
    }
    return frozenset(reached), "word" if byte in _WORD else "other"


def _closure(nodes: _Nodes, state: _State, following: int) -> set[int]:
    """All nodes reached without reading, the last byte and the following one being known."""
    members, last = state
    found, waiting = set(members), list(members)
    while waiting:
        for condition, target in nodes.free[waiting.pop()]:
            if target not in found and _holds(nodes, condition, last, following):
                found.add(target)
                waiting.append(target)
    return found


def _holds(nodes: _Nodes, condition: str, last: str, following: int) -> bool:
    boundary = (last == "word") != (following in _WORD)
    known = {
        "": True, "AT_BEGINNING": last == "start", "AT_BEGINNING_STRING": last == "start",
        "AT_END": following == _END, "AT_END_STRING": following == _END,
        "AT_BOUNDARY": boundary, "AT_NON_BOUNDARY": not boundary,
    }  # fmt: skip
    if condition not in known:
        raise UnsupportedError(f"the pattern {nodes.pattern!r} has the anchor {condition.lower()}")
    return known[condition]
