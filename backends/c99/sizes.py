"""Sizes known at run time as C: expressions over one ``ptrdiff_t`` variable per symbol."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from dlc.backends.c99.names import Names, identifier
from dlc.errors import UnsupportedError
from dlc.ir.scalars import SCALARS
from dlc.ir.sizes import Apply, Dim, Size, Sum, Symbol, low_of

HEADER = "dlc_sizes.h"
"""The kernel header of the functions that sizes are computed with."""

TERNARY, COMPARISON, SUM, QUOTIENT, PRODUCT, UNARY = range(6)
"""How tightly a text binds; a part of a text binds tighter than its surroundings or is in ()."""

_LARGEST = 2**63 - 1
_CALLS = {"floordiv": "dlc_floordiv", "max": "dlc_max_size", "min": "dlc_min_size"}
_COMPARES = {"equal": "==", "less": "<"}
_OWN = re.compile(  # names that emitted functions give to what is theirs
    r"(in|out|b|t|i|now|next|size)\d*|\w+_at_\d+|dlc_\w*|\w+_t|"
    r"acc|arena|again|going|got|limit|mem|old|scratch|status|turn|value|want|weights"
)
_FUNCTIONS = frozenset(name for name in SCALARS) | frozenset(f"{name}f" for name in SCALARS)


class SymbolNames:
    """One C identifier for each symbol of a model, the same in every function; made on demand."""

    def __init__(self, names: Names, taken: Iterable[str] = ()) -> None:
        self._names = names
        self._taken = frozenset(taken)
        self._found: dict[Symbol, str] = {}

    def __getitem__(self, symbol: Symbol) -> str:
        if symbol not in self._found:
            name = self._names.unique(_resembling(symbol.name))
            while name in self._taken:
                name = self._names.unique(_resembling(symbol.name))
            self._found[symbol] = name
        return self._found[symbol]

    def __iter__(self) -> Iterator[tuple[Symbol, str]]:
        """Symbols with their names, in the order they were first asked for."""
        return iter(self._found.items())


def _resembling(name: str) -> str:
    """An identifier like a symbol's name: ``N``, ``batch``, ``selected``; no macro, no local."""
    short = identifier(name, "size")
    if len(short) == 1 and short != "i":  # I is a macro of complex.h
        return short.upper()  # loop variables are lower case
    return f"{short}_size" if _OWN.fullmatch(short) or short in _FUNCTIONS else short


Text = tuple[str, int]
"""C and how tightly it binds."""


def size_text(dim: Dim, name: Callable[[Symbol], str], headers: set[str], level: int = TERNARY) -> str:  # fmt: skip
    """A dim as C that can stand where texts of ``level`` can; ``name`` says how symbols are read.

    Raises UnsupportedError where a ptrdiff_t of 64 bits might not hold it.
    """
    text, own = _text(dim, name, headers)
    return text if own >= level else f"({text})"


def failure_text(condition: Size, name: Callable[[Symbol], str], headers: set[str]) -> str:
    """C that is true where a condition is 0."""
    if isinstance(condition, Apply) and condition.function in _COMPARES:
        left, right = _sides(condition, name, headers)
        if condition.function == "equal":
            return f"{left} != {right}"
        constant = isinstance(condition.arguments[0], int)
        return f"{right} <= {left}" if constant else f"{left} >= {right}"
    return f"{size_text(condition, name, headers, SUM)} == 0"


def _text(dim: Dim, name: Callable[[Symbol], str], headers: set[str]) -> Text:
    if isinstance(dim, int):
        return str(int(dim)), UNARY if dim >= 0 else PRODUCT
    if isinstance(dim, Symbol):
        return name(dim), UNARY
    if isinstance(dim, Sum):
        return _sum(dim, name, headers)
    assert isinstance(dim, Apply)
    return _apply(dim, name, headers)


def _sum(dim: Sum, name: Callable[[Symbol], str], headers: set[str]) -> Text:
    most = abs(dim.constant)
    parts: list[tuple[bool, str]] = []
    grows = dim.constant > 0 or any(k > 0 for _, k in dim.terms)  # so no minus begins the text
    for monomial, k in dim.terms:
        alone = Sum(((monomial, k),))
        most += max(abs(alone.low), abs(alone.bound))
        level = QUOTIENT if grows and len(monomial) == abs(k) == 1 else UNARY
        factors = [size_text(atom, name, headers, level) for atom in monomial]
        parts.append((k < 0, " * ".join([*([] if abs(k) == 1 else [str(abs(k))]), *factors])))
    if most > _LARGEST:
        raise UnsupportedError(f"the size {dim} may not fit 64 bits; give its symbols lower bounds")
    if dim.constant:
        parts.append((dim.constant < 0, str(abs(dim.constant))))
    parts.sort(key=lambda part: part[0])  # what is added comes first
    first, *rest = parts
    head = f"-{first[1]}" if first[0] else first[1]
    text = head + "".join(f" {'-' if minus else '+'} {term}" for minus, term in rest)
    return text, PRODUCT if not rest else SUM


def _apply(dim: Apply, name: Callable[[Symbol], str], headers: set[str]) -> Text:
    if dim.function == "select":
        condition, a, b = dim.arguments
        chosen = _condition(condition, name, headers)
        yes, no = (size_text(d, name, headers, SUM) for d in (a, b))
        return f"{chosen} ? {yes} : {no}", TERNARY
    left, right = dim.arguments
    if dim.function in _COMPARES:
        return f" {_COMPARES[dim.function]} ".join(_sides(dim, name, headers)), COMPARISON
    if dim.function == "floordiv" and low_of(left) >= 0 and low_of(right) >= 1:
        dividend = size_text(left, name, headers, QUOTIENT)
        return f"{dividend} / {size_text(right, name, headers, UNARY)}", QUOTIENT
    headers.add(HEADER)
    arguments = ", ".join(size_text(d, name, headers) for d in (left, right))
    return f"{_CALLS[dim.function]}({arguments})", UNARY


def _sides(compared: Apply, name: Callable[[Symbol], str], headers: set[str]) -> list[str]:
    sides = compared.arguments
    if compared.function == "equal" and isinstance(sides[0], int):
        sides = sides[::-1]  # a constant comes second
    return [size_text(side, name, headers, SUM) for side in sides]


def _condition(condition: Dim, name: Callable[[Symbol], str], headers: set[str]) -> str:
    if isinstance(condition, Apply) and condition.function in _COMPARES:
        return size_text(condition, name, headers, COMPARISON)
    return f"{size_text(condition, name, headers, SUM)} != 0"
