"""What a graph is made of: ops, the values they give, and uses of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dlc.errors import VerifyError
from dlc.ir.operator import Constant, Operator
from dlc.ir.sizes import Symbol, symbols_of
from dlc.ir.types import TensorType

if TYPE_CHECKING:
    from dlc.ir.graph import Graph


class Value:
    """One result of an op. Compared by identity."""

    __slots__ = ("index", "op")

    def __init__(self, op: Op, index: int) -> None:
        self.op = op
        self.index = index

    @property
    def type(self) -> TensorType:
        return self.op.types[self.index]

    @property
    def shape(self) -> tuple[int, ...]:
        """The static shape (VerifyError when a dim is symbolic)."""
        return self.type.dims

    @property
    def uses(self) -> list[Use]:
        """Who reads this value, in deterministic order."""
        return self.op.graph.uses_of(self.op, self.index)

    @property
    def user(self) -> Op | None:
        """The only op that reads this value (once or more often); None when none or several do."""
        return self.op.graph.only_user_of(self.op, self.index)

    @property
    def sizes(self) -> np.ndarray[Any, Any] | None:
        """The elements as objects (ints and sizes), if this is an integer tensor that is known."""
        return self.op.operator.known_sizes

    @property
    def constant(self) -> np.ndarray[Any, Any] | None:
        """The array, if this value is a constant."""
        operator = self.op.operator
        return operator.value.array if isinstance(operator, Constant) else None

    @property
    def graph(self) -> Graph:
        return self.op.graph

    def replace_with(self, other: Value) -> None:
        """Make every reader of this value read ``other`` instead."""
        self.op.graph.replace_uses(self, other)

    def __repr__(self) -> str:
        return f"<%{self.op.id}.{self.index} {self.type}>"


@dataclass(frozen=True, slots=True)
class Use:
    """Operand number ``index`` of ``op``."""

    op: Op
    index: int


class Op:
    """A node: an operator applied to operands. Made and changed only by its Graph."""

    __slots__ = (
        "annotations", "graph", "id", "label", "needs", "operands", "operator", "results", "types",
        "verified",
    )  # fmt: skip

    def __init__(self, graph: Graph, id: int, operator: Operator, operands: tuple[Value | None, ...],
                 types: tuple[TensorType, ...], label: str) -> None:  # fmt: skip
        self.graph = graph
        self.id = id
        self.operator = operator
        self.operands = operands
        self.types = types
        #: where it came from (names of the ONNX nodes), for messages and comments
        self.label = label
        self.results = tuple(Value(self, i) for i in range(len(types)))
        #: symbols it mentions beyond those its operands carry: it runs after who defines them
        self.needs = needed_symbols(operator, operands, types)
        #: facts found by analyses (step, offset, ...); dropped when the graph changes
        self.annotations: dict[str, Any] = {}
        #: operator and types for which the verifier last found the types right
        self.verified: tuple[object, ...] = ()

    @property
    def result(self) -> Value:
        """The only result."""
        if len(self.results) != 1:
            raise VerifyError(f"{self!r} has {len(self.results)} results, not one")
        return self.results[0]

    @property
    def operand_types(self) -> list[TensorType | None]:
        return [None if value is None else value.type for value in self.operands]

    def __repr__(self) -> str:
        return f"<op {self.id} {self.operator.label} {self.label!r}>"


def infer_types(operator: Operator, operands: Sequence[Value | None]) -> tuple[TensorType, ...]:
    """Result types of an operator applied to these values, using those that are constant."""
    return operator.infer_from(
        [None if v is None else v.type for v in operands],
        [None if v is None else v.constant for v in operands],
    )


def needed_symbols(operator: Operator, operands: Sequence[Value | None],
            types: Sequence[TensorType]) -> tuple[Symbol, ...]:  # fmt: skip
    mentioned = {s: None for t in types if not t.is_static for s in symbols_of(t.shape)}
    mentioned |= dict.fromkeys(operator.mentioned)
    for body in operator.regions():
        mentioned |= dict.fromkeys(body.free_symbols)
    if not mentioned:
        return ()
    carried = {s for v in operands if v is not None for s in symbols_of(v.type.shape)}
    return tuple(s for s in mentioned if s not in carried and s not in operator.defined)
