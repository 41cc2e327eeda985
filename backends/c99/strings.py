"""Strings: their C literals, and numpy's strings as arrays of pointers to text and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from dlc.errors import InputError, UnsupportedError
from dlc.ir.operator import Array

LONGEST_LITERAL = 4095
"""Bytes of a literal, its NUL apart, that every C99 compiler must take (5.2.4.1)."""
_ESCAPED = {ord('"'): '\\"', ord("\\"): "\\\\", ord("?"): "\\?"}  # a ? might begin a trigraph
_ENCODING = ("utf-8", "surrogateescape")  # bytes that are not UTF-8 come through unchanged


def string_literal(text: str) -> str:
    """The C literal, in ASCII, of a string's UTF-8; UnsupportedError where C has none."""
    try:
        raw = text.encode(*_ENCODING)
    except UnicodeEncodeError:
        raise UnsupportedError(f"the string {text!r} has no UTF-8") from None
    if b"\0" in raw:
        raise UnsupportedError(f"the string {text!r} holds a NUL, which ends strings in C")
    if len(raw) > LONGEST_LITERAL:
        raise UnsupportedError(
            f"a string of {len(raw)} bytes is longer than the {LONGEST_LITERAL} that C allows"
        )
    return f'"{"".join(map(_character, raw))}"'


def _character(byte: int) -> str:
    # octal, always of three digits: a hexadecimal escape would swallow the digits after it
    return _ESCAPED.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}")


def pointers_to(strings: Array, name: str) -> Array:
    """Pointers, as integers, to the text of strings; it lies behind them and lives as long.

    InputError, naming the input, for a string that C would cut short.
    """
    try:
        encoded = [_bytes(item) for item in strings.ravel().tolist()]
    except UnicodeEncodeError as error:
        raise InputError(f"a string of input {name!r} has no UTF-8: {error}") from None
    if any(b"\0" in item for item in encoded):
        raise InputError(f"a string of input {name!r} holds a NUL, which ends strings in C")
    text = b"\0".join([*encoded, b""])
    own = np.dtype(np.uintp).itemsize * len(encoded)
    memory = np.empty(own + len(text), np.uint8)
    memory[own:] = np.frombuffer(text, np.uint8)
    pointers = memory[:own].view(np.uintp)
    lengths = np.array([len(item) + 1 for item in encoded], np.uintp)
    pointers[:] = np.uintp(memory.ctypes.data + own) + np.cumsum(lengths) - lengths
    return pointers.reshape(strings.shape)


def _bytes(item: Any) -> bytes:
    return item if isinstance(item, bytes) else str(item).encode(*_ENCODING)


def strings_at(pointers: Array, ffi: Any) -> Array:
    """The strings that an array of pointers refers to, read through cffi."""
    texts = np.empty(pointers.size, object)
    texts[:] = [
        ffi.string(ffi.cast("const char *", int(address))).decode(*_ENCODING)
        for address in pointers.ravel()
    ]
    return texts.reshape(pointers.shape)
