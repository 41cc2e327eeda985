"""Expansion of Pad, all modes and versions."""

from __future__ import annotations

import numpy as np

from dlc.ir.graph import Value
from dlc.ops.build import constant, pad, slice_
from dlc.ops.onnx.elementwise import compute
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.take import take


@expansion("Pad")
def pad_(call: Call, x: Value, _: Value | None = None, fill: Value | None = None,
         axes: Value | None = None) -> Value:  # fmt: skip
    """Negative pads crop. Sizes and value are attributes before opset 11."""
    mode = call.attr("mode")
    before, after = _amounts(call, x.type.rank)
    if mode == "constant":
        return _constant_pad(call, _crop(x, before, after), before, after, fill)
    for axis, (front, back) in enumerate(zip(before, after, strict=True)):
        if front or back:
            positions = np.arange(x.shape[axis])
            ends = (max(front, 0), max(back, 0))
            # a crop takes away from what the other end has already mirrored
            positions = np.pad(positions, ends, mode=mode)
            positions = positions[max(-front, 0) : len(positions) - max(-back, 0)]
            x = take(x, positions, axis)
    return x


def _amounts(call: Call, rank: int) -> tuple[list[int], list[int]]:
    pads = call.attr("pads") if call.version < 11 else call.constant(1)
    axes = call.constant(3)
    axes = range(rank) if axes is None else axes.tolist()
    half = len(pads) // 2
    before, after = [0] * rank, [0] * rank
    for i, axis in enumerate(axes):
        before[axis], after[axis] = int(pads[i]), int(pads[half + i])
    return before, after


def _crop(x: Value, before: list[int], after: list[int]) -> Value:
    starts = [max(-amount, 0) for amount in before]
    cuts = zip(x.shape, starts, after, strict=True)
    return slice_(x, starts, [dim - start - max(-back, 0) for dim, start, back in cuts])


def _constant_pad(call: Call, x: Value, before: list[int], after: list[int],
                  fill: Value | None) -> Value:  # fmt: skip
    sizes = [[max(amount, 0) for amount in side] for side in (before, after)]
    if call.version < 11:
        return pad(x, *sizes, call.attr("value"))
    if fill is None or fill.constant is not None:
        return pad(x, *sizes, 0 if fill is None or fill.constant is None else fill.constant.item())
    inside = np.pad(np.ones(x.shape, dtype=bool), list(zip(*sizes, strict=True)))
    return compute("select(a0, a1, a2)", constant(x, inside), pad(x, *sizes), fill)
