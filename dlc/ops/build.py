"""Builders: functions from Values to Values that add core ops to the graph of their operands.

What changes nothing adds nothing: a reshape to the same shape, a cast to the same dtype, an
identity transpose and the map ``a0`` return their operand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dlc.ir.expr import A0, Call, Const, Expr, parse_expr
from dlc.ir.graph import Graph, Value, infer_types
from dlc.ir.operator import Operator
from dlc.ir.sizes import Dim, Size, bound_of, floordiv, product
from dlc.ir.types import DType
from dlc.ops.core.map import Map
from dlc.ops.known import known_result

if TYPE_CHECKING:
    from dlc.ops.core.pool import Pool


def apply(operator: Operator, *values: Value) -> Value:
    """The only result of an operator applied to at least one value.

    Arithmetic on sizes is done at once: its result is a ``sizes`` op.
    """
    graph = values[0].graph
    (type,) = infer_types(operator, values)
    known = known_result(operator, values, type)
    if known is not None:
        return sizes(graph, known, type.dtype)
    return graph.add(operator, values, types=(type,)).result


def sizes(where: Graph | Value, values: Any, dtype: DType = DType.I64) -> Value:
    """A tensor of ints and sizes known when compiling; a constant where all are ints."""
    from dlc.ops.core.sizes import Sizes

    graph = where.graph if isinstance(where, Value) else where
    array = np.asarray(values, object)
    if all(isinstance(item, int) for item in array.ravel()):
        return constant(graph, array.astype(dtype.numpy))
    return graph.add(Sizes(tuple(array.ravel().tolist()), array.shape, dtype)).result


def expression(expr: str | Expr) -> Expr:
    """An expression, parsed if it is text."""
    return parse_expr(expr) if isinstance(expr, str) else expr


def map_(expr: str | Expr, *values: Value) -> Value:
    """``expr`` (its text, or an Expr) of the broadcast values, element by element."""
    expr = expression(expr)
    if expr == A0 and len(values) == 1:
        return values[0]
    return apply(Map(expr), *values)


def constant(where: Graph | Value, array: Any, dtype: DType | None = None) -> Value:
    """A constant in a graph (or in that of a value), converted to ``dtype`` if one is given."""
    graph = where.graph if isinstance(where, Value) else where
    return graph.add_constant(np.asarray(array, dtype=None if dtype is None else dtype.numpy))


def scalar_like(x: Value, number: float) -> Value:
    """A rank-0 constant of the dtype of ``x``."""
    return constant(x, number, x.type.dtype)


def cast(x: Value, dtype: DType) -> Value:
    """``x`` converted to ``dtype`` (the meaning of a cast in a scalar expression)."""
    return x if x.type.dtype is dtype else map_(Call(dtype.value, (A0,)), x)


def dims_of(values: Iterable[Any]) -> list[Dim]:
    """Sizes as they are, all other numbers as ints."""
    return [value if isinstance(value, Size) else int(value) for value in values]


def reshape(x: Value, shape: Sequence[Dim]) -> Value:
    """The elements of ``x`` in row-major order in another shape; one dim may be -1."""
    from dlc.ops.core.reshape import Reshape

    shape = dims_of(shape)
    if -1 in shape:
        rest = product(dim for dim in shape if dim != -1)
        shape[shape.index(-1)] = floordiv(x.type.count, rest)
    if tuple(shape) == x.type.shape:
        return x
    fixed = [dim for dim in shape if isinstance(dim, int)]
    if x.constant is not None and len(fixed) == len(shape):
        return constant(x, x.constant.reshape(fixed))  # no need to wait for fold-constants
    return apply(Reshape(tuple(shape)), x)


def transpose(x: Value, perm: Sequence[int]) -> Value:
    """``result.shape[i] == x.shape[perm[i]]``."""
    from dlc.ops.core.transpose import Transpose

    perm = tuple(int(axis) for axis in perm)
    return x if perm == tuple(range(len(perm))) else apply(Transpose(perm), x)


def assume(x: Value, shape: Sequence[Dim]) -> Value:
    """The value, whose shape is this one: where a size differs the run ends with a status."""
    from dlc.ops.core.assume import Assume

    return x if tuple(shape) == x.type.shape else apply(Assume(tuple(shape)), x)


def slice_(x: Value, starts: Sequence[Dim], sizes: Sequence[Dim],
           steps: Sequence[Dim] | None = None) -> Value:  # fmt: skip
    """``sizes`` elements from ``starts`` at distances ``steps`` (1 unless given) along each axis."""
    from dlc.ops.core.slice import Slice

    steps = [1] * len(sizes) if steps is None else steps
    # the step between fewer than two elements says nothing
    steps = [step if bound_of(size) > 1 else 1 for step, size in zip(steps, sizes, strict=True)]
    entries = (tuple(dims_of(starts)), tuple(dims_of(sizes)), tuple(dims_of(steps)))
    whole = entries[1] == x.type.shape and set(entries[2]) <= {1}
    return x if whole else apply(Slice(*entries), x)


def pad(x: Value, before: Sequence[Dim], after: Sequence[Dim], value: float = 0) -> Value:
    """``x`` inside a border of ``value``: so many positions before and after it on each axis."""
    from dlc.ops.core.pad import Pad

    sizes = (tuple(dims_of(before)), tuple(dims_of(after)))
    return apply(Pad(*sizes, value), x) if any(dim != 0 for dim in sizes[0] + sizes[1]) else x


def concat(values: Sequence[Value], axis: int) -> Value:
    """The values one after the other along ``axis``."""
    from dlc.ops.core.concat import Concat

    return values[0] if len(values) == 1 else apply(Concat(axis), *values)


def broadcast(x: Value, shape: Sequence[Dim]) -> Value:
    """``x`` repeated to ``shape`` by numpy's broadcasting rules."""
    from dlc.ops.core.broadcast import Broadcast

    shape = tuple(dims_of(shape))
    return x if shape == x.type.shape else apply(Broadcast(shape), x)


