"""Det of any size, Einsum with diagonals, BatchNormalization in training, MaxPool with indices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator
from single_node import expanded, model, normal, reference

from dlc import api, exporter, interp
from dlc.testing.kernels import load_kernel


@settings(max_examples=30)
@given(size=st.integers(0, 12), count=st.integers(0, 3), wide=st.booleans(), data=st.data())
def test_det_kernel(size: int, count: int, wide: bool, data: Any) -> None:
    dtype, c, name = (np.float64, "double", "f64") if wide else (np.float32, "float", "f32")
    numbers = st.integers(-3, 3)  # many zero pivots
    x = np.array(
        data.draw(
            st.lists(numbers, min_size=count * size * size, max_size=count * size * size)
        ), dtype,
    ).reshape(count, size, size)  # fmt: skip
    declaration = f"void dlc_det_{name}({c} *y, {c} *work, const {c} *x, ptrdiff_t, ptrdiff_t)"
    kernel = load_kernel("dlc_det.h", declaration, sanitize=True)
    found = np.full(count, 7, dtype)
    kernel(found, np.zeros((size, size), dtype), x, count, size)
    exact = np.linalg.det(x.astype(np.float64))
    bound = np.linalg.norm(x.astype(np.float64), axis=2).prod(axis=1)  # of Hadamard
    assert (np.abs(found - exact) <= (1e-13 if wide else 1e-5) * bound + 1e-30).all()


@pytest.mark.parametrize("size", [2, 4, 7])
def test_det_in_every_form(size: int, tmp_path: Path) -> None:
    x = normal(2, 3, size, size)
    proto = model("Det", [x], 17, (), 1, {})
    (expected,) = reference(proto, {"x0": x})
    (again,) = reference(exporter.to_onnx(expanded(proto)), {"x0": x})
    (found,) = api.compile(proto, out=tmp_path / "c").run({"x0": x}).values()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(again, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("equation, shapes", [
    ("ii->i", [(4, 4)]), ("ii", [(4, 4)]), ("iij->ji", [(3, 3, 2)]), ("...ii->...", [(2, 3, 3)]),
    ("iii->i", [(3, 3, 3)]), ("iijj,jk->ik", [(2, 2, 3, 3), (3, 4)]), ("i...i,i->...", [(3, 2, 3), (3,)]),
])  # fmt: skip
def test_einsum_with_diagonals(equation: str, shapes: list[tuple[int, ...]]) -> None:
    arrays = [normal(*shape) for shape in shapes]
    proto = model("Einsum", arrays, 12, (), 1, {"equation": equation})
    inputs = {f"x{i}": a for i, a in enumerate(arrays)}
    (found,) = interp.run(expanded(proto), inputs).values()
    np.testing.assert_allclose(found, np.einsum(equation, *arrays), rtol=1e-5, atol=1e-5)


@settings(max_examples=15)
@given(shape=st.lists(st.integers(1, 4), min_size=0, max_size=3), channels=st.integers(1, 3),
       momentum=st.sampled_from([0.9, 0.5]), opset=st.sampled_from([14, 15]))  # fmt: skip
def test_batch_normalization_in_training(shape: list[int], channels: int, momentum: float,
                                         opset: int) -> None:  # fmt: skip
    arrays = [
        normal(3, channels, *shape),
        *(normal(channels) for _ in range(3)),
        normal(channels) ** 2,
    ]
    attributes = {"training_mode": 1, "momentum": momentum, "epsilon": 1e-3}
    proto = model("BatchNormalization", arrays, opset, (), 3, attributes)
    inputs = {f"x{i}": a for i, a in enumerate(arrays)}
    expected: Any = ReferenceEvaluator(proto).run(None, inputs)
    found = interp.run(expanded(proto), inputs).values()
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@settings(max_examples=40)
@given(rank=st.integers(1, 3), data=st.data(), order=st.integers(0, 1), ceil=st.booleans(),
       dtype=st.sampled_from([np.float32, np.float64, np.int8, np.uint8]))  # fmt: skip
def test_places_of_maxima(rank: int, data: Any, order: int, ceil: bool, dtype: Any) -> None:
    kernel = data.draw(st.lists(st.integers(1, 3), min_size=rank, max_size=rank))
    few = st.lists(st.integers(1, 2), min_size=rank, max_size=rank)
    attributes = {
        "kernel_shape": kernel, "strides": data.draw(few), "dilations": data.draw(few),
        "pads": [data.draw(st.integers(0, k - 1)) for k in kernel * 2], "ceil_mode": int(ceil),
        "storage_order": order if rank == 2 else 0,
    }  # fmt: skip
    image = [data.draw(st.integers(5, 7)) for _ in range(rank)]
    x = (
        np.abs(normal(2, 2, *image, dtype=dtype))
        if dtype is np.uint8
        else normal(2, 2, *image, dtype=dtype)
    )
    if dtype in (np.float32, np.float64):
        x = np.round(x)  # equal maxima
    proto = model("MaxPool", [x], 12, (), 2, attributes)
    expected = reference(proto, {"x0": x})
    found = interp.run(expanded(proto), {"x0": x}).values()
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
