"""Patterns: what a rewrite rule looks for, as a tree of ops and values with named captures.

    op("onnx.BatchNormalization", op("onnx.Conv", name="conv", once=True), ..., name="bn")
    op("transpose", op("transpose", value("x"), name="inner"), name="outer")
    op(("onnx.Add", "onnx.Mul"), value("x"), constant("c"), commutative=True)
    op("onnx.Conv", group=1, auto_pad=lambda pad: pad != "VALID")

An op is named as textual IR names it: ``onnx.Relu`` for a named op, ``map`` for a core op. A capture
used twice matches only where both places hold the same value. Every order of commutative operands
and every choice is tried until the whole pattern fits (a search with backtracking); when none
does, the reason is that of the attempt which matched the most ops, as a parser reports the
furthest token it reached. ``dlc.rewrite.algebra`` has patterns of whole products and sums.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import EllipsisType
from typing import Any

from dlc.ir.graph import Graph, Op, Value
from dlc.ir.operator import Operator
from dlc.ir.types import DType

#: relative error that a constant of a formula may have: 0.797885 is meant to be sqrt(2 / pi)
TOLERANCE = 1e-5
_EPSILON = {DType.F16: 2.0**-10, DType.BF16: 2.0**-7}
_MOST_REASONS = 3
_MOST_PERMUTED = 4


@dataclass(slots=True)
class _Trail:
    """What all attempts from one root share; the reasons of those that had matched the most ops."""

    #: what patterns have found out about the graph, for all attempts from one root
    shared: dict[Hashable, Any] = field(default_factory=dict)
    reached: int = 0
    reasons: list[tuple[str, tuple[object, ...]]] = field(default_factory=list)

    def text(self) -> str:
        """The reasons; formatted only here, for most are never read."""
        texts = dict.fromkeys(
            template.format(*map(_described, things)) for template, things in self.reasons
        )
        return "; ".join(itertools.islice(texts, _MOST_REASONS))


@dataclass(slots=True)
class Match:
    """What a pattern found: the root op and the captures by name."""

    root: Op
    values: dict[str, Value | None] = field(default_factory=dict)
    ops: dict[str, Op] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    #: the ops that op patterns, products and sums matched, the root among them
    matched: tuple[Op, ...] = ()
    _trail: _Trail = field(default_factory=_Trail)

    @property
    def graph(self) -> Graph:
        return self.root.graph

    def __getitem__(self, name: str) -> Value:
        """The captured value ``name`` (KeyError when there is none or the operand is absent)."""
        value = self.values[name]
        if value is None:
            raise KeyError(f"operand {name!r} is absent")
        return value

    def get(self, name: str) -> Value | None:
        """The captured value, None when its operand is absent or was not reached."""
        return self.values.get(name)

    def op(self, name: str) -> Op:
        """The captured op ``name``."""
        return self.ops[name]

    def number(self, name: str) -> float:
        """The captured factor or term ``name`` (see ``dlc.rewrite.algebra``)."""
        return self.numbers[name]

    def escape(self) -> str | None:
        """Why what the pattern matched cannot go: an op inside it that something else reads too."""
        inside = set(self.matched)
        for op in self.matched:
            if op is self.root:
                continue
            for result in op.results:
                for use in result.uses:
                    if use.op not in inside:
                        return f"{_described(result)} is also read by {_described(use.op)}"
        return None

    def why_not(self) -> str:
        """Why no attempt that started from this match succeeded."""
        return self._trail.text()

    # ---- for patterns -----------------------------------------------------------------------

    @property
    def shared(self) -> dict[Hashable, Any]:
        """Where a pattern keeps what it computes once for all attempts from one root."""
        return self._trail.shared

    def missed(self, template: str, *things: object) -> None:
        """Note why an attempt fails here; the template names ops and values as ``{}``."""
        trail = self._trail
        if len(self.matched) > trail.reached:
            trail.reached, trail.reasons = len(self.matched), []
        if len(self.matched) == trail.reached:
            trail.reasons.append((template, things))

    def entered(self, *ops: Op) -> Match:
        """The match with more ops in it."""
        return replace(self, matched=(*self.matched, *ops))

    def captured(self, name: str | None, value: Value | None) -> Iterator[Match]:
        """The match with a value captured; nothing where ``name`` stands for another value."""
        if name is None:
            yield self
        elif name not in self.values:
            yield replace(self, values=self.values | {name: value})
        elif self.values[name] is value:
            yield self
        else:
            self.missed("the two places of {} hold different values", repr(name))


class Pattern:
    """Base: something an operand is matched against."""

    __slots__ = ()

    @property
    def depth(self) -> int:
        """How many ops, one reading the other, the pattern spans."""
        return 0

    @property
    def needs(self) -> frozenset[str]:
        """Kinds of ops that are in every match; a graph that lacks one has none."""
        return frozenset()

    def find(self, value: Value | None, reader: Op, match: Match) -> Iterator[Match]:
        """The ways the pattern fits an operand of ``reader``: ``match`` with more captures.

        Where there is none, ``match.missed`` is told why.
        """
        raise NotImplementedError


class OpPattern(Pattern):
    """A pattern of ops, so that a rule can start with it: one op, a choice, a product, a sum."""

    __slots__ = ()

    #: what the op may be; any when empty
    kinds: tuple[str, ...]

    def match(self, op: Op) -> Match | str:
        """Match with ``op`` as the root: the captures, or the reason why it does not match."""
        start = Match(op)
        found = next(self.fits(op, start), None)
        return start.why_not() if found is None else found

    def fits(self, op: Op, match: Match) -> Iterator[Match]:
        """The ways the pattern fits an op."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class ValuePattern(Pattern):
    """Any value; see ``value``, ``constant``, ``scalar`` and ``optional``."""

    name: str | None = None
    constant: bool = False
    optional: bool = False
    number: float | None = None

    def find(self, value: Value | None, reader: Op, match: Match) -> Iterator[Match]:
        if value is None:
            if not self.optional:
                match.missed("an operand of {} is absent", reader.operator.label)
                return
        elif self.constant and value.constant is None:
            match.missed("{} is not a constant", value)
            return
        elif self.number is not None and not is_close(single(value), self.number, value.type.dtype):
            match.missed("{} is not {}", value, f"{self.number:.7g}")
            return
        yield from match.captured(self.name, value)


