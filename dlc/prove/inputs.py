"""Inputs that passes are tried on: ordinary numbers first, then those that break kernels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlc.interp import drawn_sizes, largest
from dlc.ir.operator import Array
from dlc.ir.types import DType, TensorType

#: how the inputs of run 0, 1, 2 ... are filled; see ``fill``
KINDS = ("normal", "wild", "small")


@dataclass(frozen=True, slots=True)
class Inputs:
    """Arrays by input name, and what they are."""

    arrays: dict[str, Array]
    origin: str
    """Says in messages where they come from."""
    wild: bool = False
    """NaN, infinities and all magnitudes: only exact passes are held to them."""


def random_inputs(types: Mapping[str, TensorType], run: int, seed: int = 0) -> Inputs:
    """The inputs of one run; the same for the same types, run and seed.

    Symbolic dims have their upper bound in even runs, and a size drawn at random in odd ones.
    """
    kind = KINDS[run % len(KINDS)]
    rng = np.random.default_rng([seed, run])
    sizes = drawn_sizes(types.values(), rng) if run % 2 else {}
    arrays = {
        name: fill(rng, kind, type.dtype, largest(type, sizes).dims) for name, type in types.items()
    }
    return Inputs(arrays, f"{kind} random inputs, run {run}", kind == "wild")


def fill(rng: np.random.Generator, kind: str, dtype: DType, shape: tuple[int, ...]) -> Array:
    """An array that is ``normal`` (integers from 0 to 7: they may be indices), ``small`` integers
    (whose sums are exact), or ``wild``: all magnitudes, a tenth of them special values.
    """
    if dtype is DType.STRING:
        array = np.empty(shape, object)
        array[...] = "text"
        return array
    if dtype is DType.BOOL:
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.is_integer:
        # 64-bit integers are sizes and trip counts more often than numbers
        if kind == "wild" and dtype.nbytes < 8:
            return _sprinkled(rng, rng.integers(0, 8, shape).astype(dtype.numpy), dtype)
        return rng.integers(0, 2 if dtype in (DType.I2, DType.U2) else 8, shape).astype(dtype.numpy)
    if kind == "small":
        return rng.integers(-4, 5, shape).astype(dtype.numpy)
    normal = rng.standard_normal(shape)
    if kind == "wild":
        wide = normal * 2.0 ** rng.integers(-20, 20, shape)
        with np.errstate(all="ignore"):
            return _sprinkled(rng, np.asarray(wide).astype(dtype.numpy), dtype)
    return np.asarray(normal).astype(dtype.numpy)


def special_values(dtype: DType, *, huge: bool = True) -> list[Any]:
    """Values that break kernels: NaN, infinities, -0.0, denormals, limits; for integers 0, 1, limits.

    Without ``huge`` no finite value is so large that a sum or product of a few could overflow.
    """
    if dtype is DType.BOOL:
        return [False, True]
    if dtype.is_integer:
        limits = np.iinfo(dtype.numpy)
        small = [0, 1, -1] if dtype.is_signed else [0, 1]
        return [*small, limits.min, limits.max] if huge else small
    info = np.finfo(dtype.numpy)
    tiny, least = float(info.smallest_normal), float(info.smallest_subnormal)
    plain = [np.nan, np.inf, 0.0, 1.0, 0.5, tiny, tiny / 2, least]
    both = [*plain, *([float(info.max)] if huge else [])]
    return [*both, *(-value for value in both)]


def _sprinkled(rng: np.random.Generator, array: Array, dtype: DType) -> Array:
    try:
        values = np.array(special_values(dtype), dtype.numpy)
    except (ValueError, TypeError):  # a narrow type that numpy has no limits of
        return array
    special = rng.random(array.shape) < 0.1
    return np.where(special, rng.choice(values, array.shape), array).astype(dtype.numpy)
