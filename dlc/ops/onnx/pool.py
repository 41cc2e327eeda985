"""Expansions of pooling; ceil_mode becomes the overhang of windows beyond the padding."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dlc.ir.graph import Value
from dlc.ir.operator import Array
from dlc.ir.types import DType, strides_of
from dlc.ops import build
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.onnx.padding import Sizes, Window, resolve_pads, window_of
from dlc.ops.onnx.precision import in_f32


def _overhang(window: Window, image: Sizes, pads: Sizes) -> Sizes:
    """How far ceil_mode's last windows reach; one that would start in the end padding is dropped."""
    rank, result = len(image), []
    for i, (size, step, spread) in enumerate(
        zip(image, window.strides, window.spread, strict=True)
    ):
        padded = size + pads[i] + pads[rank + i]
        last = -(-(padded - spread) // step)
        if last * step >= size + pads[i]:
            last -= 1
        result.append(max(0, last * step + spread - padded))
    return tuple(result)


def _geometry(call: Call, x: Value) -> tuple[Window, Sizes, Sizes]:
    """The window, its explicit pads, and its overhang."""
    image = x.type.with_shape(x.type.shape[2:]).dims
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
    return result if call.results == 1 else [result, _positions(call, x, window, pads)]


def _positions(call: Call, x: Value, window: Window, pads: Sizes) -> Value:
    """Where the maxima lie in ``x``, as numbers of its elements, the first of equal ones.

    ``storage_order`` 1 numbers the elements of an image columns first.
    """
    batch, channels, *image = x.shape
    count = call.shape[2:]
    order = range(len(image)) if call.attr("storage_order", 0) else range(len(image))[::-1]
    number: Array = np.zeros((), np.int64)  # of the element that each tap of each window sees
    source: Array = np.zeros((), np.int64)
    inside: Array = np.ones((), bool)
    step = 1
    steps = strides_of(tuple(image))
    for axis in order:
        at = np.add.outer(np.arange(window.kernel[axis]) * window.dilations[axis],
                          np.arange(count[axis]) * window.strides[axis] - pads[axis])  # fmt: skip
        shape = [1] * (2 * len(image))
        shape[axis], shape[len(image) + axis] = at.shape
        at = at.reshape(shape)
        inside = inside & (at >= 0) & (at < image[axis])
        at = np.clip(at, 0, image[axis] - 1)
        number, source, step = number + at * step, source + at * steps[axis], step * image[axis]
    taps, spots = math.prod(window.kernel), math.prod(count)
    tables = (np.broadcast_to(t, [*window.kernel, *count]) for t in (source, number, inside))
    source, number, inside = (t.reshape(taps, spots) for t in tables)
    first = inside.argmax(axis=0)  # a tap in the padding sees what the first inside does
    source, number = (np.where(inside, t, t[first, np.arange(spots)]) for t in (source, number))
    flat = build.reshape(x, [batch * channels, step])
    seen = build.gather(flat, build.constant(x, source, DType.I64), 1)
    best = build.reshape(build.arg_reduce("max", seen, 1), [batch * channels, spots])
    entry = build.map_(f"a0 * {spots} + a1", best, build.constant(x, np.arange(spots)))
    found = build.gather(build.constant(x, number.ravel(), DType.I64), entry, 0)
    planes = np.arange(batch * channels).reshape(-1, 1) * step
    return build.reshape(build.map_("a0 + a1", found, build.constant(x, planes)), call.shape)


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
