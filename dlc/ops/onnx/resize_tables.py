"""Tables of Resize: which source elements make an element of the result, with which weights.

One axis at a time, by the definitions of the ONNX Resize operator. Source positions are computed in
f32, as onnxruntime does, so that ``nearest`` decides ties alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dlc.ir.operator import Array


@dataclass(frozen=True, slots=True)
class Axis:
    """One resized axis: ``count`` results from ``extent`` elements, about ``scale`` as many."""

    extent: int
    count: int
    scale: float
    roi: tuple[float, float] = (0.0, 1.0)


def source_positions(axis: Axis, mode: str) -> Array:
    """Where, among the source elements, each result lies (``coordinate_transformation_mode``)."""
    one, x = np.float32(1), np.arange(axis.count, dtype=np.float32)
    scale, extent = np.float32(axis.scale), np.float32(axis.extent)
    last, steps = extent - one, np.float32(max(axis.count - 1, 1))
    half_pixel = (x + np.float32(0.5)) / scale - np.float32(0.5)
    if mode == "half_pixel":
        return half_pixel
    if mode == "pytorch_half_pixel":
        return half_pixel if axis.count > 1 else np.zeros_like(x)
    if mode == "half_pixel_symmetric":
        shift = axis.extent / 2 * (1 - axis.count / (axis.scale * axis.extent))
        return np.float32(shift) + (x + np.float32(0.5)) / scale - np.float32(0.5)
    if mode == "asymmetric":
        return x / scale
    if mode == "align_corners":
        return x * last / steps
    start, end = (np.float32(bound) for bound in axis.roi)  # tf_crop_and_resize
    if axis.count == 1:
        return np.full_like(x, (start + end) * last / 2)
    return start * last + x * (end - start) * last / steps


TIE = 1e-5  # a position this close to half way, which f32 missed, is meant to be half way
_ROUNDING: dict[str, Callable[[Array], Array]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5 - TIE),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5 + TIE),
    "floor": np.floor,
    "ceil": np.ceil,
}


def nearest(positions: Array, extent: int, mode: str) -> Array:
    """The source element of each result (``nearest_mode``)."""
    rounded = _ROUNDING[mode](positions.astype(np.float64))
    return np.clip(rounded, 0, extent - 1).astype(np.int64)


#: the kernels below as expressions of the distance a0
LINEAR = "max(1.0 - abs(a0), 0.0)"


def cubic_text(a: float) -> str:
    """``cubic`` as an expression."""
    near = f"(({a + 2} * abs(a0) - {a + 3}) * abs(a0) * abs(a0) + 1.0)"
    far = f"((({a} * abs(a0) - {5 * a}) * abs(a0) + {8 * a}) * abs(a0) - {4 * a})"
    return f"select(le(abs(a0), 1.0), {near}, select(lt(abs(a0), 2.0), {far}, 0.0))"


def linear(distance: Array) -> Array:
    """The triangular interpolation kernel; 0 beyond a distance of 1."""
    return np.asarray(np.maximum(1 - np.abs(distance), 0))


def cubic(a: float) -> Callable[[Array], Array]:
    """The cubic convolution kernel of Keys (1981) with parameter ``a``; 0 beyond 2."""

    def kernel(distance: Array) -> Array:
        d = np.abs(distance)
        near = ((a + 2) * d - (a + 3)) * d * d + 1
        far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
        return np.where(d <= 1, near, np.where(d < 2, far, 0))

    return kernel


def weighted(positions: Array, axis: Axis, kernel: Callable[[Array], Array], support: int, *,
             antialias: bool, exclude_outside: bool) -> tuple[Array, Array]:  # fmt: skip
    """Tables ``[count, taps]`` of source elements and their weights.

    ``antialias`` widens the kernel where the axis shrinks; elements outside take the edge's value,
    or no part if ``exclude_outside``.
    """
    x = positions.astype(np.float64)[:, None]
    narrow = min(axis.scale, 1.0) if antialias else 1.0
    reach = math.ceil(support / narrow)
    index = np.floor(x) + np.arange(1 - reach, reach + 1)
    weight = kernel((index - x) * narrow)
    if exclude_outside:
        weight = np.where((index >= 0) & (index < axis.extent), weight, 0)
    if antialias or exclude_outside:
        weight = weight / weight.sum(axis=1, keepdims=True)
    used = weight.any(axis=0)
    index = np.clip(index[:, used], 0, axis.extent - 1)
    return index.astype(np.int32), weight[:, used].astype(np.float32)