@dataclass(frozen=True, slots=True)
class OneOp(OpPattern):
    """An op of some kind; see ``op``."""

    kinds: tuple[str, ...]
    operands: tuple[Pattern, ...]
    rest: bool
    name: str | None
    once: bool
    commutative: bool
    attributes: Mapping[str, Any]

    @property
    def depth(self) -> int:
        return 1 + max((operand.depth for operand in self.operands), default=0)

    @property
    def needs(self) -> frozenset[str]:
        own = frozenset(self.kinds if len(self.kinds) == 1 else ())
        return own.union(*(operand.needs for operand in self.operands))

    def find(self, value: Value | None, reader: Op, match: Match) -> Iterator[Match]:
        if value is None:
            match.missed("an operand of {} is absent", reader.operator.label)
            return
        for found in self.fits(value.op, match):
            if self.once and value.user is not reader:
                other = next((use.op for use in value.uses if use.op is not reader), reader)
                found.missed("{} is also read by {}", value, other)
            else:
                yield from found.captured(self.name, value)

    def fits(self, op: Op, match: Match) -> Iterator[Match]:
        if self.kinds and op.operator.label not in self.kinds:
            match.missed("{} is not {}", op, " or ".join(self.kinds))
            return
        match = match.entered(op)
        for key, wanted in self.attributes.items():
            found = _attribute(op.operator, key)
            if not (wanted(found) if callable(wanted) else found == wanted):
                match.missed("{} has {} {}", op, key, repr(found))
                return
        missing = len(self.operands) - len(op.operands)
        if not self.rest and missing < 0:
            match.missed("{} has {} operands", op, str(len(op.operands)))
            return
        for order in self._orders(op.operands + (None,) * missing):
            for fit in fits_all(self.operands, order, op, match):
                yield fit if self.name is None else replace(fit, ops=fit.ops | {self.name: op})

    def _orders(self, operands: tuple[Value | None, ...]) -> Iterator[tuple[Value | None, ...]]:
        if not self.commutative or not 2 <= len(operands) <= _MOST_PERMUTED:
            return iter([operands])
        return iter(dict.fromkeys(itertools.permutations(operands)))


