"""``if``: one of two bodies, as a condition says at run time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from dlc.ir.evaluate import evaluate_graph
from dlc.ir.graph import Graph
from dlc.ir.operator import Array, Arrays, Cost, Types
from dlc.ir.sizes import Symbol
from dlc.ir.types import Dim, DType, TensorType
from dlc.ops.core.operator import CoreOperator
from dlc.ops.emission import Access, Affine, Branch, Define, Emission, Operand, Result, Scratch
from dlc.ops.regions import aligned, arena_bytes, call, is_outer, rebuilt, specialised


@dataclass(frozen=True, slots=True)
class If(CoreOperator):
    """Operands: the condition, one bool, and what the bodies capture; results: those of a body.

    Where the bodies' results differ in a size, or it is known only inside, the result has the next
    of ``symbols``, which this op defines. The bodies then have a further output, last: the values
    of the symbols, i64.

    C1: the condition is one bool.
    C2: both bodies take the captures, in order.
    C3: the bodies give results of the same element types and ranks.
    C4: ``symbols`` are as many as are needed, hold the sizes of either body, and have their values in
        the last output of both.
    """

    name: ClassVar[str] = "if"
    then: Graph
    otherwise: Graph
    symbols: tuple[Symbol, ...] = ()

    @property
    def defined(self) -> tuple[Symbol, ...]:
        return self.symbols

    def at(self, values: Mapping[Symbol, Dim]) -> Self:
        then, otherwise = (specialised(body, values) for body in self.regions())
        return type(self)(then, otherwise, self.symbols)

    def regions(self) -> Iterator[Graph]:
        return iter((self.then, self.otherwise))

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        condition = operands[0] if operands else None
        fits = condition is not None and condition.dtype is DType.BOOL and condition.capacity == 1
        self.require(fits, "C1", f"the condition is {condition}, not one bool")
        for body in self.regions():
            taken = [value.type for value in body.inputs]
            self.require(taken == list(operands[1:]), "C2",
                         f"body {body.name!r} takes {_listed(taken)}, not {_listed(operands[1:])}")  # fmt: skip
        for body in self.regions() if self.symbols else ():
            values = body.outputs[-1].type if body.outputs else None
            fits = values == TensorType(DType.I64, (len(self.symbols),))
            self.require(fits, "C4", f"body {body.name!r} gives {values} last")
        then, otherwise = (
            [value.type for value in body.outputs][: -1 if self.symbols else None]
            for body in self.regions()
        )
        kinds = [[(t.dtype, t.rank) for t in types] for types in (then, otherwise)]
        self.require(kinds[0] == kinds[1], "C3",
                     f"the bodies give {_listed(then)} and {_listed(otherwise)}")  # fmt: skip
        rest = iter(self.symbols)
        types = []
        for a, b in zip(then, otherwise, strict=True):
            shape = []
            for m, n in zip(a.shape, b.shape, strict=True):
                dim = m if self.agree(m, n) else next(rest, None)
                self.require(dim is not None, "C4", f"the bodies give sizes {m} and {n}")
                assert dim is not None
                shape.append(dim)
            types.append(a.with_shape(shape))
            fits = types[-1].capacity >= max(a.capacity, b.capacity)
            self.require(fits, "C4", f"{types[-1]} cannot hold {a} or {b}")
        self.require(next(rest, None) is None, "C4", "there are symbols that no result needs")
        return tuple(types)

    def agree(self, a: Dim, b: Dim) -> bool:
        """Whether sizes of the two bodies are one that is known outside as well."""
        return a == b and is_outer(a, self.then) and is_outer(b, self.otherwise)

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        condition, *captures = (np.asarray(a) for a in operands)
        body = self.then if condition.reshape(-1)[0] else self.otherwise
        return tuple(evaluate_graph(body, captures)[: -1 if self.symbols else None])

    def cost(self, operands: Types, results: Sequence[TensorType]) -> Cost:
        moved = sum(t.nbytes for t in [*operands, *results] if t is not None)
        return Cost(max(macs_of(body) for body in self.regions()), moved)

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        inputs = [Access(Operand(i)) for i in range(1, len(operands))]
        scratch = max(arena_bytes(body) for body in self.regions())
        outputs = [Access(Result(i)) for i in range(len(results))]
        sizes = Scratch(aligned(scratch))
        if self.symbols:
            scratch = sizes.offset + len(self.symbols) * DType.I64.nbytes
            outputs.append(Access(sizes))
        then, otherwise = (call(body, inputs, outputs) for body in self.regions())
        defines = (
            Define(symbol, Access(sizes, Affine(i))) for i, symbol in enumerate(self.symbols)
        )
        return Emission((Branch(Access(Operand(0)), then, otherwise), *defines), scratch)

    def onnx_node(self) -> tuple[str, Mapping[str, object]]:
        captures = range(len(self.then.inputs))
        bodies = self.regions()
        if self.symbols:
            results = range(len(self.then.outputs) - 1)
            bodies = (rebuilt(body, captures, results, {}) for body in self.regions())
        then, otherwise = bodies
        return "If", {"then_branch": then, "else_branch": otherwise, "captures": len(captures)}


def macs_of(body: Graph) -> int:
    """Multiply-accumulates of one run of a body."""
    return sum(op.operator.cost(op.operand_types, op.types).macs for op in body.ops)


def _listed(types: Types) -> str:
    return f"({', '.join(map(str, types))})"
