"""Addresses in C: a byte offset from a base, as a pointer to elements."""

from __future__ import annotations

from dlc.backends.c99.dtypes import c_type, pointer_type
from dlc.ir.types import DType


def typed(base: str, own: DType, offset: int, dtype: DType, const: str) -> str:
    """``offset`` bytes behind a pointer to ``own``, as a pointer to ``dtype``; ``const `` or ""."""
    if c_type(own) == c_type(dtype) and offset % own.nbytes == 0:
        return f"{base} + {offset // own.nbytes}" if offset else base
    return cast(f"({const}unsigned char *){base}", offset, dtype, const)


def cast(base: str, offset: int, dtype: DType, const: str) -> str:
    """``offset`` bytes behind a pointer to bytes, as a pointer to ``dtype``."""
    where = f"({base} + {offset})" if offset else base
    return f"({pointer_type(dtype, const=bool(const))}){where}"
