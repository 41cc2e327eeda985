"""Expansions of Resize and Upsample, all versions and modes: a chain of one-axis resamplings."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dlc.ir.graph import Value
from dlc.ir.operator import Array
from dlc.ir.types import DType
from dlc.ops.build import cast, constant, map_, resample
from dlc.ops.onnx import resize_tables as tables
from dlc.ops.onnx.elementwise import compute
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.onnx.resize_tables import Axis
from dlc.ops.take import take


@expansion("Resize", "Upsample")
def resize(call: Call, x: Value, *_: Value | None) -> Value:
    mode, axes = call.attr("mode"), _axes(call, x)
    # before version 11 there was no choice
    transform = call.attr("coordinate_transformation_mode", "asymmetric")
    positions = {i: tables.source_positions(axis, transform) for i, axis in axes.items()}
    if mode == "nearest":
        result = take(x, {i: _nearest(call, positions[i], axis) for i, axis in axes.items()})
    else:
        result = _interpolate(call, x, axes, positions)
    if transform == "tf_crop_and_resize":
        return _extrapolate(call, result, axes, positions)
    return result


def _axes(call: Call, x: Value) -> dict[int, Axis]:
    """The axes whose elements change, from operands or attributes ``scales``, ``sizes``, ``roi``."""
    modern = call.operator.type == "Resize" and call.version >= 11
    sizes = call.constant(3) if modern else None
    scales = call.attr("scales") if call.version < 9 else call.constant(2 if modern else 1)
    roi = call.constant(1) if modern else None
    listed = [axis % x.type.rank for axis in call.attr("axes") or range(x.type.rank)]
    if sizes is not None and sizes.size:
        scales = [size / max(x.shape[axis], 1) for axis, size in zip(listed, sizes, strict=True)]
        policy = call.attr("keep_aspect_ratio_policy", "stretch")
        if policy != "stretch":
            scales = [min(scales) if policy == "not_larger" else max(scales)] * len(listed)
    assert scales is not None
    crop = call.attr("coordinate_transformation_mode", "asymmetric") == "tf_crop_and_resize"
    found = {}
    for i, axis in enumerate(listed):
        ends = (0.0, 1.0)
        if crop and roi is not None:
            ends = (float(roi[i]), float(roi[i + len(listed)]))
        resized = Axis(x.shape[axis], call.shape[axis], float(scales[i]), ends)
        if (resized.count, resized.scale, ends) != (resized.extent, 1.0, (0.0, 1.0)):
            found[axis] = resized
    return found


def _nearest(call: Call, positions: Array, axis: Axis) -> Array:
    early = "ceil" if axis.scale < 1 else "floor"  # what version 10 did without saying so
    return tables.nearest(positions, axis.extent, call.attr("nearest_mode", early))


def _interpolate(call: Call, x: Value, axes: Mapping[int, Axis],
                 positions: Mapping[int, Array]) -> Value:  # fmt: skip
    smooth = call.attr("mode") == "cubic"
    kernel = tables.cubic(call.attr("cubic_coeff_a")) if smooth else tables.linear
    wide = x.type.dtype is DType.F64
    result, step = (x, _summed) if wide else (cast(x, DType.F32), resample)
    # axes that shrink come first: fewer elements for the others
    for i, axis in sorted(axes.items(), key=lambda item: item[1].count / max(item[1].extent, 1)):
        index, weight = tables.weighted(
            positions[i], axis, kernel, 2 if smooth else 1, antialias=bool(call.attr("antialias", 0)),
            exclude_outside=bool(call.attr("exclude_outside", 0)),
        )  # fmt: skip
        result = step(result, index, weight, i)
    return cast(result, x.type.dtype)


def _summed(x: Value, index: Array, weight: Array, axis: int) -> Value:
    """What ``resample`` does, in the dtype of ``x``: one tap after the other."""
    total = None
    for positions, factors in zip(index.T, weight.T, strict=True):
        taken = take(x, {axis: positions})
        row = constant(x, factors.reshape([-1] + [1] * (x.type.rank - axis - 1)), x.type.dtype)
        total = (
            map_("a0 * a1", taken, row)
            if total is None
            else map_("a0 * a1 + a2", taken, row, total)
        )
    assert total is not None
    return total


def _extrapolate(call: Call, x: Value, axes: Mapping[int, Axis],
                 positions: Mapping[int, Array]) -> Value:  # fmt: skip
    """Results from outside the source become ``extrapolation_value``."""
    inside = np.ones((1,) * x.type.rank, dtype=bool)
    for i, axis in axes.items():
        along = (positions[i] >= 0) & (positions[i] <= axis.extent - 1)
        inside = inside & along.reshape([-1 if k == i else 1 for k in range(x.type.rank)])
    if inside.all():
        return x
    value = float(call.attr("extrapolation_value"))
    return compute(f"select(a0, a1, {value})", constant(x, inside), x)
