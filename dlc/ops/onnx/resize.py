"""Expansions of Resize and Upsample, all versions and modes: a chain of one-axis resamplings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np

from dlc.ir.graph import Value
from dlc.ir.operator import Array
from dlc.ir.sizes import bound_of, floordiv
from dlc.ir.types import Dim, DType
from dlc.ops.build import cast, concat, constant, map_, resample, reshape, sizes, slice_
from dlc.ops.onnx import resize_run_time as run_time
from dlc.ops.onnx import resize_tables as tables
from dlc.ops.onnx.elementwise import compute
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.onnx.resize_run_time import RunTimeAxis
from dlc.ops.onnx.resize_tables import Axis
from dlc.ops.symbols import bound_sizes
from dlc.ops.take import take

#: scales with such denominators give sizes that f32 does not round
_EXACT = 256
_MANY = (1 << 31) - 1
#: how an axis is resized, known when compiling or only at run time
_Plan = Axis | RunTimeAxis
_Positions = Mapping[int, Array | Value]


@expansion("Resize", "Upsample")
def resize(call: Call, x: Value, *_: Value | None) -> Value:
    mode, axes = call.attr("mode"), _axes(call, x)
    # before version 11 there was no choice
    transform = call.attr("coordinate_transformation_mode", "asymmetric")
    positions = {
        i: tables.source_positions(axis, transform)
        if isinstance(axis, Axis)
        else run_time.source_positions(axis, transform)
        for i, axis in axes.items()
    }
    if mode == "nearest":
        result = _nearest(call, x, axes, positions)
    else:
        result = _interpolate(call, x, axes, positions)
    if transform == "tf_crop_and_resize":
        return _extrapolate(call, result, axes, positions)
    return result


def _axes(call: Call, x: Value) -> dict[int, _Plan]:
    """The axes whose elements change, from operands or attributes ``scales``, ``sizes``, ``roi``."""
    modern = call.operator.type == "Resize" and call.version >= 11
    listed = [axis % x.type.rank for axis in call.attr("axes") or range(x.type.rank)]
    extents = [x.type.shape[axis] for axis in listed]
    counts: list[Dim] | None = None
    policy = call.attr("keep_aspect_ratio_policy", "stretch")
    if modern and _operand(call, 3) is not None:
        # what another policy asks for is no size of the result
        loose = policy != "stretch" or call.known(3) is not None
        most = [_MANY if loose else call.bound(0, axis) for axis in listed]
        counts = call.sizes(3, 0, most, joint=None if loose else call.most())
    scales: list[float | Value]
    if counts is not None:
        scales = [_ratio(x, *pair) for pair in zip(counts, extents, strict=True)]
        if policy != "stretch":
            scales = [_extreme("min" if policy == "not_larger" else "max", scales)] * len(listed)
            counts = None
    else:
        policy = "stretch"
        scales = _numbers(call, 2 if modern else 1, call.attr("scales"), len(listed))
    if counts is None and not all(
        0 < scale < math.inf for scale in scales if isinstance(scale, float)
    ):
        raise call.unsupported(f"a scale among {scales}")
    if call.op.types:
        counts = [call.types[0].shape[axis] for axis in listed]
    elif counts is None:
        shift = "" if policy == "stretch" else " + 0.5"
        counts = _counts(call, x, listed, scales, shift)
    crop = call.attr("coordinate_transformation_mode", "asymmetric") == "tf_crop_and_resize"
    roi: list[float | Value] = []
    if crop and _operand(call, 1) is not None:
        roi = _numbers(call, 1, None, 2 * len(listed))
    found: dict[int, _Plan] = {}
    for i, (axis, extent, count, scale) in enumerate(
        zip(listed, extents, counts, scales, strict=True)
    ):
        ends = (roi[i], roi[i + len(listed)]) if roi else (0.0, 1.0)
        if count == extent and scale == 1.0 and ends == (0.0, 1.0):
            continue
        fixed = [number for number in (scale, *ends) if isinstance(number, float)]
        if isinstance(extent, int) and isinstance(count, int) and len(fixed) == 3:
            found[axis] = Axis(extent, count, fixed[0], (fixed[1], fixed[2]))
        else:
            start, end = (_scalar(x, end) for end in ends)
            found[axis] = RunTimeAxis(extent, count, _scalar(x, scale), (start, end))
    return found


def _operand(call: Call, index: int) -> Value | None:
    """An operand that is there and has elements."""
    operands = call.op.operands
    value = operands[index] if index < len(operands) else None
    return None if value is None or value.type.capacity == 0 else value


def _numbers(
    call: Call, index: int, written: Sequence[float] | None, count: int
) -> list[float | Value]:
    """Numbers of an attribute, else of a float operand: those not known when compiling as scalars."""
    value = _operand(call, index)
    if written is not None or value is None or value.constant is not None:
        known = written if value is None else value.constant
        numbers = [] if known is None else [float(number) for number in known]
        if len(numbers) != count:
            raise call.unsupported(f"operand {index} has {len(numbers)} numbers, not {count}")
        return [*numbers]
    value = cast(value, DType.F32)
    return [reshape(slice_(value, [i], [1]), ()) for i in range(count)]


def _scalar(x: Value, number: float | Value) -> Value:
    return number if isinstance(number, Value) else constant(x, number, DType.F32)


def _ratio(x: Value, count: Dim, extent: Dim) -> float | Value:
    """The scale that makes so many of an axis."""
    if isinstance(count, int) and isinstance(extent, int):
        return count / max(extent, 1)
    if count == extent:
        return 1.0
    return compute("f32(a0) / f32(max(a1, 1))", sizes(x, count), sizes(x, extent))


def _extreme(function: str, scales: Sequence[float | Value]) -> float | Value:
    """The least or the greatest scale."""
    fixed = [scale for scale in scales if isinstance(scale, float)]
    if len(fixed) == len(scales):
        return min(fixed) if function == "min" else max(fixed)
    others = [scale for scale in scales if isinstance(scale, Value)]
    result, *rest = [*others, *(constant(others[0], scale, DType.F32) for scale in fixed)]
    for scale in rest:
        result = compute(f"{function}(a0, a1)", result, scale)
    return result


def _counts(call: Call, x: Value, axes: Sequence[int], scales: Sequence[float | Value],
            shift: str) -> list[Dim]:  # fmt: skip
    """How many elements the scales make of the axes: the products in f32, rounded down."""
    found: dict[int, Dim] = {}
    bounds, values = [], []
    for axis, scale in zip(axes, scales, strict=True):
        extent = x.type.shape[axis]
        exact = Fraction(scale) if isinstance(scale, float) else None
        if exact is not None and not shift and exact.denominator <= _EXACT:
            found[axis] = floordiv(extent * exact.numerator, exact.denominator)
            continue
        if isinstance(extent, int) and isinstance(scale, float):
            product = np.float32(extent) * np.float32(scale)
            found[axis] = math.floor(product + 0.5 if shift else product)
            continue
        wide = cast(sizes(x, extent), DType.F32)
        count = compute(f"i64(floor(a0 * a1{shift}))", wide, _scalar(x, scale))
        values.append(reshape(count, [1]))
        bounds.append(
            int(bound_of(extent) * scale) + 1 if isinstance(scale, float) else call.bound(0, axis)
        )
    if values:
        joint = call.most() if any(isinstance(scale, Value) for scale in scales) else None
        made = iter(bound_sizes(concat(values, 0), "resized", 0, bounds, joint=joint))
        found |= {axis: next(made) for axis in axes if axis not in found}
    return [found[axis] for axis in axes]


def _nearest(call: Call, x: Value, axes: Mapping[int, _Plan], positions: _Positions) -> Value:
    static = {}
    for i, axis in axes.items():
        found = positions[i]
        if isinstance(axis, RunTimeAxis):
            assert isinstance(found, Value)
            x = run_time.nearest(x, found, axis, call.attr("nearest_mode", "early"), i)
        else:
            assert not isinstance(found, Value)
            early = "ceil" if axis.scale < 1 else "floor"  # what version 10 did without saying so
            mode = call.attr("nearest_mode", early)
            static[i] = tables.nearest(found, axis.extent, mode)
    return take(x, static)


def _interpolate(call: Call, x: Value, axes: Mapping[int, _Plan], positions: _Positions) -> Value:
    smooth = call.attr("mode") == "cubic"
    kernel = tables.cubic(call.attr("cubic_coeff_a")) if smooth else tables.linear
    wide = x.type.dtype is DType.F64
    result, step = (x, _summed) if wide else (cast(x, DType.F32), resample)
    settings = {
        "antialias": bool(call.attr("antialias", 0)),
        "exclude_outside": bool(call.attr("exclude_outside", 0)),
    }
    # axes that shrink come first: fewer elements for the others
    for i, axis in sorted(axes.items(), key=_growth):
        found, support = positions[i], 2 if smooth else 1
        if isinstance(axis, RunTimeAxis):
            assert isinstance(found, Value)
            text = tables.cubic_text(call.attr("cubic_coeff_a")) if smooth else tables.LINEAR
            result = run_time.interpolate(result, found, axis, text, support, i, **settings)
        else:
            assert not isinstance(found, Value)
            index, weight = tables.weighted(found, axis, kernel, support, **settings)
            result = step(result, index, weight, i)
    return cast(result, x.type.dtype)


def _growth(item: tuple[int, _Plan]) -> float:
    _, axis = item
    return bound_of(axis.count) / max(bound_of(axis.extent), 1)


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


def _extrapolate(call: Call, x: Value, axes: Mapping[int, _Plan], positions: _Positions) -> Value:
    """Results from outside the source become ``extrapolation_value``."""
    value = float(call.attr("extrapolation_value"))
    for i, axis in axes.items():
        found = positions[i]
        if isinstance(axis, RunTimeAxis):
            assert isinstance(found, Value)
            inside = run_time.inside(found, axis)
        else:
            assert not isinstance(found, Value)
            inside = constant(x, (found >= 0) & (found <= axis.extent - 1))
        inside = reshape(inside, [axis.count, *[1] * (x.type.rank - i - 1)])
        x = compute(f"select(a0, a1, {value})", inside, x)
    return x
