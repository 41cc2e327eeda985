"""Expansions of ONNX ops that make tensors from attributes, shapes and constants."""

from __future__ import annotations

from typing import Any

import numpy as np

from dlc.ir.graph import Value
from dlc.ir.operator import Data
from dlc.ir.sizes import ceildiv, maximum
from dlc.ir.types import Dim, DType
from dlc.ops.build import broadcast, cast, constant, iota, map_, reshape, sizes, slice_
from dlc.ops.onnx.elementwise import compute
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.onnx.movement import axis_of
from dlc.ops.symbols import bound_sizes


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
    value = np.asarray(_array(call.attr("value", Data(np.float32(0))))).ravel()[:1]
    if call.op.types:
        return constant(shape, np.broadcast_to(value, call.shape))
    known = call.known(0)
    dims = None if known is None else known.ravel().tolist()
    if dims is None:
        dims = call.sizes(0, 0, call.most(), joint=call.most())
    assert dims is not None
    return broadcast(constant(shape, value.reshape([1] * len(dims))), dims)


@expansion("Range")
def range_(call: Call, start: Value, limit: Value, delta: Value) -> Value:
    """``ceil((limit - start) / delta)`` numbers, in the operands' dtype (f64 where they are floats)."""
    numbers = [value.constant for value in (start, limit, delta)]
    dtype = start.type.dtype
    if numbers[0] is not None and numbers[2] is not None and call.op.types:
        steps = np.arange(call.shape[0])
        return constant(call.graph, (numbers[0] + steps * numbers[2]).reshape(-1), dtype)
    start, limit, delta = (reshape(value, ()) for value in (start, limit, delta))
    count = _count(call, start, limit, delta)
    wide = DType.F64 if dtype.is_float else DType.I64
    place = cast(iota(call.graph, count), wide)
    ends = (cast(value, wide) for value in (start, delta))
    return cast(map_("a1 + a0 * a2", place, *ends), dtype)


def _count(call: Call, start: Value, limit: Value, delta: Value) -> Dim:
    known = [value.sizes for value in (start, limit, delta)]
    if all(k is not None for k in known):
        first, last, step = (k.item() for k in known)  # type: ignore[union-attr]
        if isinstance(step, int) and step:
            return maximum(
                ceildiv(last - first, step) if step > 0 else ceildiv(first - last, -step), 0
            )
    if start.type.dtype.is_float:
        count = map_(
            "select(eq(a2, 0.0), inf, ceil((a1 - a0) / a2))",
            *(cast(v, DType.F64) for v in (start, limit, delta)),
        )
        count = map_("max(a0, 0)", cast(count, DType.I64))
    else:  # unsigned, where no difference overflows; a step of 0 never ends
        wide = [cast(value, DType.I64) for value in (start, limit, delta)]
        some = "or_(and_(lt(0, a2), lt(a0, a1)), and_(lt(a2, 0), lt(a1, a0)))"
        way = "select(lt(0, a2), u64(a1) - u64(a0), u64(a0) - u64(a1))"
        count = map_(f"select({some}, ({way} - u64(1)) / u64(abs(a2)) + u64(1), u64(0))", *wide)
        count = map_("select(eq(a1, 0), bitnot(u64(0)), a0)", count, wide[2])
    (found,) = bound_sizes(count, "range", 0, call.bound())
    return found


@expansion("EyeLike")
def eye_like(call: Call, x: Value) -> Value:
    k, dtype = int(call.attr("k")), call.dtype
    if x.type.is_static:
        height, width = x.type.dims
        return constant(x, np.eye(height, width, k), dtype)
    down, across = (iota(x, dim) for dim in x.type.shape)
    down = reshape(down, [x.type.shape[0], 1])
    return cast(map_(f"eq(a0 + {k}, a1)", down, across), dtype)


@expansion("OneHot")
def one_hot(call: Call, indices: Value, _: Value, values: Value) -> Value:
    """``values`` are off and on; negative indices count from the end, others out of range are off."""
    axis = axis_of(call, indices.type.rank + 1)
    (depth,) = _depth(call, axis)
    shape: list[Dim] = list(indices.type.shape)
    shape.insert(axis, 1)
    off, on = (reshape(slice_(values, [k], [1]), ()) for k in range(2))
    classes = reshape(iota(indices, depth), [depth] + [1] * (len(shape) - axis - 1))
    many = sizes(indices, depth)
    hot = "eq(select(lt(a0, 0), a0 + a4, a0), a1)"
    if isinstance(depth, int):
        hot = f"eq(select(lt(a0, 0), a0 + {depth}, a0), a1)"
    indices = reshape(cast(indices, DType.I64), shape)
    extra = [] if isinstance(depth, int) else [many]
    return compute(f"select({hot}, a2, a3)", indices, classes, on, off, *extra)


def _depth(call: Call, axis: int) -> list[Dim]:
    """The number of classes, an operand of any numeric type."""
    depth = call.op.operands[1]
    assert depth is not None
    if depth.constant is not None:
        return [int(depth.constant.item())]
    if depth.sizes is not None:
        return [depth.sizes.item()]
    return bound_sizes(cast(depth, DType.I64), "depth", 1, call.bound(0, axis))


@expansion("Trilu")
def trilu(call: Call, x: Value, k: Value | None = None) -> Value:
    if not x.type.is_static or (k is not None and k.constant is None):
        *_, rows, columns = x.type.shape
        below = map_("a1 - a0", reshape(iota(x, rows), [rows, 1]), iota(x, columns))
        inside = "le(a2, a1)" if call.attr("upper") else "le(a1, a2)"
        shift = constant(x, 0, DType.I64) if k is None else cast(reshape(k, ()), DType.I64)
        return compute(f"select({inside}, a0, 0)", x, below, shift)
    diagonal = 0 if k is None or k.constant is None else int(k.constant.item())
    mask = np.ones(x.shape[-2:], dtype=bool)
    mask = np.triu(mask, diagonal) if call.attr("upper") else np.tril(mask, diagonal)
    return compute("select(a1, a0, 0)", x, constant(x, mask))
