"""RoiAlign and MaxRoiPool: onnxruntime against numpy and the kernels, regions anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from single_node import RNG, expanded, model, normal, reference

from dlc import api, exporter, interp
from dlc.errors import DlcError
from dlc.ops.core.roi_align import RoiAlign
from dlc.ops.core.roi_max_pool import RoiMaxPool
from dlc.testing.kernels import load_kernel

I64 = np.int64
FIVE = ", ".join(["ptrdiff_t"] * 5)


def boxes(count: int, size: float) -> np.ndarray:
    """Regions inside and outside of an image of about this size, some of them upside down."""
    return RNG.uniform(-0.3 * size, 1.3 * size, (count, 4)).astype(np.float32)


@settings(max_examples=40)
@given(
    height=st.integers(1, 9), width=st.integers(1, 9), size=st.tuples(*[st.integers(1, 4)] * 2),
    ratio=st.integers(0, 3), scale=st.sampled_from([1.0, 0.25]), half=st.booleans(),
    kind=st.sampled_from(["avg", "max"]), wide=st.booleans(), opset=st.sampled_from([10, 16]),
)  # fmt: skip
def test_roi_align(height: int, width: int, size: tuple[int, int], ratio: int, scale: float,
                   half: bool, kind: str, wide: bool, opset: int) -> None:  # fmt: skip
    dtype = np.float64 if wide else np.float32
    x, rois = normal(2, 3, height, width, dtype=dtype), boxes(4, height / scale).astype(dtype)
    image = np.array([0, 1, 1, 0], I64)
    attributes: dict[str, Any] = {
        "output_height": size[0], "output_width": size[1], "sampling_ratio": ratio, "mode": kind,
        "spatial_scale": scale,
    }  # fmt: skip
    if opset > 10:
        mode = "half_pixel" if half else "output_half_pixel"
        attributes["coordinate_transformation_mode"] = mode
    else:
        half = False
    if half and ratio == 0:  # onnxruntime refuses regions upside down
        rois = np.concatenate([np.minimum(rois[:, :2], rois[:, 2:]), rois[:, 2:]], 1)
    proto = model("RoiAlign", [x, rois, image], opset, (), 1, attributes)
    inputs = {"x0": x, "x1": rois, "x2": image}
    (expected,) = reference(proto, inputs)
    (found,) = interp.run(expanded(proto), inputs).values()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    operator = RoiAlign(size, kind, ratio, scale, half)
    c = "double" if wide else "float"
    name = f"dlc_roi_align_{'f64' if wide else 'f32'}"
    kernel = load_kernel("dlc_roi_align.h", (
        f"int {name}({c} *y, const {c} *x, const {c} *rois, const int64_t *image, {FIVE}, "
        f"ptrdiff_t, ptrdiff_t, ptrdiff_t, {c} scale, {c} offset, ptrdiff_t)"
    ), sanitize=True)  # fmt: skip
    computed = np.full_like(expected, 7)
    sizes = (4, 2, 3, height, width, *size, ratio, scale, 0.5 if half else 0.0, int(kind == "max"))
    assert kernel(computed, x, rois, image, *sizes) == 0
    np.testing.assert_allclose(
        computed, operator.evaluate([x, rois, image])[0], rtol=1e-5, atol=1e-6
    )
    image[3] = 2
    assert kernel(computed, x, rois, image, *sizes) == 2


@settings(max_examples=30)
@given(value=st.sampled_from([np.nan, np.inf, -np.inf, 3e38, -3e38, 1e10]), place=st.integers(0, 3),
       half=st.booleans(), ratio=st.integers(0, 1))  # fmt: skip
def test_regions_may_hold_anything(value: float, place: int, half: bool, ratio: int) -> None:
    x, rois, image = normal(1, 1, 3, 3), boxes(1, 3.0), np.zeros(1, I64)
    rois[0, place] = value
    offset = 0.5 if half else 0.0
    kernel = load_kernel("dlc_roi_align.h", (
        f"int dlc_roi_align_f32(float *y, const float *x, const float *rois, const int64_t *image, "
        f"{FIVE}, ptrdiff_t, ptrdiff_t, ptrdiff_t, float scale, float offset, ptrdiff_t)"
    ), sanitize=True)  # fmt: skip
    y = np.zeros((1, 1, 2, 2), np.float32)
    assert kernel(y, x, rois, image, 1, 1, 1, 3, 3, 2, 2, ratio, 1.0, offset, 0) == 0
    assert np.isfinite(y).all()
    kernel = load_kernel("dlc_roi_max_pool.h", (
        f"int dlc_roi_max_pool_f32(float *y, const float *x, const float *rois, {FIVE}, "
        f"ptrdiff_t, ptrdiff_t, float scale)"
    ), sanitize=True)  # fmt: skip
    five = np.concatenate([[[0]], rois], axis=1).astype(np.float32)
    assert kernel(y, x, five, 1, 1, 1, 3, 3, 2, 2, 1.0) == 0
    np.testing.assert_array_equal(y, RoiMaxPool((2, 2)).evaluate([x, five])[0])
    five[0, 0] = value
    assert kernel(y, x, five, 1, 1, 1, 3, 3, 2, 2, 1.0) == 2


@settings(max_examples=40)
@given(height=st.integers(1, 9), width=st.integers(1, 9), size=st.tuples(*[st.integers(1, 4)] * 2),
       scale=st.sampled_from([1.0, 0.25]))  # fmt: skip
def test_max_roi_pool(height: int, width: int, size: tuple[int, int], scale: float) -> None:
    x = normal(2, 3, height, width)
    rois = np.concatenate([[[0], [1], [1], [0]], boxes(4, height / scale)], 1).astype(np.float32)
    attributes = {"pooled_shape": size, "spatial_scale": scale}
    proto = model("MaxRoiPool", [x, rois], 17, (), 1, attributes)
    (expected,) = reference(proto, {"x0": x, "x1": rois})
    (found,) = interp.run(expanded(proto), {"x0": x, "x1": rois}).values()
    np.testing.assert_array_equal(found, expected)
    kernel = load_kernel("dlc_roi_max_pool.h", (
        f"int dlc_roi_max_pool_f32(float *y, const float *x, const float *rois, {FIVE}, "
        f"ptrdiff_t, ptrdiff_t, float scale)"
    ), sanitize=True)  # fmt: skip
    computed = np.full_like(expected, 7)
    assert kernel(computed, x, rois, 4, 2, 3, height, width, *size, scale) == 0
    np.testing.assert_array_equal(computed, expected)


@pytest.mark.parametrize("op", ["RoiAlign", "MaxRoiPool"])
def test_c_exports_and_refuses_images_out_of_range(op: str, tmp_path: Path) -> None:
    x, rois = normal(2, 3, 7, 8), boxes(3, 7.0)
    if op == "RoiAlign":
        arrays = [x, rois, np.array([1, 0, 1], I64)]
        attributes: dict[str, Any] = {"output_height": 2, "output_width": 3}
    else:
        arrays = [x, np.concatenate([[[1], [0], [1]], rois], 1).astype(np.float32)]
        attributes = {"pooled_shape": [2, 3]}
    proto = model(op, arrays, 17, (), 1, attributes)
    inputs = {f"x{i}": a for i, a in enumerate(arrays)}
    (expected,) = reference(proto, inputs)
    (again,) = reference(exporter.to_onnx(expanded(proto)), inputs)
    compiled = api.compile(proto, out=tmp_path / "c")
    (found,) = compiled.run(inputs).values()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(again, expected, rtol=1e-4, atol=1e-5)
    inputs[f"x{len(arrays) - 1}"] = arrays[-1] * 0 + 2
    with pytest.raises(DlcError):
        compiled.run(inputs)
