"""Kernels as the property tests call them: built once a process, guarded on demand."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from dlc.backends.c99.toolchain import NATIVE, RELEASE_FLAGS, find_compiler
from dlc.ir.types import DType
from dlc.kernels_c import DIRECTORY
from dlc.testing import Kernel, load_kernels
from dlc.testing.contracts import prototypes

SANITIZE = os.environ.get("DLC_SANITIZE_KERNELS") == "1"
"""Whether undefined behaviour and accesses out of bounds end the process."""

EXAMPLES = 15 if SANITIZE else 40

BUILDS = [()] if SANITIZE or find_compiler().family == "tcc" else [(), (NATIVE,)]
"""Flags that choose another vector width: another path through the tile kernels."""

Array = np.ndarray[Any, Any]
F32 = np.float32
EPSILON = float(np.finfo(F32).eps)

C_TYPES = {DType.F32: "float", DType.F64: "double"} | {
    d: f"{d.numpy}_t" for d in DType if d.is_integer and d.nbytes * 8 == int(d.value[1:])
}
"""What C calls the dtypes that kernels come in."""


@functools.cache
def array_kernel(name: str, extra_flags: tuple[str, ...] = ()) -> Kernel:
    """The kernel ``name`` of the header of that name."""
    (declaration,) = prototypes((DIRECTORY / f"{name}.h").read_text())
    return _load(f"{name}.h", (declaration,), extra_flags)[name]


@functools.cache
def scalar_kernels(header: str, declarations: tuple[str, ...]) -> dict[str, Kernel]:
    """Scalar functions of ``header``, applied element by element."""
    return _load(header, declarations, ())


def _load(header: str, declarations: Sequence[str], extra: tuple[str, ...]) -> dict[str, Kernel]:
    flags = None if SANITIZE else (*RELEASE_FLAGS, *extra)
    return load_kernels(header, declarations, flags=flags, sanitize=SANITIZE)


def three(sizes: Sequence[int], fill: int) -> list[int]:
    """Spatial values of a case as depth, height, width."""
    return [fill] * (3 - len(sizes)) + list(sizes)


def assert_within(got: Array, want: Array, bound: Array) -> None:
    """NaN and infinities where ``want`` (float64) has them, else ``|got - want| <= bound``."""
    finite = np.isfinite(want)
    np.testing.assert_array_equal(got[~finite], want[~finite].astype(got.dtype))
    error = np.abs(got[finite].astype(np.float64) - want[finite])
    assert (error <= bound[finite]).all(), (float(error.max()), got, want)
