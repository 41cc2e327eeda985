"""``recurrence``: an RNN, GRU or LSTM layer in one direction, its input product done before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.errors import UnsupportedError
from dlc.ir.expr import parse_expr
from dlc.ir.operator import Array, Arrays, Cost, Types
from dlc.ir.sizes import Dim, bound_of
from dlc.ir.types import DType, TensorType
from dlc.ops.core.operator import Condition, CoreOperator, OnnxBody
from dlc.ops.emission import Access, Argument, Emission, Kernel, Operand, Result, Scratch, copy_part
from dlc.ops.nest import same_shape

#: of a0, with a1 and a2 as ONNX's alpha and beta; in the order of their numbers in dlc_recurrence.h
ACTIVATIONS = {
    "Relu": "max(a0, 0.0)",
    "Tanh": "tanh(a0)",
    "Sigmoid": "sigmoid(a0)",
    "Affine": "a1 * a0 + a2",
    "LeakyRelu": "select(lt(a0, 0.0), a1 * a0, a0)",
    "ThresholdedRelu": "select(lt(a1, a0), a0, 0.0)",
    "ScaledTanh": "a1 * tanh(a2 * a0)",
    "HardSigmoid": "min(max(a1 * a0 + a2, 0.0), 1.0)",
    "Elu": "select(lt(a0, 0.0), a1 * (exp(a0) - 1.0), a0)",
    "Softsign": "a0 / (1.0 + abs(a0))",
    "Softplus": "max(a0, 0.0) + log1p(exp(-abs(a0)))",
}
#: gates, activations, and operands and results beyond those of all kinds
_KINDS = {"rnn": (1, 1, 0, 2), "gru": (3, 2, 1, 2), "lstm": (4, 3, 2, 3)}


@dataclass(frozen=True, slots=True)
class Recurrence(CoreOperator):
    """Operands x[T,N,G*H], r[H,G*H], h0[N,H], lengths i32[N]; results y[T,N,H], h[N,H].

    x is the input's part of the gates' sums, bias included, r the weights of the state. A gru has a
    further operand, the candidate's own bias [H] (read if ``after_reset``, ONNX's
    linear_before_reset); an lstm two, c0[N,H] and peepholes [3*H], and a further result, c[N,H].
    Gates are in ONNX's order: of a gru z, r, h; of an lstm i, o, f, c. ``reverse`` goes from each
    sequence's end to its start. From its length on, y is 0; a sequence of
    length 0 ends in state 0, as in onnxruntime. ``clip`` 0 does not clip. ``coupled``
    is ONNX's input_forget.

    C1: kind is rnn, gru or lstm, with as many operands as it needs.
    C2: operands are f32, lengths i32, of the shapes above.
    C3: one activation, alpha and beta for each the kind has (1, 2 or 3), of those ONNX names.
    """

    name: ClassVar[str] = "recurrence"
    kind: str
    activations: tuple[str, ...]
    alphas: tuple[float, ...]
    betas: tuple[float, ...]
    reverse: bool = False
    clip: float = 0.0
    after_reset: bool = False
    coupled: bool = False

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        types = [t for t in operands if t is not None]
        self.require(self.kind in _KINDS, "C1", f"unknown kind {self.kind!r}")
        _, functions, more, results = _KINDS[self.kind]
        self.require(len(types) == len(operands) == 4 + more, "C1", "has too few operands")
        x, r, h, lengths, *rest = types
        dtypes = {t.dtype for t in (x, r, h, *rest)}
        fits = x.rank == 3 and h.rank == 2 and dtypes == {DType.F32} and lengths.dtype is DType.I32
        self.require(fits, "C2", f"cannot take {', '.join(map(str, types))}")
        self.require_sizes(types)
        counts = {len(self.activations), len(self.alphas), len(self.betas)}
        known = counts == {functions} and set(self.activations) <= set(ACTIVATIONS)
        self.require(known, "C3", f"activations {self.activations} do not suit a {self.kind}")
        return (x.with_shape((*x.shape[:2], h.shape[1])), *[h] * (results - 1))

    def conditions(self, operands: Sequence[TensorType]) -> Iterator[Condition]:
        x, _, h, *_ = operands
        (steps, batch, _), size = x.shape, h.shape[1]
        width = _KINDS[self.kind][0] * size
        more: dict[str, list[tuple[Dim, ...]]] = {
            "rnn": [], "gru": [(size,)], "lstm": [(batch, size), (3 * size,)],
        }  # fmt: skip
        shapes = [(steps, batch, width), (size, width), (batch, size), (batch,), *more[self.kind]]
        for operand, shape in zip(operands, shapes, strict=True):
            wanted = ", ".join(map(str, shape))
            yield same_shape(operand.shape, shape), "C2", f"{operand} should be of [{wanted}]"

    def _activate(self, which: int, x: Array) -> Array:
        expr = parse_expr(ACTIVATIONS[self.activations[which]])
        parameters = (np.float32(self.alphas[which]), np.float32(self.betas[which]))
        return np.asarray(expr.evaluate([x, *map(np.asarray, parameters)]))

    def _gate(self, which: int, x: Array) -> Array:
        return self._activate(which, np.clip(x, -self.clip, self.clip) if self.clip else x)

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        x, r, h, lengths, *rest = (np.asarray(a) for a in operands)
        steps = len(x)
        lengths = np.clip(lengths, 0, steps)
        y, states = np.zeros((steps, *h.shape), np.float32), [h.copy()]
        states += [rest[0].copy()] if self.kind == "lstm" else []
        for state in states:
            state[lengths == 0] = 0
        step = {"rnn": self._rnn, "gru": self._gru, "lstm": self._lstm}[self.kind]
        for s in range(steps):
            rows = np.flatnonzero(s < lengths)
            at = lengths[rows] - 1 - s if self.reverse else np.full(len(rows), s)
            new = step(x[at, rows], r, [state[rows] for state in states], rest)
            for state, values in zip(states, new, strict=True):
                state[rows] = values
            y[at, rows] = new[0]
        return (y, *states)

    def _rnn(self, x: Array, r: Array, states: list[Array], rest: list[Array]) -> list[Array]:
        return [self._gate(0, x + states[0] @ r)]

    def _gru(self, x: Array, r: Array, states: list[Array], rest: list[Array]) -> list[Array]:
        (h,), size = states, len(r)
        z, u = np.split(self._gate(0, (x + h @ r)[:, : 2 * size]), 2, axis=1)
        if self.after_reset:
            own = u * (h @ r[:, 2 * size :] + rest[0])
        else:
            own = (u * h) @ r[:, 2 * size :]
        return [(1 - z) * self._gate(1, x[:, 2 * size :] + own) + z * h]

    def _lstm(self, x: Array, r: Array, states: list[Array], rest: list[Array]) -> list[Array]:
        h, c = states
        i, o, k, fresh = np.split(x + h @ r, 4, axis=1)
        pi, po, pk = np.split(rest[1], 3)
        i = self._gate(0, i + pi * c)
        k = 1 - i if self.coupled else self._gate(0, k + pk * c)
        c = k * c + i * self._gate(1, fresh)
        return [self._gate(0, o + po * c) * self._activate(2, c), c]

    def cost(self, operands: Types, results: Sequence[TensorType]) -> Cost:
        moved = sum(t.nbytes for t in [*operands, *results] if t is not None)
        assert operands[0] is not None
        return Cost(operands[0].capacity * results[0].bounds[2], moved)

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        steps, batch, size = results[0].shape
        gates = _KINDS[self.kind][0]
        copies = [copy_part(2, 0, 0, batch * size, result=1)]
        states: list[Argument] = [Access(Result(0)), Access(Result(1))]
        reads: list[Argument] = [Access(Operand(0)), Access(Operand(1))]
        flags: list[Argument] = []
        if self.kind == "gru":
            reads, flags = [*reads, Access(Operand(4))], [int(self.after_reset)]
        if self.kind == "lstm":
            copies.append(copy_part(4, 0, 0, batch * size, result=2))
            states, reads = [*states, Access(Result(2))], [*reads, Access(Operand(5))]
            flags = [int(self.coupled)]
        numbers: list[Argument] = []
        for name, a, b in zip(self.activations, self.alphas, self.betas, strict=True):
            numbers += [list(ACTIVATIONS).index(name), float(a), float(b)]
        kernel = Kernel(f"dlc_{self.kind}_f32", (
            *states, Access(Scratch()), *reads, Access(Operand(3)), steps, batch, size,
            int(self.reverse), *flags, float(self.clip), *numbers,
        ))  # fmt: skip
        columns = gates + (self.kind == "gru")
        scratch = 4 * bound_of(batch * size) * columns
        return Emission((*self.checks(operands), *copies, kernel), scratch)

    def to_onnx(self, body: OnnxBody, operands: Sequence[str], operand_types: Types,
                result_types: Sequence[TensorType]) -> Sequence[str]:  # fmt: skip
        raise UnsupportedError(f"{self.kind} has no ONNX form without its input product")
