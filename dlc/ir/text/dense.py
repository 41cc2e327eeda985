"""Elements of constants as text: decimal where that is exact, base64 of the bytes otherwise.

Bytes are in the machine's order: little-endian wherever dlc runs.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence

import numpy as np

from dlc.errors import ParseError
from dlc.ir.operator import Array
from dlc.ir.types import DType

BASE64 = "base64:"
DIGEST = "sha256:"
#: above this many elements nobody reads them: base64 is shorter, faster and exact
DECIMAL_LIMIT = 64
_PART = {DType.C64: DType.F32, DType.C128: DType.F64}
_NUMPY_FLOATS = (DType.F16, DType.F32, DType.F64)
_WORDS = {"true": 1, "false": 0}


def encode(array: Array, dtype: DType) -> str:
    """The elements in row-major order, for ``decode``; complex ones as real and imaginary parts."""
    if dtype is DType.STRING:
        return " ".join(json.dumps(item) for item in array.ravel().tolist())
    if array.size <= DECIMAL_LIMIT:
        items = _decimals(array, dtype)
        try:
            exact = decode(items, dtype, array.shape).tobytes() == array.tobytes()
        except ParseError:  # a byte that is no value of its type
            exact = False
        if exact:
            return " ".join(items)
    return f'"{BASE64}{base64.b64encode(array.tobytes()).decode()}"'


def decode(items: Sequence[str], dtype: DType, shape: tuple[int, ...]) -> Array:
    """The array of these tokens; ParseError when they are not one of this type and shape."""
    count = math.prod(shape)
    if dtype is DType.STRING:
        _check_count(len(items), count, dtype, shape)
        strings = np.empty(count, dtype=object)
        strings[:] = [_string(item) for item in items]
        return strings.reshape(shape)
    if len(items) == 1 and items[0].startswith(f'"{BASE64}'):
        return _from_base64(items[0][len(BASE64) + 1 : -1], dtype, shape)
    parts = 2 if dtype in _PART else 1
    _check_count(len(items), count * parts, dtype, shape)
    part = _PART.get(dtype, dtype)
    try:
        flat = _floats(items, part) if part.is_float else _integers(items, part)
    except (ValueError, OverflowError) as error:
        raise ParseError(f"an element of dense {dtype.value} is out of range: {error}") from error
    return flat.view(dtype.numpy).reshape(shape)


def from_resource(stored: Array, dtype: DType, shape: tuple[int, ...]) -> Array:
    """The array that ``to_resource`` made storable."""
    if stored.dtype.hasobject or stored.nbytes != math.prod(shape) * dtype.numpy.itemsize:
        raise ParseError(
            f"the stored constant does not hold the elements of {dtype.value}{list(shape)}"
        )
    return np.ascontiguousarray(stored).reshape(-1).view(dtype.numpy).reshape(shape)


def to_resource(array: Array) -> Array:
    """The array in a dtype that ``.npy`` files know: the narrow types as bytes of their own width."""
    if array.dtype.isbuiltin == 1:
        return array
    return array.view({1: np.uint8, 2: np.uint16}[array.dtype.itemsize])


def _decimals(array: Array, dtype: DType) -> list[str]:
    flat = np.ascontiguousarray(array).ravel()
    if dtype in _PART:
        flat = flat.view(_PART[dtype].numpy)
    if dtype is DType.BOOL:
        return ["true" if item else "false" for item in flat.tolist()]
    if dtype.is_integer:
        return [str(int(item)) for item in flat]
    if dtype in _NUMPY_FLOATS:
        return [str(item) for item in flat]  # numpy's shortest text that reads back the same
    return [repr(float(item)) for item in flat]


def _floats(items: Sequence[str], dtype: DType) -> Array:
    wide = np.array([float(item) for item in items], dtype=np.float64)
    with np.errstate(all="ignore"):  # a value beyond the range is infinite, as when computed
        return wide.astype(dtype.numpy)


def _integers(items: Sequence[str], dtype: DType) -> Array:
    values = [_WORDS[item] if item in _WORDS else int(item) for item in items]
    wide = np.array(values, dtype=object)
    narrow = np.array(values, dtype=np.uint64 if dtype is DType.U64 else np.int64)
    result = narrow.astype(dtype.numpy)
    if (result.astype(object) != wide).any():
        raise ValueError(f"not every one of {' '.join(items[:8])} fits {dtype.value}")
    return result


def _string(item: str) -> str:
    if item[:1] != '"':
        raise ParseError(f"expected a quoted string in dense string, found {item!r}")
    text = json.loads(item)
    assert isinstance(text, str)
    return text


def _from_base64(text: str, dtype: DType, shape: tuple[int, ...]) -> Array:
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise ParseError(f"dense base64 does not decode: {error}") from error
    target = dtype.numpy
    if len(raw) != math.prod(shape) * target.itemsize:
        raise ParseError(
            f"dense base64 holds {len(raw)} bytes, not those of {dtype.value}{list(shape)}"
        )
    return np.frombuffer(raw, dtype=target).reshape(shape)


def _check_count(found: int, wanted: int, dtype: DType, shape: tuple[int, ...]) -> None:
    if found != wanted:
        raise ParseError(
            f"dense {dtype.value}{list(shape)} needs {wanted} elements, {found} are given"
        )
