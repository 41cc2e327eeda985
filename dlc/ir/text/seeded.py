"""Constants made up from a seed: what a reproducer holds in place of large weights.

``dense<f32[64,3,3,3] "random:7:-0.25:0.5">`` is uniform between -0.25 and 0.5 (integers include both
ends). The numbers come from the raw words of PCG64 (O'Neill 2014), which numpy keeps the same
across versions and machines.
"""

from __future__ import annotations

import math

import numpy as np

from dlc.errors import ParseError
from dlc.ir.operator import Array, Data
from dlc.ir.types import DType

PREFIX = "random:"
#: a short text must not ask for more memory than this
MAX_BYTES = 1 << 30


class Seeded(Data):
    """An array that prints as the seed and the range it was made from."""

    __slots__ = ("spec",)

    def __init__(
        self, seed: int, low: float, high: float, dtype: DType, shape: tuple[int, ...]
    ) -> None:
        super().__init__(_uniform(seed, low, high, dtype, shape))
        bounds = (float(low), float(high)) if dtype.is_float else (int(low), int(high))
        self.spec = ":".join([f"{PREFIX}{seed}", *map(repr, bounds)])

    @classmethod
    def like(cls, array: Array, seed: int) -> Seeded | None:
        """Another array of the same type and range; None where there is no such range."""
        dtype = DType.of(array)
        if not (dtype.is_float or dtype.is_integer) or not array.size:
            return None
        wide = array.astype(np.float64) if dtype.is_float else array.astype(object)
        low, high = wide.min(), wide.max()
        if not math.isfinite(low) or not math.isfinite(high):
            return None
        return cls(seed, low, high, dtype, array.shape)

    @classmethod
    def parse(cls, spec: str, dtype: DType, shape: tuple[int, ...]) -> Seeded:
        """The array that printed as ``spec``; ParseError when it makes none."""
        number = float if dtype.is_float else int
        try:
            seed, low, high = spec.removeprefix(PREFIX).split(":")
            bounds = number(low), number(high)
            fits = (
                int(seed) >= 0 and bounds[0] <= bounds[1] and math.isfinite(bounds[1] - bounds[0])
            )
            if fits and (dtype.is_float or dtype.is_integer):
                if math.prod(shape) * 8 > MAX_BYTES:
                    raise ParseError(f"a random constant of shape {list(shape)} is too large")
                return cls(int(seed), *bounds, dtype, shape)
        except (ValueError, OverflowError):
            pass
        raise ParseError(f"{spec!r} is not random:SEED:LOW:HIGH of a number type, LOW <= HIGH")


def _uniform(seed: int, low: float, high: float, dtype: DType, shape: tuple[int, ...]) -> Array:
    raw = np.random.PCG64(seed).random_raw(math.prod(shape))
    if dtype.is_float:
        unit = (raw >> np.uint64(11)) * 2.0**-53
        return (low + unit * (high - low)).astype(dtype.numpy).reshape(shape)
    span = int(high) - int(low) + 1
    steps = raw if span == 1 << 64 else raw % np.uint64(span)
    # two's complement: adding modulo 2**64 is right for signed and unsigned alike
    wrapped = steps + np.uint64(int(low) % (1 << 64))
    wide = wrapped.view(np.int64) if dtype.is_signed else wrapped
    return wide.astype(dtype.numpy).reshape(shape)
