"""What the contract of a pass allows two results to differ by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dlc.errors import PassError
from dlc.ir.operator import Array
from dlc.rewrite.base import Pass

#: results below this are held to the last places of this: what is left after terms cancel carries
#: the rounding of the terms
LEAST_MAGNITUDE = 1e-3


@dataclass(frozen=True, slots=True)
class Deviation:
    """The element of an output that is furthest beyond what is allowed."""

    output: str
    index: tuple[int, ...]
    got: Any
    expected: Any
    rule: str

    def __str__(self) -> str:
        return (
            f"output {self.output!r} at {list(self.index)} is {self.got!r} after it and "
            f"{self.expected!r} before, where {self.rule}"
        )


def deviation(
    step: Pass, name: str, got: Array, expected: Array, *, rounding: bool = False
) -> Deviation | None:
    """Hold a result after a pass against that before it; None when the contract allows them.

    - exact: equal bit by bit, but that NaN equals NaN and 0.0 equals -0.0. With ``rounding`` (a runtime
      whose kernels may round otherwise from place to place) as ``reassociates``.
    - reassociates: floats differ by at most ``tolerance`` units in the last place of the result's
      largest magnitude, NaN and infinities not at all; integers and others are equal.
    - approximate: ``error`` is at most ``tolerance``.

    Raises PassError when the pass states another contract.
    """
    if step.contract not in ("exact", "reassociates", "approximate"):
        raise PassError(
            f"pass {step.name} states the contract {step.contract!r}, "
            f"which is none of exact, reassociates, approximate"
        )
    if got.shape != expected.shape or got.dtype != expected.dtype:
        return Deviation(name, (), _type(got), _type(expected), "types stay")
    if got.size == 0:
        return None
    if step.contract == "approximate":
        return _approximate(step, name, got, expected)
    if got.dtype.kind in "OUSTbiu" or _is_narrow_integer(got):
        return _worst(name, (got != expected).astype(np.float64), got, expected, "it stays equal")
    wide = np.complex128 if got.dtype.kind == "c" else np.float64
    a, b = got.astype(wide), expected.astype(wide)
    with np.errstate(all="ignore"):
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        error = np.where(same, 0.0, np.abs(a - b))
    error = np.where(np.isnan(error), np.inf, error)
    if step.contract == "exact" and not rounding:
        return _worst(name, error, got, expected, "every bit stays (contract exact)")
    ulps = step.tolerance if step.contract == "reassociates" else Pass.tolerance
    largest = float(np.max(np.abs(b), where=np.isfinite(b), initial=LEAST_MAGNITUDE))
    limit = ulps * _epsilon(got.dtype) * largest
    rule = f"it may move by {limit:.3g} ({ulps:g} ulp of {largest:.3g}, contract {step.contract})"
    return _worst(name, np.where(error > limit, error, 0.0), got, expected, rule)


def _approximate(step: Pass, name: str, got: Array, expected: Array) -> Deviation | None:
    error = step.error(got, expected)
    if error <= step.tolerance:
        return None
    with np.errstate(all="ignore"):
        off = np.abs(got.astype(np.float64) - expected.astype(np.float64))
    rule = f"its error is {error:.3g}, {step.tolerance:g} at most (contract approximate)"
    found = _worst(name, np.where(np.isnan(off), np.inf, off), got, expected, rule)
    return found or Deviation(name, (), "", "", rule)


def _worst(name: str, excess: Array, got: Array, expected: Array, rule: str) -> Deviation | None:
    if not excess.any():
        return None
    at = np.unravel_index(int(np.argmax(excess)), excess.shape)
    index = tuple(int(i) for i in at)
    return Deviation(name, index, _plain(got[index]), _plain(expected[index]), rule)


def _plain(value: Any) -> Any:
    """A numpy scalar as a message shows it."""
    return value.item() if isinstance(value, np.generic) and value.dtype.isbuiltin else value


def _type(array: Array) -> str:
    return f"{array.dtype}{list(array.shape)}"


def _is_narrow_integer(array: Array) -> bool:
    return array.dtype.name in ("int2", "uint2", "int4", "uint4")


def _epsilon(dtype: np.dtype[Any]) -> float:
    if dtype.isbuiltin:
        return float(np.finfo(dtype).eps)
    import ml_dtypes  # the narrow floats only

    return float(ml_dtypes.finfo(dtype).eps)  # type: ignore[no-untyped-call]
