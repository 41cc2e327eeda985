"""Comparing outputs as onnx's runner does: its tolerances, dtypes and shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx.backend.test.runner import Runner

from onnx_suite.cases import Case


def difference(case: Case, results: Sequence[Any], expected: Sequence[Any],
               values: bool = True) -> str:  # fmt: skip
    """How results differ from what a case expects; nothing when they agree.

    Without ``values`` only kinds, dtypes and shapes count.
    """
    try:
        assert len(results) == len(expected), f"{len(results)} outputs, not {len(expected)}"
        for ours, theirs in zip(results, expected, strict=True):
            _compare(case, ours, theirs, values)
    except AssertionError as error:
        return "DIFFERS " + " ".join(str(error).split())
    return ""


def _compare(case: Case, ours: Any, theirs: Any, values: bool) -> None:
    """Stricter than the runner, which takes lists of unequal lengths and any dtype for strings."""
    if isinstance(theirs, list):
        assert isinstance(ours, list), f"{type(ours).__name__}, not a sequence"
        assert len(ours) == len(theirs), f"a sequence of {len(ours)}, not {len(theirs)}"
        for one, other in zip(ours, theirs, strict=True):
            _compare(case, one, other, values)
        return
    if theirs is None:
        assert ours is None, "a value, not an empty optional"
        return
    theirs = np.asarray(theirs)
    assert hasattr(ours, "dtype"), f"{type(ours).__name__}, not an array"
    assert ours.dtype.kind == theirs.dtype.kind or theirs.dtype.kind in "OU", (
        f"{ours.dtype}, not {theirs.dtype}"
    )
    if theirs.dtype.kind in "OU":  # strings
        ours, theirs = ours.astype(object), theirs.astype(object)
    elif ours.dtype.kind == "V" and ours.dtype.name != "bfloat16":  # numpy cannot compare fp8
        assert ours.dtype == theirs.dtype, f"{ours.dtype}, not {theirs.dtype}"
        ours, theirs = ours.astype(np.float32), theirs.astype(np.float32)
    if not values:
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        return
    Runner.assert_similar_outputs([theirs], [ours], case.rtol, case.atol)
