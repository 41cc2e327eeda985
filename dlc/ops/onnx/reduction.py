"""Expansions of Reduce*, ArgMax, ArgMin and CumSum."""

from __future__ import annotations

from collections.abc import Sequence

from dlc.ir.graph import Op, Value
from dlc.ir.sizes import Dim, bound_of, floordiv, maximum, minimum
from dlc.ir.types import DType
from dlc.ops import build
from dlc.ops.build import reshape
from dlc.ops.onnx.axes import are_fixed, axes_of, axis_mask, fixed_axes, normal_axis
from dlc.ops.onnx.expansion import Call, Expansion, expansion
from dlc.ops.onnx.precision import in_f32
from dlc.ops.onnx.shape import without_axes

# function, element, epilogue
_REDUCTIONS = {
    "ReduceSum": ("add", "a0", "a0"),
    "ReduceProd": ("mul", "a0", "a0"),
    "ReduceMax": ("max", "a0", "a0"),
    "ReduceMin": ("min", "a0", "a0"),
    "ReduceL1": ("add", "abs(a0)", "a0"),
    "ReduceL2": ("add", "a0 * a0", "sqrt(a0)"),
    "ReduceSumSquare": ("add", "a0 * a0", "a0"),
    "ReduceLogSum": ("add", "a0", "log(a0)"),
}


def _axes(call: Call, x: Value) -> list[Dim]:
    """The axes, an attribute or since opset 13 (sum) and 18 (others) an operand; none are all."""
    rank = x.type.rank
    axes = axes_of(call, rank)
    if not axes:
        return [] if call.attr("noop_with_empty_axes", 0) else list(range(rank))
    return [*sorted({*fixed_axes(axes)})] if are_fixed(axes) else axes


def reduced_axes(op: Op) -> list[int] | None:
    """The axes a Reduce* op reduces, counted from the front; None when compiling does not know."""
    x = op.operands[0]
    if x is None or (len(op.operands) > 1 and op.operands[1] and op.operands[1].sizes is None):
        return None
    axes = _axes(Call(op), x)
    return fixed_axes(axes) if are_fixed(axes) else None


def _kept(call: Call, x: Value, axes: Sequence[Dim], result: Value) -> Value:
    """The result, which has all axes, without those reduced unless the op keeps them."""
    if call.attr("keepdims"):
        return result
    return reshape(result, without_axes(call, result.type.shape, axes))


def _combined(call: Call, function: str, x: Value, axes: Sequence[Dim], *operands: Value,
              element: str = "a0", epilogue: str = "a0", extras: Sequence[Value] = ()) -> Value:  # fmt: skip
    """A reduction that keeps its axes."""
    if are_fixed(axes):
        return build.reduce(function, x, fixed_axes(axes), *operands, element=element,
                            epilogue=epilogue, extras=extras)  # fmt: skip
    if operands:
        x, element = build.map_(element, x, *operands), "a0"
    mask = axis_mask(call, axes, x.type.rank)
    return build.reduce_mask(function, x, mask, element=element, epilogue=epilogue, extras=extras)


def _reduction(function: str, element: str, epilogue: str) -> Expansion:
    def expand(call: Call, x: Value, axes: Value | None = None) -> Value:
        operand = x
        if x.type.dtype is DType.BOOL:
            operand = build.cast(x, DType.U8)
        elif not x.type.dtype.is_float and epilogue != "a0":  # integers have no sqrt and log
            operand = build.cast(x, DType.F64)
        reduced = _axes(call, x)
        result = _combined(call, function, operand, reduced, element=element, epilogue=epilogue)
        return build.cast(_kept(call, x, reduced, result), x.type.dtype)

    return in_f32(expand)


for _type, _row in _REDUCTIONS.items():
    expansion(_type)(_reduction(*_row))


