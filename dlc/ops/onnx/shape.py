"""Expansions of ONNX ops that change no element: shapes, views, and ops that do nothing."""

from __future__ import annotations

import numpy as np

from dlc.ir.graph import Value
from dlc.ops.build import constant, reshape
from dlc.ops.onnx.expansion import Call, expansion


@expansion("Reshape", "Flatten", "Squeeze", "Unsqueeze")
def reshape_(call: Call, x: Value, *_: Value | None) -> Value:
    return reshape(x, call.shape)  # the result's type already says what the operands ask for


@expansion("Identity")
def identity(call: Call, x: Value) -> Value:
    return x


@expansion("Shape")
def shape_of(call: Call, x: Value) -> Value:
    return constant(
        x, np.array(x.shape[slice(call.attr("start"), call.attr("end"))], dtype=np.int64)
    )


@expansion("Size")
def size_of(call: Call, x: Value) -> Value:
    return constant(x, np.array(np.prod(x.shape, dtype=np.int64)))
