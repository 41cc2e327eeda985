"""Expansions of Reduce*, ArgMax, ArgMin and CumSum."""

from __future__ import annotations

from collections.abc import Sequence

from dlc.errors import UnsupportedError
from dlc.ir.graph import Op, Value
from dlc.ir.types import DType
from dlc.ops import build
from dlc.ops.onnx.expansion import Call, Expansion, expansion
from dlc.ops.onnx.precision import in_f32

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


def normal_axis(call: Call, axis: int, rank: int) -> int:
    """An axis counted from the front."""
    if not -rank <= axis < rank:
        raise call.unsupported(f"axis {axis} is not one of {rank}")
    return axis % rank


def _axes(call: Call, x: Value) -> list[int]:
    """The axes, an attribute or since opset 13 (sum) and 18 (others) an operand; none are all."""
    rank = x.type.rank
    written: Sequence[int] | None = call.attr("axes")
    if written is None:
        operand = call.constant(1)
        written = None if operand is None else [int(axis) for axis in operand.ravel()]
    if not written:
        return [] if call.attr("noop_with_empty_axes", 0) else list(range(rank))
    return sorted({normal_axis(call, axis, rank) for axis in written})


def reduced_axes(op: Op) -> list[int] | None:
    """The axes a Reduce* op reduces, counted from the front; None when compiling does not know."""
    x = op.operands[0]
    try:
        return None if x is None else _axes(Call(op), x)
    except UnsupportedError:
        return None


def _reduction(function: str, element: str, epilogue: str) -> Expansion:
    def expand(call: Call, x: Value, axes: Value | None = None) -> Value:
        operand = x
        if x.type.dtype is DType.BOOL:
            operand = build.cast(x, DType.U8)
        elif not x.type.dtype.is_float and epilogue != "a0":  # integers have no sqrt and log
            operand = build.cast(x, DType.F64)
        result = build.reduce(function, operand, _axes(call, x), element=element, epilogue=epilogue,
                              keepdims=bool(call.attr("keepdims")))  # fmt: skip
        return build.cast(result, x.type.dtype)

    return in_f32(expand)


for _type, _row in _REDUCTIONS.items():
    expansion(_type)(_reduction(*_row))


@expansion("ReduceMean")
@in_f32
def reduce_mean(call: Call, x: Value, axes: Value | None = None) -> Value:
    return build.mean(x, _axes(call, x), keepdims=bool(call.attr("keepdims")))


@expansion("ReduceLogSumExp")
@in_f32
def reduce_log_sum_exp(call: Call, x: Value, axes: Value | None = None) -> Value:
    """Shifted by the largest element so that no exp overflows; an infinite one shifts nothing."""
    dtype = x.type.dtype
    x = x if dtype.is_float else build.cast(x, DType.F64)
    reduced = _axes(call, x)
    shift = build.reduce("max", x, reduced, epilogue="select(eq(abs(a0), inf), 0.0, a0)")
    result = build.reduce("add", x, reduced, shift, element="exp(a0 - a1)",
                          epilogue="log(a0) + a1", extras=[shift])  # fmt: skip
    if not call.attr("keepdims"):
        kept = [dim for i, dim in enumerate(x.shape) if i not in reduced]
        result = build.reshape(result, kept)
    return build.cast(result, dtype)


@expansion("ArgMax", "ArgMin")
@in_f32
def arg_reduce(call: Call, x: Value) -> Value:
    axis = normal_axis(call, call.attr("axis"), x.type.rank)
    kind = "max" if call.operator.type == "ArgMax" else "min"
    result = build.arg_reduce(kind, x, axis, bool(call.attr("select_last_index", 0)))
    if call.attr("keepdims"):
        return result
    return build.reshape(result, [dim for i, dim in enumerate(x.shape) if i != axis])


@expansion("CumSum", "CumProd")
@in_f32
def cumulate(call: Call, x: Value, axis: Value) -> Value:
    """By doubling (Hillis and Steele 1986): log2(n) shifted additions, or products.

    Along an axis known at run time only, each is tried and the right one selected.
    """
    rank = x.type.rank
    if axis.constant is not None:
        return _cumulate(call, x, normal_axis(call, int(axis.constant.reshape(())), rank))
    chosen = build.cast(build.reshape(axis, ()), DType.I64)
    result = _cumulate(call, x, 0)
    for at in range(1, rank):
        here = f"or_(eq(a0, {at}), eq(a0, {at - rank}))"
        result = build.map_(f"select({here}, a1, a2)", chosen, _cumulate(call, x, at), result)
    return result


def _cumulate(call: Call, x: Value, at: int) -> Value:
    size, reverse = x.shape[at], bool(call.attr("reverse"))
    sign, fill = ("+", 0) if call.operator.type == "CumSum" else ("*", 1)
    result = _shift(x, at, 1, reverse, fill) if call.attr("exclusive") else x
    step = 1
    while step < size:
        result = build.map_(f"a0 {sign} a1", result, _shift(result, at, step, reverse, fill))
        step *= 2
    return result


def _shift(x: Value, axis: int, step: int, reverse: bool, fill: int) -> Value:
    """Element i - step (i + step if ``reverse``) of an axis at i; ``fill`` beyond the end."""
    step = min(step, x.shape[axis])
    zeros = [0] * x.type.rank
    border = [step if i == axis else 0 for i in range(x.type.rank)]
    sizes = [size - more for size, more in zip(x.shape, border, strict=True)]
    kept = build.slice_(x, border if reverse else zeros, sizes)
    return build.pad(kept, *((zeros, border) if reverse else (border, zeros)), fill)


@expansion("TopK")
@in_f32
def top_k(call: Call, x: Value, k: Value | None = None) -> Sequence[Value]:
    """Sorted whatever ``sorted`` says, which then only permits another order."""
    axis = normal_axis(call, call.attr("axis"), x.type.rank)
    return build.top_k(x, axis, call.shape[axis], bool(call.attr("largest", 1)))
