"""Patterns of whole products and sums, whatever the order and the grouping of their ops.

    product(value("x"), op("onnx.Sigmoid", value("x")))             # x * sigmoid(x)
    product(value("x"), value("x"), times=0.5)                      # x^2 / 2, Pow and Div included
    total(value("x"), negative(op("onnx.ReduceMean", value("x"), ...)), plus=0.0)
    product(value("d"), inverse(op("onnx.Sqrt", value("v"))))       # d / sqrt(v), or with Reciprocal

A product is a tree of Mul, Div, Neg, Reciprocal and Pow by a small whole number; a sum one of Add,
Sub, Neg and Sum; on floats. Constants of one element are multiplied (added) into one number, which
the pattern states or captures. What is left, the members, must fit the pattern's members in some
order. An op belongs to the tree only if nothing outside the tree reads it, and a member may itself be
such an op: `product(value("q"), times="scale")` fits any value, and finds the factors in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from dlc.ir.graph import Op, Value
from dlc.rewrite.pattern import Match, OpPattern, Pattern, is_close, single

_HIGHEST_POWER = 4
#: a tree with more ops is no formula, and taking it apart would take long
_MOST_OPS = 6


@dataclass(frozen=True, slots=True)
class _Member:
    """A value in a product or sum, read by ``reader``; ``inverted``: divided by or subtracted."""

    value: Value
    inverted: bool
    reader: Op
    number: float
    """The value, if it is a constant of one element; else NaN."""

    @property
    def is_open(self) -> bool:
        """Whether it is no number, so that a pattern must fit it."""
        return math.isnan(self.number)


@dataclass(frozen=True, slots=True)
class _Split:
    """A product or sum taken apart: its members, the number beside them, the ops of its tree."""

    members: tuple[_Member, ...]
    number: float
    ops: tuple[Op, ...]


# members of an op as (operand, inverted), and the number beside them; None when it is not such an op
_Parts = tuple[Sequence[tuple[Value, bool]], float] | None


def _factors(op: Op) -> _Parts:
    a, b = (*op.operands, None, None)[:2]
    kind = op.operator.label
    if a is None:
        return None
    if kind == "onnx.Neg":
        return [(a, False)], -1.0
    if kind == "onnx.Reciprocal":
        return [(a, True)], 1.0
    if b is None:
        return None
    if kind in ("onnx.Mul", "onnx.Div"):
        return [(a, False), (b, kind == "onnx.Div")], 1.0
    if kind == "onnx.Pow":
        power = single(b)
        if power in range(2, _HIGHEST_POWER + 1):
            return [(a, False)] * int(power), 1.0
    return None


def _terms(op: Op) -> _Parts:
    kind, operands = op.operator.label, [value for value in op.operands if value is not None]
    if kind == "onnx.Neg":
        return [(operands[0], True)], 0.0
    if kind in ("onnx.Add", "onnx.Sum"):
        return [(value, False) for value in operands], 0.0
    if kind == "onnx.Sub":
        return [(operands[0], False), (operands[1], True)], 0.0
    return None


@dataclass(frozen=True, slots=True)
class _Operation:
    """What makes a product a product, or a sum a sum."""

    name: str
    adds: str
    inverts: str
    kinds: tuple[str, ...]
    parts: Callable[[Op], _Parts]
    neutral: float
    join: Callable[[float, float], float]
    invert: Callable[[float], float]


_PRODUCT = _Operation(
    "product", "multiplies by", "divided",
    ("onnx.Mul", "onnx.Div", "onnx.Neg", "onnx.Reciprocal", "onnx.Pow"), _factors,
    1.0, lambda a, b: a * b, lambda a: 1 / a if a else math.inf,
)  # fmt: skip
_SUM = _Operation(
    "sum", "adds", "subtracted", ("onnx.Add", "onnx.Sub", "onnx.Neg", "onnx.Sum"), _terms,
    0.0, lambda a, b: a + b, lambda a: -a,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Inverted:
    """A member that is divided by or subtracted; see ``inverse`` and ``negative``."""

    pattern: Pattern


@dataclass(frozen=True, slots=True)
class Combination(OpPattern):
    """A product or a sum; see ``product`` and ``total``."""

    operation: _Operation
    members: tuple[tuple[Pattern, bool], ...]
    number: float | str
    name: str | None = None

    @property
    def kinds(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.operation.kinds

    @property
    def depth(self) -> int:
        return len(self.members) + 2 + max(pattern.depth for pattern, _ in self.members)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset().union(*(pattern.needs for pattern, _ in self.members))

    def fits(self, op: Op, match: Match) -> Iterator[Match]:
        start = self._opened(op) if op.types and op.types[0].dtype.is_float else None
        if start is None:
            match.missed("{} is not a {}", op, self.operation.name)
        else:
            yield from self._fits(start, op, match)

    def find(self, value: Value | None, reader: Op, match: Match) -> Iterator[Match]:
        if value is None:
            match.missed("an operand of {} is absent", reader.operator.label)
            return
        whole = _Split((_Member(value, False, reader, single(value)),), self.operation.neutral, ())
        alone = self._fits(whole, value.op, match) if len(self.members) == 1 else ()
        ways = [self.fits(value.op, match), alone]  # a value is the product of itself
        # what others read too is better left alone, if that will do
        for way in ways if value.user is reader else ways[::-1]:
            for found in way:
                yield from found.captured(self.name, value)

    # ---- taking apart -----------------------------------------------------------------------

    def _splits(self, start: _Split, match: Match) -> Sequence[_Split]:
        """The ways to take ``start`` apart that end with as many members as the pattern has."""
        key = (self.operation.name, len(self.members), *(m.value for m in start.members), start.ops)
        known = match.shared.get(key)
        if known is None:
            known = match.shared[key] = ([], [])
            self._take_apart(start, (), *known)
        splits, shared = known
        for value, other in shared:
            match.missed("{} is also read by {}", value, other)
        return splits

    def _take_apart(
        self, todo: _Split, done: tuple[_Member, ...], found: list[_Split],
        shared: list[tuple[Value, Op]],
    ) -> None:  # fmt: skip
        if not todo.members:
            if len(done) == len(self.members):
                found.append(_Split(done, todo.number, todo.ops))
            return
        first = todo.members[0]
        rest = _Split(todo.members[1:], todo.number, todo.ops)
        if not first.is_open:
            rest = self._joined(rest, _Split((), first.number, ()), first)
            self._take_apart(rest, done, found, shared)
            return
        if len(done) + sum(member.is_open for member in todo.members) > len(self.members):
            return
        inner = self._opened(first.value.op) if len(todo.ops) < _MOST_OPS else None
        if inner is not None:
            if first.value.user is first.reader:
                self._take_apart(self._joined(rest, inner, first), done, found, shared)
            else:
                readers = (use.op for use in first.value.uses)
                other = next((op for op in readers if op is not first.reader), first.reader)
                shared.append((first.value, other))
        self._take_apart(rest, (*done, first), found, shared)

    def _joined(self, rest: _Split, inner: _Split, place: _Member) -> _Split:
        """``rest`` with what stands in the place of one of its members."""
        operation, members, number = self.operation, inner.members, inner.number
        if place.inverted:
            number = operation.invert(number)
            members = tuple(_Member(m.value, not m.inverted, m.reader, m.number) for m in members)
        number = operation.join(rest.number, number)
        return _Split((*members, *rest.members), number, (*rest.ops, *inner.ops))

    def _opened(self, op: Op) -> _Split | None:
        """The members of an op, None when it is not of the operation."""
        parts = self.operation.parts(op)
        if parts is None:
            return None
        members = tuple(_Member(v, inverted, op, single(v)) for v, inverted in parts[0])
        return _Split(members, parts[1], (op,))

    # ---- matching ---------------------------------------------------------------------------

    def _fits(self, start: _Split, op: Op, match: Match) -> Iterator[Match]:
        splits = self._splits(start, match)
        for split in splits:
            for fit in self._assign(self.members, split.members, match.entered(*split.ops)):
                yield from self._numbered(split.number, op, fit)
        if not splits:
            many = f"{self.operation.name} of {len(self.members)} values"
            match.missed("{} is not a {}", op, many)

    def _assign(
        self, patterns: Sequence[tuple[Pattern, bool]], members: Sequence[_Member], match: Match
    ) -> Iterator[Match]:
        """The ways to give each pattern a member of its own."""
        if not patterns:
            yield match
            return
        (pattern, inverted), rest = patterns[0], patterns[1:]
        for index, member in enumerate(members):
            if member.inverted != inverted:
                how = "is {} by {}" if member.inverted else "is not {} by {}"
                match.missed("{} " + how, member.value, self.operation.inverts, member.reader)
                continue
            others = [*members[:index], *members[index + 1 :]]
            for found in pattern.find(member.value, member.reader, match):
                yield from self._assign(rest, others, found)

    def _numbered(self, number: float, op: Op, match: Match) -> Iterator[Match]:
        """The match, if the number is the one wanted; a named one is captured."""
        wanted = self.number
        if isinstance(wanted, str):
            if match.numbers.get(wanted, number) != number:
                match.missed("the two places of {} hold different numbers", repr(wanted))
            elif math.isfinite(number):
                yield replace(match, numbers=match.numbers | {wanted: number})
        elif is_close(number, wanted, op.types[0].dtype):
            yield match
        else:
            texts = f"{number:.7g}", f"{wanted:.7g}"
            match.missed("{} {} {}, not {}", op, self.operation.adds, *texts)


def product(
    *factors: Pattern | Inverted, times: float | str = 1.0, name: str | None = None
) -> OpPattern:
    """The product of these factors and ``times``, a number or the name it is captured as.

    ``name`` captures the value of the product where it is an operand.
    """
    return Combination(_PRODUCT, _members(factors), times, name)


def total(
    *terms: Pattern | Inverted, plus: float | str = 0.0, name: str | None = None
) -> OpPattern:
    """The sum of these terms and ``plus``, a number or the name it is captured as.

    ``name`` captures the value of the sum where it is an operand.
    """
    return Combination(_SUM, _members(terms), plus, name)


def inverse(pattern: Pattern) -> Inverted:
    """A factor of a product that is divided by."""
    return Inverted(pattern)


def negative(pattern: Pattern) -> Inverted:
    """A term of a sum that is subtracted."""
    return Inverted(pattern)


def _members(given: Sequence[Pattern | Inverted]) -> tuple[tuple[Pattern, bool], ...]:
    return tuple((m.pattern, True) if isinstance(m, Inverted) else (m, False) for m in given)
