"""Element types in C: how they are stored, and how their constants are written."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from dlc.errors import UnsupportedError
from dlc.ir.types import DType

_STORED = {
    DType.F32: "float", DType.F64: "double", DType.F16: "uint16_t", DType.BF16: "uint16_t",
    DType.BOOL: "uint8_t", DType.I4: "int8_t", DType.U4: "uint8_t", DType.I2: "int8_t",
    DType.U2: "uint8_t", DType.F8E4M3FN: "uint8_t", DType.F8E4M3FNUZ: "uint8_t",
    DType.F8E5M2: "uint8_t", DType.F8E5M2FNUZ: "uint8_t", DType.F8E8M0: "uint8_t",
    DType.F4E2M1: "uint8_t", DType.F6E2M3: "uint8_t", DType.F6E3M2: "uint8_t",
    DType.STRING: "const char *", DType.C64: "dlc_c64", DType.C128: "dlc_c128",
    **{t: f"{'' if t.is_signed else 'u'}int{8 * t.nbytes}_t" for t in (
        DType.I8, DType.I16, DType.I32, DType.I64, DType.U8, DType.U16, DType.U32, DType.U64,
    )},
}  # fmt: skip

COMPLEX = frozenset({DType.C64, DType.C128})
COMPLEX_TYPES = """\
#ifndef DLC_COMPLEX
#define DLC_COMPLEX
/* complex numbers: the real part, then the imaginary, as in C99's own type, which not every compiler has */
typedef struct dlc_c64 {
    float re, im;
} dlc_c64;
typedef struct dlc_c128 {
    double re, im;
} dlc_c128;
#endif"""
POINTER_SIZE = """\
#ifndef DLC_STRINGS
#define DLC_STRINGS
/* a string takes 8 bytes in the memory plan: this cannot run where pointers are of another size */
typedef char dlc_pointers_have_8_bytes[sizeof(const char *) == 8 ? 1 : -1];
#endif"""
INTEGERS = frozenset(
    {DType.I8, DType.I16, DType.I32, DType.I64, DType.U8, DType.U16, DType.U32, DType.U64}
)
FLOATS = frozenset({DType.F32, DType.F64})
#: floats that C has not, stored as their bits
NARROW_FLOATS = frozenset({
    DType.F16, DType.BF16, DType.F8E4M3FN, DType.F8E4M3FNUZ, DType.F8E5M2, DType.F8E5M2FNUZ,
    DType.F8E8M0, DType.F6E2M3, DType.F6E3M2, DType.F4E2M1,
})  # fmt: skip
#: integers of less than a byte, stored one a byte: as values of the type given
NARROW_INTEGERS = {
    DType.I4: DType.I8, DType.U4: DType.U8, DType.I2: DType.I8, DType.U2: DType.U8,
}  # fmt: skip


def c_type(dtype: DType) -> str:
    """The C type of a stored element: ``uint8_t`` for bool, the bits for narrow floats.

    Strings are pointers to text, complex numbers structs (``COMPLEX_TYPES``).
    """
    return _STORED[dtype]


def const_type(dtype: DType) -> str:
    """The C type of an element that is only read: ``const float``, ``const char *const``."""
    return "const char *const" if dtype is DType.STRING else f"const {c_type(dtype)}"


def pointer_type(dtype: DType, *, const: bool = False) -> str:
    """The C type of a pointer to elements, up to its ``*``: ``float *``, ``const char *const *``."""
    return f"{const_type(dtype) if const else c_type(dtype)} *".replace("* *", "**")


def extra_types(dtypes: Iterable[DType]) -> list[str]:
    """Lines that define the C types, beyond those of stdint.h, that hold elements of these dtypes."""
    found = set(dtypes)
    return [
        *(COMPLEX_TYPES.split("\n") if found & COMPLEX else []),
        *(POINTER_SIZE.split("\n") if DType.STRING in found else []),
    ]


def unsigned_type(dtype: DType) -> str:
    """The unsigned C type that integer arithmetic of ``dtype`` wraps in: at least 32 bits."""
    return "uint64_t" if dtype.nbytes == 8 else "uint32_t"


def literal(value: Any, dtype: DType) -> str:
    """The C constant of exactly this value; needs no header but stdint.h.

    Infinities and NaN are quotients, which are constant expressions of C99 but not for every
    compiler: ``weights.py`` writes them as macros where an array is initialised. Types that C has
    not are written as the bits they are stored in.
    """
    if dtype in COMPLEX or dtype is DType.STRING:
        raise UnsupportedError(f"a constant of {dtype.value} has no place in a scalar expression")
    number = np.asarray(value).astype(dtype.numpy)
    if dtype in FLOATS:
        return _float(number[()], dtype)
    if dtype.is_float:
        return hex(int(number.view(f"u{number.itemsize}")))
    return _integer(int(number), dtype)


def limits(dtype: DType) -> tuple[Any, Any]:
    """The lowest and the highest value of a dtype; infinities for floats."""
    if dtype.is_integer:
        bits = int(dtype.value[1:])
        return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if dtype.is_signed else (0, 2**bits - 1)
    return (False, True) if dtype is DType.BOOL else (-math.inf, math.inf)


def _integer(value: int, dtype: DType) -> str:
    if dtype.nbytes >= 4 and dtype.is_signed and value == limits(dtype)[0]:
        return f"INT{8 * dtype.nbytes}_MIN"  # -2147483648 is a negated long long
    if dtype.nbytes == 8:
        return f"{'' if dtype.is_signed else 'U'}INT64_C({value})"
    return f"{value}u" if dtype is DType.U32 else str(value)


def _float(number: Any, dtype: DType) -> str:
    suffix = "f" if dtype is DType.F32 else ""
    if np.isnan(number):
        return f"(0.0{suffix} / 0.0{suffix})"
    if np.isinf(number):
        return f"({'-' if number < 0 else ''}1.0{suffix} / 0.0{suffix})"
    text = str(number)  # the shortest decimal that reads back as the same value
    return (text if set(text) & set(".e") else f"{text}.0") + suffix