def gather(data: Value, indices: Value, axis: int) -> Value:
    """Rows of ``data`` along ``axis``, picked by i32 or i64 ``indices`` of any shape."""
    from dlc.ops.core.gather import Gather

    return apply(Gather(axis), data, indices)


def scatter(function: str, data: Value, index: Value, updates: Value) -> Value:
    """``data`` with rows ``index`` (i64, 1-D) set to, or combined with, the rows of ``updates``."""
    from dlc.ops.core.scatter import Scatter

    return apply(Scatter(function), data, index, updates)


def resample(x: Value, index: Any, weight: Any, axis: int) -> Value:
    """Weighted neighbours along ``axis``: tables ``[count, taps]`` of positions and weights."""
    from dlc.ops.core.resample import Resample

    tables = (constant(x, index, DType.I32), constant(x, weight, DType.F32))
    return apply(Resample(axis), x, *tables)


def conv(x: Value, w: Value, *extras: Value, strides: Sequence[int] | None = None,
         pads: Sequence[Dim] | None = None, dilations: Sequence[int] | None = None, groups: int = 1,
         epilogue: str | Expr = A0) -> Value:  # fmt: skip
    """Cross-correlation; ``pads`` has all begins, then all ends. The extras are the epilogue's.

    Where there is no kernel for the dtype, the padding becomes an op of its own.
    """
    from dlc.ops.core.conv import Conv

    rank = x.type.rank - 2
    pads = tuple(pads or (0,) * (2 * rank))
    if x.type.dtype is not DType.F32:
        x, pads = pad(x, (0, 0, *pads[:rank]), (0, 0, *pads[rank:])), (0,) * (2 * rank)
    ones = (1,) * rank
    operator = Conv(tuple(strides or ones), pads, tuple(dilations or ones), groups,
                    epilogue=expression(epilogue))  # fmt: skip
    return apply(operator, x, w, *extras)


def conv_transpose(x: Value, w: Value, *extras: Value, strides: Sequence[int], pads: Sequence[Dim],
                   dilations: Sequence[int], groups: int = 1, epilogue: str | Expr = A0) -> Value:  # fmt: skip
    """The transpose of a convolution; ``pads`` (begins, then ends) are cut off the result."""
    from dlc.ops.core.conv_transpose import ConvTranspose

    operator = ConvTranspose(tuple(strides), tuple(pads), tuple(dilations), groups,
                             epilogue=expression(epilogue))  # fmt: skip
    return apply(operator, x, w, *extras)


def pool(kind: str, x: Value, kernel: Sequence[int], *, strides: Sequence[int] | None = None,
         pads: Sequence[Dim] | None = None, dilations: Sequence[int] | None = None,
         overhang: Sequence[Dim] | None = None, include_pad: bool = False) -> Value:  # fmt: skip
    """Maximum ("max") or mean ("avg") of sliding windows; see the core op for the arguments.

    Where there is no kernel for the dtype, the padding becomes an op of its own.
    """
    from dlc.ops.core.pool import Pool
    from dlc.ops.core.reduce import identity

    rank = len(kernel)
    ones, zeros = (1,) * rank, (0,) * rank
    pads, overhang = tuple(pads or zeros * 2), tuple(overhang or zeros)
    dtype = x.type.dtype
    if dtype is not DType.F32 and kind == "max":
        ends = [end + more for end, more in zip(pads[rank:], overhang, strict=True)]
        x = pad(x, (0, 0, *pads[:rank]), (0, 0, *ends), identity("max", dtype.numpy))
        pads, overhang = zeros * 2, zeros
    if dtype is not DType.F32 and kind == "avg" and any((*pads, *overhang)):
        return _padded_mean(x, Pool(kind, tuple(kernel), tuple(strides or ones), pads,
                                    tuple(dilations or ones), overhang, include_pad))  # fmt: skip
    return apply(Pool(kind, tuple(kernel), tuple(strides or ones), pads, tuple(dilations or ones),
                      overhang, include_pad), x)  # fmt: skip


