"""Recurrent layers of dtypes without a kernel: a loop over the steps, each made of core ops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dlc.ir.expr import A0, Const
from dlc.ir.graph import Graph, Value
from dlc.ir.types import DType, TensorType
from dlc.ops.build import constant, contract, expression, gather, map_, reshape, slice_
from dlc.ops.core.loop import Loop
from dlc.ops.core.recurrence import ACTIVATIONS, Recurrence


def in_turns(layer: Recurrence, x: Value, r: Value, h: Value, lengths: Value,
             *rest: Value) -> Sequence[Value]:  # fmt: skip
    """The results of ``layer`` applied to these operands, of any float dtype."""
    (steps, batch, width), size, graph = x.shape, h.shape[1], x.graph
    rows = reshape(x, [steps * batch, width])
    lengths = reshape(map_(f"i64(min(max(a0, 0), {steps}))", lengths), [batch, 1])
    states = [h, rest[0]] if layer.kind == "lstm" else [h]
    states = [map_("select(lt(0, a0), a1, 0.0)", lengths, state) for state in states]
    captures = [rows, r, lengths, *rest[len(states) - 1 :]]

    body = Graph("step", graph.opsets)
    turn = body.add_input("turn", TensorType(DType.I64, ()))
    going = body.add_input("going", TensorType(DType.BOOL, ()))
    before = [body.add_input(f"state{i}", v.type) for i, v in enumerate(states)]
    flat, weights, ends, *more = (
        body.add_input(f"capture{i}", v.type) for i, v in enumerate(captures)
    )
    at = "max(a1 - 1 - a0, 0)" if layer.reverse else "a0"
    places = map_(f"{at} * {batch} + a2", turn, reshape(ends, [batch]), _count(flat, batch))
    after = _STEPS[layer.kind](layer, gather(flat, places, 0), weights, before, more)
    held = [map_("select(lt(a0, a1), a2, a3)", turn, ends, new, old)
            for new, old in zip(after, before, strict=True)]  # fmt: skip
    row = map_("select(lt(a0, a1), a2, 0.0)", turn, ends, after[0])
    outputs = [(f"state{i}", value) for i, value in enumerate(held)]
    body.set_outputs([("going", going), *outputs, ("y", row)])

    start = [constant(graph, steps, DType.I64), constant(graph, True)]
    found = graph.add(Loop(body, len(states), steps), [*start, *states, *captures]).results
    *final, y = found
    if layer.reverse:  # the steps of each sequence in their own order again; beyond, rows are 0
        inside = f"select(lt(a0, a1), a1 - 1 - a0, a0) * {batch} + a2"
        order = map_(inside, reshape(_count(x, steps), [steps, 1]), reshape(lengths, [1, batch]),
                     _count(x, batch))  # fmt: skip
        y = gather(reshape(y, [steps * batch, size]), reshape(order, [-1]), 0)
        y = reshape(y, [steps, batch, size])
    return [y, *final]


def _count(where: Value, count: int) -> Value:
    return constant(where, np.arange(count, dtype=np.int64))


def _part(x: Value, size: int, first: int, count: int = 1) -> Value:
    """Gates of a tensor whose last axis holds several."""
    lead = x.shape[:-1]
    return slice_(x, [*(0 for _ in lead), first * size], [*lead, count * size])


def _activate(layer: Recurrence, which: int, x: Value) -> Value:
    parameters = [A0, Const(layer.alphas[which]), Const(layer.betas[which])]
    return map_(
        expression(ACTIVATIONS[layer.activations[which]]).substitute(parameters.__getitem__), x
    )


def _gate(layer: Recurrence, which: int, x: Value) -> Value:
    clipped = map_(f"min(max(a0, {-layer.clip}), {layer.clip})", x) if layer.clip else x
    return _activate(layer, which, clipped)


def _rnn(layer: Recurrence, x: Value, r: Value, states: list[Value],
         more: list[Value]) -> list[Value]:  # fmt: skip
    return [_gate(layer, 0, contract(states[0], r, x, epilogue="a0 + a1"))]


def _gru(layer: Recurrence, x: Value, r: Value, states: list[Value],
         more: list[Value]) -> list[Value]:  # fmt: skip
    (h,), size = states, states[0].shape[1]
    inner = contract(h, _part(r, size, 0, 2), _part(x, size, 0, 2), epilogue="a0 + a1")
    both = _gate(layer, 0, inner)
    z, u = _part(both, size, 0), _part(both, size, 1)
    if layer.after_reset:
        own = map_("a0 * a1", u, contract(h, _part(r, size, 2), more[0], epilogue="a0 + a1"))
    else:
        own = contract(map_("a0 * a1", u, h), _part(r, size, 2))
    fresh = _gate(layer, 1, map_("a0 + a1", _part(x, size, 2), own))
    return [map_("(1.0 - a0) * a1 + a0 * a2", z, fresh, h)]


def _lstm(layer: Recurrence, x: Value, r: Value, states: list[Value],
          more: list[Value]) -> list[Value]:  # fmt: skip
    (h, c), size = states, states[0].shape[1]
    sums = contract(h, r, x, epilogue="a0 + a1")
    i, o, k, fresh = (_part(sums, size, n) for n in range(4))
    pi, po, pk = (_part(more[0], size, n) for n in range(3))
    entry = _gate(layer, 0, map_("a0 + a1 * a2", i, pi, c))
    if layer.coupled:
        keep = map_("1.0 - a0", entry)
    else:
        keep = _gate(layer, 0, map_("a0 + a1 * a2", k, pk, c))
    c = map_("a0 * a1 + a2 * a3", keep, c, entry, _gate(layer, 1, fresh))
    leave = _gate(layer, 0, map_("a0 + a1 * a2", o, po, c))
    return [map_("a0 * a1", leave, _activate(layer, 2, c)), c]


_STEPS = {"rnn": _rnn, "gru": _gru, "lstm": _lstm}
