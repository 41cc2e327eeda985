"""Expansions of ONNX ops that change no element: shapes, views, and ops that do nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dlc.ir.graph import Value
from dlc.ir.sizes import (
    Dim,
    Size,
    bound_of,
    equal,
    floordiv,
    less,
    low_of,
    maximum,
    minimum,
    product,
    select,
)
from dlc.ops.build import reshape, sizes
from dlc.ops.onnx.axes import are_fixed, axes_of, axis_mask, fixed_axes, normal_axis
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.symbols import held, let, settled


@expansion("Reshape")
def reshape_(call: Call, x: Value, *_: Value | None) -> Value:
    if call.op.types:
        return reshape(
            x, call.types[0].shape
        )  # the result's type already says what the operands ask for
    count = x.type.capacity
    # with no element at all the others of its sizes may be anything
    most = math.prod(max(dim, 1) for dim in x.type.bounds) if count == 0 else count
    asked = call.sizes(1, -1, most)
    assert asked is not None
    if not call.attr("allowzero", 0):
        asked = [_copied(x, i, dim) for i, dim in enumerate(asked)]
    return reshape(x, settled(call.graph, "reshaped", _inferred(call, x, asked), most))


def _copied(x: Value, axis: int, dim: Dim) -> Dim:
    """A size where 0 stands for that of the operand."""
    if axis >= x.type.rank or _vanishes(x.type.shape[axis], dim):
        return dim
    (asked,) = let(x.graph, "asked", [select(equal(dim, 0), x.type.shape[axis], dim)])
    return asked


def _vanishes(own: Dim, dim: Dim) -> bool:
    """Whether a size is sure to be 0 where another is, as one is a multiple of the other."""
    if isinstance(own, int) or isinstance(dim, int):
        return False
    factor = floordiv(dim, own)
    return own % dim == 0 or (isinstance(factor, int) and factor != 0 and factor * own == dim)


def _inferred(call: Call, x: Value, shape: Sequence[Dim]) -> list[Dim]:
    """Sizes where -1, of which there may be one, stands for what is left of the operand's elements."""
    if -1 in shape or all(low_of(dim) >= 0 for dim in shape):
        others = product(dim for dim in shape if dim != -1)
        return [floordiv(x.type.count, others) if dim == -1 else dim for dim in shape]
    rest: Dim = 1
    most = x.type.capacity + 1  # more than that is as good as that: products on the way stay small
    for dim in shape:
        (rest,) = let(
            x.graph, "rest", [minimum(rest * select(equal(dim, -1), 1, maximum(dim, 0)), most)]
        )
    left = sum(equal(dim, -1) for dim in shape)
    fits = [less(left, 2)]
    if call.attr("allowzero", 0):  # of nothing anything may be left
        fits.append(equal(left, 0) + 1 - equal(rest, 0))
    dims = [select(equal(dim, -1), floordiv(x.type.count, rest), dim) for dim in shape]
    return held(call.graph, "inferred", dims, fits)


@expansion("Flatten")
def flatten(call: Call, x: Value) -> Value:
    axis = call.attr("axis", 1)
    axis += x.type.rank if axis < 0 else 0
    return reshape(x, [product(x.type.shape[:axis]), product(x.type.shape[axis:])])


@expansion("Identity")
def identity(call: Call, x: Value) -> Value:
    return x


@expansion("Shape")
def shape_of(call: Call, x: Value) -> Value:
    return sizes(x, x.type.shape[slice(call.attr("start"), call.attr("end"))])


@expansion("Size")
def size_of(call: Call, x: Value) -> Value:
    return sizes(x, x.type.count)


@expansion("Squeeze")
def squeeze(call: Call, x: Value, *_: Value | None) -> Value:
    """Without axes every size that is 1 goes, which must be known when compiling."""
    axes = axes_of(call, x.type.rank)
    if axes is None:
        axes = [axis for axis, dim in enumerate(x.type.shape) if dim == 1]
    return reshape(x, without_axes(call, x.type.shape, axes, ones=True))


def without_axes(call: Call, shape: Sequence[Dim], axes: Sequence[Dim],
                 ones: bool = False) -> list[Dim]:  # fmt: skip
    """A shape without the axes listed, whose sizes are 1, which is checked for ``ones``."""
    if are_fixed(axes):
        kept = [dim for axis, dim in enumerate(shape) if axis not in axes]
        return held(
            call.graph, "kept", kept, [equal(shape[a], 1) for a in fixed_axes(axes) if ones]
        )
    mask = axis_mask(call, axes, len(shape))
    before: list[Dim] = [sum(mask[:axis]) for axis in range(len(shape))]
    kept = []
    for position in range(len(shape) - len(axes)):
        dim: Dim = 0
        for axis, size in enumerate(shape):
            here = equal(axis - before[axis], position) * (1 - mask[axis])
            dim = select(here, size, dim)
        kept.append(dim)
    fits = [equal(sum(mask), len(axes))]  # none is listed twice
    if ones:
        fits += [1 - listed + equal(dim, 1) for listed, dim in zip(mask, shape, strict=True)]
    kept = held(call.graph, "kept", kept, fits)
    return settled(call.graph, "kept", kept, bound_of(product(shape)))


@expansion("Unsqueeze")
def unsqueeze(call: Call, x: Value, *_: Value | None) -> Value:
    listed: Sequence[Dim] | None = call.attr("axes")
    most = 64  # no tensor has as many axes
    listed = call.sizes(1, -most, most) if listed is None else listed
    assert listed is not None
    rank = x.type.rank + len(listed)
    axes = [a if isinstance(a, Size) else normal_axis(call, a, rank) for a in listed]
    mask = axis_mask(call, axes, rank)
    shape: list[Dim] = []
    for position in range(rank):
        taken: Dim = position - sum(mask[:position])
        dim: Dim = 1
        for axis, size in enumerate(x.type.shape):
            dim = select(equal(taken, axis), size, dim)
        shape.append(select(mask[position], 1, dim))
    shape = held(call.graph, "unsqueezed", shape, [equal(sum(mask), len(axes))])
    return reshape(x, settled(call.graph, "unsqueezed", shape, x.type.capacity))
