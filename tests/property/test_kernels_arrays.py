"""Matrix product, gather, resample and arg-max kernels against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_library import (
    BUILDS,
    C_TYPES,
    EPSILON,
    EXAMPLES,
    F32,
    array_kernel,
    assert_within,
    scalar_kernels,
)

from dlc.ir.types import DType
from dlc.ops.core.scatter import Scatter
from dlc.testing import Kernel, arrays, dtypes, shapes

BAD_INDEX = 2


@pytest.mark.parametrize("build", BUILDS, ids=" ".join)
@settings(max_examples=EXAMPLES)
@given(
    rows=st.sampled_from([0, 1, 3, 4, 7, 8]), cols=st.sampled_from([0, 1, 5, 8, 33, 40, 64, 100]),
    depth=st.sampled_from([0, 1, 2, 17, 50]), a_transposed=st.booleans(), b_layout=st.integers(0, 2),
    data=st.data(),
)  # fmt: skip
def test_gemm_tile(build: tuple[str, ...], rows: int, cols: int, depth: int, a_transposed: bool,
                   b_layout: int, data: st.DataObject) -> None:  # fmt: skip
    a = data.draw(arrays(DType.F32, (depth, rows) if a_transposed else (rows, depth), huge=False))
    # row-major, transposed, or every other column of a matrix twice as wide
    shape = [(depth, cols), (cols, depth), (depth, 2 * cols)][b_layout]
    b = data.draw(arrays(DType.F32, shape, huge=False))
    a_steps = (1, rows) if a_transposed else (depth, 1)
    b_steps = [(cols, 1), (1, depth), (2 * cols, 2)][b_layout]
    acc = np.full((rows, cols), 9, F32)
    array_kernel("dlc_gemm_tile_f32", build)(acc, rows, cols, depth, a, *a_steps, b, *b_steps)
    left = (a.T if a_transposed else a).astype(np.float64)
    right = [b, b.T, b[:, ::2]][b_layout].astype(np.float64)
    with np.errstate(invalid="ignore"):
        want = np.einsum("ik,kj->ij", left, right)
        bound = (depth + 2) * EPSILON * np.einsum("ik,kj->ij", np.abs(left), np.abs(right))
    assert_within(acc, want, bound + depth * 1e-44)


@pytest.mark.parametrize("count", [0, 1, 5, 64])
def test_iota(count: int) -> None:
    y = np.full(count, 7, np.int64)
    array_kernel("dlc_iota_i64")(y, count)
    assert y.tolist() == list(range(count))


@settings(max_examples=EXAMPLES)
@given(outer=shapes(0, 2, max_size=3), axis=st.integers(1, 6), inner=shapes(0, 2, max_size=4),
       count=st.integers(0, 7), dtype=dtypes(), wide=st.booleans(), data=st.data())  # fmt: skip
def test_gather(outer: tuple[int, ...], axis: int, inner: tuple[int, ...], count: int,
                dtype: DType, wide: bool, data: st.DataObject) -> None:  # fmt: skip
    x = data.draw(arrays(dtype, (*outer, axis, *inner)))
    positions = st.lists(st.integers(-axis, axis - 1), min_size=count, max_size=count)
    index = np.array(data.draw(positions), np.int64 if wide else np.int32)
    y = np.zeros((*outer, count, *inner), x.dtype)
    result = gather(y, x, index, len(outer))
    assert result == 0
    assert y.tobytes() == np.take(x, index, axis=len(outer)).tobytes()


def gather(y: np.ndarray, x: np.ndarray, index: np.ndarray, axis: int) -> int:
    kernel = array_kernel(f"dlc_gather_i{8 * index.itemsize}")
    outer, inner = int(np.prod(x.shape[:axis])), int(np.prod(x.shape[axis + 1 :]))
    read, write = (a.reshape(-1).view(np.uint8) for a in (x, y))
    return kernel(write, read, index, outer, x.shape[axis], inner * x.itemsize, index.size)


@settings(max_examples=EXAMPLES)
@given(size=st.integers(0, 5), wide=st.booleans(), data=st.data())
def test_gather_refuses_an_index_out_of_range(size: int, wide: bool, data: st.DataObject) -> None:
    integer = np.int64 if wide else np.int32
    limits = np.iinfo(integer)
    bad = data.draw(st.integers(size, limits.max) | st.integers(limits.min, -size - 1))
    y = np.full((3, 2), 7, F32)
    assert gather(y, np.ones((size, 2), F32), np.array([0, bad, 0], integer), 0) == BAD_INDEX
    assert (y == 7).all()  # nothing was written


@settings(max_examples=EXAMPLES)
@given(outer=st.integers(0, 3), axis=st.integers(1, 6), inner=st.sampled_from([0, 1, 2, 9, 40]),
       count=st.integers(0, 7), taps=st.integers(0, 4), data=st.data())  # fmt: skip
def test_resample(outer: int, axis: int, inner: int, count: int, taps: int,
                  data: st.DataObject) -> None:  # fmt: skip
    x = data.draw(arrays(DType.F32, (outer, axis, inner), huge=False))
    weight = data.draw(arrays(DType.F32, (count, taps), huge=False))
    seed = data.draw(st.integers(0, 1000))
    index = np.random.default_rng(seed).integers(0, axis, (count, taps)).astype(np.int32)
    y = np.full((outer, count, inner), 7, F32)
    array_kernel("dlc_resample_f32")(y, x, index, weight, outer, axis, inner, count, taps)
    with np.errstate(invalid="ignore"):
        terms = x.astype(np.float64)[:, index] * weight.astype(np.float64)[..., None]
        want = terms.sum(axis=2)
    assert_within(y, want, (taps + 2) * EPSILON * np.abs(terms).sum(axis=2) + taps * 1e-44)


@settings(max_examples=EXAMPLES)
@given(outer=st.integers(0, 3), axis=st.integers(1, 6), inner=st.sampled_from([0, 1, 2, 9]),
       dtype=dtypes(bools=False), greatest=st.booleans(), last=st.booleans(), data=st.data())  # fmt: skip
def test_arg_extreme(outer: int, axis: int, inner: int, dtype: DType, greatest: bool, last: bool,
                     data: st.DataObject) -> None:  # fmt: skip
    x = data.draw(arrays(dtype, (outer, axis, inner)))
    y = np.full((outer, inner), 7, np.int64)
    name = f"dlc_arg_{'max' if greatest else 'min'}_{dtype.value}"
    declaration = (
        f"void {name}(int64_t *y, const {C_TYPES[dtype]} *x, {', '.join(['ptrdiff_t'] * 4)})"
    )
    scalar_kernels("dlc_arg.h", (declaration,))[name](y, x, outer, axis, inner, int(last))
    for o, j in np.ndindex(outer, inner):
        line = x[o, :, j]
        if np.isnan(line[0]):
            assert y[o, j] == 0
            continue
        extreme = np.nanmax(line) if greatest else np.nanmin(line)
        (places,) = np.nonzero(line == extreme)
        assert y[o, j] == places[-1 if last else 0]


def scatter(function: str, y: np.ndarray, updates: np.ndarray, index: np.ndarray) -> int:
    rows, inner = y.shape
    if function == "set":
        kernel = family_kernel("scatter", "set", None)
        read, write = (a.reshape(-1).view(np.uint8) for a in (updates, y))
        return kernel(write, read, index, rows, inner * y.itemsize, len(index))
    kernel = family_kernel("scatter", function, DType.of(y))
    return kernel(y, updates, index, rows, inner, len(index))


def family_kernel(header: str, function: str, dtype: DType | None) -> Kernel:
    """A kernel of a header that has one for each dtype."""
    c = "unsigned char" if dtype is None else C_TYPES[dtype]
    name = f"dlc_{header}_{function}" + ("" if dtype is None else f"_{dtype.value}")
    parameters = (
        f"{c} *y, const {c} *updates, const int64_t *index, ptrdiff_t a, ptrdiff_t b, ptrdiff_t c"
    )
    return scalar_kernels(f"dlc_{header}.h", (f"int {name}({parameters})",))[name]


@settings(max_examples=EXAMPLES)
@given(function=st.sampled_from(["set", "add", "mul", "max", "min"]),
       dtype=dtypes(bools=False), rows=st.integers(1, 5), inner=st.sampled_from([0, 1, 3]),
       count=st.integers(0, 6), data=st.data())  # fmt: skip
def test_scatter(function: str, dtype: DType, rows: int, inner: int, count: int,
                 data: st.DataObject) -> None:  # fmt: skip
    y, updates = data.draw(arrays(dtype, (rows, inner))), data.draw(arrays(dtype, (count, inner)))
    places = st.lists(st.integers(-rows, rows - 1), min_size=count, max_size=count)
    index = np.array(data.draw(places), np.int64)
    (want,) = Scatter(function).evaluate([y, index, updates])
    y = y.copy()
    assert scatter(function, y, updates, index) == 0
    np.testing.assert_array_equal(y, want)


@settings(max_examples=EXAMPLES)
@given(function=st.sampled_from(["set", "add"]), rows=st.integers(0, 4), data=st.data())
def test_scatter_refuses_an_index_out_of_range(
    function: str, rows: int, data: st.DataObject
) -> None:
    limits = np.iinfo(np.int64)
    bad = data.draw(st.integers(rows, limits.max) | st.integers(limits.min, -rows - 1))
    y = np.full((rows, 2), 7, F32)
    assert scatter(function, y, np.ones((2, 2), F32), np.array([0, bad])) == BAD_INDEX
    assert (y == 7).all()  # nothing was written


@settings(max_examples=EXAMPLES)
@given(outer=st.integers(0, 3), axis=st.integers(1, 9), inner=st.sampled_from([0, 1, 2, 5]),
       dtype=dtypes(bools=False), largest=st.booleans(), data=st.data())  # fmt: skip
def test_top_k(outer: int, axis: int, inner: int, dtype: DType, largest: bool,
               data: st.DataObject) -> None:  # fmt: skip
    x = data.draw(arrays(dtype, (outer, axis, inner)))
    k = data.draw(st.integers(0, axis))
    values, index = np.full((outer, k, inner), 7, x.dtype), np.full((outer, k, inner), 7, np.int64)
    name, c = f"dlc_top_k_{dtype.value}", C_TYPES[dtype]
    sizes = ", ".join(["ptrdiff_t"] * 5)
    declaration = f"void {name}({c} *values, int64_t *index, const {c} *x, {sizes})"
    kernel = scalar_kernels("dlc_top_k.h", (declaration,))[name]
    kernel(values, index, x, outer, axis, inner, k, int(largest))
    for o, j in np.ndindex(outer, inner):  # sorting pairs, NaN standing above infinity
        keys = [(bool(v != v), 0 if v != v else v.item()) for v in x[o, :, j]]
        order = sorted(range(axis), key=lambda i: keys[i], reverse=largest)
        assert index[o, :, j].tolist() == order[:k]
        np.testing.assert_array_equal(values[o, :, j], x[o, order[:k], j])