@dataclass(frozen=True, slots=True)
class Either(OpPattern):
    """The first of several patterns that fits; see ``either``."""

    choices: tuple[Pattern, ...]

    @property
    def depth(self) -> int:
        return max(choice.depth for choice in self.choices)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset.intersection(*(choice.needs for choice in self.choices))

    @property
    def kinds(self) -> tuple[str, ...]:  # type: ignore[override]
        kinds = [choice.kinds for choice in self.choices if isinstance(choice, OpPattern)]
        return tuple(dict.fromkeys(itertools.chain(*kinds))) if all(kinds) else ()

    def find(self, value: Value | None, reader: Op, match: Match) -> Iterator[Match]:
        for choice in self.choices:
            yield from choice.find(value, reader, match)

    def fits(self, op: Op, match: Match) -> Iterator[Match]:
        for choice in self.choices:
            if isinstance(choice, OpPattern):
                yield from choice.fits(op, match)


def op(kinds: str | tuple[str, ...] = (), *operands: Pattern | EllipsisType,
       name: str | None = None, once: bool = False, commutative: bool = False,
       **attributes: object | Callable[[Any], bool]) -> OpPattern:  # fmt: skip
    """An op of one of ``kinds`` (any, if none is given), captured as ``name``.

    ``operands`` match its operands in order, all of them unless the last is ``...``; without any the
    operands are free, and where fewer operands are present than patterns the rest count as absent.
    ``once``: nothing but the op above it in the pattern reads it. ``commutative``: its operands (two
    to four) match in any order. Each attribute must equal a value or satisfy a predicate (defaults
    of the ONNX schema included).
    """
    patterns = tuple(operand for operand in operands if isinstance(operand, Pattern))
    rest = len(patterns) < len(operands) or not operands
    kinds = (kinds,) if isinstance(kinds, str) else kinds
    return OneOp(kinds, patterns, rest, name, once, commutative, attributes)


def value(name: str | None = None) -> ValuePattern:
    """Any value, captured as ``name``."""
    return ValuePattern(name)


def constant(name: str | None = None) -> ValuePattern:
    """A value known when compiling, captured as ``name``."""
    return ValuePattern(name, constant=True)


def scalar(number: float) -> ValuePattern:
    """A constant of one element that is ``number``, as exactly as its dtype and ``TOLERANCE`` say."""
    return ValuePattern(constant=True, number=number)


def optional(name: str | None = None) -> ValuePattern:
    """A value or an absent operand, captured as ``name``."""
    return ValuePattern(name, optional=True)


def either(*choices: Pattern) -> OpPattern:
    """The first of these patterns that fits."""
    return Either(choices)


def fits_all(
    patterns: Sequence[Pattern], values: Sequence[Value | None], reader: Op, match: Match
) -> Iterator[Match]:
    """The ways each pattern fits the value in its place; values beyond the patterns are free."""
    if not patterns:
        yield match
        return
    for found in patterns[0].find(values[0], reader, match):
        yield from fits_all(patterns[1:], values[1:], reader, found)


def single(value: Value) -> float:
    """The number in a floating-point constant of one element, NaN for anything else."""
    array = value.constant
    if array is None or array.size != 1 or not value.type.dtype.is_float:
        return math.nan
    return float(array.reshape(-1)[0])


def is_close(found: float, wanted: float, dtype: DType) -> bool:
    """Whether a constant of a formula is the one meant, rounded to its dtype (perhaps twice)."""
    tolerance = max(TOLERANCE, 2 * _EPSILON.get(dtype, 0.0))
    return math.isclose(found, wanted, rel_tol=tolerance)


def _attribute(operator: Operator, key: str) -> Any:
    read = getattr(operator, "attr", None)  # named ops: the attribute or its default in the schema
    return getattr(operator, key, None) if read is None else read(key)


def _described(thing: object) -> str:
    if isinstance(thing, Value):
        number = single(thing)
        if not math.isnan(number):
            return f"the constant {number:.7g}"
        return f"the result of {_described(thing.op)}"
    if isinstance(thing, Op):
        kind = thing.operator.label
        return f"{kind} {thing.label!r}" if thing.label else kind
    return str(thing)
