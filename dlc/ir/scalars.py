"""The scalar functions that expressions may call: meaning in numpy, name in ONNX.

One row each. The C text of a function belongs to the backend, keyed by the same name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlc.ir.numerals import parsed
from dlc.ir.types import DType

Array = Any


@dataclass(frozen=True, slots=True)
class ScalarFunction:
    """A pure function of scalars, applied element by element.

    ``result`` is ``same`` (the common dtype of the operands) or ``bool``; ``onnx`` is the ONNX
    operator of the same meaning (None: ``dlc.exporter`` composes it).
    """

    name: str
    arity: int
    numpy: Callable[..., Array]
    result: str = "same"
    onnx: str | None = None


def _integer_safe_div(a: Array, b: Array) -> Array:
    if np.issubdtype(np.asarray(a).dtype, np.inexact):
        return np.divide(a, b)
    # ONNX integer division truncates toward zero as C does; a zero divisor gives 0, never a trap.
    divisor = np.where(b == 0, np.ones_like(b), b)
    quotient = np.floor_divide(a, divisor)
    inexact = (quotient * divisor != a) & ((a < 0) != (divisor < 0))
    return np.where(b == 0, np.zeros_like(quotient), quotient + inexact.astype(quotient.dtype))


def _integer_safe_pow(a: Array, b: Array) -> Array:
    if np.issubdtype(np.asarray(a).dtype, np.inexact):
        return np.power(a, b)
    # a negative exponent gives 1 / a**-b truncated: 0, but for a of 1 and -1
    power = np.power(a, np.where(b < 0, b & 1, b))
    return np.where((b < 0) & (np.abs(a) != 1), np.zeros_like(power), power)


def _shift_left(a: Array, b: Array) -> Array:
    a, b = np.asarray(a), np.asarray(b)
    inside = (b >= 0) & (b < 8 * a.dtype.itemsize)
    return np.where(inside, np.left_shift(a, np.where(inside, b, 0)), 0).astype(a.dtype)


def _shift_right(a: Array, b: Array) -> Array:
    a, b = np.asarray(a), np.asarray(b)
    most = 8 * a.dtype.itemsize - 1
    inside = (b >= 0) & (b <= most)
    beyond = np.where(a < 0, -1, 0).astype(a.dtype)
    return np.where(inside, np.right_shift(a, np.where(inside, b, 0)), beyond).astype(a.dtype)


def _sigmoid(x: Array) -> Array:
    # exp of a non-positive number only: no overflow for either sign
    e = np.exp(-np.abs(x))
    return np.where(np.signbit(x), e / (1 + e), 1 / (1 + e)).astype(np.asarray(x).dtype)


def _erf(x: Array) -> Array:
    import math

    x = np.asarray(x)
    flat = [math.erf(v) for v in x.astype(np.float64).ravel().tolist()]
    return np.array(flat, dtype=np.float64).reshape(x.shape).astype(x.dtype)


def convert(array: Array, dtype: DType) -> Array:
    """The meaning of a cast, where C, numpy and ONNX leave it open: float to integer truncates,
    what does not fit becomes the nearest value that does, and NaN becomes 0.
    """
    array = np.asarray(array)
    if array.dtype == object and dtype is not DType.STRING:
        return parsed(array, dtype)
    source = DType.of(array)
    if not dtype.is_integer or not source.is_float:
        if not array.dtype.isbuiltin and not dtype.numpy.isbuiltin:  # ml_dtypes has not every pair
            array = array.astype(np.float64 if source.is_float else np.int64)
        return array.astype(dtype.numpy)
    wide = array.astype(np.float64)  # exact: no float is wider
    bits = int(dtype.value[1:])
    least, end = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if dtype.is_signed else (0, 2**bits)
    inside = (wide > least - 1) & (wide < end)
    whole = np.where(inside, wide, 0).astype(dtype.numpy)
    nearest = np.where(wide < 0, np.array(least, dtype.numpy), np.array(end - 1, dtype.numpy))
    return np.asarray(np.where(inside | np.isnan(wide), whole, nearest))


_TABLE = [
    ScalarFunction("add", 2, np.add, onnx="Add"),
    ScalarFunction("sub", 2, np.subtract, onnx="Sub"),
    ScalarFunction("mul", 2, np.multiply, onnx="Mul"),
    ScalarFunction("div", 2, _integer_safe_div, onnx="Div"),
    ScalarFunction("max", 2, np.maximum, onnx="Max"),  # NaN if either is NaN
    ScalarFunction("min", 2, np.minimum, onnx="Min"),  # NaN if either is NaN
    ScalarFunction("pow", 2, _integer_safe_pow, onnx="Pow"),
    ScalarFunction("fmod", 2, np.fmod),  # sign of the dividend, C's fmod and %
    ScalarFunction("neg", 1, np.negative, onnx="Neg"),
    ScalarFunction("abs", 1, np.abs, onnx="Abs"),
    ScalarFunction("sign", 1, np.sign, onnx="Sign"),
    ScalarFunction("exp", 1, np.exp, onnx="Exp"),
    ScalarFunction("log", 1, np.log, onnx="Log"),
    ScalarFunction("log1p", 1, np.log1p),  # log(1 + x) without losing a small x
    ScalarFunction("sqrt", 1, np.sqrt, onnx="Sqrt"),
    ScalarFunction("sigmoid", 1, _sigmoid, onnx="Sigmoid"),
    ScalarFunction("tanh", 1, np.tanh, onnx="Tanh"),
    ScalarFunction("erf", 1, _erf, onnx="Erf"),
    ScalarFunction("sin", 1, np.sin, onnx="Sin"),
    ScalarFunction("cos", 1, np.cos, onnx="Cos"),
    ScalarFunction("atan", 1, np.arctan, onnx="Atan"),
    ScalarFunction("floor", 1, np.floor, onnx="Floor"),
    ScalarFunction("ceil", 1, np.ceil, onnx="Ceil"),
    ScalarFunction("round", 1, np.rint, onnx="Round"),  # half to even
    ScalarFunction("isnan", 1, np.isnan, result="bool", onnx="IsNaN"),
    ScalarFunction("eq", 2, np.equal, result="bool", onnx="Equal"),
    ScalarFunction("lt", 2, np.less, result="bool", onnx="Less"),
    ScalarFunction("le", 2, np.less_equal, result="bool", onnx="LessOrEqual"),
    ScalarFunction("and", 2, np.logical_and, result="bool", onnx="And"),
    ScalarFunction("or", 2, np.logical_or, result="bool", onnx="Or"),
    ScalarFunction("xor", 2, np.logical_xor, result="bool", onnx="Xor"),
    ScalarFunction("not", 1, np.logical_not, result="bool", onnx="Not"),
    ScalarFunction("bitand", 2, np.bitwise_and, onnx="BitwiseAnd"),  # these six: integers only
    ScalarFunction("bitor", 2, np.bitwise_or, onnx="BitwiseOr"),
    ScalarFunction("bitxor", 2, np.bitwise_xor, onnx="BitwiseXor"),
    ScalarFunction("bitnot", 1, np.bitwise_not, onnx="BitwiseNot"),
    ScalarFunction("shl", 2, _shift_left),  # 0 by the width or more, or by a negative number
    ScalarFunction("shr", 2, _shift_right),  # keeps the sign, also beyond
    ScalarFunction("select", 3, np.where, onnx="Where"),  # select(condition, then, else)
]

SCALARS: dict[str, ScalarFunction] = {row.name: row for row in _TABLE}