@expansion("ReduceMean")
@in_f32
def reduce_mean(call: Call, x: Value, axes: Value | None = None) -> Value:
    reduced = _axes(call, x)
    if are_fixed(reduced):
        return build.mean(x, fixed_axes(reduced), keepdims=bool(call.attr("keepdims")))
    total = _combined(call, "add", x, reduced)
    count = floordiv(x.type.count, maximum(total.type.count, 1))
    mean = build.map_("a0 / a1", total, build.cast(build.sizes(x, count), x.type.dtype))
    return _kept(call, x, reduced, mean)


@expansion("ReduceLogSumExp")
@in_f32
def reduce_log_sum_exp(call: Call, x: Value, axes: Value | None = None) -> Value:
    """Shifted by the largest element so that no exp overflows; an infinite one shifts nothing."""
    dtype = x.type.dtype
    x = x if dtype.is_float else build.cast(x, DType.F64)
    reduced = _axes(call, x)
    shift = _combined(call, "max", x, reduced, epilogue="select(eq(abs(a0), inf), 0.0, a0)")
    result = _combined(call, "add", x, reduced, shift, element="exp(a0 - a1)",
                       epilogue="log(a0) + a1", extras=[shift])  # fmt: skip
    return build.cast(_kept(call, x, reduced, result), dtype)


@expansion("ArgMax", "ArgMin")
@in_f32
def arg_reduce(call: Call, x: Value) -> Value:
    axis = normal_axis(call, call.attr("axis"), x.type.rank)
    kind = "max" if call.operator.type == "ArgMax" else "min"
    result = build.arg_reduce(kind, x, axis, bool(call.attr("select_last_index", 0)))
    if call.attr("keepdims"):
        return result
    return build.reshape(result, without_axes(call, result.type.shape, [axis]))


@expansion("CumSum", "CumProd")
@in_f32
def cumulate(call: Call, x: Value, axis: Value) -> Value:
    """By doubling (Hillis and Steele 1986): log2(n) shifted additions, or products.

    Along an axis known at run time only, each is tried and the right one selected.
    """
    rank = x.type.rank
    if axis.constant is not None:
        return _cumulate(call, x, normal_axis(call, int(axis.constant.reshape(())), rank))
    asked = call.sizes(1, -rank, rank - 1)
    assert asked is not None
    chosen = build.sizes(x, asked[0])
    result = _cumulate(call, x, 0)
    for at in range(1, rank):
        here = f"or_(eq(a0, {at}), eq(a0, {at - rank}))"
        result = build.map_(f"select({here}, a1, a2)", chosen, _cumulate(call, x, at), result)
    return result


def _cumulate(call: Call, x: Value, at: int) -> Value:
    size, reverse = x.type.shape[at], bool(call.attr("reverse"))
    sign, fill = ("+", 0) if call.operator.type == "CumSum" else ("*", 1)
    result = _shift(x, at, 1, reverse, fill) if call.attr("exclusive") else x
    step = 1
    while step < bound_of(size):
        result = build.map_(f"a0 {sign} a1", result, _shift(result, at, step, reverse, fill))
        step *= 2
    return result


def _shift(x: Value, axis: int, step: int, reverse: bool, fill: int) -> Value:
    """Element i - step (i + step if ``reverse``) of an axis at i; ``fill`` beyond the end."""
    zeros: list[Dim] = [0] * x.type.rank
    border = [minimum(step, size) if i == axis else 0 for i, size in enumerate(x.type.shape)]
    sizes = [size - more for size, more in zip(x.type.shape, border, strict=True)]
    kept = build.slice_(x, border if reverse else zeros, sizes)
    before, after = (zeros, border) if reverse else (border, zeros)
    return build.pad(kept, before, after, fill)


@expansion("TopK")
@in_f32
def top_k(call: Call, x: Value, k: Value | None = None) -> Sequence[Value]:
    """Sorted whatever ``sorted`` says, which then only permits another order."""
    axis = normal_axis(call, call.attr("axis"), x.type.rank)
    wanted = call.attr("k")
    if wanted is None:
        asked = call.sizes(1, 0, bound_of(x.type.shape[axis]))
        assert asked is not None
        (wanted,) = asked
    return build.top_k(x, axis, wanted, bool(call.attr("largest", 1)))
