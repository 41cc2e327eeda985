"""``if``: one of two bodies, as a condition says at run time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.evaluate import evaluate_graph
from dlc.ir.graph import Graph
from dlc.ir.operator import Array, Arrays, Cost, Types
from dlc.ir.types import DType, TensorType
from dlc.ops.core.operator import CoreOperator
from dlc.ops.emission import Access, Branch, Emission, Operand, Result
from dlc.ops.regions import arena_bytes, call


@dataclass(frozen=True, slots=True)
class If(CoreOperator):
    """Operands: the condition, one bool, and what the bodies capture; results: those of a body.

    C1: the condition is one bool.
    C2: both bodies take the captures, in order.
    C3: the bodies give results of the same types.
    """

    name: ClassVar[str] = "if"
    then: Graph
    otherwise: Graph

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
        then, otherwise = (tuple(v.type for v in body.outputs) for body in self.regions())
        self.require(then == otherwise, "C3",
                     f"the bodies give {_listed(then)} and {_listed(otherwise)}")  # fmt: skip
        return then

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        condition, *captures = (np.asarray(a) for a in operands)
        body = self.then if condition.reshape(-1)[0] else self.otherwise
        return tuple(evaluate_graph(body, captures))

    def cost(self, operands: Types, results: Sequence[TensorType]) -> Cost:
        moved = sum(t.nbytes for t in [*operands, *results] if t is not None)
        return Cost(max(macs_of(body) for body in self.regions()), moved)

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        inputs = [Access(Operand(i)) for i in range(1, len(operands))]
        outputs = [Access(Result(i)) for i in range(len(results))]
        then, otherwise = (call(body, inputs, outputs) for body in self.regions())
        scratch = max(arena_bytes(body) for body in self.regions())
        return Emission((Branch(Access(Operand(0)), then, otherwise),), scratch)

    def onnx_node(self) -> tuple[str, Mapping[str, object]]:
        return "If", {"then_branch": self.then, "else_branch": self.otherwise,
                      "captures": len(self.then.inputs)}  # fmt: skip


def macs_of(body: Graph) -> int:
    """Multiply-accumulates of one run of a body."""
    return sum(op.operator.cost(op.operand_types, op.types).macs for op in body.ops)


def _listed(types: Types) -> str:
    return f"({', '.join(map(str, types))})"
