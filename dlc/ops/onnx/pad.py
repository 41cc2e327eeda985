"""Expansion of Pad, all modes and versions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dlc.ir.graph import Value
from dlc.ir.sizes import Size, equal, maximum, select
from dlc.ir.types import Dim
from dlc.ops.build import broadcast, constant, gather, iota, pad, reshape, sizes, slice_
from dlc.ops.core.let import Let
from dlc.ops.onnx.axes import axes_of
from dlc.ops.onnx.elementwise import compute
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.symbols import let
from dlc.ops.take import take

#: where in the source, whose size is a1, position a0 lies that may be outside of it
_SOURCES = {
    "edge": "min(max(a0, 0), a1 - 1)",
    "wrap": "fmod(fmod(a0, a1) + a1, a1)",
    # up and down again, in turns of twice the steps between the ends
    "reflect": "a1 - 1 - abs(fmod(abs(a0), max(2 * a1 - 2, 1)) - (a1 - 1))",
}


@expansion("Pad")
def pad_(call: Call, x: Value, _: Value | None = None, fill: Value | None = None,
         axes: Value | None = None) -> Value:  # fmt: skip
    """Negative pads crop. Sizes and value are attributes before opset 11."""
    mode = call.attr("mode")
    before, after = _amounts(call, x)
    if mode == "constant":
        return _constant_pad(call, x, before, after, fill)
    if mode not in _SOURCES:
        raise call.unsupported(f"mode {mode!r} is none of constant, {', '.join(_SOURCES)}")
    # the positions of the elements, padded in their stead; a crop comes after
    positions = {}
    cropped: tuple[list[Dim], list[Dim]] = ([0] * x.type.rank, [0] * x.type.rank)
    for axis, (dim, front, back) in enumerate(zip(x.type.shape, before, after, strict=True)):
        if not (isinstance(dim, int) and isinstance(front, int) and isinstance(back, int)):
            if front != 0 or back != 0:
                x = _reached(call, x, axis, front, back)
        elif front or back:
            ends = (max(front, 0), max(back, 0))
            positions[axis] = np.pad(np.arange(dim), ends, mode=mode)
            cropped[0][axis], cropped[1][axis] = front, back
    return _crop(take(x, positions), *cropped)


def _reached(call: Call, x: Value, axis: int, front: Dim, back: Dim) -> Value:
    """``x`` padded along an axis of a size, or by sizes, known only at run time."""
    dim = x.type.shape[axis]
    place = compute("a0 - a1", iota(x, dim + front + back), sizes(x, front))
    return gather(x, compute(_SOURCES[call.attr("mode")], place, sizes(x, dim)), axis)


def _amounts(call: Call, x: Value) -> tuple[list[Dim], list[Dim]]:
    rank, dims = x.type.rank, x.type.bounds
    listed = axes_of(call, rank, 3) if call.version >= 18 else None
    listed = list(range(rank)) if listed is None else listed
    pads: Sequence[Dim] | None = call.attr("pads")
    if call.version >= 11:
        # an axis known only at run time may be any; what a pad may add is bounded by the result
        room = [0] * len(listed)
        if call.known(1) is None:
            most = call.bounds_of_shape(rank)
            room = [most[a] if isinstance(a, int) else max(most) for a in listed]
        least = [-dims[a] if isinstance(a, int) else -max(dims) for a in listed]
        pads = call.sizes(1, least * 2, room * 2)
    if pads is None or len(pads) != 2 * len(listed):
        raise call.unsupported(f"its pads do not suit {len(listed)} axes")
    before: list[Dim] = [0] * rank
    after = before.copy()
    for number, front, back in zip(listed, pads, pads[len(listed) :], strict=False):
        for axis in range(rank):
            here = maximum(equal(number, axis), equal(number, axis - rank))
            before[axis] = select(here, front, before[axis])
            after[axis] = select(here, back, after[axis])
    if call.known(1) is not None or call.version < 11:
        return before, after
    wholes = [dim + b + a for dim, b, a in zip(x.type.shape, before, after, strict=True)]
    before = let(call.graph, "before", before)
    intervals = [(0, most) for most in call.bounds_of_shape(rank)]
    symbols = call.graph.fresh_symbols("padded", intervals, call.most())
    call.graph.add(Let(symbols, tuple(wholes)))
    sizes = zip(symbols, x.type.shape, before, strict=True)
    return before, [whole - dim - front for whole, dim, front in sizes]


def _crop(x: Value, before: Sequence[Dim], after: Sequence[Dim]) -> Value:
    starts = [maximum(-amount, 0) for amount in before]
    cuts = zip(x.type.shape, starts, after, strict=True)
    kept = [dim - start - maximum(-back, 0) for dim, start, back in cuts]
    if any(isinstance(amount, Size) for amount in (*before, *after)):
        kept = let(x.graph, "cropped", kept, 0)  # products of such differences have loose bounds
    return slice_(x, starts, kept)


def _constant_pad(call: Call, x: Value, before: Sequence[Dim], after: Sequence[Dim],
                  fill: Value | None) -> Value:  # fmt: skip
    wholes = [dim + b + a for dim, b, a in zip(x.type.shape, before, after, strict=True)]
    x = _crop(x, before, after)
    before = [maximum(amount, 0) for amount in before]
    rests = zip(wholes, before, x.type.shape, strict=True)
    after = [whole - front - kept for whole, front, kept in rests]
    if call.version < 11:
        return pad(x, before, after, call.attr("value"))
    if fill is None or fill.type.capacity == 0:
        return pad(x, before, after)
    if fill.constant is not None:
        return pad(x, before, after, fill.constant.item())
    inside = broadcast(constant(x, np.ones([1] * x.type.rank, dtype=bool)), x.type.shape)
    inside = pad(inside, before, after)
    return compute("select(a0, a1, a2)", inside, pad(x, before, after), reshape(fill, ()))
