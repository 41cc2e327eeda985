"""Expansions of pooling; ceil_mode becomes the overhang of windows beyond the padding."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dlc.ir.graph import Value
from dlc.ir.sizes import Dim, ceildiv, less, maximum, product
from dlc.ir.types import strides_of
from dlc.ops import build
from dlc.ops.onnx.elementwise import compute
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.onnx.padding import Dims, Window, resolve_pads, window_of
from dlc.ops.onnx.precision import in_f32


def _overhang(window: Window, image: Dims, pads: Dims) -> Dims:
    """How far ceil_mode's last windows reach; one that would start in the end padding is dropped."""
    rank, result = len(image), list[Dim]()
    for i, (size, step, spread) in enumerate(
        zip(image, window.strides, window.spread, strict=True)
    ):
        padded = size + pads[i] + pads[rank + i]
        last = ceildiv(padded - spread, step)
        last = last - 1 + less(last * step, size + pads[i])
        result.append(maximum(last * step + spread - padded, 0))
    return tuple(result)


def _geometry(call: Call, x: Value) -> tuple[Window, Dims, Dims]:
    """The window, its explicit pads, and its overhang."""
    image = x.type.shape[2:]
    window = window_of(call, call.attr("kernel_shape"))
    if len(window.kernel) != len(image):
        raise call.unsupported(f"kernel_shape {window.kernel} does not suit operand {x.type}")
    pads = resolve_pads(window, image)
    ceil = call.attr("ceil_mode", 0) and not window.auto_pad.startswith("SAME")
    return window, pads, _overhang(window, image, pads) if ceil else (0,) * len(image)


@expansion("MaxPool")
@in_f32
def max_pool(call: Call, x: Value) -> Value | Sequence[Value]:
    window, pads, overhang = _geometry(call, x)
    result = build.pool("max", x, window.kernel, strides=window.strides, pads=pads,
                        dilations=window.dilations, overhang=overhang)  # fmt: skip
    return result if call.results == 1 else [result, _positions(call, x, result, window, pads)]


def _positions(call: Call, x: Value, result: Value, window: Window, pads: Dims) -> Value:
    """Where the maxima lie in ``x``, as numbers of its elements, the first of equal ones.

    ``storage_order`` 1 numbers the elements of an image columns first.
    """
    batch, channels, *image = x.type.shape
    rank, count = len(image), result.type.shape[2:]
    columns_first = bool(call.attr("storage_order", 0))
    factors = [strides_of(image), strides_of(image[::-1])[::-1] if columns_first else ()]
    tables = []
    places = [_seen(x, window, pads, axis, count[axis]) for axis in range(rank)]
    taps, spots = math.prod(window.kernel), product(count)
    for steps in factors[: 1 + columns_first]:
        terms = " + ".join(f"a{i} * a{rank + i}" for i in range(rank))
        table = compute(terms, *places, *(build.sizes(x, step) for step in steps))
        table = build.broadcast(table, [*window.kernel, *count])
        tables.append(build.reshape(table, [taps, spots]))
    planes, pixels = batch * channels, product(image)
    seen = build.gather(build.reshape(x, [planes, pixels]), tables[0], 1)
    best = build.reshape(build.arg_reduce("max", seen, 1), [planes, spots])
    entry = compute("a0 * a1 + a2", best, build.sizes(x, spots), build.iota(x, spots))
    found = build.gather(build.reshape(tables[-1], [taps * spots]), entry, 0)
    plane = build.reshape(build.iota(x, planes), [planes, 1])
    numbers = compute("a0 + a1 * a2", found, plane, build.sizes(x, pixels))
    return build.reshape(numbers, result.type.shape)


def _seen(x: Value, window: Window, pads: Dims, axis: int, count: Dim) -> Value:
    """The position along an axis that each tap of each window sees.

    A tap in the padding sees what the nearest inside does. Taps and windows have axes of their own.
    """
    rank, ones = len(window.kernel), [1] * (2 * len(window.kernel))
    taps, size = window.kernel[axis], x.type.shape[2 + axis]
    tap = build.reshape(build.iota(x, taps), [*ones[:axis], taps, *ones[axis + 1 :]])
    number = build.reshape(build.iota(x, count), [count, *ones[: rank - axis - 1]])
    step = window.dilations[axis]
    start = compute(f"a0 * {window.strides[axis]} - a1", number, build.sizes(x, pads[axis]))
    first, last = f"(max(0 - a1, 0) + {step - 1}) / {step}", f"max(a2 - 1 - a1, 0) / {step}"
    return compute(f"a1 + min(max(a0, {first}), {last}) * {step}", tap, start, build.sizes(x, size))


@expansion("AveragePool")
@in_f32
def average_pool(call: Call, x: Value) -> Value:
    window, pads, overhang = _geometry(call, x)
    return build.pool("avg", x, window.kernel, strides=window.strides, pads=pads, overhang=overhang,
                      dilations=window.dilations, include_pad=bool(call.attr("count_include_pad", 0)))  # fmt: skip


@expansion("LpPool")
@in_f32
def lp_pool(call: Call, x: Value) -> Value:
    """From the mean of all positions of the window, padding included."""
    window, pads, overhang = _geometry(call, x)
    rank, p, count = len(overhang), float(call.attr("p")), 1
    for size in window.kernel:
        count *= size
    ends = [end + more for end, more in zip(pads[rank:], overhang, strict=True)]
    powers = build.map_("a0 * a0" if p == 2 else f"pow(abs(a0), {p})", x)
    means = build.pool("avg", powers, window.kernel, strides=window.strides,
                       pads=(*pads[:rank], *ends), dilations=window.dilations, include_pad=True)  # fmt: skip
    return build.map_(f"{_root(p)}".replace("a0", f"(a0 * {float(count)})"), means)


def _root(p: float) -> str:
    return "sqrt(a0)" if p == 2 else f"pow(a0, {1 / p})"


@expansion("GlobalAveragePool")
@in_f32
def global_average_pool(call: Call, x: Value) -> Value:
    return build.mean(x, range(2, x.type.rank))


@expansion("GlobalMaxPool")
@in_f32
def global_max_pool(call: Call, x: Value) -> Value:
    return build.reduce("max", x, range(2, x.type.rank))


@expansion("GlobalLpPool")
@in_f32
def global_lp_pool(call: Call, x: Value) -> Value:
    p = float(call.attr("p"))
    element = "a0 * a0" if p == 2 else f"pow(abs(a0), {p})"
    return build.reduce("add", x, range(2, x.type.rank), element=element, epilogue=_root(p))
