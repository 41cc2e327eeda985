"""Expansion of Pad, all modes and versions."""

from __future__ import annotations

import numpy as np

from dlc.ir.graph import Value
from dlc.ops.build import constant, pad, reshape, slice_
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
    # the positions of the elements, padded in their stead; a crop comes after
    positions = {
        axis: np.pad(np.arange(dim), (max(front, 0), max(back, 0)), mode=mode)
        for axis, (dim, front, back) in enumerate(zip(x.shape, before, after, strict=True))
        if front or back
    }
    return _crop(take(x, positions), before, after)


def _amounts(call: Call, rank: int) -> tuple[list[int], list[int]]:
    pads = np.asarray(call.attr("pads") if call.version < 11 else call.constant(1))
    listed = call.constant(3)
    axes = range(rank) if listed is None else listed.tolist()
    before, after = [0] * rank, [0] * rank
    for axis, front, back in zip(axes, *pads.reshape(2, -1).tolist(), strict=True):
        before[axis], after[axis] = front, back
    return before, after


def _crop(x: Value, before: list[int], after: list[int]) -> Value:
    starts = [max(-amount, 0) for amount in before]
    cuts = zip(x.shape, starts, after, strict=True)
    return slice_(x, starts, [dim - start - max(-back, 0) for dim, start, back in cuts])


def _constant_pad(call: Call, x: Value, before: list[int], after: list[int],
                  fill: Value | None) -> Value:  # fmt: skip
    before, after = ([max(amount, 0) for amount in side] for side in (before, after))
    if call.version < 11:
        return pad(x, before, after, call.attr("value"))
    if fill is None or fill.type.capacity == 0:
        return pad(x, before, after)
    if fill.constant is not None:
        return pad(x, before, after, fill.constant.item())
    inside = np.pad(np.ones(x.shape, dtype=bool), list(zip(before, after, strict=True)))
    fill = reshape(fill, ())
    return compute("select(a0, a1, a2)", constant(x, inside), pad(x, before, after), fill)
