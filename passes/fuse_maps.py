"""Fusion of element-wise ops into one loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from dlc.ir.expr import Expr
from dlc.ir.graph import Graph, Op, Value
from dlc.ir.types import Dim, DType, TensorType, broadcast_shapes
from dlc.ops.core.broadcast import Broadcast
from dlc.ops.core.map import Map
from dlc.ops.core.reduce import Reduce
from dlc.ops.fusion import (
    Argument,
    absorb,
    compose,
    cost,
    count_uses,
    is_scalar_constant,
    joined_label,
)
from dlc.rewrite.base import Pass
from dlc.rewrite.driver import erase_dead, refuse

_CHEAP_BROADCAST = 2
_CHEAP_REPEAT = 8


@dataclass(frozen=True, slots=True)
class FuseMaps(Pass):
    """Merge a map into the only op that reads it, where that is a map or a reduce.

    The value between them is never stored. A scalar constant becomes part of the expression, and an
    operand that was broadcast for the map alone is broadcast by the map itself. A producer stays on its own where its work would be repeated: it is read by several ops, it is
    smaller than its reader (unless its expression is cheap), or an expensive expression would appear
    twice. `max_size` bounds the nodes of an expression, `max_operands` what one loop reads.

    Before:

        graph "g" {
          %0 = input() "x" : f32[4]
          %1 = map(%0) {expr = `exp(a0)`} "exp" : f32[4]
          %2 = constant() {value = dense<f32[] 0.5>} : f32[]
          %3 = map(%1, %2) {expr = `a0 * a1`} "half" : f32[4]
          output(%3) {names = ["y"]}
        }

    After:

        graph "g" {
          %0 = input() "x" : f32[4]
          %1 = map(%0) {expr = `exp(a0) * 0.5`} "exp+half" : f32[4]
          output(%1) {names = ["y"]}
        }
    """

    name: ClassVar[str] = "fuse-maps"
    requires: ClassVar[str] = "core"
    max_size: int = 64
    max_operands: int = 8

    def run(self, graph: Graph) -> tuple[Graph, bool]:
        fusion = _Fusion(self, graph)
        for op in graph.ops:
            if isinstance(op.operator, Map | Reduce):
                fusion.into(op)
        return graph, fusion.changed


class _Fusion:
    def __init__(self, options: FuseMaps, graph: Graph) -> None:
        self.options = options
        self.graph = graph
        self.changed = False
        #: size and cost of the expressions of the maps seen so far: to walk them again at each merge
        #: would make a long chain cost its length times the size limit
        self.measures: dict[Op, tuple[int, int]] = {}

    def into(self, op: Op) -> None:
        """Write constants into ``op``'s expression, then merge its producers into it."""
        self.skip_broadcasts(op)
        self.absorb_constants(op)
        self.measure(op)
        while any(self.merge(value, op) for value in dict.fromkeys(_arguments(op))):
            # a constant that had to stay for its shape need not any more
            if any(map(is_scalar_constant, _arguments(op))) and self.absorb_constants(op):
                self.measure(op)

    def skip_broadcasts(self, op: Op) -> None:
        """Read the operand of a broadcast where ``op`` would broadcast it in the same way."""
        arguments = _arguments(op)
        for index, value in enumerate(arguments):
            if not isinstance(value.op.operator, Broadcast):
                continue
            source = value.op.operands[0]
            assert source is not None
            others = [v.type.shape for i, v in enumerate(arguments) if i != index]
            if broadcast_shapes(source.type.shape, *others) == _iterated(op):
                arguments[index] = source
                self.update(op, _body(op), arguments, op.label)
                erase_dead(self.graph, value.op)

    def measure(self, op: Op) -> None:
        body = _body(op)
        self.measures[op] = body.size, cost(body)

    def absorb_constants(self, op: Op) -> bool:
        arguments = _arguments(op)
        expr, kept = absorb(_body(op), arguments, _iterated(op))
        if len(kept) == len(arguments):
            return False
        self.update(op, expr, kept, op.label)
        erase_dead(self.graph, *(value.op for value in arguments))
        return True

    def merge(self, value: Value, op: Op) -> bool:
        """Merge the producer of ``value`` into ``op``, unless there is a reason not to."""
        producer = value.op
        if not isinstance(producer.operator, Map):
            return False
        arguments = _arguments(op)
        uses = count_uses(_body(op), arguments, value)
        (size, work), (inner_size, inner_work) = self.measures[op], self.measures[producer]
        size, work = size + uses * (inner_size - 1), work + uses * inner_work
        expr: Expr = _body(op)
        merged: Sequence[Argument] = arguments
        reason = self.refusal(value, op, size, uses, inner_work)
        if reason is None:
            expr, merged = compose(
                expr, arguments, value, producer.operator.expr, list(producer.operands)
            )
            if len(merged) > self.options.max_operands:
                reason = f"the loop would read {len(merged)} operands"
        if reason is not None:
            refuse(self.options.name, producer, reason)
            return False
        self.update(op, expr, merged, joined_label(producer, op))
        self.graph.erase(producer)
        self.measures[op] = size, work
        return True

    def refusal(self, value: Value, op: Op, size: int, uses: int, work: int) -> str | None:
        if value.user is not op or value in op.operands[len(_arguments(op)) :]:
            return "its result has other readers"
        if size > self.options.max_size:
            return f"the expression would have {size} nodes"
        if value.type.capacity < TensorType(DType.BOOL, _iterated(op)).capacity:
            if work * uses > _CHEAP_BROADCAST:
                return "it is smaller than what reads it, so its work would be repeated"
        elif (uses - 1) * work > _CHEAP_REPEAT:
            return f"its reader uses it {uses} times, so its work would be repeated"
        return None

    def update(self, op: Op, expr: Expr, arguments: Sequence[Argument], label: str) -> None:
        operator, extras = op.operator, op.operands[len(_arguments(op)) :]
        if isinstance(operator, Reduce):
            operator = replace(operator, element=expr, arity=len(arguments))
        else:
            operator = Map(expr)
        self.graph.set_operator(op, operator, [*arguments, *extras], types=op.types)
        op.label = label
        self.changed = True


def _body(op: Op) -> Expr:
    """What the op computes for each element of its arguments."""
    operator = op.operator
    assert isinstance(operator, Map | Reduce)
    return operator.expr if isinstance(operator, Map) else operator.element


def _arguments(op: Op) -> list[Value]:
    """What that expression reads."""
    count = op.operator.arity if isinstance(op.operator, Reduce) else len(op.operands)
    return [value for value in op.operands[:count] if value is not None]


def _iterated(op: Op) -> tuple[Dim, ...]:
    """The shape that expression is computed for."""
    if isinstance(op.operator, Map):
        return op.types[0].shape
    return broadcast_shapes(*(value.type.shape for value in _arguments(op)))
