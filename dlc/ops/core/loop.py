"""``loop``: a body run again and again, with values carried from turn to turn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from dlc.ir.evaluate import evaluate_graph
from dlc.ir.graph import Graph, Value
from dlc.ir.operator import Array, Arrays, Cost, Types
from dlc.ir.sizes import Symbol, bound_of, substitute
from dlc.ir.types import Dim, DType, TensorType
from dlc.ops.core.if_ import macs_of
from dlc.ops.core.operator import CoreOperator
from dlc.ops.emission import (
    Access,
    Affine,
    Carried,
    Define,
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
from dlc.ops.regions import aligned, arena_bytes, call, is_outer, rebuilt, specialised

_SCALARS = (TensorType(DType.I64, ()), TensorType(DType.BOOL, ()))


@dataclass(frozen=True, slots=True)
class Loop(CoreOperator):
    """``while turn < limit and going: going, states, rows = body(turn, going, states, captures)``.

    Operands: the limit, one i64, the condition, one bool, the initial values of ``carried`` states,
    and what the body captures. Results: the last values of the states, then the further outputs of
    the body, each stacked along a new first axis of ``turns``, which all turns fill.

    Sizes of the states that change from turn to turn are ``inside``, symbols of the body's inputs;
    the body then has a further output, last: their values for the next turn, i64. The op defines
    ``symbols``: what those sizes are at the end, and, where it is known only then, ``turns``; more
    turns than its bound end the run with status DLC_BAD_SIZE.

    C1: the limit is one i64, the condition one bool.
    C2: the body takes an i64[] and a bool[], the states and the captures, in order.
    C3: the body gives one bool, the states with their types, and what is stacked, of sizes that are
        known outside.
    C4: ``symbols`` are one for each ``inside``, of its interval, and perhaps ``turns``; with
        ``inside``, the last output of the body is their values.
    """

    name: ClassVar[str] = "loop"
    body: Graph
    carried: int
    turns: Dim = 0
    inside: tuple[Symbol, ...] = ()
    symbols: tuple[Symbol, ...] = ()

    @property
    def defined(self) -> tuple[Symbol, ...]:
        return self.symbols

    def at(self, values: Mapping[Symbol, Dim]) -> Self:
        known = {s: v for s, v in values.items() if s not in self.symbols}
        body = specialised(self.body, values, self.inside)
        return replace(self, turns=substitute(self.turns, known), body=body)

    def regions(self) -> Iterator[Graph]:
        return iter((self.body,))

    @property
    def counts(self) -> bool:
        """Whether the number of turns is a size this op defines."""
        return len(self.symbols) > len(self.inside)

    @property
    def rows(self) -> tuple[Value, ...]:
        """The outputs of the body that are stacked."""
        return self.body.outputs[1 + self.carried : -1 if self.inside else None]

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        self.require(len(operands) >= 2 + self.carried, "C1", f"has only {len(operands)} operands")
        for type, scalar in zip(operands, _SCALARS, strict=False):
            fits = type is not None and type.dtype is scalar.dtype and type.capacity == 1
            self.require(fits, "C1", f"{type} where {scalar} is needed")
        end = 2 + self.carried
        taken = [value.type for value in self.body.inputs]
        initial = self._initial(operands)
        known = [_at(type, initial) for type in taken[2:end]]
        fits = [*taken[:2], *known, *taken[end:]] == [*_SCALARS, *operands[2:]]
        self.require(fits, "C2", f"the body takes {', '.join(map(str, taken))}")
        given = [value.type for value in self.body.outputs]
        fits = len(given) >= 1 + self.carried and given[0].dtype is DType.BOOL
        fits = fits and given[0].capacity == 1
        fits = fits and all(map(self._carries, taken[2:end], given[1:]))
        rows = [value.type for value in self.rows]
        fits = fits and all(is_outer(d, self.body, self.inside) for t in rows for d in t.shape)
        self.require(fits, "C3", f"the body gives {', '.join(map(str, given))}")
        final = dict(zip(self.inside, self.symbols, strict=False))
        fits = len(self.symbols) in (len(self.inside), len(self.inside) + 1)
        fits = fits and all((a.low, a.bound) == (b.low, b.bound) for a, b in final.items())
        fits = fits and self.symbols[len(self.inside) :] in ((), (self.turns,))
        if self.inside:
            fits = fits and given[-1] == TensorType(DType.I64, (len(self.inside),))
        self.require(fits, "C4", f"has symbols {', '.join(map(str, self.symbols))}")
        stacked = (row.with_shape((self.turns, *row.shape)) for row in rows)
        return (*(_at(type, final) for type in taken[2:end]), *stacked)

    def _initial(self, operands: Types) -> dict[Symbol, Dim]:
        """The sizes of the states before the first turn."""
        found: dict[Symbol, Dim] = {}
        for value, operand in zip(self.body.inputs, operands, strict=False):
            if operand is not None and operand.rank == value.type.rank:
                for dim, size in zip(value.type.shape, operand.shape, strict=True):
                    if isinstance(dim, Symbol) and dim in self.inside:
                        found.setdefault(dim, size)
        return found

    def _carries(self, before: TensorType, after: TensorType) -> bool:
        """Whether a state of the one type may become one of the other in a turn."""
        return (before.dtype, before.rank) == (after.dtype, after.rank) and all(
            bound_of(b) <= bound_of(a) if a in self.inside else a == b
            for a, b in zip(before.shape, after.shape, strict=True)
        )

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        limit, condition, *rest = (np.asarray(a) for a in operands)
        states, captures = rest[: self.carried], rest[self.carried :]
        results = run_loop(self.body, int(limit.reshape(-1)[0]), bool(condition.reshape(-1)[0]),
                           states, captures)  # fmt: skip
        return tuple(results[: len(states) + len(self.rows)])

    def cost(self, operands: Types, results: Sequence[TensorType]) -> Cost:
        """One turn's work, times the most turns where these are known."""
        moved = sum(t.nbytes for t in [*operands, *results] if t is not None)
        return Cost(macs_of(self.body) * max(bound_of(self.turns), 1), moved)

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        parts: list[Part] = []
        states: list[State] = []
        scratch = arena_bytes(self.body)
        for i, type in enumerate(results[: self.carried]):
            parts.append(copy_part(2 + i, 0, 0, operands[2 + i].count, result=i))
            scratch = aligned(scratch)
            states.append(State(Access(Result(i)), Access(Scratch(scratch)), type.capacity))
            scratch += type.nbytes
        captures = [Access(Operand(i), Affine(0, (0,)))
                    for i in range(2 + self.carried, len(operands))]  # fmt: skip
        carried = [Carried(i) for i in range(self.carried)]
        outputs = [
            Access(Result(self.carried + i), Affine(0, (value.type.count,)))
            for i, value in enumerate(self.rows)
        ]
        most = bound_of(self.turns) if self.counts else self.turns if outputs else None
        initial = self._initial(operands)
        numbers: list[Access] = []
        if self.symbols:
            scratch = aligned(scratch)
            at = Scratch(scratch)
            scratch += len(self.symbols) * DType.I64.nbytes
            numbers = [Access(at, Affine(i)) for i in range(len(self.symbols))]
            if self.inside:
                outputs.append(Access(at, Affine(0, (0,))))
        run = call(self.body, [Turn(), Going(), *carried, *captures],
                   [Going(), *carried, *outputs], 1)  # fmt: skip
        parts.append(Repeat(
            Access(Operand(0)), Access(Operand(1)), run, tuple(states), most,
            numbers[-1] if self.counts else None,
            tuple(zip(self.inside, numbers, map(initial.__getitem__, self.inside), strict=False)),
        ))  # fmt: skip
        parts += [Define(symbol, at) for symbol, at in zip(self.symbols, numbers, strict=True)]
        return Emission(tuple(parts), scratch)

    def onnx_node(self) -> tuple[str, Mapping[str, object]]:
        body, inputs = self.body, len(self.body.inputs)
        if self.inside:
            body = rebuilt(body, range(inputs), range(len(body.outputs) - 1), {})
        return "Loop", {"body": body, "captures": inputs - 2 - self.carried}


def _at(type: TensorType, values: Mapping[Symbol, Dim]) -> TensorType:
    shape = (values.get(dim, dim) if isinstance(dim, Symbol) else dim for dim in type.shape)
    return type.with_shape(shape)


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
    return [*states, *(stack_rows([row[k] for row in rows], type) for k, type in enumerate(types))]


def stack_rows(rows: Sequence[Array], type: TensorType) -> Array:
    """What the turns of a loop gave, along a new first axis; empty without a turn."""
    return np.stack(rows) if rows else np.zeros((0, *type.bounds), type.dtype.numpy)
