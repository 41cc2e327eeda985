"""Resizing along an axis whose sizes, scale or region are known only at run time.

What ``resize_tables`` computes when compiling is computed by the model here, by the same formulas.
"""

from __future__ import annotations

from dataclasses import dataclass

from dlc.ir.graph import Value
from dlc.ir.sizes import Dim, bound_of
from dlc.ir.types import DType
from dlc.ops.build import cast, gather, iota, reduce, reshape, sizes
from dlc.ops.onnx.elementwise import compute
from dlc.ops.onnx.resize_tables import TIE
from dlc.ops.symbols import bound_sizes

# of a0, the number of a result: a1 is the scale, a2 the extent, a3 the count, a4 and a5 the region
_HALF_PIXEL = "(a0 + 0.5) / a1 - 0.5"
_POSITIONS = {
    "half_pixel": _HALF_PIXEL,
    "pytorch_half_pixel": f"select(lt(1.0, a3), {_HALF_PIXEL}, 0.0)",
    "half_pixel_symmetric": "a2 * 0.5 * (1.0 - a3 / (a1 * a2)) + (a0 + 0.5) / a1 - 0.5",
    "asymmetric": "a0 / a1",
    "align_corners": "a0 * (a2 - 1.0) / max(a3 - 1.0, 1.0)",
    "tf_crop_and_resize": "select(eq(a3, 1.0), (a4 + a5) * (a2 - 1.0) * 0.5,"
                          " a4 * (a2 - 1.0) + a0 * (a5 - a4) * (a2 - 1.0) / max(a3 - 1.0, 1.0))",
}  # fmt: skip
_ROUNDING = {
    "round_prefer_floor": f"ceil(a0 - 0.5 - {TIE})",
    "round_prefer_ceil": f"floor(a0 + 0.5 + {TIE})",
    "floor": "floor(a0)",
    "ceil": "ceil(a0)",
    # by the scale, as version 10 did without saying so
    "early": "select(lt(a2, 1.0), ceil(a0), floor(a0))",
}


@dataclass(frozen=True, slots=True)
class RunTimeAxis:
    """One resized axis, as ``resize_tables.Axis``: scale and region are f32 scalars."""

    extent: Dim
    count: Dim
    scale: Value
    roi: tuple[Value, Value] | None = None


def source_positions(axis: RunTimeAxis, mode: str) -> Value:
    """Where, among the source elements, each result lies: f32[count]."""
    where = axis.scale
    ends = (sizes(where, dim) for dim in (axis.extent, axis.count))
    numbers = [axis.scale, *(cast(end, DType.F32) for end in ends), *(axis.roi or ())]
    return compute(_POSITIONS[mode], cast(iota(where, axis.count), DType.F32), *numbers)


def nearest(x: Value, positions: Value, axis: RunTimeAxis, mode: str, at: int) -> Value:
    """The source element of each result along axis ``at``."""
    last = sizes(x, axis.extent - 1)
    rounded = compute(
        _ROUNDING[mode], cast(positions, DType.F64), last, cast(axis.scale, DType.F64)
    )
    return gather(x, compute("min(max(i64(a0), 0), a1)", rounded, last), at)


def inside(positions: Value, axis: RunTimeAxis) -> Value:
    """Which results lie among the source elements."""
    last = cast(sizes(positions, axis.extent - 1), DType.F32)
    return compute("and_(le(0.0, a0), le(a0, a1))", positions, last)


def interpolate(x: Value, positions: Value, axis: RunTimeAxis, kernel: str, support: int, at: int, *,
                antialias: bool, exclude_outside: bool) -> Value:  # fmt: skip
    """Weighted neighbours along axis ``at``; ``kernel`` is of the distance a0."""
    narrow = compute("min(f64(a0), 1.0)", axis.scale) if antialias else None
    reach: Dim = support
    if narrow is not None:
        most = support * max(bound_of(axis.extent), 1)
        wanted = compute(f"i64(ceil({float(support)} / a0))", narrow)
        (reach,) = bound_sizes(wanted, "reach", 1, most, clamp=True)
    centre = cast(reshape(positions, [axis.count, 1]), DType.F64)
    tap = iota(x, 2 * reach)
    first, last = sizes(x, 1 - reach), sizes(x, axis.extent - 1)
    place = compute("i64(floor(a0)) + a1 + a2", centre, tap, first)
    distance = compute("f64(a0) - a1", place, centre)
    weight = compute(kernel, distance if narrow is None else compute("a0 * a1", distance, narrow))
    if exclude_outside:
        outside = "or_(lt(a1, 0), lt(a2, a1))"
        weight = compute(f"select({outside}, 0.0, a0)", weight, place, last)
    if antialias or exclude_outside:
        weight = compute("a0 / a1", weight, reduce("add", weight, [1]))
    taken = gather(x, compute("min(max(a0, 0), a1)", place, last), at)
    ones = [1] * (x.type.rank - at - 1)
    factors = reshape(cast(weight, x.type.dtype), [axis.count, 2 * reach, *ones])
    return reduce("add", compute("a0 * a1", taken, factors), [at + 1], keepdims=False)