def _padded_mean(x: Value, pool: Pool) -> Value:
    """A mean of windows as that of zeros around ``x``, divided by the share that counts."""
    rank, more = len(pool.kernel), (0, 0, *pool.overhang)
    begins, ends = (0, 0, *pool.pads[:rank]), (0, 0, *pool.pads[rank:])
    bare = replace(pool, pads=(0,) * 2 * rank, overhang=(0,) * rank)
    ones = broadcast(
        constant(x, np.ones((1,) * x.type.rank), x.type.dtype), (1, 1, *x.type.shape[2:])
    )
    mask = pad(pad(ones, begins, ends, int(pool.include_pad)), (0,) * x.type.rank, more)
    zeros = pad(x, begins, [end + size for end, size in zip(ends, more, strict=True)])
    return map_("a0 / select(eq(a1, 0.0), 1.0, a1)", apply(bare, zeros), apply(bare, mask))


def arg_reduce(kind: str, x: Value, axis: int, last: bool = False) -> Value:
    """Position of the "max" or "min" along ``axis``, which stays with size 1; i64."""
    from dlc.ops.core.arg_reduce import ArgReduce

    return apply(ArgReduce(kind, axis, last), x)


def top_k(x: Value, axis: int, k: Dim, largest: bool = True) -> tuple[Value, Value]:
    """The ``k`` greatest (or least) elements along ``axis``, best first, and their i64 positions."""
    from dlc.ops.core.top_k import TopK

    values, positions = x.graph.add(TopK(axis, k, largest), [x]).results
    return values, positions


def contract(lhs: Value, rhs: Value, *extras: Value, transpose_lhs: bool = False,
             transpose_rhs: bool = False, epilogue: str | Expr = A0) -> Value:  # fmt: skip
    """Matrix product of the last two axes, with broadcast batch axes. Extras are the epilogue's."""
    from dlc.ops.core.contract import Contract

    operator = Contract(transpose_lhs, transpose_rhs, epilogue=expression(epilogue))
    return apply(operator, lhs, rhs, *extras)


def iota(where: Graph | Value, count: Dim) -> Value:
    """The i64 numbers from 0 on, ``count`` of them; a constant where that is fixed."""
    from dlc.ops.core.iota import Iota

    graph = where.graph if isinstance(where, Value) else where
    if isinstance(count, int):
        return constant(graph, np.arange(count, dtype=np.int64))
    return graph.add(Iota(count)).result


def reduce_mask(function: str, x: Value, mask: Sequence[Dim], *, element: str | Expr = A0,
                epilogue: str | Expr = A0, extras: Sequence[Value] = ()) -> Value:  # fmt: skip
    """As ``reduce``, the dims kept as 1, along the axes whose entry of ``mask`` is 1, not 0."""
    from dlc.ops.core.reduce import Reduce

    if all(isinstance(one, int) for one in mask):
        axes = [axis for axis, one in enumerate(mask) if one == 1]
        return reduce(function, x, axes, element=element, epilogue=epilogue, extras=extras)
    operator = Reduce(function, (), True, expression(element), 1, tuple(mask),
                      epilogue=expression(epilogue))  # fmt: skip
    return apply(operator, x, *extras)


def reduce(function: str, x: Value, axes: Sequence[int], *operands: Value, keepdims: bool = True,
           element: str | Expr = A0, epilogue: str | Expr = A0, extras: Sequence[Value] = ()) -> Value:  # fmt: skip
    """add, mul, max or min of ``element(x, *operands)`` along ``axes``, then the epilogue."""
    from dlc.ops.core.reduce import Reduce

    operator = Reduce(function, tuple(sorted(map(int, axes))), keepdims, expression(element),
                      1 + len(operands), epilogue=expression(epilogue))  # fmt: skip
    return apply(operator, x, *operands, *extras)


def mean(x: Value, axes: Sequence[int], *operands: Value, keepdims: bool = True,
         element: str | Expr = A0) -> Value:  # fmt: skip
    """Arithmetic mean of ``element(x, *operands)``, all of the shape of ``x``, along ``axes``."""
    count = product(x.type.shape[axis] for axis in axes)
    dtype = expression(element).dtype_of([v.type.dtype for v in (x, *operands)])
    if not isinstance(count, int):
        many = cast(sizes(x, count), dtype)
        return reduce("add", x, axes, *operands, keepdims=keepdims, element=element,
                      epilogue="a0 / a1", extras=[many])  # fmt: skip
    number = float(count) if dtype.is_float else count
    return reduce("add", x, axes, *operands, keepdims=keepdims, element=element,
                  epilogue=Call("div", (A0, Const(number))))  # fmt: skip
