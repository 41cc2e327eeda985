"""DeformConv and GridSample of f64 against onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from single_node import expanded, model, normal, reference

from dlc import api, interp


@settings(max_examples=30)
@given(
    batch=st.integers(1, 2), groups=st.integers(1, 2), parts=st.integers(1, 2),
    kernel=st.tuples(*[st.integers(1, 3)] * 2), strides=st.tuples(*[st.integers(1, 2)] * 2),
    dilations=st.tuples(*[st.integers(1, 2)] * 2), pads=st.tuples(*[st.integers(0, 2)] * 4),
    masked=st.booleans(), biased=st.booleans(),
)  # fmt: skip
def test_deform_conv(batch: int, groups: int, parts: int, kernel: tuple[int, int], strides: tuple[int, int],
                     dilations: tuple[int, int], pads: tuple[int, ...], masked: bool,
                     biased: bool) -> None:  # fmt: skip
    proto, inputs = deformed(batch, groups, parts, kernel, strides, dilations, pads, masked, biased)
    (expected,) = reference(proto, inputs)
    (found,) = interp.run(expanded(proto), inputs).values()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def deformed(batch: int, groups: int, parts: int, kernel: tuple[int, int], strides: tuple[int, int],
             dilations: tuple[int, int], pads: tuple[int, ...], masked: bool,
             biased: bool) -> Any:  # fmt: skip
    image, channels, filters = (7, 8), 2 * groups * parts, 3 * groups
    out = [(size + pads[i] + pads[2 + i] - (kernel[i] - 1) * dilations[i] - 1) // strides[i] + 1
           for i, size in enumerate(image)]  # fmt: skip
    taps = kernel[0] * kernel[1]
    arrays: list[Any] = [
        normal(batch, channels, *image), normal(filters, channels // groups, *kernel),
        normal(batch, parts * taps * 2, *out) * 2, normal(filters) if biased else None,
        normal(batch, parts * taps, *out) if masked else None,
    ]  # fmt: skip
    attributes = {"group": groups, "offset_group": parts, "strides": strides, "pads": pads,
                  "dilations": dilations, "kernel_shape": kernel}  # fmt: skip
    while arrays[-1] is None:
        arrays.pop()
    proto = model("DeformConv", arrays, 19, (), 1, attributes)
    return proto, {f"x{i}": a for i, a in enumerate(arrays) if a is not None}


def test_deform_conv_through_c(tmp_path: Path) -> None:
    proto, inputs = deformed(2, 2, 2, (2, 3), (1, 2), (2, 1), (1, 0, 0, 2), True, True)
    (expected,) = reference(proto, inputs)
    (found,) = api.compile(proto, out=tmp_path / "c").run(inputs).values()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@settings(max_examples=20)
@given(mode=st.sampled_from(["linear", "nearest", "cubic"]), aligned=st.booleans(),
       padding=st.sampled_from(["zeros", "border", "reflection"]))  # fmt: skip
def test_grid_sample_of_f64(mode: str, aligned: bool, padding: str) -> None:
    x = normal(2, 3, 5, 6, dtype=np.float64)
    grid = normal(2, 4, 3, 2, dtype=np.float64)
    attributes = {"mode": mode, "padding_mode": padding, "align_corners": int(aligned)}
    proto = model("GridSample", [x, grid], 20, (), 1, attributes)
    (expected,) = reference(proto, {"x0": x, "x1": grid})
    (found,) = interp.run(expanded(proto), {"x0": x, "x1": grid}).values()
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
