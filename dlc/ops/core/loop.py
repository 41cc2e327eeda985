"""``loop``: a body run again and again, with values carried from turn to turn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.evaluate import evaluate_graph
from dlc.ir.graph import Graph
from dlc.ir.operator import Array, Arrays, Cost, Types
from dlc.ir.types import DType, TensorType
from dlc.ops.core.if_ import macs_of
from dlc.ops.core.operator import CoreOperator
from dlc.ops.emission import (
    Access,
    Affine,
    Carried,
    Emission,
    Going,
    Operand,
    Part,
    Repeat,
    Result,
    Scratch,
    State,
    Turn,
    copy_part,
)
from dlc.ops.regions import aligned, arena_bytes, call

_SCALARS = (TensorType(DType.I64, ()), TensorType(DType.BOOL, ()))


@dataclass(frozen=True, slots=True)
class Loop(CoreOperator):
    """``while turn < limit and going: going, states, rows = body(turn, going, states, captures)``.

    Operands: the limit, one i64, the condition, one bool, the initial values of ``carried`` states,
    and what the body captures. Results: the last values of the states, then the further outputs of
    the body, each stacked along a new first axis of ``turns``, which all turns fill.

    C1: the limit is one i64, the condition one bool.
    C2: the body takes an i64[] and a bool[], the states and the captures, in order.
    C3: the body gives one bool, the states with their types, and what is stacked.
    """

    name: ClassVar[str] = "loop"
    body: Graph
    carried: int
    turns: int = 0

    def regions(self) -> Iterator[Graph]:
        return iter((self.body,))

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        self.require(len(operands) >= 2 + self.carried, "C1", f"has only {len(operands)} operands")
        for type, scalar in zip(operands, _SCALARS, strict=False):
            fits = type is not None and type.dtype is scalar.dtype and type.capacity == 1
            self.require(fits, "C1", f"{type} where {scalar} is needed")
        taken = [value.type for value in self.body.inputs]
        self.require(taken == [*_SCALARS, *operands[2:]], "C2",
                     f"the body takes {', '.join(map(str, taken))}")  # fmt: skip
        given = [value.type for value in self.body.outputs]
        fits = bool(given) and given[0].dtype is DType.BOOL and given[0].capacity == 1
        states = tuple(given[1 : 1 + self.carried])
        fits = fits and states == tuple(operands[2 : 2 + self.carried])
        self.require(fits, "C3", f"the body gives {', '.join(map(str, given))}")
        rows = given[1 + self.carried :]
        return (*states, *(row.with_shape((self.turns, *row.shape)) for row in rows))

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        limit, condition, *rest = (np.asarray(a) for a in operands)
        states, captures = rest[: self.carried], rest[self.carried :]
        results = run_loop(self.body, int(limit.reshape(-1)[0]), bool(condition.reshape(-1)[0]),
                           states, captures)  # fmt: skip
        return tuple(results)

    def cost(self, operands: Types, results: Sequence[TensorType]) -> Cost:
        """One turn's work, times the turns where they are known."""
        moved = sum(t.nbytes for t in [*operands, *results] if t is not None)
        return Cost(macs_of(self.body) * max(self.turns, 1), moved)

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        parts: list[Part] = []
        states: list[State] = []
        scratch = arena_bytes(self.body)
        for i, type in enumerate(results[: self.carried]):
            parts.append(copy_part(2 + i, 0, 0, type.capacity, result=i))
            scratch = aligned(scratch)
            states.append(State(Access(Result(i)), Access(Scratch(scratch)), type.capacity))
            scratch += type.nbytes
        captures = [Access(Operand(i), Affine(0, (0,)))
                    for i in range(2 + self.carried, len(operands))]  # fmt: skip
        carried = [Carried(i) for i in range(self.carried)]
        rows = [
            Access(Result(i), Affine(0, (type.capacity // max(self.turns, 1),)))
            for i, type in enumerate(results) if i >= self.carried
        ]  # fmt: skip
        run = call(self.body, [Turn(), Going(), *carried, *captures], [Going(), *carried, *rows], 1)
        most = self.turns if rows else None
        parts.append(Repeat(Access(Operand(0)), Access(Operand(1)), run, tuple(states), most))
        return Emission(tuple(parts), scratch)

    def onnx_node(self) -> tuple[str, Mapping[str, object]]:
        return "Loop", {"body": self.body,
                        "captures": len(self.body.inputs) - 2 - self.carried}  # fmt: skip


def run_loop(body: Graph, limit: int | None, going: bool, states: Sequence[Array],
             captures: Sequence[Array]) -> list[Array]:  # fmt: skip
    """Run a loop in numpy (no limit: as long as it goes on); the states, then the stacks."""
    count = len(states)
    rows: list[list[Array]] = []
    while going and (limit is None or len(rows) < limit):
        scalars = [np.array(len(rows), np.int64), np.array(going)]
        again, *results = evaluate_graph(body, [*scalars, *states, *captures])
        going, states = bool(again.reshape(-1)[0]), results[:count]
        rows.append(results[count:])
    types = [value.type for value in body.outputs[1 + count :]]
    return [*states, *(_stack([row[k] for row in rows], type) for k, type in enumerate(types))]


def _stack(rows: Sequence[Array], type: TensorType) -> Array:
    return np.stack(rows) if rows else np.zeros((0, *type.bounds), type.dtype.numpy)
