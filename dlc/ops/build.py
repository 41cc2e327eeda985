"""Builders: functions from Values to Values that add core ops to the graph of their operands.

What changes nothing adds nothing: a reshape to the same shape, a cast to the same dtype, an
identity transpose and the map ``a0`` return their operand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dlc.ir.expr import A0, Call, Expr, parse_expr
from dlc.ir.graph import Graph, Value
from dlc.ir.operator import Operator
from dlc.ir.types import DType
from dlc.ops.core.map import Map


def apply(operator: Operator, *values: Value) -> Value:
    """The only result of an operator applied to at least one value."""
    return values[0].graph.add(operator, values).result


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


def reshape(x: Value, shape: Sequence[int]) -> Value:
    """The elements of ``x`` in row-major order in another shape; one dim may be -1."""
    from dlc.ops.core.reshape import Reshape

    shape = [int(dim) for dim in shape]
    if -1 in shape:
        rest = int(np.prod([dim for dim in shape if dim != -1]))
        shape[shape.index(-1)] = x.type.capacity // rest if rest else 0
    return x if tuple(shape) == x.type.shape else apply(Reshape(tuple(shape)), x)


def transpose(x: Value, perm: Sequence[int]) -> Value:
    """``result.shape[i] == x.shape[perm[i]]``."""
    from dlc.ops.core.transpose import Transpose

    perm = tuple(int(axis) for axis in perm)
    return x if perm == tuple(range(len(perm))) else apply(Transpose(perm), x)
