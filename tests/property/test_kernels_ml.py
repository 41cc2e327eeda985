"""Kernels of classical models against numpy: tree ensembles, pairwise coupling."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_library import EXAMPLES, F32, array_kernel, scalar_kernels

from dlc.ir.types import DType
from dlc.ops.core.tree_ensemble import TreeEnsemble
from dlc.testing import arrays


@st.composite
def tables(draw: st.DrawFn, features: int, targets: int, test: int) -> list[np.ndarray[Any, Any]]:
    """Nodes that lead to later nodes and to leaves, of any number of weights each."""
    count, leaves = draw(st.integers(1, 8)), draw(st.integers(1, 5))
    tests = st.sampled_from([0, 1, 2, 3, 4, 5, 8, 13]) if test < 0 else st.just(test)
    nodes = [
        [draw(st.integers(0, features - 1)), draw(tests),
         *(draw(st.integers(-leaves, -1) | st.integers(node + 1, count - 1)
                if node + 1 < count else st.integers(-leaves, -1)) for _ in range(2))]
        for node in range(count)
    ]  # fmt: skip
    roots = draw(st.lists(st.integers(-leaves, count - 1), min_size=1, max_size=4))
    sizes = draw(st.lists(st.integers(0, 3), min_size=leaves, max_size=leaves))
    sizes[0] += 1  # no table is empty
    total = sum(sizes)
    ids = draw(st.lists(st.integers(0, targets - 1), min_size=total, max_size=total))
    seed = np.random.default_rng(draw(st.integers(0, 999)))
    return [
        np.array(nodes, np.int32), seed.integers(-1, 2, count).astype(F32),
        np.array(roots, np.int32), np.cumsum([0, *sizes]).astype(np.int32),
        np.array(ids, np.int32), seed.standard_normal(total).astype(F32),
    ]  # fmt: skip


@pytest.mark.parametrize("function", ["add", "min", "max"])
@settings(max_examples=EXAMPLES, deadline=None)
@given(rows=st.sampled_from([0, 1, 3, 70]), features=st.integers(1, 3), targets=st.integers(1, 3),
       test=st.sampled_from([-1, 0, 3, 9]), wide=st.booleans(), data=st.data())  # fmt: skip
def test_tree_ensemble(function: str, rows: int, features: int, targets: int, test: int,
                       wide: bool, data: st.DataObject) -> None:  # fmt: skip
    dtype = np.dtype(np.float64 if wide else F32)
    nodes, thresholds, roots, starts, ids, weights = data.draw(tables(features, targets, test))
    x = np.random.default_rng(rows).choice([-1, 0, 1, np.nan], (rows, features)).astype(dtype)
    thresholds, weights = thresholds.astype(dtype), weights.astype(dtype)
    found = [x, nodes, thresholds, roots, starts, ids, weights]
    (want,) = TreeEnsemble(targets, function, test).evaluate(found)
    c = "double" if wide else "float"
    name = f"dlc_tree_ensemble_{function}_{'f64' if wide else 'f32'}"
    i, n = "const int32_t *", "ptrdiff_t"
    declaration = (
        f"void {name}({c} *y, const {c} *x, {i}a, const {c} *b, {i}d, {i}e, {i}f, const {c} *g, "
        f"{n} h, {n} i, {n} j, {n} k, {n} l)"
    )
    y = np.full((rows, targets), 7, dtype)
    kernel = scalar_kernels("dlc_tree_ensemble.h", (declaration,))[name]
    kernel(y, *found, rows, features, len(roots), targets, test)
    np.testing.assert_array_equal(y, want)


@settings(max_examples=EXAMPLES, deadline=None)
@given(rows=st.integers(0, 3), classes=st.integers(2, 6), data=st.data())
def test_pairwise_coupling_finds_the_least_squares(
    rows: int, classes: int, data: st.DataObject
) -> None:
    """Where the residual is small, against the solution of the linear system in f64."""
    pairs = list(combinations(range(classes), 2))
    bits = data.draw(arrays(DType.U8, (rows, len(pairs))))
    r = (0.02 + 0.96 * bits.astype(F32) / F32(255)).astype(F32)
    p = np.full((rows, classes), 7, F32)
    work = np.zeros(classes * (classes + 1), F32)
    array_kernel("dlc_pairwise_coupling_f32")(p, r, work, rows, classes)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    for row, found in zip(r.astype(np.float64), p, strict=True):
        q = np.zeros((classes, classes))
        for (i, j), first in zip(pairs, row, strict=True):
            q[i, i] += (1 - first) ** 2
            q[j, j] += first**2
            q[i, j] = q[j, i] = -first * (1 - first)
        # at the optimum q p is the same in every component: Wu, Lin and Weng (2004), (16)
        assert np.abs(q @ found - found @ q @ found).max() < 0.0051 / classes
