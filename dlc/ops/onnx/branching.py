"""Expansions of If, Loop and Scan into ``if`` and ``loop``, bodies included."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dlc.ir.graph import Graph, Value
from dlc.ir.types import DType, TensorType
from dlc.ops import build
from dlc.ops.core.if_ import If
from dlc.ops.core.loop import Loop
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.regions import inline

_ENDLESS = np.iinfo(np.int64).max


@expansion("If")
def if_(call: Call, condition: Value, *captures: Value) -> Sequence[Value]:
    bodies = [_core(call.attr(name)) for name in ("then_branch", "else_branch")]
    return call.graph.add(If(*bodies), [condition, *captures]).results


@expansion("Loop")
def loop(call: Call, limit: Value | None, condition: Value | None, *rest: Value) -> Sequence[Value]:
    body = _core(call.attr("body"))
    if limit is None:
        limit = build.constant(call.graph, _ENDLESS, DType.I64)
    if condition is None:
        condition = build.constant(call.graph, True)
    carried = len(rest) - call.operator.captures
    turns = call.types[carried].dims[0] if len(call.types) > carried else 0
    return call.graph.add(Loop(body, carried, turns), [limit, condition, *rest]).results


@expansion("Scan")
def scan(call: Call, *operands: Value) -> Sequence[Value]:
    """A loop whose body gathers its slices of the scanned operands by the number of the turn."""
    step = _core(call.attr("body"))
    scans, captured = call.attr("num_scan_inputs"), call.operator.captures
    carried = len(operands) - scans - captured
    axes = _entries(call, "scan_input_axes", scans)
    axes = [axis % v.type.rank for axis, v in zip(axes, operands[carried:], strict=False)]
    turns = operands[carried].shape[axes[0]]
    backward = _entries(call, "scan_input_directions", scans)

    body = Graph(step.name, step.opsets)
    turn = body.add_input("turn", TensorType(DType.I64, ()))
    going = body.add_input("going", TensorType(DType.BOOL, ()))
    inputs = [body.add_input(f"x{i}", value.type) for i, value in enumerate(operands)]
    scanned = inputs[carried : carried + scans]
    from_end = build.map_(f"{turns - 1} - a0", turn) if any(backward) else turn
    slices = [
        build.gather(value, from_end if back else turn, axis)
        for value, axis, back in zip(scanned, axes, backward, strict=True)
    ]
    results = inline(step, body, [*inputs[:carried], *slices, *inputs[carried + scans :]])
    names = [f"y{i}" for i in range(len(results))]
    body.set_outputs([("going", going), *zip(names, results, strict=True)])

    limit = build.constant(call.graph, turns, DType.I64)
    start = build.constant(call.graph, True)
    found = call.graph.add(Loop(body, carried, turns), [limit, start, *operands]).results
    rows = found[carried:]
    axes = _entries(call, "scan_output_axes", len(rows))
    flipped = _entries(call, "scan_output_directions", len(rows))
    return *found[:carried], *map(_placed, rows, axes, flipped)


def _entries(call: Call, name: str, count: int) -> list[int]:
    """An attribute with one entry for each scanned value; zeros when the model says nothing."""
    return list(call.attr(name) or [0] * count)


def _placed(rows: Value, axis: int, flipped: int) -> Value:
    """The stacked rows, the last one first if ``flipped``, with their first axis moved to ``axis``."""
    if flipped:
        starts = [rows.shape[0] - 1] + [0] * (rows.type.rank - 1)
        rows = build.slice_(rows, starts, rows.shape, [-1] + [1] * (rows.type.rank - 1))
    axis %= rows.type.rank
    order = list(range(1, rows.type.rank))
    return build.transpose(rows, [*order[:axis], 0, *order[axis:]])


def _core(body: Graph) -> Graph:
    """A copy of a body with all named ops in it expanded."""
    from dlc.ops.onnx.expand import expand_op  # which finds this module by its name

    body = body.copy()
    for op in body.ops:
        expand_op(op)
    return body
