"""Expansions of GridSample: for each neighbour of the sampled points one gather and one weight."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from dlc.ir.graph import Value
from dlc.ir.sizes import product
from dlc.ir.types import Dim
from dlc.ops.build import cast, gather, iota, map_, reshape, sizes, slice_, transpose
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.onnx.indexing import flat_index
from dlc.ops.onnx.precision import in_f32

_MODES = {"bilinear": "linear", "bicubic": "cubic"}  # before opset 20
#: along one axis, the positions (i64, in range) of what a point is made of, and their weights
Neighbours = list[tuple[Value, "Value | None"]]
_A = -0.75  # of the cubic convolution kernel


@expansion("GridSample")
@in_f32
def grid_sample(call: Call, x: Value, grid: Value) -> Value:
    """Points of ``grid`` are (x, y, ...) in -1 .. 1, last axis of ``x`` first."""
    batch, channels, *image = x.type.shape
    rank, points = len(image), list(grid.type.shape[1:-1])
    mode = str(call.attr("mode"))
    mode, padding = _MODES.get(mode, mode), str(call.attr("padding_mode"))
    grid = cast(grid, x.type.dtype)
    aligned = bool(call.attr("align_corners"))
    axes = []
    for axis, size in enumerate(image):
        at = [0] * (grid.type.rank - 1) + [rank - 1 - axis]
        column = reshape(slice_(grid, at, [*grid.type.shape[:-1], 1]), [batch, product(points)])
        text = "(a0 + 1.0) * ((N - 1.0) / 2.0)" if aligned else "((a0 + 1.0) * N - 1.0) * 0.5"
        axes.append(neighbours(_sized(text, size, column), size, mode, padding, aligned))
    rows = reshape(transpose(x, (0, *range(2, rank + 2), 1)), [batch * product(image), channels])
    total = weighed(rows, [reshape(iota(x, batch), [batch, 1])], axes, [batch, *image])
    return reshape(transpose(total, (0, 2, 1)), [batch, channels, *points])


def weighed(rows: Value, lead: Sequence[Value], axes: Sequence[Neighbours],
            dims: Sequence[Dim]) -> Value:  # fmt: skip
    """The sum of the neighbours of each point, times their weights: [points..., row].

    ``rows`` are those of an array of ``dims``; ``lead`` are the coordinates on its first axes, which
    broadcast to the points, and ``axes`` the neighbours along each of the others.
    """
    total: Value | None = None
    for neighbour in itertools.product(*axes):
        number = flat_index([*lead, *(position for position, _ in neighbour)], dims)
        taken = gather(rows, number, 0)
        weights = [reshape(w, [*w.type.shape, 1]) for _, w in neighbour if w is not None]
        factors = " * ".join(f"a{i}" for i in range(len(weights) + 1))
        if total is None:
            total = map_(factors, taken, *weights)
        else:
            total = map_(f"{factors} + a{len(weights) + 1}", taken, *weights, total)
    assert total is not None
    return total


def neighbours(where: Value, size: Dim, mode: str, padding: str,
               aligned: bool) -> Neighbours:  # fmt: skip
    """Positions (i64, in range) and weights of what a point is made of, along one axis."""
    low, span = (0.0, "(N - 1.0)") if aligned else (-0.5, "N")
    if mode != "cubic":  # whose neighbours are moved inside one by one
        where = _inside(where, size, padding, low, span)
    if mode == "nearest":
        return [_tap(map_("round(a0)", where), None, size, padding, low, span)]
    first = map_("floor(a0)", where)
    if mode == "linear":
        weights = ["1.0 - (a0 - a1)", "a0 - a1"]
        offsets = [0.0, 1.0]
    else:
        near = f"(({_A + 2} * {{d}} - {_A + 3}) * {{d}} * {{d}} + 1.0)"
        far = f"((({_A} * {{d}} - {5 * _A}) * {{d}} + {8 * _A}) * {{d}} - {4 * _A})"
        t = "(a0 - a1)"
        weights = [far.format(d=f"({t} + 1.0)"), near.format(d=t), near.format(d=f"(1.0 - {t})"),
                   far.format(d=f"(2.0 - {t})")]  # fmt: skip
        offsets = [-1.0, 0.0, 1.0, 2.0]
    return [
        _tap(map_(f"a0 + {offset}", first), map_(weight, where, first), size, padding, low, span)
        for offset, weight in zip(offsets, weights, strict=True)
    ]


def _tap(position: Value, weight: Value | None, size: Dim, padding: str, low: float,
         span: str) -> tuple[Value, Value | None]:  # fmt: skip
    """A neighbour moved inside; outside an image padded with zeros it weighs nothing."""
    if padding == "zeros":
        one = f"{position.type.dtype.value}(1.0)" if weight is None else "a1"
        text = f"select(or_(lt(a0, 0.0), lt(N - 1.0, a0)), 0.0, {one})"
        weight = _sized(text, size, position, *([] if weight is None else [weight]))
    else:
        position = _inside(position, size, padding, low, span)
    return _sized("i64(min(max(a0, 0.0), N - 1.0))", size, position), weight


def _inside(where: Value, size: Dim, padding: str, low: float, span: str) -> Value:
    if padding == "border":
        return _sized("min(max(a0, 0.0), N - 1.0)", size, where)
    if padding == "zeros":
        return where
    # reflected: a triangle wave of period 2 * span
    folded = f"(abs(a0 - {low}) - 2.0 * {span} * floor(abs(a0 - {low}) / (2.0 * {span})))"
    wave = f"{low} + {span} - abs({folded} - {span})"
    return _sized(f"select(eq({span}, 0.0), 0.0, {wave})", size, where)


def _sized(text: str, size: Dim, *values: Value) -> Value:
    """``text`` of the values, in which ``N`` is a size."""
    if isinstance(size, int):
        return map_(text.replace("N", str(float(size))), *values)
    count = cast(sizes(values[0], size), values[0].type.dtype)
    return map_(text.replace("N", f"a{len(values)}"), *values, count)
