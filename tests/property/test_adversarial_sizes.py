"""Hostile sizes, indices, axes and counts: the right result or a typed error, and never a report of
the sanitizers.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hostile import FOUND, INDEXED, LARGEST, MOVED, ROOM, SHAPES, Case, beyond, bounds, inputs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sanitized import Refused, Sanitized

ort = pytest.importorskip("onnxruntime")
CASES = {f"{number}-{c.type}": c for number, c in enumerate([*SHAPES, *FOUND, *INDEXED, *MOVED])}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sanitized]:
    folder = tmp_path_factory.mktemp("hostile")
    made = Sanitized({n: (c.model, bounds(c)) for n, c in CASES.items()}, folder)
    yield made
    made.close()


@functools.cache
def session(name: str) -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(CASES[name].model.SerializeToString(), options)


def reference(name: str, arrays: dict[str, Any]) -> Any:
    """What onnxruntime computes; None where it refuses, ``...`` where any result will do."""
    elements, oracle = CASES[name].elements, CASES[name].oracle
    if elements is not None and elements(arrays) > LARGEST:
        return None
    try:
        found = oracle(arrays) if oracle is not None else None
    except (ValueError, OverflowError):
        return None
    if found is not None:
        return found
    try:
        return list(session(name).run(None, arrays))
    except Exception:  # its own exceptions have no common base
        return None


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_the_right_result_or_a_typed_error(models: Sanitized, name: str, data: Any) -> None:
    case: Case = CASES[name]
    arrays = data.draw(inputs(case))
    expected = reference(name, arrays)
    try:
        found = list(models.run(name, arrays).values())
    except Refused:
        large = case.elements is not None and case.elements(arrays) > ROOM
        if expected is None or expected is ... or large or beyond(case, arrays):
            return
        raise
    assert expected is not None, f"onnxruntime refuses what gives {found}"
    for got, want in zip(found, found if expected is ... else expected, strict=True):
        assert (got.shape, got.dtype) == (want.shape, want.dtype)
        np.testing.assert_allclose(got, want, 1e-5, 1e-5)
