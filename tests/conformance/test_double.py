"""Forms of f64 that have no kernel: onnxruntime's f32 to its digits, C and interpreter to f64's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from single_node import expanded, model, normal, reference

from dlc import api, interp


def check(op: str, arrays: list[Any], opset: int, constants: tuple[int, ...] = (), *,
          out: Path | None = None, **attributes: Any) -> None:  # fmt: skip
    """The arrays are of f32; those of floats become f64, but for initializers (scales)."""
    narrow = model(op, arrays, opset, constants, 1, attributes)
    inputs = {f"x{i}": a for i, a in enumerate(arrays) if i not in constants}
    (expected,) = reference(narrow, inputs)
    wide = [a if i in constants else a.astype(np.float64) for i, a in enumerate(arrays)]
    proto = model(op, wide, opset, constants, 1, attributes)
    feeds = {name: a.astype(np.float64) for name, a in inputs.items()}
    (found,) = interp.run(expanded(proto), feeds).values()
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    if out is not None:
        (compiled,) = api.compile(proto, out=out).run(feeds).values()
        np.testing.assert_allclose(compiled, found, rtol=1e-11, atol=1e-12)


@settings(max_examples=40)
@given(rank=st.integers(1, 2), groups=st.integers(1, 2), data=st.data(), biased=st.booleans())
def test_conv_transpose(rank: int, groups: int, data: Any, biased: bool) -> None:
    def sizes(low: int, high: int, count: int = rank) -> list[int]:
        return data.draw(st.lists(st.integers(low, high), min_size=count, max_size=count))

    kernel, strides, dilations = sizes(2, 3), sizes(1, 3), sizes(1, 2)
    added = [data.draw(st.integers(0, step - 1)) for step in strides]
    arrays = [normal(2, 2 * groups, *sizes(3, 5)), normal(2 * groups, 3, *kernel)]
    if biased:
        arrays.append(normal(3 * groups))
    check("ConvTranspose", arrays, 17, strides=strides, dilations=dilations, group=groups,
          pads=sizes(0, 1, 2 * rank), output_padding=added)  # fmt: skip


@settings(max_examples=40)
@given(rank=st.integers(1, 2), data=st.data(), counted=st.integers(0, 1), ceil=st.integers(0, 1))
def test_average_pool(rank: int, data: Any, counted: int, ceil: int) -> None:
    def sizes(low: int, high: int) -> list[int]:
        return data.draw(st.lists(st.integers(low, high), min_size=rank, max_size=rank))

    kernel = sizes(2, 3)
    pads = [data.draw(st.integers(0, k - 1)) for k in kernel * 2]
    check("AveragePool", [normal(2, 2, *sizes(4, 7))], 19, kernel_shape=kernel, pads=pads,
          strides=sizes(1, 3), count_include_pad=counted, ceil_mode=ceil)  # fmt: skip


@pytest.mark.parametrize("op, arrays, attributes", [
    ("ConvTranspose", [normal(1, 4, 5, 6), normal(4, 3, 3, 2)],
     {"strides": [2, 1], "pads": [1, 0, 2, 1], "group": 2, "output_padding": [1, 0]}),
    ("AveragePool", [normal(1, 2, 7, 9)], {"kernel_shape": [3, 2], "strides": [2, 3], "pads": [1, 1, 2, 0], "ceil_mode": 1}),
    ("LRN", [normal(2, 5, 4, 3)], {"size": 3, "alpha": 0.3, "beta": 0.6, "bias": 1.5}),
])  # fmt: skip
def test_through_c(op: str, arrays: list[Any], attributes: dict[str, Any], tmp_path: Path) -> None:
    check(op, arrays, 19, out=tmp_path / "c", **attributes)


@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize("scales", [(1.0, 1.0, 1.5, 0.6), (1.0, 1.0, 2.0, 3.0)])
def test_resize(mode: str, scales: tuple[float, ...], tmp_path: Path) -> None:
    arrays = [normal(1, 2, 4, 5), np.zeros(0, np.float32), np.array(scales, np.float32)]
    check("Resize", arrays, 13, (1, 2), out=tmp_path / "c", mode=mode)
