"""Expansions of If, Loop and Scan into ``if`` and ``loop``, bodies included."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dlc.ir.graph import Graph, Value
from dlc.ir.sizes import Symbol, bound_of, low_of, maximum, product
from dlc.ir.types import Dim, DType, TensorType
from dlc.ops import build
from dlc.ops.core.assume import Assume
from dlc.ops.core.if_ import If
from dlc.ops.core.let import Let
from dlc.ops.core.loop import Loop
from dlc.ops.onnx.control import always_true
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.regions import inline, is_outer

_ENDLESS = np.iinfo(np.int64).max


@expansion("If")
def if_(call: Call, condition: Value, *captures: Value) -> Sequence[Value]:
    then, otherwise = (_core(call.attr(name)) for name in ("then_branch", "else_branch"))
    symbols: list[Symbol] = []
    asked: list[tuple[Dim, Dim]] = []
    agree = If(then, otherwise).agree
    for k, (u, v) in enumerate(zip(then.outputs, otherwise.outputs, strict=True)):
        a, b = u.type, v.type
        if (a.dtype, a.rank) != (b.dtype, b.rank):
            raise call.unsupported(
                f"result {k} is {a} in one branch and {b} in the other; only sizes may differ"
            )
        dims = list(zip(a.shape, b.shape, strict=True))
        differing = [pair for pair in dims if not agree(*pair)]
        asked += differing
        if differing:
            rest = bound_of(product(m for m, n in dims if agree(m, n)))
            joint = max(a.capacity, b.capacity) // max(rest, 1) if len(differing) > 1 else None
            ends = [
                (min(low_of(m), low_of(n)), max(bound_of(m), bound_of(n))) for m, n in differing
            ]
            symbols += call.graph.fresh_symbols(f"if_{k}", ends, joint)
    if symbols:
        for side, body in enumerate((then, otherwise)):
            _add_output(body, [pair[side] for pair in asked])
    operator = If(then, otherwise, tuple(symbols))
    return call.graph.add(operator, [condition, *captures]).results


@expansion("Loop")
def loop(call: Call, limit: Value | None, condition: Value | None, *rest: Value) -> Sequence[Value]:
    body, graph = _core(call.attr("body")), call.graph
    carried = len(rest) - call.operator.captures
    states = body.inputs[2 : 2 + carried]
    inside = [
        dim
        for state, first in zip(states, rest, strict=False)
        for dim, size in zip(state.type.shape, first.type.shape, strict=True)
        if dim != size and isinstance(dim, Symbol)
    ]
    if inside:
        _hand_on(body, states, inside)
    symbols = [
        symbol for s in inside
        for symbol in graph.fresh_symbols(s.name.removesuffix("_now"), [(s.low, s.bound)])
    ]  # fmt: skip
    most = None if limit is None or limit.sizes is None else limit.sizes.reshape(-1)[0]
    turns: Dim = 0
    rows = body.outputs[1 + carried : -1 if inside else None]
    if rows:
        _check_rows(call, body, rows, inside)
        if most is not None and bound_of(most) <= 0 and all(v.type.is_static for v in rows):
            empty = [np.zeros((0, *v.shape), v.type.dtype.numpy) for v in rows]
            return *rest[:carried], *(build.constant(graph, array) for array in empty)
        always = condition is None or (condition.constant is not None and condition.constant.all())
        if most is not None and always and always_true(body.outputs[0], body.inputs[1]):
            turns = maximum(most, 0)
        else:
            bound = call.bound(carried) if most is None else max(bound_of(most), 0)
            turns = graph.fresh_symbol("turns", bound)
            symbols.append(turns)
    if limit is None:
        limit = build.constant(graph, _ENDLESS, DType.I64)
    if condition is None:
        condition = build.constant(graph, True)
    operator = Loop(body, carried, turns, tuple(inside), tuple(symbols))
    return graph.add(operator, [limit, condition, *rest]).results


@expansion("Scan")
def scan(call: Call, *operands: Value) -> Sequence[Value]:
    """A loop whose body gathers its slices of the scanned operands by the number of the turn."""
    step = _core(call.attr("body"))
    scans, captured = call.attr("num_scan_inputs"), call.operator.captures
    carried = len(operands) - scans - captured
    axes = _entries(call, "scan_input_axes", scans)
    axes = [axis % v.type.rank for axis, v in zip(axes, operands[carried:], strict=False)]
    turns = operands[carried].type.shape[axes[0]]
    backward = _entries(call, "scan_input_directions", scans)

    body = Graph(step.name, step.opsets)
    body.bounds = dict(step.bounds)
    turn = body.add_input("turn", TensorType(DType.I64, ()))
    going = body.add_input("going", TensorType(DType.BOOL, ()))
    inputs = [body.add_input(f"x{i}", value.type) for i, value in enumerate(operands)]
    scanned = inputs[carried : carried + scans]
    from_end = build.map_("a0 - a1", build.sizes(body, turns - 1), turn) if any(backward) else turn
    slices = [
        build.gather(value, from_end if back else turn, axis)
        for value, axis, back in zip(scanned, axes, backward, strict=True)
    ]
    results = inline(step, body, [*inputs[:carried], *slices, *inputs[carried + scans :]])
    _check_rows(call, body, results[carried:], ())
    names = [f"y{i}" for i in range(len(results))]
    body.set_outputs([("going", going), *zip(names, results, strict=True)])

    limit = build.sizes(call.graph, turns)
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
    shape, zeros, ones = rows.type.shape, [0] * (rows.type.rank - 1), [1] * (rows.type.rank - 1)
    if flipped:
        rows = build.slice_(rows, [shape[0] - 1, *zeros], shape, [-1, *ones])
    axis %= rows.type.rank
    order = list(range(1, rows.type.rank))
    return build.transpose(rows, [*order[:axis], 0, *order[axis:]])


def _check_rows(call: Call, body: Graph, rows: Sequence[Value], inside: Sequence[Symbol]) -> None:
    for value in rows:
        if not all(is_outer(dim, body, inside) for dim in value.type.shape):
            raise call.unsupported(
                f"it stacks results of type {value.type}, whose sizes are known only inside a turn; "
                f"give them one size for all turns"
            )


def _hand_on(body: Graph, states: Sequence[Value], inside: Sequence[Symbol]) -> None:
    """Hold the new states to the intervals of their sizes, and let the body give these sizes."""
    outputs = list(zip(body.output_names, body.outputs, strict=True))
    sizes: list[Dim] = []
    for i, state in enumerate(states, 1):
        name, value = outputs[i]
        shape: list[Dim] = []
        for dim, size in zip(state.type.shape, value.type.shape, strict=True):
            if isinstance(dim, Symbol) and dim in inside:
                if bound_of(size) > dim.bound:
                    (kept,) = body.fresh_symbols("next", [(dim.low, dim.bound)])
                    body.add(Let((kept,), (size,)))
                    size = kept
                sizes.append(size)
            shape.append(size)
        if tuple(shape) != value.type.shape:
            outputs[i] = name, build.apply(Assume(tuple(shape)), value)
    body.set_outputs(outputs)
    _add_output(body, sizes)


def _add_output(body: Graph, sizes: Sequence[Dim]) -> None:
    """Give a body a further output: sizes, i64."""
    pairs = list(zip(body.output_names, body.outputs, strict=True))
    name = "sizes"
    while name in body.output_names:
        name += "_"
    body.set_outputs([*pairs, (name, build.sizes(body, list(sizes)))])


def _core(body: Graph) -> Graph:
    """A copy of a body with all named ops in it expanded."""
    from dlc.ops.onnx.expand import expand_op  # which finds this module by its name

    body = body.copy()
    for op in body.ops:
        expand_op(op)
    return body
