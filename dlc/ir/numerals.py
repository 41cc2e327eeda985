"""Strings as numbers, as the C library's strtod, strtoll and strtoull read them (in decimal)."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from dlc.ir.types import DType

_DECIMAL = re.compile(
    r"[ \t\n\v\f\r]*([+-]?(?:inf(?:inity)?|nan|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?))",
    re.IGNORECASE,
)
_WHOLE = re.compile(r"[ \t\n\v\f\r]*([+-]?[0-9]+)")


def parsed(strings: Any, dtype: DType) -> Any:
    """An array of f32, f64, i64 or u64 from one of strings: 0 where none begins with a number.

    A string of digits alone is a whole number, saturated; another number is a float first, which is
    truncated and saturated where integers are wanted.
    """
    from dlc.ir.scalars import convert  # which calls this

    flat = [_whole(text, dtype) if dtype.is_integer else None for text in strings.ravel().tolist()]
    floats = np.array([_decimal(text) for text in strings.ravel().tolist()], np.float64)
    with np.errstate(over="ignore"):
        numbers = convert(floats, dtype)
    for index, whole in enumerate(flat):
        if whole is not None:
            numbers[index] = whole
    return numbers.reshape(strings.shape)


def _decimal(text: str) -> float:
    found = _DECIMAL.match(text)
    return float(found.group(1)) if found else 0.0


def _whole(text: str, dtype: DType) -> int | None:
    found = _WHOLE.fullmatch(text)
    if found is None:
        return None
    number = int(found.group(1)[:4000])  # digits that matter; Python refuses more than 4300
    if dtype is DType.I64:
        return min(max(number, -(2**63)), 2**63 - 1)
    return number % 2**64 if abs(number) < 2**64 else 2**64 - 1
