"""Sizes known only at run time: integer expressions over bounded symbols, in a normal form.

A ``Symbol`` is a run-time integer with a proven interval. Arithmetic on symbols and ints gives
polynomials (``Sum``) over symbols and over functions of sizes (``Apply``); what is equal for every
value of the symbols is, as far as the normal form shows, the same object by ``==``. Everything
that computes shapes and strides with ints therefore computes them with sizes.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING

_PLAIN = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def quoted(name: str) -> str:
    """A name as textual IR writes it: plain where it is an identifier, else a JSON string."""
    return name if _PLAIN.fullmatch(name) else json.dumps(name)


class Size:
    """An integer known at run time, between ``low`` and ``bound`` (both included).

    ``==`` compares the normal forms; there is no order, use ``surely_less`` or the intervals.
    """

    __slots__ = ()

    if TYPE_CHECKING:  # fields of Symbol, properties of the others

        @property
        def low(self) -> int: ...
        @property
        def bound(self) -> int: ...

    def __add__(self, other: Dim) -> Dim:
        return _sum([(self, 1), (other, 1)])

    def __radd__(self, other: int) -> Dim:
        return _sum([(other, 1), (self, 1)])

    def __sub__(self, other: Dim) -> Dim:
        return _sum([(self, 1), (other, -1)])

    def __rsub__(self, other: int) -> Dim:
        return _sum([(other, 1), (self, -1)])

    def __neg__(self) -> Dim:
        return _sum([(self, -1)])

    def __mul__(self, other: Dim) -> Dim:
        return _product(self, other)

    def __rmul__(self, other: int) -> Dim:
        return _product(other, self)

    def __floordiv__(self, other: Dim) -> Dim:
        return floordiv(self, other)

    def __rfloordiv__(self, other: int) -> Dim:
        return floordiv(other, self)

    def __mod__(self, other: Dim) -> Dim:
        return self - floordiv(self, other) * other

    def __rmod__(self, other: int) -> Dim:
        return other - floordiv(other, self) * self

    def __bool__(self) -> bool:
        raise TypeError(f"whether {self} is zero is known only at run time")


Dim = int | Size


@dataclass(frozen=True, slots=True)
class Symbol(Size):
    """A run-time integer (``N<=8`` in text; ``-2<=N<=8`` where it may be negative).

    Symbols named ``group.0``, ``group.1`` ... with a ``joint`` bound have a product of at most that
    (the dims of a tensor whose number of elements is known).
    """

    name: str
    bound: int  # pyright: ignore[reportIncompatibleMethodOverride]  # a field is a property, too
    low: int = 0  # pyright: ignore[reportIncompatibleMethodOverride]
    joint: int | None = None

    def __str__(self) -> str:
        low = f"{self.low}<=" if self.low else ""
        joint = "" if self.joint is None else f"|{self.joint}"
        return f"{low}{quoted(self.name)}<={self.bound}{joint}"

    @property
    def group(self) -> str:
        """The name without its number within a joint bound."""
        return self.name.rpartition(".")[0]


@dataclass(frozen=True, slots=True)
class AtMost:
    """In the place of a size: known only at run time, and never above ``bound``."""

    bound: int


Monomial = tuple[Size, ...]  # symbols and functions, sorted by their text


@dataclass(frozen=True, slots=True)
class Sum(Size):
    """``constant + sum(coefficient * product(monomial))``, the terms sorted by their text."""

    terms: tuple[tuple[Monomial, int], ...]
    constant: int = 0

    @property
    def low(self) -> int:
        return _interval(self)[0]

    @property
    def bound(self) -> int:
        return _interval(self)[1]

    def ends(self) -> tuple[int, int]:
        """The interval, from those of the parts."""
        scaled = [_scaled(m, k) for m, k in self.terms]
        return self.constant + sum(map(min, scaled)), self.constant + sum(map(max, scaled))

    def __str__(self) -> str:
        parts = []
        for monomial, k in self.terms:
            factors = [] if abs(k) == 1 else [str(abs(k))]
            parts.append(("-" if k < 0 else "+", " * ".join([*factors, *map(str, monomial)])))
        if self.constant:
            parts.append(("-" if self.constant < 0 else "+", str(abs(self.constant))))
        text = "".join(f" {sign} {term}" for sign, term in parts)
        return f"({text.removeprefix(' + ') if text.startswith(' + ') else '-' + text[3:]})"


@dataclass(frozen=True, slots=True)
class Apply(Size):
    """A function of sizes: one of ``FUNCTIONS``."""

    function: str
    arguments: tuple[Dim, ...]

    @property
    def low(self) -> int:
        return _interval(self)[0]

    @property
    def bound(self) -> int:
        return _interval(self)[1]

    def ends(self) -> tuple[int, int]:
        """The interval, from those of the arguments."""
        found = self._candidates()
        return min(found), max(found)

    def _candidates(self) -> list[int]:
        ends = [(low_of(a), bound_of(a)) for a in self.arguments]
        if self.function in ("max", "min"):
            pick = max if self.function == "max" else min
            return [pick(low for low, _ in ends), pick(high for _, high in ends)]
        if self.function == "select":
            return [*ends[1], *ends[2]]
        if self.function == "floordiv":
            (a, b), (c, d) = ends
            divisors = {e for e in (c, d, -1, 1) if c <= e <= d and e}
            # division by zero gives zero
            return [0] * (c <= 0 <= d) + [n // e for n in (a, b) for e in divisors] or [0]
        return [0, 1]

    def __str__(self) -> str:
        return f"{self.function}({', '.join(map(str, self.arguments))})"


@lru_cache(maxsize=1 << 16)  # without it each level of a nest would double the work
def _interval(size: Sum | Apply) -> tuple[int, int]:
    return size.ends()


#: meaning of each function in Python ints; ``select(c, a, b)`` is a when c is not zero
FUNCTIONS: Mapping[str, Callable[..., int]] = {
    "floordiv": lambda a, b: a // b if b else 0,
    "max": max,
    "min": min,
    "equal": lambda a, b: int(a == b),
    "less": lambda a, b: int(a < b),
    "select": lambda c, a, b: a if c else b,
}


def low_of(dim: Dim) -> int:
    """The least value of a dim."""
    return dim if isinstance(dim, int) else dim.low


def bound_of(dim: Dim) -> int:
    """The greatest value of a dim."""
    return dim if isinstance(dim, int) else dim.bound


def _scaled(monomial: Monomial, k: int) -> list[int]:
    ends = [k]
    for atom in monomial:
        ends = [end * e for end in ends for e in {atom.low, atom.bound}]
        ends = [min(ends), max(ends)]
    groups: dict[str, list[Symbol]] = {}
    for atom in monomial:
        if isinstance(atom, Symbol) and atom.joint is not None:
            groups.setdefault(atom.group, []).append(atom)
    for symbols in groups.values():
        joint = symbols[0].joint
        assert joint is not None
        most = math.prod(s.bound for s in symbols)
        if len(set(symbols)) == len(symbols) and most > joint:
            ends = [-(-end * joint // most) if end > 0 else end * joint // most for end in ends]
    return ends


def _terms(dim: Dim) -> tuple[tuple[tuple[Monomial, int], ...], int]:
    if isinstance(dim, int):
        return (), int(dim)
    if isinstance(dim, Sum):
        return dim.terms, dim.constant
    return (((dim,), 1),), 0


def _built(terms: Mapping[Monomial, int], constant: int) -> Dim:
    kept = tuple(sorted(((m, k) for m, k in terms.items() if k), key=_order))
    if not kept:
        return constant
    if not constant and len(kept) == 1 and kept[0][1] == 1 and len(kept[0][0]) == 1:
        return kept[0][0][0]
    return Sum(kept, constant)


def _order(term: tuple[Monomial, int]) -> tuple[int, str]:
    return -len(term[0]), " ".join(map(str, term[0]))


def _sum(parts: Iterable[tuple[Dim, int]]) -> Dim:
    found: dict[Monomial, int] = {}
    constant = 0
    for dim, factor in parts:
        terms, offset = _terms(dim)
        constant += factor * offset
        for monomial, k in terms:
            found[monomial] = found.get(monomial, 0) + factor * k
    return _built(found, constant)


def _product(a: Dim, b: Dim) -> Dim:
    (left, p), (right, q) = _terms(a), _terms(b)
    found: dict[Monomial, int] = {}
    for m, j in (*left, ((), p)):
        for n, k in (*right, ((), q)):
            monomial = tuple(sorted((*m, *n), key=str))
            found[monomial] = found.get(monomial, 0) + j * k
    return _built(found, found.pop((), 0))


def floordiv(a: Dim, b: Dim) -> Dim:
    """``a // b``, rounded down; 0 where b is 0."""
    if isinstance(a, int) and isinstance(b, int):
        return FUNCTIONS["floordiv"](a, b)
    terms, constant = _terms(a)
    if isinstance(b, int):
        if b == 1:
            return a
        if b > 0:  # what b divides leaves the division
            whole = {m: k // b for m, k in terms if k % b == 0}
            rest = _built({m: k for m, k in terms if k % b}, constant % b)
            inner = rest // b if isinstance(rest, int) else _quotient(rest, b)
            return _built(whole, constant // b) + inner
        return _quotient(a, b)
    divisors, offset = _terms(b)
    if len(divisors) == 1 and not offset:
        divisor, factor = divisors[0]
        found: dict[Monomial, int] = {}
        for monomial, k in (*terms, *([((), constant)] if constant else [])):
            rest_of = _without(monomial, divisor)
            if rest_of is None or k % factor:
                break
            found[rest_of] = found.get(rest_of, 0) + k // factor
        else:
            return _built(found, found.pop((), 0))
    return _quotient(a, b)


def _quotient(a: Dim, b: Dim) -> Dim:
    if isinstance(b, int) and b > 0 and low_of(a) // b == bound_of(a) // b:
        return low_of(a) // b
    return Apply("floordiv", (a, b))


def _without(monomial: Monomial, divisor: Monomial) -> Monomial | None:
    left = list(monomial)
    for atom in divisor:
        if atom not in left:
            return None
        left.remove(atom)
    return tuple(left)


def ceildiv(a: Dim, b: Dim) -> Dim:
    """``a // b`` rounded up, for b above 0."""
    return -floordiv(-a, b)


def maximum(a: Dim, b: Dim) -> Dim:
    """The greater of two dims."""
    if a == b or low_of(a) >= bound_of(b):
        return a
    return b if low_of(b) >= bound_of(a) else Apply("max", tuple(sorted((a, b), key=str)))


def minimum(a: Dim, b: Dim) -> Dim:
    """The less of two dims."""
    if a == b or bound_of(a) <= low_of(b):
        return a
    return b if bound_of(b) <= low_of(a) else Apply("min", tuple(sorted((a, b), key=str)))


def equal(a: Dim, b: Dim) -> Dim:
    """1 where the dims are equal, else 0."""
    if a == b:
        return 1
    difference = a - b
    if low_of(difference) > 0 or bound_of(difference) < 0:
        return 0
    return Apply("equal", tuple(sorted((a, b), key=str)))


def less(a: Dim, b: Dim) -> Dim:
    """1 where a < b, else 0."""
    difference = a - b
    if bound_of(difference) < 0:
        return 1
    return 0 if low_of(difference) >= 0 else Apply("less", (a, b))


def select(condition: Dim, a: Dim, b: Dim) -> Dim:
    """``a`` where the condition is not 0, else ``b``."""
    if isinstance(condition, int):
        return a if condition else b
    return a if a == b else Apply("select", (condition, a, b))


def surely_less(a: Dim, b: Dim) -> bool:
    """Whether a < b for every value of the symbols, as far as intervals show."""
    return less(a, b) == 1


def surely_at_most(a: Dim, b: Dim) -> bool:
    """Whether a <= b for every value of the symbols, as far as intervals show."""
    return bound_of(a - b) <= 0


def product(dims: Iterable[Dim]) -> Dim:
    """The product of dims; 1 of none (``math.prod`` for sizes)."""
    result: Dim = 1
    for dim in dims:
        result = result * dim
    return result


def symbols_of(dim: object) -> Iterator[Symbol]:
    """Every symbol in a dim, an attribute or a nest of tuples of them, perhaps repeatedly."""
    if isinstance(dim, Symbol):
        yield dim
    elif isinstance(dim, Sum):
        yield from _symbols_of_sum(dim)
    elif isinstance(dim, Apply):
        for argument in dim.arguments:
            yield from symbols_of(argument)
    elif isinstance(dim, tuple):
        for item in dim:
            if not isinstance(item, int):
                yield from symbols_of(item)


@cache
def _symbols_of_sum(size: Sum) -> tuple[Symbol, ...]:
    return tuple(s for monomial, _ in size.terms for atom in monomial for s in symbols_of(atom))


def substitute(dim: Dim, values: Mapping[Symbol, Dim]) -> Dim:
    """The dim with symbols replaced; those not in ``values`` stay."""
    if isinstance(dim, int):
        return dim
    if isinstance(dim, Symbol):
        return values.get(dim, dim)
    if isinstance(dim, Sum):
        result: Dim = dim.constant
        for monomial, k in dim.terms:
            result = result + k * product(substitute(atom, values) for atom in monomial)
        return result
    assert isinstance(dim, Apply)
    return _BUILDERS[dim.function](*(substitute(a, values) for a in dim.arguments))


_BUILDERS: Mapping[str, Callable[..., Dim]] = {
    "floordiv": floordiv, "max": maximum, "min": minimum, "equal": equal, "less": less,
    "select": select,
}  # fmt: skip


def apply_function(name: str, *arguments: Dim) -> Dim:
    """The size ``name(arguments)`` in normal form; KeyError when there is no such function."""
    return _BUILDERS[name](*arguments)
