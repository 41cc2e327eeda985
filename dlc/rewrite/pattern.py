"""Patterns: what a rewrite rule looks for, as a tree of ops and values with named captures.

    op("onnx.BatchNormalization", op("onnx.Conv", name="conv", once=True), ..., name="bn")
    op("transpose", op("transpose", value("x"), name="inner"), name="outer")
    op(("onnx.Add", "onnx.Mul"), value("x"), constant("c"), commutative=True)
    op("onnx.Conv", group=1, auto_pad=lambda pad: pad != "VALID")

An op is named as textual IR names it: ``onnx.Relu`` for a named op, ``map`` for a core op. A capture
used twice matches only where both places hold the same value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import EllipsisType
from typing import Any

from dlc.ir.graph import Graph, Op, Value
from dlc.ir.operator import Operator


@dataclass(slots=True)
class Match:
    """What a pattern found: the root op and the captures by name."""

    root: Op
    values: dict[str, Value | None] = field(default_factory=dict)
    ops: dict[str, Op] = field(default_factory=dict)

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


class Pattern:
    """Base: something an operand is matched against."""

    __slots__ = ()

    @property
    def depth(self) -> int:
        """How many ops, one reading the other, the pattern spans."""
        return 0

    def mismatch(self, value: Value | None, reader: Op, match: Match) -> str | None:
        """Match an operand of ``reader``, adding captures; the reason when it does not match."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class ValuePattern(Pattern):
    """Any value; see ``value``, ``constant`` and ``optional``."""

    name: str | None = None
    constant: bool = False
    optional: bool = False

    def mismatch(self, value: Value | None, reader: Op, match: Match) -> str | None:
        if value is None:
            if not self.optional:
                return f"an operand of {reader.operator.label} is absent"
        elif self.constant and value.constant is None:
            return f"{_described(value)} is not a constant"
        if self.name is not None:
            if self.name in match.values and match.values[self.name] is not value:
                return f"the two places of {self.name!r} hold different values"
            match.values[self.name] = value
        return None


@dataclass(frozen=True, slots=True)
class OpPattern(Pattern):
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

    def match(self, op: Op) -> Match | str:
        """Match with ``op`` as the root: the captures, or the reason why it does not match."""
        match = Match(op)
        reason = self._op_mismatch(op, match)
        return match if reason is None else reason

    def mismatch(self, value: Value | None, reader: Op, match: Match) -> str | None:
        if value is None:
            return f"an operand of {reader.operator.label} is absent"
        reason = self._op_mismatch(value.op, match)
        if reason is None and self.once and value.user is not reader:
            other = next((use.op for use in value.uses if use.op is not reader), reader)
            reason = f"{_described(value)} is also read by {_named(other)}"
        if reason is None and self.name is not None:
            match.values[self.name] = value
        return reason

    def _op_mismatch(self, op: Op, match: Match) -> str | None:
        if self.kinds and op.operator.label not in self.kinds:
            return f"{_named(op)} is not {' or '.join(self.kinds)}"
        for key, wanted in self.attributes.items():
            found = _attribute(op.operator, key)
            if not (wanted(found) if callable(wanted) else found == wanted):
                return f"{_named(op)} has {key} {found!r}"
        reason = self._operands_mismatch(op, op.operands, match)
        if reason is not None and self.commutative and len(op.operands) == 2:
            reason = self._operands_mismatch(op, op.operands[::-1], match) and reason
        if reason is None and self.name is not None:
            match.ops[self.name] = op
        return reason

    def _operands_mismatch(
        self, op: Op, operands: tuple[Value | None, ...], match: Match
    ) -> str | None:
        missing = len(self.operands) - len(operands)
        if not self.rest and missing < 0:
            return f"{_named(op)} has {len(operands)} operands"
        values, ops = dict(match.values), dict(match.ops)
        for pattern, value in zip(self.operands, operands + (None,) * missing, strict=False):
            reason = pattern.mismatch(value, op, match)
            if reason is not None:
                match.values, match.ops = values, ops
                return reason
        return None


@dataclass(frozen=True, slots=True)
class Either(Pattern):
    """The first of several patterns that matches; see ``either``."""

    choices: tuple[Pattern, ...]

    @property
    def depth(self) -> int:
        return max(choice.depth for choice in self.choices)

    def mismatch(self, value: Value | None, reader: Op, match: Match) -> str | None:
        reasons = []
        for choice in self.choices:
            reason = choice.mismatch(value, reader, match)
            if reason is None:
                return None
            reasons.append(reason)
        return "; ".join(reasons)


def op(kinds: str | tuple[str, ...] = (), *operands: Pattern | EllipsisType,
       name: str | None = None, once: bool = False, commutative: bool = False,
       **attributes: object | Callable[[Any], bool]) -> OpPattern:  # fmt: skip
    """An op of one of ``kinds`` (any, if none is given), captured as ``name``.

    ``operands`` match its operands in order, all of them unless the last is ``...``; without any the
    operands are free, and where fewer operands are present than patterns the rest count as absent.
    ``once``: nothing but the op above it in the pattern reads it. ``commutative``: two operands
    match in either order. Each attribute must equal a value or satisfy a predicate (defaults of
    the ONNX schema included).
    """
    patterns = tuple(operand for operand in operands if isinstance(operand, Pattern))
    rest = len(patterns) < len(operands) or not operands
    kinds = (kinds,) if isinstance(kinds, str) else kinds
    return OpPattern(kinds, patterns, rest, name, once, commutative, attributes)


def value(name: str | None = None) -> ValuePattern:
    """Any value, captured as ``name``."""
    return ValuePattern(name)


def constant(name: str | None = None) -> ValuePattern:
    """A value known when compiling, captured as ``name``."""
    return ValuePattern(name, constant=True)


def optional(name: str | None = None) -> ValuePattern:
    """A value or an absent operand, captured as ``name``."""
    return ValuePattern(name, optional=True)


def either(*choices: Pattern) -> Either:
    """The first of these patterns that matches."""
    return Either(choices)


def _attribute(operator: Operator, key: str) -> Any:
    read = getattr(operator, "attr", None)  # named ops: the attribute or its default in the schema
    return getattr(operator, key, None) if read is None else read(key)


def _named(op: Op) -> str:
    return f"{op.operator.label} {op.label!r}" if op.label else op.operator.label


def _described(value: Value) -> str:
    return f"the result of {_named(value.op)}"
