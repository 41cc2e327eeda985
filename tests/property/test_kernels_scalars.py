"""Scalar functions: error in units in the last place, special values, integers without traps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_library import EXAMPLES, Array, scalar_kernels

from dlc.ir.expr import CASTS
from dlc.ir.scalars import SCALARS
from dlc.ir.types import DType
from dlc.kernels_c import DIRECTORY
from dlc.testing import Kernel, arrays, dtypes, special_values

FLOATS = {"f32": "float", "f64": "double"}
INTEGERS = {d.value: f"{d.numpy}_t" for d in DType if d.is_integer and d.value[1:] not in "24"}
TYPES = FLOATS | INTEGERS
WIDE = np.longdouble  # 64 bits of mantissa on x86: enough to judge double
LOOSE = 0 if np.finfo(WIDE).nmant > 60 else 1  # ulp that the judge itself may be wrong


def kernel(name: str, dtype: str) -> Kernel:
    """The scalar function ``name`` of a dtype; one build holds all dtypes."""
    arity, header = SCALARS[name].arity, f"dlc_{name}.h"
    known = FLOATS if arity == 1 and name not in ("abs", "sign") else TYPES
    if name in ("div", "shl", "shr"):
        known = INTEGERS
    declarations = tuple(
        f"{'bool' if name == 'isnan' else c} dlc_{name}_{d}({', '.join([f'{c} a', f'{c} b'][:arity])})"
        for d, c in known.items()
    )
    return scalar_kernels(header, declarations)[f"dlc_{name}_{dtype}"]


def exact_erf(x: Array) -> Array:
    return np.array([math.erf(v) for v in x.astype(np.float64)], WIDE)


def exact_sigmoid(x: Array) -> Array:
    t = np.exp(-np.abs(x))
    return np.where(np.signbit(x), t, 1) / (1 + t)


# name: (exact function, allowed ulp in f32, in f64)
FUNCTIONS: dict[str, tuple[Callable[..., Array], float, float]] = {
    "exp": (np.exp, 1, 1), "log": (np.log, 1.5, 1.5), "log1p": (np.log1p, 2, 2),
    "sqrt": (np.sqrt, 0.5, 0.51), "sigmoid": (exact_sigmoid, 3, 3), "tanh": (np.tanh, 2.7, 2.7),
    "erf": (exact_erf, 1.5, 2.5), "sin": (np.sin, 0.51, 1), "cos": (np.cos, 0.51, 1),
    "atan": (np.arctan, 2, 2), "floor": (np.floor, 0, 0), "ceil": (np.ceil, 0, 0),
    "round": (np.rint, 0, 0), "pow": (np.power, 0.51, 1.5), "fmod": (np.fmod, 0, 0),
}  # fmt: skip


def ulps(got: Array, exact: Array) -> Array:
    """Distance from the exact value in units in the last place of the nearest float."""
    with np.errstate(all="ignore"):
        nearest = exact.astype(got.dtype)
        unit = np.spacing(np.abs(np.where(np.isfinite(nearest), nearest, 1))).astype(WIDE)
        distance = np.abs(got.astype(WIDE) - exact) / unit
    same = (got == nearest) & ~np.isfinite(nearest)
    distance = np.where(same | (np.isnan(got) & np.isnan(exact)), 0, distance)
    return np.where(np.isnan(distance), np.inf, distance)


def assert_close(name: str, dtype: str, arguments: Sequence[Array]) -> None:
    exact, *allowed = FUNCTIONS[name]
    got = kernel(name, dtype)(*arguments)
    with np.errstate(all="ignore"):
        want = exact(*(a if name == "fmod" else a.astype(WIDE) for a in arguments)).astype(WIDE)
    error = ulps(got, want)
    limit = allowed[0] if dtype == "f32" else allowed[1] + LOOSE
    worst = int(np.argmax(error))
    assert error[worst] <= limit, ([a[worst] for a in arguments], got[worst], want[worst])
    if name not in ("sin", "pow"):  # a zero may carry any sign where x is not 0 itself
        zeros = (got == 0) & (want == 0)
        np.testing.assert_array_equal(np.signbit(got[zeros]), np.signbit(want[zeros]))


def samples(dtype: str, seed: int = 0) -> Array:
    """Values of all magnitudes, dense where functions bend, and the special ones."""
    generator, float_type = np.random.default_rng(seed), DType(dtype).numpy
    if dtype == "f32":
        every = np.arange(seed, 2**32, 8209, dtype=np.uint64).astype(np.uint32).view(float_type)
    else:
        every = generator.integers(0, 2**64, 200_000, np.uint64).view(float_type)
    spans = [generator.uniform(-s, s, 30_000) for s in (1e-3, 1, 3, 10, 100, 800, 1e6)]
    near_one = 1 + generator.uniform(-0.5, 0.5, 30_000)
    special = np.array(special_values(DType(dtype)), float_type)
    return np.concatenate([every, *(s.astype(float_type) for s in (*spans, near_one)), special])


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", [n for n in FUNCTIONS if n not in ("pow", "fmod")])
def test_one_argument(name: str, dtype: str) -> None:
    assert_close(name, dtype, [samples(dtype)])


@pytest.mark.parametrize("dtype", FLOATS)
def test_sine_next_to_multiples_of_half_pi(dtype: str) -> None:
    turns = np.concatenate(
        [np.arange(1, 20_000), 2.0 ** np.arange(15, 1000 if dtype == "f64" else 120)]
    )
    near = (turns * (np.pi / 2)).astype(DType(dtype).numpy)
    hardest = np.array([6381956970095103.0 * 2.0**797, 16367173.0 * 2.0**72, np.pi])
    with np.errstate(over="ignore"):
        near = np.concatenate([near, np.nextafter(near, 0), hardest.astype(near.dtype)])
    for name in ("sin", "cos"):
        assert_close(name, dtype, [near])


@pytest.mark.parametrize("dtype", FLOATS)
def test_pow(dtype: str) -> None:
    generator, float_type = np.random.default_rng(1), DType(dtype).numpy
    base = [generator.uniform(0, 3, 50_000), 2.0 ** generator.uniform(-120, 120, 50_000),
            generator.uniform(0.9, 1.1, 50_000)]  # fmt: skip
    exponent = [generator.uniform(-50, 50, 50_000), generator.uniform(-1, 8, 50_000),
                generator.uniform(-6000, 6000, 50_000)]  # fmt: skip
    a, b = (np.concatenate(v).astype(float_type) for v in (base, exponent))
    random = samples(dtype)
    assert_close("pow", dtype, [np.append(a, random), np.append(b, generator.permutation(random))])
    whole = np.array([2, 3, -2, -3, 5, 1e30, -1e30, 2**53 - 1], float_type)
    special = np.append(np.array(special_values(DType(dtype)), float_type), whole)
    table = np.meshgrid(special, special)
    assert_close("pow", dtype, [v.ravel() for v in table])


@pytest.mark.parametrize("dtype", FLOATS)
def test_fmod(dtype: str) -> None:
    x = samples(dtype)[::3]
    assert_close("fmod", dtype, [x, np.random.default_rng(2).permutation(x)])
    special = np.array(special_values(DType(dtype)), DType(dtype).numpy)
    assert_close("fmod", dtype, [v.ravel() for v in np.meshgrid(special, special)])


@pytest.mark.parametrize("name", ["abs", "sign", "max", "min", "isnan"])
@pytest.mark.parametrize("dtype", FLOATS)
def test_exact_functions_of_floats(name: str, dtype: str) -> None:
    x = samples(dtype)
    arguments = [x, np.random.default_rng(3).permutation(x)][: SCALARS[name].arity]
    with np.errstate(invalid="ignore"):
        want = SCALARS[name].numpy(*arguments)
    np.testing.assert_array_equal(kernel(name, dtype)(*arguments), want)


@settings(max_examples=8 * EXAMPLES)
@given(st.sampled_from(["div", "pow", "fmod", "max", "min", "abs", "sign", "shl", "shr"]),
       dtypes(floats=False, bools=False), st.data())  # fmt: skip
def test_integers(name: str, dtype: DType, data: st.DataObject) -> None:
    arity = SCALARS[name].arity
    arguments = [data.draw(arrays(dtype, (6,))) for _ in range(arity)]
    if name in ("shl", "shr"):
        counts = st.lists(st.integers(0, 2 * 8 * dtype.nbytes - 1), min_size=6, max_size=6)
        arguments[1][:3] = np.array(data.draw(counts), dtype.numpy)[:3]
        np.testing.assert_array_equal(kernel(name, dtype.value)(*arguments),
                                      SCALARS[name].numpy(*arguments))  # fmt: skip
    got = kernel(name, dtype.value)(*arguments)
    for values in zip(*arguments, got, strict=True):
        *operands, result = (int(v) for v in values)
        assert result == wrapped(integer(name, *operands), dtype), (operands, result)


def integer(name: str, a: int, b: int = 0) -> int:
    """The function on unbounded integers, with what is undefined defined as the kernels do."""
    if name == "div":
        return 0 if b == 0 else (abs(a) // abs(b)) * (1 if (a < 0) == (b < 0) else -1)
    if name == "fmod":
        return 0 if b == 0 else abs(a) % abs(b) * (-1 if a < 0 else 1)
    if name == "shl":
        return a << b if 0 <= b < 64 else 0
    if name == "shr":
        return a >> b if 0 <= b < 64 else -(a < 0)
    if name == "pow":
        if b < 0:
            return {1: 1, -1: 1 if b % 2 == 0 else -1}.get(a, 0)
        return pow(a, b, 2**64)
    return {"max": max(a, b), "min": min(a, b), "abs": abs(a), "sign": (a > 0) - (a < 0)}[name]


def wrapped(value: int, dtype: DType) -> int:
    value %= 2 ** (8 * dtype.nbytes)
    return value - 2 ** (8 * dtype.nbytes) if value > np.iinfo(dtype.numpy).max else value


@settings(max_examples=4 * EXAMPLES)
@given(st.sampled_from(list(FLOATS)), st.sampled_from(list(INTEGERS)), st.data())
def test_cast_saturates(source: str, target: str, data: st.DataObject) -> None:
    declarations = tuple(
        f"{t} dlc_cast_{f}_{d}({c} x)" for f, c in FLOATS.items() for d, t in INTEGERS.items()
    )
    x = data.draw(arrays(DType(source), (6,)))
    limits = np.iinfo(CASTS[target].numpy)
    edges = np.array([limits.min, limits.max, limits.max + 1, -0.9, 0.9, 127.5], x.dtype)
    x = np.concatenate([x, edges, np.nextafter(edges, -np.inf), np.nextafter(edges, np.inf)])
    got = scalar_kernels("dlc_cast.h", declarations)[f"dlc_cast_{source}_{target}"](x)
    for value, result in zip(x.tolist(), got.tolist(), strict=True):
        want = 0 if math.isnan(value) else min(max(value, limits.min), limits.max)
        assert result == int(want) or (math.isinf(value) and result in (limits.min, limits.max))


def test_every_scalar_function_has_a_kernel() -> None:
    own_in_c = {"add", "sub", "mul", "neg", "eq", "lt", "le", "and", "or", "xor", "not", "select",
                "bitand", "bitor", "bitxor", "bitnot"}  # fmt: skip
    for name in set(SCALARS) - own_in_c:
        assert (DIRECTORY / f"dlc_{name}.h").is_file(), name
        exact = ("div", "max", "min", "abs", "sign", "isnan", "shl", "shr")
        assert name in FUNCTIONS or name in exact, name


def test_square_is_exact() -> None:
    for dtype in FLOATS:
        x: Any = samples(dtype)
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(kernel("pow", dtype)(x, np.full_like(x, 2)), x * x)
