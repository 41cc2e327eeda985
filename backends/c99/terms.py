"""Scalar expressions as typed terms: equal subtrees are one term, certain outcomes are folded.

The folding is not for speed, which is the C compiler's part: compilers warn of comparisons whose
outcome is certain and of tests of constants, and emitted C compiles without a warning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dlc.backends.c99.dtypes import (
    FLOATS,
    INTEGERS,
    NARROW_FLOATS,
    NARROW_INTEGERS,
    c_type,
    limits,
    literal,
)
from dlc.errors import UnsupportedError, VerifyError
from dlc.ir.expr import CASTS, Arg, Call, Const, Expr, operand_dtype
from dlc.ir.operator import Array
from dlc.ir.scalars import SCALARS
from dlc.ir.types import DType

COMPUTABLE = FLOATS | INTEGERS | {DType.BOOL}
CONVERTIBLE = COMPUTABLE | NARROW_FLOATS | frozenset(NARROW_INTEGERS)
_PARSED = frozenset({DType.F32, DType.F64, DType.I64, DType.U64})  # what a string is read as
_INTEGER_FUNCTIONS = frozenset(
    {"add", "sub", "mul", "neg", "div", "pow", "fmod", "max", "min", "abs", "sign",
     "bitand", "bitor", "bitxor", "bitnot", "shl", "shr"}
)  # fmt: skip
_BITS = frozenset({"bitand", "bitor", "bitxor", "bitnot", "shl", "shr"})
_LOGIC_FUNCTIONS = frozenset({"and", "or", "xor", "not"})
_BOOL_FUNCTIONS = frozenset(name for name, row in SCALARS.items() if row.result == "bool")


@dataclass(slots=True)
class Term:
    """A node of the expression.

    ``function`` is a scalar function, a cast (the name of a dtype), ``arg``, ``const``, or
    ``max_const`` and ``min_const``, whose second operand is a finite constant.
    """

    function: str
    operands: tuple[int, ...]
    dtype: DType
    inner: DType
    """What it computes in: the dtype of its operands."""
    text: str = ""
    """C, of arguments and constants."""
    value: Array | None = None
    """Of constants."""


@dataclass(slots=True)
class Terms:
    """The terms of an expression over arguments given as (C text, dtype); operands come first."""

    arguments: Sequence[tuple[str, DType]]
    all: list[Term] = field(default_factory=list)
    _known: dict[tuple[object, ...], int] = field(default_factory=dict)

    def number(self, expr: Expr, want: DType | None) -> int:
        """The term that computes ``expr``; ``want`` types a constant."""
        if isinstance(expr, Arg):
            text, dtype = self.arguments[expr.index]
            return self._add("arg", (), dtype, dtype, text)
        if isinstance(expr, Const):
            typed = DType.BOOL if isinstance(expr.value, bool) else want
            if typed is None:
                raise VerifyError(f"the constant {expr} has no dtype; wrap it in a cast")
            return self._const(expr.value, typed)
        assert isinstance(expr, Call)
        if expr.function in CASTS:
            target = CASTS[expr.function]
            return self._cast(target, self.number(expr.args[0], target))
        inner = operand_dtype(expr, [dtype for _, dtype in self.arguments]) or want
        operands = [self.number(arg, inner) for arg in expr.args]
        inner = inner or self.all[operands[-1]].dtype
        if expr.function in _LOGIC_FUNCTIONS:
            operands = [self._cast(DType.BOOL, operand) for operand in operands]
            inner = DType.BOOL
        elif expr.function == "select":
            operands[0] = self._cast(DType.BOOL, operands[0])
        else:
            _check(expr.function, inner)
        return self._call(expr.function, operands, inner)

    def _call(self, function: str, operands: list[int], inner: DType) -> int:
        dtype = DType.BOOL if function in _BOOL_FUNCTIONS else inner
        folded = self._folded(function, operands, dtype)
        if folded is None:
            folded = self._certain(function, operands, inner)
        if folded is not None:
            return folded
        if inner is DType.BOOL and function in ("lt", "le"):
            no = self._call("not", operands[:1], DType.BOOL)
            return self._call("and" if function == "lt" else "or", [no, operands[1]], DType.BOOL)
        if function in ("max", "min") and any(self._is_finite(i) for i in operands):
            if self._is_finite(operands[0]):
                operands.reverse()  # the constant second: a NaN in the other then stays
            function += "_const"
        return self._add(function, tuple(operands), dtype, inner)

    def _folded(self, function: str, operands: Sequence[int], dtype: DType) -> int | None:
        """The value of a call of constants, if it is exact."""
        values = [self.all[operand].value for operand in operands]
        known = [value for value in values if value is not None]
        if len(known) < len(values) or dtype in FLOATS:
            return None
        if function in CASTS:
            saturates = known[0].dtype.kind == "f" and dtype in INTEGERS
            return None if saturates else self._const(known[0], dtype)
        with np.errstate(all="ignore"):
            return self._const(SCALARS[function].numpy(*known), dtype)

    def _certain(self, function: str, operands: Sequence[int], inner: DType) -> int | None:
        """The result where it is one operand, or a constant, whatever the other operands are."""
        left, right = operands[0], operands[-1]
        if function == "select":
            return right if operands[1] == right else None
        if inner in FLOATS or inner not in COMPUTABLE or len(operands) != 2:
            return None
        zero = self._const(0, inner)
        if function in ("and", "or"):
            absorbing = zero if function == "and" else self._const(1, inner)
            return absorbing if absorbing in operands else None
        if function == "mul" and zero in operands:
            return zero
        if function == "sub" and left == right:
            return zero
        return self._compared(function, left, right)

    def _compared(self, function: str, left: int, right: int) -> int | None:
        """The result of a comparison that the ranges of its operands decide."""
        a, b = self._range(left), self._range(right)
        if function in ("max", "min") and (a[1] <= b[0] or b[1] <= a[0]):
            return right if (function == "max") == (a[1] <= b[0]) else left
        if function in ("eq", "xor") and (left == right or a[1] < b[0] or b[1] < a[0]):
            return self._const((function == "eq") == (left == right), DType.BOOL)
        if function == "lt" and (left == right or a[1] < b[0] or b[1] <= a[0]):
            return self._const(left != right and a[1] < b[0], DType.BOOL)
        if function == "le" and (left == right or a[1] <= b[0] or b[1] < a[0]):
            return self._const(left == right or a[1] <= b[0], DType.BOOL)
        return None

    def _range(self, number: int) -> tuple[int, int]:
        """The least and the greatest value an integer or bool term can have."""
        term = self.all[number]
        if term.value is not None:
            return int(term.value), int(term.value)
        lowest, highest = map(int, limits(term.dtype))
        if term.function in CASTS and term.inner not in FLOATS:
            low, high = self._range(term.operands[0])
            if lowest <= low and high <= highest:
                return low, high
        return lowest, highest

    def _cast(self, target: DType, operand: int) -> int:
        source = self.all[operand].dtype
        if source is target:
            return operand
        step = _between(source, target)
        if step is not None:
            return self._cast(target, self._cast(step, operand))
        known = {source, target} <= CONVERTIBLE or (source is DType.STRING and target in _PARSED)
        if not known or target is DType.F8E8M0:
            raise UnsupportedError(
                f"a cast from {source.value} to {target.value} cannot be compiled to C yet"
            )
        folded = self._folded(target.value, [operand], target)
        return self._add(target.value, (operand,), target, source) if folded is None else folded

    def _const(self, value: Any, dtype: DType) -> int:
        with np.errstate(all="ignore"):
            number = self._add("const", (), dtype, dtype, literal(value, dtype))
            self.all[number].value = np.asarray(value).astype(dtype.numpy)
        return number

    def _is_finite(self, number: int) -> bool:
        value = self.all[number].value
        return value is not None and bool(np.isfinite(value))

    def _add(self, function: str, operands: tuple[int, ...], dtype: DType, inner: DType,
             text: str = "") -> int:  # fmt: skip
        c_type(dtype)  # a dtype C cannot store is an error here
        key = (function, operands, dtype, inner, text)
        if key not in self._known:
            self._known[key] = len(self.all)
            self.all.append(Term(function, operands, dtype, inner, text))
        return self._known[key]


def _between(source: DType, target: DType) -> DType | None:
    """The dtype a conversion goes through: C converts narrow types from and to few others."""
    if source is DType.STRING:
        if target in _PARSED:
            return None
        if target.is_integer:
            return DType.I64
        return DType.F32 if target in NARROW_FLOATS and target is not DType.F16 else DType.F64
    if source in NARROW_FLOATS:
        return None if target is DType.F32 else DType.F32
    if source in NARROW_INTEGERS:
        plain = NARROW_INTEGERS[source]
        return None if target is plain else plain
    if target in NARROW_FLOATS and source not in FLOATS:
        # as numpy does: the wide integers through f64, where the target can tell the difference
        return DType.F64 if source.nbytes >= 4 and target is DType.F16 else DType.F32
    if target in NARROW_INTEGERS and source not in FLOATS:
        return None if source is DType.I32 else DType.I32
    return None


def _check(function: str, inner: DType) -> None:
    """Raise UnsupportedError unless ``function`` of ``inner`` has a C form."""
    allowed = (
        (inner in FLOATS and function not in _BITS)
        or (inner in COMPUTABLE and function in ("eq", "lt", "le"))
        or (inner is DType.STRING and function == "eq")
    )
    if inner in INTEGERS:
        allowed |= function in _INTEGER_FUNCTIONS
    if not allowed:
        raise UnsupportedError(
            f"the scalar function {function} has no C form for {inner.value} yet"
        )
