"""Ops with bodies whose turns are known: a branch always taken, a loop of no turn or of one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dlc.ir.graph import Op, Value
from dlc.ops import build
from dlc.ops.core.loop import Loop
from dlc.ops.regions import inline


def unrolled(op: Op) -> Sequence[Value] | None:
    """The results of an op without its body, added to its graph; None when that needs a body."""
    if op.operator.label in ("if", "onnx.If"):
        return _branch(op)
    if isinstance(op.operator, Loop):
        return _turns(op, op.operator)
    return None


def _branch(op: Op) -> Sequence[Value] | None:
    condition, *captures = op.operands
    if condition is None or condition.constant is None:
        return None
    names = {"if": ("then", "otherwise"), "onnx.If": ("then_branch", "else_branch")}
    name = names[op.operator.label][0 if condition.constant.reshape(-1)[0] else 1]
    body = op.operator.attributes()[name]
    if tuple(value.type for value in body.outputs) != op.types:
        return None
    return inline(body, op.graph, [value for value in captures if value is not None])


def _turns(op: Op, loop: Loop) -> Sequence[Value] | None:
    limit, condition, *rest = (value for value in op.operands if value is not None)
    states = rest[: loop.carried]
    stacked = op.types[loop.carried :]
    if loop.symbols:
        return None
    most = None if limit.constant is None else int(limit.constant.reshape(-1)[0])
    starts = None if condition.constant is None else bool(condition.constant.reshape(-1)[0])
    if (most is not None and most <= 0) or starts is False:
        if any(type.capacity for type in stacked):
            return None
        empty = [build.constant(op.graph, np.zeros(t.dims, t.dtype.numpy)) for t in stacked]
        return [*states, *empty]
    if most != 1 or not starts:
        return None
    turn = build.constant(op.graph, np.array(0, np.int64))
    _, *results = inline(loop.body, op.graph, [turn, condition, *rest])
    rows = [build.reshape(v, (1, *v.shape)) for v in results[loop.carried :]]
    return [*results[: loop.carried], *rows]
