"""Scalar expressions as C text: free of undefined behaviour, shared subexpressions named once.

Floats use C's operators. Integers wrap, as numpy's do, by computing in an unsigned type of at least
32 bits. Every other function ``f`` of dtype ``t`` is ``dlc_f_t`` of the header ``dlc_f.h``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dlc.backends.c99.dtypes import (
    FLOATS,
    INTEGERS,
    NARROW_FLOATS,
    NARROW_INTEGERS,
    c_type,
    const_type,
    unsigned_type,
)
from dlc.backends.c99.terms import Term, Terms
from dlc.ir.expr import CASTS, Expr
from dlc.ir.types import DType

_OPERATORS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
_COMPARISONS = {"eq": "==", "lt": "<", "le": "<=", "xor": "!="}
_BITWISE = {"bitand": "&", "bitor": "|", "bitxor": "^"}
_COND, _LOGIC, _COMPARE, _SUM, _PRODUCT, _UNARY, _ATOM = range(7)  # how tightly text binds
_LEVELS = {"+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT}
_NARROW = NARROW_FLOATS | frozenset(NARROW_INTEGERS)
_LONGEST = 72  # a longer subexpression gets a name of its own


@dataclass(frozen=True, slots=True)
class Typed:
    """C text of a scalar and its dtype."""

    text: str
    dtype: DType


@dataclass(frozen=True, slots=True)
class Body:
    """Statements that define locals t0, t1 ..., then an expression that uses them."""

    statements: list[str]
    value: Typed
    headers: set[str]


def translate(expr: Expr, arguments: Sequence[Typed], want: DType | None = None) -> Body:
    """``expr`` with C text for its arguments; ``want`` types an expression of constants alone.

    Raises UnsupportedError for functions and dtypes dlc cannot compute with in C.
    """
    terms = Terms([(argument.text, argument.dtype) for argument in arguments])
    root = terms.number(expr, want)
    uses = _uses(terms.all, root)
    texts: list[tuple[str, int]] = []
    statements: list[str] = []
    headers: set[str] = set()
    for number, term in enumerate(terms.all):
        if not uses[number]:
            texts.append(("", _ATOM))
            continue
        text, level = _text(term, [texts[operand] for operand in term.operands], headers)
        long = len(text) > _LONGEST and number != root
        if (uses[number] > 1 or long) and term.function != "const" and not text.isidentifier():
            name = f"t{len(statements)}"
            statements.append(f"{const_type(term.dtype)} {name} = {text};")
            text, level = name, _ATOM
        texts.append((text, level))
    return Body(statements, Typed(texts[root][0], terms.all[root].dtype), headers)


def _uses(terms: Sequence[Term], root: int) -> list[int]:
    """How often each term is written; 0 where the root does not need it."""
    uses = [0] * len(terms)
    uses[root] = 1
    for number in range(root, -1, -1):  # operands have lower numbers
        term = terms[number]
        for position, operand in enumerate(term.operands if uses[number] else ()):
            # x < 0.0f ? 0.0f : x has x twice
            uses[operand] += 2 if term.function.endswith("_const") and position == 0 else 1
    return uses


def _text(term: Term, operands: list[tuple[str, int]], headers: set[str]) -> tuple[str, int]:
    """A term as text, and how tightly that binds."""
    function, inner = term.function, term.inner

    def at(position: int, level: int) -> str:
        text, own = operands[position]
        return text if own >= level else f"({text})"

    if function in ("arg", "const"):
        return term.text, _UNARY if term.text.startswith("-") else _ATOM
    if function in CASTS:
        return _cast(term, at(0, _UNARY), operands[0][0], headers)
    if function in ("and", "or"):
        sign = "&&" if function == "and" else "||"
        return f"{at(0, _COMPARE)} {sign} {at(1, _COMPARE)}", _LOGIC
    if function == "not":
        return f"!{at(0, _ATOM)}", _COMPARE  # !a == b alarms compilers, (!a) == b does not
    if function == "select":
        return _narrowed(inner, f"{at(0, _COMPARE)} ? {at(1, _SUM)} : {at(2, _SUM)}")
    if function in ("max_const", "min_const"):
        x, bound = at(0, _SUM), at(1, _SUM)
        sign = "<" if function == "max_const" else ">"
        return _narrowed(inner, f"{x} {sign} {bound} ? {bound} : {x}")
    if function in _COMPARISONS and inner is not DType.STRING:
        return f"{at(0, _SUM)} {_COMPARISONS[function]} {at(1, _SUM)}", _COMPARE
    if function in ("add", "sub", "mul") and inner in INTEGERS:
        return _wrapping(_OPERATORS[function], inner, at(0, _UNARY), at(1, _UNARY))
    if function in _BITWISE:
        text = f"{at(0, _UNARY)} {_BITWISE[function]} {at(1, _UNARY)}"
        return f"({c_type(inner)})({text})", _UNARY
    if function == "bitnot":
        return f"({c_type(inner)})~{at(0, _UNARY)}", _UNARY
    if function == "neg":
        if inner in INTEGERS:
            return _wrapping("-", inner, "0", at(0, _UNARY))
        return f"-{at(0, _ATOM)}", _UNARY
    if function in _OPERATORS and inner in FLOATS:
        sign = _OPERATORS[function]
        level = _LEVELS[sign]
        return f"{at(0, level)} {sign} {at(1, level + 1)}", level
    headers.add(f"dlc_{function}.h")
    return f"dlc_{function}_{inner.value}({', '.join(text for text, _ in operands)})", _ATOM


def _cast(term: Term, tight: str, plain: str, headers: set[str]) -> tuple[str, int]:
    source, target = term.inner, term.dtype
    if source is DType.STRING:
        headers.add("dlc_cast_string.h")
        return f"dlc_cast_string_{target.value}({plain})", _ATOM
    if target is DType.BOOL:
        return f"{tight} != 0", _COMPARE
    if _NARROW & {source, target}:
        headers.add("dlc_cast_narrow.h")
        return f"dlc_cast_{source.value}_{target.value}({plain})", _ATOM
    if source in FLOATS and target in INTEGERS:
        headers.add("dlc_cast.h")  # saturates; C leaves what does not fit undefined
        return f"dlc_cast_{source.value}_{target.value}({plain})", _ATOM
    return f"({c_type(target)}){tight}", _UNARY


def _wrapping(sign: str, dtype: DType, left: str, right: str) -> tuple[str, int]:
    wide = unsigned_type(dtype)
    cast = "" if wide == c_type(dtype) else f"({wide})"
    left = "0u" if left == "0" else f"{cast}{left}"
    text = f"{left} {sign} {cast}{right}"
    return (f"({c_type(dtype)})({text})", _UNARY) if cast else (text, _LEVELS[sign])


def _narrowed(dtype: DType, text: str) -> tuple[str, int]:
    """C computes ``?:`` of types shorter than int in int: back to their own type."""
    if dtype.nbytes < 4:
        return f"({c_type(dtype)})({text})", _UNARY
    return text, _COND
