"""Expansions of Softmax, LogSoftmax and Hardmax."""

from __future__ import annotations

import math

import numpy as np

from dlc.ir.graph import Value
from dlc.ir.types import DType
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
    axes, shape = _axes(call, x), x.shape
    ends = (*shape[: axes[0]], math.prod(shape[i] for i in axes), *shape[axes[-1] + 1 :])
    flat = build.reshape(x, ends)
    where = build.arg_reduce("max", flat, axes[0])
    steps = np.arange(ends[axes[0]]).reshape(-1, *(1,) * (len(ends) - axes[0] - 1))
    hits = build.map_("eq(a0, a1)", build.constant(x, steps, DType.I64), where)
    return build.reshape(build.cast(hits, x.type.dtype), shape)
