"""Expansions of RNN, GRU and LSTM: the input product for all steps at once, then a recurrence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from dlc.ir.graph import Value
from dlc.ir.types import Dim, DType
from dlc.ops import build
from dlc.ops.core.recurrence import Recurrence
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.onnx.precision import in_f32
from dlc.ops.onnx.recurrent_loop import in_turns

_DEFAULTS = {"rnn": ["Tanh"], "gru": ["Sigmoid", "Tanh"], "lstm": ["Sigmoid", "Tanh", "Tanh"]}
#: the activations with parameters, and their defaults
_ALPHAS = {"Affine": 1.0, "LeakyRelu": 0.01, "ThresholdedRelu": 1.0, "ScaledTanh": 1.0,
           "HardSigmoid": 0.2, "Elu": 1.0}  # fmt: skip
_BETAS = {"Affine": 0.0, "ScaledTanh": 1.0, "HardSigmoid": 0.5}
_NAMES = {name.lower(): name for name in (
    "Relu", "Tanh", "Sigmoid", "Affine", "LeakyRelu", "ThresholdedRelu", "ScaledTanh",
    "HardSigmoid", "Elu", "Softsign", "Softplus",
)}  # fmt: skip


@expansion("RNN", "GRU", "LSTM")
@in_f32
def recurrent(call: Call, x: Value, w: Value, r: Value, b: Value | None = None,
              lengths: Value | None = None, h0: Value | None = None, c0: Value | None = None,
              peepholes: Value | None = None) -> Sequence[Value]:  # fmt: skip
    batch_first = bool(call.attr("layout", 0))
    if batch_first:
        x = build.transpose(x, (1, 0, 2))
        h0, c0 = (None if v is None else build.transpose(v, (1, 0, 2)) for v in (h0, c0))
    steps, batch, width = x.type.shape
    directions, columns, size = r.shape
    kind = call.operator.type.lower()
    operators = list(_operators(call, kind, directions))
    if lengths is None:
        lengths = build.broadcast(build.sizes(x, [steps], DType.I32), [batch])

    def part(value: Value | None, k: int, *shape: Dim) -> Value:
        """What direction k has of an operand; zeros when it is absent."""
        if value is None:
            return build.broadcast(
                build.constant(x, np.zeros([1] * len(shape)), x.type.dtype), shape
            )
        starts = [k] + [0] * (value.type.rank - 1)
        return build.reshape(build.slice_(value, starts, [1, *value.type.shape[1:]]), shape)

    rows: list[list[Value]] = []
    flat = build.reshape(x, (steps * batch, width))
    for k, operator in enumerate(operators):
        bias = part(b, k, 2, columns)
        own, added = (build.slice_(bias, [i, 0], [1, columns]) for i in range(2))
        extra = []
        if kind == "gru":
            extra = [build.reshape(build.slice_(added, [0, 2 * size], [1, size]), [size])]
            if operator.after_reset:  # the candidate's is added inside
                kept = np.arange(columns) < 2 * size
                added = build.map_("select(a0, a1, 0.0)", build.constant(x, kept), added)
        if kind == "lstm":
            extra = [part(c0, k, batch, size), part(peepholes, k, 3 * size)]
        weights = build.transpose(part(w, k, columns, width), (1, 0))
        product = build.contract(flat, weights, build.map_("a0 + a1", own, added),
                                 epilogue="a0 + a1")  # fmt: skip
        state = build.transpose(part(r, k, columns, size), (1, 0))
        operands = [build.reshape(product, (steps, batch, columns)), state,
                    part(h0, k, batch, size), lengths, *extra]  # fmt: skip
        if x.type.dtype is DType.F32:
            rows.append(list(x.graph.add(operator, operands).results))
        else:
            rows.append(list(in_turns(operator, *operands)))
    results = []
    for n, each in enumerate(zip(*rows, strict=True)):
        whole = [build.reshape(v, (*v.type.shape[:-2], 1, *v.type.shape[-2:])) for v in each]
        stacked = build.concat(whole, whole[0].type.rank - 3)
        if batch_first:
            stacked = build.transpose(stacked, (2, 0, 1, 3) if n == 0 else (1, 0, 2))
        results.append(stacked)
    return results[: call.results]


def _operators(call: Call, kind: str, directions: int) -> Iterator[Recurrence]:
    """One for each direction, its share of the lists of activations and their parameters."""
    count = len(_DEFAULTS[kind])
    written = [str(name) for name in call.attr("activations") or _DEFAULTS[kind] * directions]
    names = [_NAMES.get(name.lower(), name) for name in written]
    names = names[: count * directions]  # onnx writes the default of an RNN for two directions
    if len(names) != count * directions:
        raise call.unsupported(f"{len(names)} activations for {directions} directions")
    alphas, betas = (
        iter(call.attr("activation_alpha") or ()),
        iter(call.attr("activation_beta") or ()),
    )
    a = [next(alphas, _ALPHAS[n]) if n in _ALPHAS else 0.0 for n in names]
    b = [next(betas, _BETAS[n]) if n in _BETAS else 0.0 for n in names]
    for k in range(directions):
        own = slice(k * count, (k + 1) * count)
        yield Recurrence(
            kind, tuple(names[own]), tuple(a[own]), tuple(b[own]),
            reverse=k == 1 or call.attr("direction") == "reverse",
            clip=float(call.attr("clip") or 0.0),
            after_reset=bool(call.attr("linear_before_reset", 0)),
            coupled=bool(call.attr("input_forget", 0)),
        )  # fmt: skip
