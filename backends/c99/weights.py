"""Weights as aligned C arrays (weights.c, weights.h) or as one binary file (strings are arrays always)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from dlc.backends.c99.dtypes import COMPLEX, FLOATS, const_type, extra_types, literal
from dlc.backends.c99.layout import ALIGN, Layout, Weight
from dlc.backends.c99.names import comment
from dlc.backends.c99.strings import string_literal
from dlc.backends.c99.writer import MARGIN
from dlc.ir.operator import Array
from dlc.ir.types import DType

_ALIGNED = f"""\
#if defined(__GNUC__)
#define DLC_ALIGNED __attribute__((aligned({ALIGN})))
#elif defined(_MSC_VER)
#define DLC_ALIGNED __declspec(align({ALIGN}))
#else
#define DLC_ALIGNED
#endif"""
SPECIAL_VALUES = """\
#if defined(__GNUC__)
#define DLC_INF __builtin_inff()
#define DLC_MINUS_INF -__builtin_inff()
#define DLC_NAN __builtin_nanf("")
#else
#define DLC_INF ((float)(1e300 * 1e300))
#define DLC_MINUS_INF ((float)(-1e300 * 1e300))
#define DLC_NAN ((float)(1e300 * 1e300 * 0.0))
#endif"""
"""Definitions of the macros that ``rows`` writes for infinities and NaN.

tcc 0.9.27 has no NaN that can initialise an array: such weights need a file there.
"""


def weights_header(layout: Layout) -> str:
    """The text of weights.h: declarations of the arrays."""
    guard = f"{layout.macro}_WEIGHTS_H"
    return "\n".join([
        f"/* The weights of {layout.name}. */", f"#ifndef {guard}", f"#define {guard}", "",
        "#include <stdint.h>", "", *extra_types(w.type.dtype for w in layout.source_weights),
        *(line for weight in layout.source_weights for line in (
            f"/* {comment(weight.label)}: {comment(str(weight.type))} */",
            f"extern {_declarator(weight)};",
        )),
        "", f"#endif /* {guard} */", "",
    ])  # fmt: skip


def weights_text(layout: Layout) -> str:
    """The text of weights.c: definitions of the arrays."""
    special = any(has_special(weight.value) for weight in layout.source_weights)
    lines = ['#include "weights.h"', "", _ALIGNED, "", *([SPECIAL_VALUES, ""] if special else [])]
    for weight in layout.source_weights:
        lines += [f"DLC_ALIGNED {_declarator(weight)} = {{", *rows(weight.value), "};", ""]
    return "\n".join(lines)


def weights_binary(layout: Layout) -> bytes:
    """The content of NAME.weights: arrays at their offsets, little endian as they come."""
    content = bytearray(layout.weights_bytes)
    for weight in layout.file_weights:
        raw = stored(weight.value).tobytes()
        content[weight.offset : weight.offset + len(raw)] = raw
    return bytes(content)


def rows(value: Array) -> list[str]:
    """The elements as lines of a C initialiser that give back every bit (a 0 if there are none)."""
    lines, current = [], ""
    for text in constants(value):
        if current and len(current) + len(text) + 2 > MARGIN:
            lines.append(current)
            current = ""
        current += f" {text}," if current else f"    {text},"
    return [*lines, current or "    0,"]


def constants(value: Array) -> Iterable[str]:
    """Each element as a C constant."""
    dtype = DType.of(value)
    if dtype is DType.STRING:
        return map(string_literal, value.reshape(-1).tolist())
    if dtype in COMPLEX:
        part = np.float32 if dtype is DType.C64 else np.float64
        texts = iter(constants(np.ascontiguousarray(value).reshape(-1).view(part)))
        return (f"{{{re}, {im}}}" for re, im in zip(texts, texts, strict=True))
    flat = np.ascontiguousarray(value).reshape(-1)
    if dtype not in FLOATS:
        flat = stored(flat)
        special = {np.iinfo(flat.dtype).min} if flat.dtype.kind == "i" else set()
        own = DType.of(flat)
        plain = own.nbytes < 4 or own is DType.I32
        if plain and not (special and own.nbytes >= 4 and flat.size and flat.min() in special):
            return map(str, flat.tolist())
        return (literal(v, own) for v in flat.tolist())
    return _float_constants(flat, "f" if dtype is DType.F32 else "")


def stored(value: Array) -> Array:
    """The array as C stores it: bool as bytes, narrow floats as their bits, packed types unpacked."""
    dtype = DType.of(value)
    value = np.ascontiguousarray(value)
    if dtype is DType.BOOL:
        return value.astype(np.uint8)
    if dtype.is_float and dtype not in FLOATS:
        return value.view(f"u{value.itemsize}")
    if dtype.is_integer and value.dtype.kind not in "iu":
        return value.astype(np.int8 if dtype.is_signed else np.uint8)
    return value.astype(value.dtype.newbyteorder("<"))


def _float_constants(flat: Array, suffix: str) -> Iterator[str]:
    widen = "" if suffix else "(double)"
    specials = {
        "inf": f"{widen}DLC_INF", "-inf": f"{widen}DLC_MINUS_INF", "nan": f"{widen}DLC_NAN",
    }  # fmt: skip
    for text in flat.astype(str).tolist():  # the shortest decimals that read back exactly
        yield specials.get(text) or text.removesuffix("0" * text.endswith(".0")) + suffix


def _declarator(weight: Weight) -> str:
    # ISO C has no arrays of no elements
    return f"{const_type(weight.type.dtype)} {weight.c_name}[{max(weight.type.capacity, 1)}]"


def has_special(value: Array) -> bool:
    """Whether ``rows`` needs the macros of SPECIAL_VALUES."""
    return DType.of(value) in FLOATS | COMPLEX and not bool(np.isfinite(value).all())
