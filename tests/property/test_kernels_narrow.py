"""Conversions of the types C has not, against numpy and ml_dtypes: every value, and random floats."""

from __future__ import annotations

import numpy as np
import pytest
from kernel_library import Array, scalar_kernels

from dlc.ir.scalars import convert
from dlc.ir.types import DType
from dlc.testing import special_values

FLOATS = [DType.F16, DType.BF16, DType.F8E4M3FN, DType.F8E4M3FNUZ, DType.F8E5M2,
          DType.F8E5M2FNUZ, DType.F6E2M3, DType.F6E3M2, DType.F4E2M1]  # fmt: skip
INTEGERS = [DType.I4, DType.U4, DType.I2, DType.U2]
WIDE = {DType.F32: "float", DType.F64: "double", DType.I32: "int32_t", DType.I8: "int8_t",
        DType.U8: "uint8_t"}  # fmt: skip


def stored(dtype: DType) -> str:
    if dtype in INTEGERS:
        return "int8_t" if dtype.is_signed else "uint8_t"
    return f"uint{8 * dtype.nbytes}_t"


def kernel(source: DType, target: DType):
    names = [WIDE.get(d) or stored(d) for d in (source, target)]
    declaration = f"{names[1]} dlc_cast_{source.value}_{target.value}({names[0]} x)"
    return scalar_kernels("dlc_cast_narrow.h", (declaration,))[declaration.split()[1].split("(")[0]]


def wide_samples(dtype: DType) -> Array:
    """Values of all magnitudes, halfway cases, the special ones."""
    generator = np.random.default_rng(3)
    bits = generator.integers(0, 2 ** (8 * dtype.nbytes), 300_000, f"u{dtype.nbytes}")
    ties = np.arange(0, 2**16, dtype=np.uint16).view(np.float16).astype(np.float32)
    ties = ties[np.isfinite(ties)]
    near = np.concatenate([ties, np.nextafter(ties, np.float32(0)), ties * np.float32(1 + 2**-12)])
    spread = generator.standard_normal(100_000) * 2.0 ** generator.integers(-30, 20, 100_000)
    every = [bits.view(dtype.numpy), near, spread, np.arange(-300, 300) / 16, special_values(dtype)]
    with np.errstate(all="ignore"):
        return np.concatenate([np.asarray(part).astype(dtype.numpy) for part in every])


@pytest.mark.parametrize("dtype", [*FLOATS, DType.F8E8M0], ids=lambda d: d.value)
def test_every_narrow_float_widens_exactly(dtype: DType) -> None:
    count = {"f4": 16, "f6": 64}.get(dtype.value[:2], 2 ** (8 * dtype.nbytes))
    bits = np.arange(count).astype(f"u{dtype.nbytes}")
    got, want = kernel(dtype, DType.F32)(bits), bits.view(dtype.numpy).astype(np.float32)
    same = (got.view(np.uint32) == want.view(np.uint32)) | (np.isnan(got) & np.isnan(want))
    assert same.all(), bits[~same][:10]


@pytest.mark.parametrize("source", [DType.F32, DType.F64], ids=lambda d: d.value)
@pytest.mark.parametrize("dtype", FLOATS, ids=lambda d: d.value)
def test_floats_round_half_even(source: DType, dtype: DType) -> None:
    x = wide_samples(source)
    with np.errstate(all="ignore"):
        want = x.astype(dtype.numpy)
    got = kernel(source, dtype)(x).view(dtype.numpy)
    bits = [a.view(f"u{dtype.nbytes}") for a in (got, want)]
    nan = np.isnan(got.astype(np.float32)) & np.isnan(want.astype(np.float32))
    same = (bits[0] == bits[1]) | nan
    assert same.all(), (x[~same][:5], got[~same][:5], want[~same][:5])


@pytest.mark.parametrize("dtype", INTEGERS, ids=lambda d: d.value)
def test_narrow_integers(dtype: DType) -> None:
    for source in (DType.F32, DType.F64):
        x = wide_samples(source)
        with np.errstate(all="ignore"):
            want = convert(x, dtype).astype(np.int8)
        np.testing.assert_array_equal(kernel(source, dtype)(x).astype(np.int8), want)
    plain = DType.I8 if dtype.is_signed else DType.U8
    every = np.arange(256, dtype=np.uint8).view(plain.numpy)  # whatever the upper bits
    want = every.view(dtype.numpy).astype(np.int8)
    np.testing.assert_array_equal(kernel(dtype, plain)(every).astype(np.int8), want)
    x = np.arange(-1000, 1000, dtype=np.int32)
    want = x.astype(dtype.numpy).astype(np.int8)
    np.testing.assert_array_equal(kernel(DType.I32, dtype)(x).astype(np.int8), want)
