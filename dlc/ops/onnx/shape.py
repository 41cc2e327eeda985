"""Expansions of ONNX ops that change no element: shapes, views, and ops that do nothing."""

from __future__ import annotations

from collections.abc import Sequence

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


@expansion("Dropout")
def dropout(call: Call, x: Value, ratio: Value | None = None,
            training: Value | None = None) -> Sequence[Value]:  # fmt: skip
    """As in inference: the operand itself, and a mask that keeps everything."""
    if training is not None and bool(np.any(call.constant(2))):
        raise call.unsupported("training mode draws random numbers; export the model for inference")
    masks = [constant(x, np.ones(mask.dims, dtype=mask.dtype.numpy)) for mask in call.types[1:]]
    return [x, *masks]


@expansion("Shape")
def shape_of(call: Call, x: Value) -> Value:
    return constant(
        x, np.array(x.shape[slice(call.attr("start"), call.attr("end"))], dtype=np.int64)
    )


@expansion("Size")
def size_of(call: Call, x: Value) -> Value:
    return constant(x, np.array(np.prod(x.shape, dtype=np.int64)))
