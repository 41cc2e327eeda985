"""Symbols getting their values, and conditions on sizes, as C."""

from __future__ import annotations

from dlc.backends.c99.dtypes import c_type, limits, literal
from dlc.backends.c99.frame import Frame
from dlc.backends.c99.scalars import Typed
from dlc.backends.c99.sizes import failure_text
from dlc.backends.c99.writer import Writer
from dlc.errors import UnsupportedError
from dlc.ir.sizes import Symbol, bound_of, low_of
from dlc.ir.types import DType
from dlc.ops.emission import Access, Check, Define


def write_define(define: Define, frame: Frame, out: Writer) -> None:
    """Write the assignment of a symbol, its value being checked before it is converted."""
    symbol, element = define.symbol, None
    if isinstance(define.value, Access):
        element = frame.element(define.value, ())
        if not (element.dtype.is_integer or element.dtype is DType.BOOL):
            raise UnsupportedError(f"the size {symbol.name} is read from {element.dtype.value}")
        type, text, (low, high) = c_type(element.dtype), element.text, limits(element.dtype)
    else:
        type, text = "ptrdiff_t", frame.size(define.value)
        low, high = low_of(define.value), bound_of(define.value)
    out.line(f"const {type} value = {text};")
    bad = [
        *([f"value < {_end(symbol.low, element)}"] if low < symbol.low <= high else []),
        *([f"value > {_end(symbol.bound, element)}"] if low <= symbol.bound < high else []),
    ]
    if symbol.low > high or symbol.bound < low:
        bad = ["1 /* no value is in the interval */"]
    _refuse(" || ".join(bad), frame, out)
    converted = "value" if type == "ptrdiff_t" else "(ptrdiff_t)value"
    out.line(f"*{frame.pointer(symbol)} = {converted};")
    _check_joint(symbol, frame, out)
    frame.defined.append(symbol)


def _end(value: int, element: Typed | None) -> str:
    return str(value) if element is None or abs(value) < 2**31 else literal(value, element.dtype)


def check_interval(symbol: Symbol, frame: Frame, out: Writer) -> None:
    """Write the check of a value that a kernel stored."""
    text = f"*{frame.pointer(symbol)}"
    _refuse(f"{text} < {symbol.low} || {text} > {symbol.bound}", frame, out)
    _check_joint(symbol, frame, out)
    frame.defined.append(symbol)


def write_check(check: Check, frame: Frame, out: Writer) -> None:
    """Write the end of the run where a condition is 0."""
    headers: set[str] = set()
    text = failure_text(check.condition, frame.symbol, headers)
    frame.headers |= headers
    _refuse(text, frame, out)


def _check_joint(symbol: Symbol, frame: Frame, out: Writer) -> None:
    """The symbols of a group so far have a product of at most their joint bound, zeros left out.

    Zeros are left out because a product of some of the dims must not pass the bound either.
    """
    before = [s for s in frame.defined if s.joint == symbol.joint and s.group == symbol.group]
    if symbol.joint is None or not before:
        return
    frame.headers.add("dlc_sizes.h")
    factors = [f"dlc_max_size(*{frame.pointer(s)}, 1)" for s in before]
    divisor = factors[0] if len(factors) == 1 else f"({' * '.join(factors)})"
    _refuse(f"*{frame.pointer(symbol)} > {symbol.joint} / {divisor}", frame, out)


def _refuse(condition: str, frame: Frame, out: Writer) -> None:
    if condition:
        frame.headers.add("dlc_status.h")
        with out.block(f"if ({condition})"):
            out.line("return DLC_BAD_SIZE;")
