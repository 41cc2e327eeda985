"""Arithmetic on sizes, done when compiling: integer tensors whose elements are ints and sizes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from dlc.errors import DlcError
from dlc.ir import sizes
from dlc.ir.expr import Arg, Call, Const, Expr
from dlc.ir.graph import Value
from dlc.ir.operator import Array, Operator
from dlc.ir.sizes import Dim, Size, low_of
from dlc.ir.types import TensorType

#: tensors with more elements are no shapes
_MOST = 256


def known_result(operator: Operator, operands: Sequence[Value], result: TensorType) -> Array | None:
    """The elements (ints and sizes) an operator gives for operands that are known but for symbols.

    None where one of them is not known, all are numbers (constants are folded elsewhere), or the
    operator does arithmetic that sizes do not have.
    """
    if not any(v.constant is None and v.sizes is not None for v in operands):
        return None
    if not result.is_static or result.capacity > _MOST:
        return None
    found_all = [_elements(value) for value in operands]
    arrays = [array for array in found_all if array is not None]
    if len(arrays) < len(found_all):
        return None
    expr = getattr(operator, "expr", None)
    try:
        if isinstance(expr, Expr):
            broadcast = np.broadcast_arrays(*arrays)
            exact = any(v.type.dtype.is_float for v in operands) or result.dtype.is_float
            rows = zip(*(a.ravel() for a in broadcast), strict=True)
            return _objects([_cell(expr, row, exact) for row in rows], result.dims)
        given = [
            v.constant if v.constant is not None else a
            for v, a in zip(operands, arrays, strict=True)
        ]
        (found,) = operator.evaluate(given)
        found = np.asarray(found)
    except (DlcError, TypeError, ValueError, KeyError, AttributeError, IndexError):
        return None
    fits = found.dtype == object and found.shape == result.shape
    return found if fits else None


def _elements(value: Value) -> Array | None:
    if value.constant is None or value.constant.dtype.kind not in "fb":
        return value.sizes
    return value.constant.astype(object) if value.constant.size <= _MOST else None


def _objects(cells: Sequence[Any], shape: Sequence[int]) -> Array:
    array = np.empty(len(cells), object)
    array[:] = cells
    return array.reshape(shape)


def _cell(expr: Expr, cell: Sequence[Any], exact: bool) -> Any:
    """One element; ``exact``: among floats, where a quotient is not rounded."""
    if isinstance(expr, Arg):
        return cell[expr.index]
    if isinstance(expr, Const):
        return expr.value
    assert isinstance(expr, Call)
    arguments = [_whole(_cell(argument, cell, exact)) for argument in expr.args]
    found = _FUNCTIONS[expr.function](*arguments)
    if exact and expr.function == "div" and found * arguments[1] != arguments[0]:
        raise TypeError("a quotient of floats that may have a fraction")
    return found


def _whole(value: Any) -> Dim:
    """A number as an int; TypeError when it has a fraction, for sizes have none."""
    if isinstance(value, Size | int):
        return int(value) if isinstance(value, bool) else value
    if not math.isfinite(value) or value != int(value):
        raise TypeError(f"{value} is no size")
    return int(value)


def _quotient(a: Dim, b: Dim) -> Dim:
    """Integer division truncates: as it rounds down, where nothing is negative."""
    if low_of(a) < 0 or low_of(b) <= 0:
        raise TypeError("a division of negative sizes")
    return sizes.floordiv(a, b)


def _same(a: Dim) -> Dim:
    return a


_FUNCTIONS: Mapping[str, Callable[..., Dim]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "neg": lambda a: -a,
    "div": _quotient,
    "fmod": lambda a, b: a - _quotient(a, b) * b,
    "max": sizes.maximum,
    "min": sizes.minimum,
    "eq": sizes.equal,
    "lt": sizes.less,
    "le": lambda a, b: 1 - sizes.less(b, a),
    "not": lambda a: sizes.equal(a, 0),
    "and": lambda a, b: sizes.minimum(a, b),
    "or": lambda a, b: sizes.maximum(a, b),
    "select": sizes.select,
    **dict.fromkeys(("floor", "ceil", "round", "i64", "i32", "f32", "f64", "bool"), _same),
}
