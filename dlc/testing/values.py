"""Strategies for element types and for arrays that hold awkward values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from dlc.ir.types import DType
from dlc.prove.inputs import special_values

Array = np.ndarray[Any, Any]

_COMMON = (
    DType.F32, DType.F64, DType.I8, DType.I16, DType.I32, DType.I64, DType.U8, DType.U16,
    DType.U32, DType.U64, DType.BOOL,
)  # fmt: skip


def dtypes(
    *, floats: bool = True, integers: bool = True, bools: bool = True
) -> st.SearchStrategy[DType]:
    """Element types that C computes with: f32 and f64, the eight integers, bool."""
    wanted = [
        dtype for dtype in _COMMON
        if (dtype.is_float and floats) or (dtype.is_integer and integers)
        or (dtype is DType.BOOL and bools)
    ]  # fmt: skip
    return st.sampled_from(wanted)


@st.composite
def arrays(
    draw: st.DrawFn, dtype: DType, shape: Sequence[int], *, special: bool = True, huge: bool = True
) -> Array:
    """Arrays of a dtype and shape, fast to draw at any size.

    Filled with zeros, small integers (whose sums are exact), normal numbers, or numbers of all
    magnitudes (``huge``); with ``special`` a few elements are then ``special_values``. The bulk comes
    from a seeded generator, so hypothesis shrinks the seed and the special elements.
    """
    shape = tuple(shape)
    kinds = ["zeros", "small", "normal", "wide"]
    kind = draw(st.sampled_from(kinds if huge else kinds[:-1]))
    generator = np.random.default_rng(draw(st.integers(0, 2**16)))
    array = np.asarray(_bulk(generator, kind, dtype, shape)).astype(dtype.numpy)
    if special and array.size:
        place = st.integers(0, array.size - 1)
        value = st.sampled_from(special_values(dtype, huge=huge))
        for index, chosen in draw(st.lists(st.tuples(place, value), max_size=4)):
            array.reshape(-1)[index] = chosen
    return array


def _bulk(generator: np.random.Generator, kind: str, dtype: DType, shape: tuple[int, ...]) -> Any:
    if kind == "zeros":
        return np.zeros(shape)
    if dtype is DType.BOOL:
        return generator.integers(0, 2, shape)
    low = -4 if dtype.is_signed else 0
    if kind == "small" or (kind == "normal" and dtype.is_integer):
        return generator.integers(low, 5, shape)
    if kind == "normal":
        return generator.standard_normal(shape)
    if dtype.is_integer:
        limits = np.iinfo(dtype.numpy)
        return generator.integers(limits.min, limits.max, shape, dtype=dtype.numpy, endpoint=True)
    bits = generator.integers(0, 256, (*shape, dtype.nbytes), dtype=np.uint8)
    return bits.view(dtype.numpy).reshape(shape)
