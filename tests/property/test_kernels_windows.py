"""Convolution, transposed convolution and pooling kernels against sums written in numpy."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_library import (
    BUILDS,
    EPSILON,
    EXAMPLES,
    F32,
    Array,
    array_kernel,
    assert_within,
    three,
)

from dlc.ir.types import DType
from dlc.testing import (
    ConvCase,
    ConvTransposeCase,
    PoolCase,
    arrays,
    conv_cases,
    conv_transpose_cases,
    pool_cases,
)

Case = TypeVar("Case", ConvCase, ConvTransposeCase, PoolCase)


@st.composite
def wide(draw: st.DrawFn, cases: st.SearchStrategy[Case]) -> Case:
    """Cases with long lines and many filters, which reach the code for whole blocks of both."""
    case = draw(cases)
    image = (*case.image[:-1], draw(st.integers(20, 90)))
    if isinstance(case, PoolCase):
        return replace(case, image=image)
    return replace(case, image=image, filters=draw(st.integers(4, 9)))


CONVS = conv_cases() | wide(conv_cases(largest=4, channels=2))
TRANSPOSED = conv_transpose_cases() | wide(conv_transpose_cases(largest=4, channels=2))
POOLS = pool_cases() | wide(pool_cases(largest=4))
TILES = st.tuples(st.sampled_from([1, 2, 4, 5, 8]), st.sampled_from([3, 8, 40, 64, 1024]))


def joined(
    k: Sequence[int], case: ConvCase | PoolCase | ConvTransposeCase, small: Sequence[int],
    large: Sequence[int],
) -> tuple[tuple[Array, ...], tuple[Array, ...]]:  # fmt: skip
    """Index grids (small, large) that tap k joins: ``large == small*stride - pad + k*dilation``."""
    grids = []
    for axis, size in enumerate(small):
        at = np.arange(size)
        to = at * case.strides[axis] - case.pads[axis] + k[axis] * case.dilations[axis]
        inside = (to >= 0) & (to < large[axis])
        grids.append((at[inside], to[inside]))
    return np.ix_(*(a for a, _ in grids)), np.ix_(*(b for _, b in grids))


def convolve(case: ConvCase, x: Array, w: Array) -> Array:
    """[batch, groups, filters, out...] in the dtype of x."""
    xg = x.reshape(case.batch, case.groups, case.channels, *case.image)
    wg = w.reshape(case.groups, case.filters, case.channels, *case.kernel)
    y = np.zeros((case.batch, case.groups, case.filters, *case.out), x.dtype)
    for k in np.ndindex(*case.kernel):
        out, image = joined(k, case, case.out, case.image)
        taps = wg[(slice(None), slice(None), slice(None), *k)]
        y[(..., *out)] += np.einsum("gfc,ngc...->ngf...", taps, xg[(..., *image)])
    return y


def convolve_transposed(case: ConvTransposeCase, x: Array, w: Array) -> Array:
    xg = x.reshape(case.groups, case.channels, *case.image)
    wg = w.reshape(case.groups, case.channels, case.filters, *case.kernel)
    y = np.zeros((case.groups, case.filters, *case.out), x.dtype)
    for k in np.ndindex(*case.kernel):
        image, out = joined(k, case, case.image, case.out)
        taps = wg[(slice(None), slice(None), slice(None), *k)]
        y[(..., *out)] += np.einsum("gcf,gc...->gf...", taps, xg[(..., *image)])
    return y


def tiles(total: Sequence[int], rows: int, cols: int) -> Iterator[tuple[int, ...]]:
    """(row, od, oh, ox, rows, cols) of the tiles that cover filters x depth x height x width."""
    filters, d, h, w = total
    for r, od, oh, ox in itertools.product(
        range(0, filters, rows), range(d), range(h), range(0, w, cols)
    ):
        yield r, od, oh, ox, min(rows, filters - r), min(cols, w - ox)


def window_arguments(case: ConvCase | ConvTransposeCase | PoolCase) -> list[int]:
    return [*three(case.image, 1), *three(case.kernel, 1), *three(case.strides, 1),
            *three(case.pads[: case.rank], 0), *three(case.dilations, 1)]  # fmt: skip


def bound(sums_of_magnitudes: Array, terms: int) -> Array:
    """Rounding error of a float sum of products in any order (Higham, gamma_n)."""
    return (terms + 2) * EPSILON * sums_of_magnitudes + terms * 1e-44


@pytest.mark.parametrize("build", BUILDS, ids=" ".join)
@settings(max_examples=EXAMPLES)
@given(case=CONVS, tile=TILES, data=st.data())
def test_conv_tile(build: tuple[str, ...], case: ConvCase, tile: tuple[int, int],
                   data: st.DataObject) -> None:  # fmt: skip
    x = data.draw(arrays(DType.F32, case.x_shape, huge=False))
    w = data.draw(arrays(DType.F32, case.w_shape, huge=False))
    kernel = array_kernel("dlc_conv_tile_f32", build)
    with np.errstate(invalid="ignore"):
        want = convolve(case, x.astype(np.float64), w.astype(np.float64))
        size = convolve(case, np.abs(x.astype(np.float64)), np.abs(w.astype(np.float64)))
    want = want.reshape(case.batch, case.groups, case.filters, *three(case.out, 1))
    got = np.full(want.shape, 7, F32)
    for n, g in np.ndindex(case.batch, case.groups):
        image = x[n, g * case.channels : (g + 1) * case.channels]
        for r, od, oh, ox, rows, cols in tiles(want.shape[2:], *tile):
            acc = np.full((rows, cols), 9, F32)
            first = g * case.filters + r
            kernel(acc, rows, cols, image, w[first : first + rows], od, oh, ox, case.channels,
                   *window_arguments(case))  # fmt: skip
            got[n, g, r : r + rows, od, oh, ox : ox + cols] = acc
    assert_within(got, want, bound(size.reshape(want.shape), case.channels * w[0, 0].size))


@pytest.mark.parametrize("build", BUILDS, ids=" ".join)
@settings(max_examples=EXAMPLES)
@given(case=TRANSPOSED, tile=TILES, data=st.data())
def test_conv_transpose_tile(build: tuple[str, ...], case: ConvTransposeCase, tile: tuple[int, int],
                             data: st.DataObject) -> None:  # fmt: skip
    x = data.draw(arrays(DType.F32, case.x_shape, huge=False))
    w = data.draw(arrays(DType.F32, case.w_shape, huge=False))
    kernel = array_kernel("dlc_conv_transpose_tile_f32", build)
    with np.errstate(invalid="ignore"):
        want = convolve_transposed(case, x.astype(np.float64), w.astype(np.float64))
        size = convolve_transposed(case, *(np.abs(a.astype(np.float64)) for a in (x, w)))
    want = want.reshape(case.groups, case.filters, *three(case.out, 1))
    got = np.full(want.shape, 7, F32)
    for g in range(case.groups):
        group = slice(g * case.channels, (g + 1) * case.channels)
        for r, od, oh, ox, rows, cols in tiles(want.shape[1:], *tile):
            acc = np.full((rows, cols), 9, F32)
            # from the first row's filter of the first channel to the last of the last
            filters = w[group].reshape(-1)[r * w[0, 0].size :]
            kernel(acc, rows, cols, x[0, group], filters, od, oh, ox, case.channels, w[0].size,
                   *window_arguments(case))  # fmt: skip
            got[g, r : r + rows, od, oh, ox : ox + cols] = acc
    assert_within(got, want, bound(size.reshape(want.shape), case.channels * w[0, 0].size))


def run_pool(name: str, build: tuple[str, ...], case: PoolCase, x: Array, cols: int,
             more: Sequence[int]) -> Array:  # fmt: skip
    got = np.full((case.batch, case.channels, *three(case.out, 1)), 7, F32)
    for n, c in np.ndindex(*got.shape[:2]):
        for _, od, oh, ox, _, count in tiles((1, *got.shape[2:]), 1, cols):
            acc = np.full(count, 9, F32)
            array_kernel(name, build)(
                acc, count, x[n, c], od, oh, ox, *window_arguments(case), *more
            )
            got[n, c, od, oh, ox : ox + count] = acc
    return got.reshape(case.batch, case.channels, *case.out)


@pytest.mark.parametrize("build", BUILDS, ids=" ".join)
@settings(max_examples=EXAMPLES)
@given(case=POOLS, tile=TILES, data=st.data())
def test_max_pool_tile(build: tuple[str, ...], case: PoolCase, tile: tuple[int, int],
                       data: st.DataObject) -> None:  # fmt: skip
    x = data.draw(arrays(DType.F32, case.x_shape))
    want = np.full((case.batch, case.channels, *case.out), -np.inf, F32)
    for k in np.ndindex(*case.kernel):
        out, image = joined(k, case, case.out, case.image)
        want[(..., *out)] = np.maximum(want[(..., *out)], x[(..., *image)])
    got = run_pool("dlc_max_pool_tile_f32", build, case, x, tile[1], ())
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("build", BUILDS, ids=" ".join)
@settings(max_examples=EXAMPLES)
@given(case=POOLS, tile=TILES, data=st.data())
def test_avg_pool_tile(build: tuple[str, ...], case: PoolCase, tile: tuple[int, int],
                       data: st.DataObject) -> None:  # fmt: skip
    x = data.draw(arrays(DType.F32, case.x_shape, huge=False))
    wide = x.astype(np.float64)
    total, size = np.zeros((2, case.batch, case.channels, *case.out))
    for k in np.ndindex(*case.kernel):
        out, image = joined(k, case, case.out, case.image)
        with np.errstate(invalid="ignore"):
            total[(..., *out)] += wide[(..., *image)]
            size[(..., *out)] += np.abs(wide[(..., *image)])
    # a window counts the taps inside an image that is padded, when pads count
    counted = np.zeros(case.out)
    begins, ends = case.pads[: case.rank], case.pads[case.rank :]
    if not case.include_pad:
        begins = ends = (0,) * case.rank
    for o in np.ndindex(*case.out):
        per_axis = [
            sum(-b <= i * s - p + k * d < n + e for k in range(taps))
            for i, s, p, d, taps, n, b, e in zip(
                o, case.strides, case.pads, case.dilations, case.kernel, case.image, begins, ends,
                strict=False)
        ]  # fmt: skip
        counted[o] = np.prod(per_axis)
    divisor = np.maximum(counted, 1)
    got = run_pool("dlc_avg_pool_tile_f32", build, case, x, tile[1],
                   [*three(case.pads[case.rank :], 0), int(case.include_pad)])  # fmt: skip
    assert_within(got, total / divisor, bound(size, int(np.prod(case.kernel))) / divisor + 1e-44)
