"""Expansions of Softmax, LogSoftmax and Hardmax."""

from __future__ import annotations

from dlc.ir.graph import Value
from dlc.ir.sizes import product
from dlc.ops import build
from dlc.ops.onnx.axes import normal_axis
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.onnx.precision import in_f32


def _axes(call: Call, x: Value) -> list[int]:
    """The axes normalised together: before opset 13 all from ``axis`` on, since then that one."""
    axis = normal_axis(call, call.attr("axis"), max(x.type.rank, 1))
    return list(range(axis, x.type.rank))[: 1 if call.version >= 13 else None]


@expansion("Softmax")
@in_f32
def softmax(call: Call, x: Value) -> Value:
    axes = _axes(call, x)
    powers = build.map_("exp(a0 - a1)", x, build.reduce("max", x, axes))
    return build.map_("a0 / a1", powers, build.reduce("add", powers, axes))


@expansion("LogSoftmax")
@in_f32
def log_softmax(call: Call, x: Value) -> Value:
    axes = _axes(call, x)
    shifted = build.map_("a0 - a1", x, build.reduce("max", x, axes))
    logs = build.reduce("add", shifted, axes, element="exp(a0)", epilogue="log(a0)")
    return build.map_("a0 - a1", shifted, logs)


@expansion("Hardmax")
@in_f32
def hardmax(call: Call, x: Value) -> Value:
    """1 at the first greatest element, 0 elsewhere."""
    axes, shape = _axes(call, x), x.type.shape
    ends = (*shape[: axes[0]], product(shape[i] for i in axes), *shape[axes[-1] + 1 :])
    flat = build.reshape(x, ends)
    where = build.arg_reduce("max", flat, axes[0])
    count = ends[axes[0]]
    steps = build.reshape(build.iota(x, count), [count] + [1] * (len(ends) - axes[0] - 1))
    hits = build.map_("eq(a0, a1)", steps, where)
    return build.reshape(build.cast(hits, x.type.dtype), shape)
