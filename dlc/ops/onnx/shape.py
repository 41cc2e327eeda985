"""Expansions of ONNX ops that change no element: shapes, views, and ops that do nothing."""

from __future__ import annotations

from collections.abc import Sequence

from dlc.ir.graph import Value
from dlc.ir.sizes import Dim, equal, floordiv, low_of, minimum, product, select
from dlc.ops.build import reshape, sizes
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.symbols import let, settled


@expansion("Reshape")
def reshape_(call: Call, x: Value, *_: Value | None) -> Value:
    if call.op.types:
        return reshape(x, call.shape)  # the result's type already says what the operands ask for
    count = x.type.capacity
    # with no element at all the others of its sizes may be anything
    most = max(count, *x.type.bounds, 1) if count == 0 else count
    asked = call.sizes(1, -1, most)
    assert asked is not None
    if not call.attr("allowzero", 0):
        asked = let(call.graph, "asked", [_copied(x, i, dim) for i, dim in enumerate(asked)])
    return reshape(x, settled(call.graph, "reshaped", _inferred(x, asked), most))


def _copied(x: Value, axis: int, dim: Dim) -> Dim:
    """A size where 0 stands for that of the operand."""
    return dim if axis >= x.type.rank else select(equal(dim, 0), x.type.shape[axis], dim)


def _inferred(x: Value, shape: Sequence[Dim]) -> list[Dim]:
    """Sizes where -1 stands for what is left of the operand's elements."""
    if -1 in shape or all(low_of(dim) >= 0 for dim in shape):
        rest = product(dim for dim in shape if dim != -1)
        return [floordiv(x.type.count, rest) if dim == -1 else dim for dim in shape]
    rest: Dim = 1
    most = x.type.capacity + 1  # more than that is as good as that: products on the way stay small
    for dim in shape:
        (rest,) = let(x.graph, "rest", [minimum(rest * select(equal(dim, -1), 1, dim), most)])
    return [select(equal(dim, -1), floordiv(x.type.count, rest), dim) for dim in shape]


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


@expansion("Squeeze", "Unsqueeze")
def squeeze(call: Call, x: Value, *_: Value | None) -> Value:
    return reshape(x, call.shape)
