"""Expansions of ONNX ops that make tensors from attributes, shapes and constants."""

from __future__ import annotations

from typing import Any

import numpy as np

from dlc.ir.graph import Value
from dlc.ir.operator import Data
from dlc.ir.types import DType
from dlc.ops.build import cast, constant, reshape, slice_
from dlc.ops.onnx.elementwise import compute
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.onnx.movement import axis_of


def _array(value: Any) -> Any:
    return value.array if isinstance(value, Data) else value


@expansion("Constant")
def constant_(call: Call) -> Value:
    (name, value), *_ = call.operator.attrs
    if name == "sparse_value":
        raise call.unsupported("a sparse constant; store it as a dense tensor")
    return constant(call.graph, _array(value), call.dtype)


@expansion("ConstantOfShape")
def constant_of_shape(call: Call, shape: Value) -> Value:
    value = np.asarray(_array(call.attr("value", Data(np.float32(0)))))
    return constant(shape, np.broadcast_to(value.ravel()[:1], call.shape))


@expansion("Range")
def range_(call: Call, *__: Value) -> Value:
    start, _, delta = (call.constant(i) for i in range(3))
    assert start is not None
    assert delta is not None
    steps = np.arange(call.shape[0])
    return constant(call.graph, (start + steps * delta).reshape(call.shape), call.dtype)


@expansion("EyeLike")
def eye_like(call: Call, x: Value) -> Value:
    return constant(x, np.eye(call.shape[0], call.shape[1], int(call.attr("k"))), call.dtype)


@expansion("OneHot")
def one_hot(call: Call, indices: Value, _: Value, values: Value) -> Value:
    """``values`` are off and on; negative indices count from the end, others out of range are off."""
    axis = axis_of(call, len(call.shape))
    depth, shape = call.shape[axis], list(call.shape)
    shape[axis] = 1
    off, on = (reshape(slice_(values, [k], [1]), ()) for k in range(2))
    classes = np.arange(depth).reshape([-1] + [1] * (len(shape) - axis - 1))
    hot = f"eq(select(lt(a0, 0), a0 + {depth}, a0), a1)"
    indices = reshape(cast(indices, constant(values, classes).type.dtype), shape)
    return compute(f"select({hot}, a2, a3)", indices, constant(values, classes), on, off)


@expansion("Trilu")
def trilu(call: Call, x: Value, k: Value | None = None) -> Value:
    if k is not None and k.constant is None:
        below = np.subtract.outer(*(-np.arange(dim) for dim in x.shape[-2:]))  # column - row
        inside = "le(a2, a1)" if call.attr("upper") else "le(a1, a2)"
        return compute(f"select({inside}, a0, 0)", x, constant(x, below, DType.I64), reshape(k, ()))
    diagonal = 0 if k is None or k.constant is None else int(k.constant.item())
    mask = np.ones(x.shape[-2:], dtype=bool)
    mask = np.triu(mask, diagonal) if call.attr("upper") else np.tril(mask, diagonal)
    return compute("select(a1, a0, 0)", x, constant(x, mask))
