"""Transposes past the ops that do not care, until they cancel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.graph import Graph, Op, Value
from dlc.ir.operator import Array
from dlc.ops.onnx.named import onnx_operator, perm_of, transposed
from dlc.ops.onnx.operator import is_onnx
from dlc.ops.onnx.permuted import Perm, Permuted, inverse, permuted
from dlc.rewrite.base import Pass
from dlc.rewrite.driver import erase_dead, refuse


@dataclass(frozen=True, slots=True)
class FoldTranspose(Pass):
    """Move transposes towards the outputs where they cancel, merge or become fewer.

    Past element-wise ops, concat, split, reductions, softmax, arg max, pad, slice, squeeze and
    (de)quantisation, whose axes and constants change accordingly. Transposes and the ops between
    them are looked at as one region: all its transposes go, and what reads its values from outside
    gets a new one where it needs it. A region stays as it is when that would make more. Of regions
    that stay even, the transposes sink, so that a conv meets its bias and activation, unless they
    would move more bytes there, as behind a DequantizeLinear. A transpose of
    a constant becomes a constant. Moves only, but a sum adds in another order.

    Before:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[1,2,3,4]
          %1 = onnx.Transpose(%0) {perm = [0, 2, 3, 1]} "to_nhwc" : f32[1,3,4,2]
          %2 = constant() {value = dense<f32[2] 1.0 2.0>} "bias" : f32[2]
          %3 = onnx.Add(%1, %2) "add" : f32[1,3,4,2]
          %4 = onnx.Transpose(%3) {perm = [0, 3, 1, 2]} "to_nchw" : f32[1,2,3,4]
          output(%4) {names = ["y"]}
        }

    After:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[1,2,3,4]
          %1 = constant() {value = dense<f32[1,2,1,1] 1.0 2.0>} "bias" : f32[1,2,1,1]
          %2 = onnx.Add(%0, %1) "add" : f32[1,2,3,4]
          output(%2) {names = ["y"]}
        }
    """

    name: ClassVar[str] = "fold-transpose"
    contract: ClassVar[str] = "reassociates"

    def run(self, graph: Graph) -> tuple[Graph, bool]:
        changed = False
        # each round has fewer transposes than the one before, or has them further down
        while _Sweep(graph).run():
            changed = True
        return graph, changed


@dataclass(slots=True)
class _Origin:
    """``value`` is ``base`` transposed by ``perm``."""

    base: Value
    perm: Perm

    @property
    def moves(self) -> bool:
        return self.perm != tuple(range(len(self.perm)))


#: transposes, and ops that could do without them, in topological order
_Region = dict[Op, None]


class _Sweep:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.origins: dict[Value, _Origin] = {}
        #: how ops that are no transposes would look
        self.plans: dict[Op, Permuted] = {}
        self.leaders: dict[Op, Op] = {}
        #: what now stands for a value where a rewritten region is left
        self.replaced: dict[Value, Value] = {}

    def run(self) -> bool:
        for op in self.graph.ops:
            if is_onnx(op, "Transpose"):
                self.reach_transpose(op)
            else:
                self.reach(op)
        settled = [self.settle(region) for region in self.regions()]
        return any(settled)

    def reach_transpose(self, op: Op) -> None:
        (x,) = op.operands
        assert x is not None
        before = self.origins.get(x)
        if before is not None and before.moves:
            perm = tuple(before.perm[axis] for axis in perm_of(op))
            self.origins[op.result] = _Origin(before.base, perm)
            self.join(op, x)
        else:
            self.origins[op.result] = _Origin(x, perm_of(op))
            self.join(op)

    def reach(self, op: Op) -> None:
        """Note how the op would look if it came before the transposes it reads."""
        moved = {
            value: self.origins[value].perm
            for value in op.operands
            if value is not None and value in self.origins and self.origins[value].moves
        }
        if not moved or not op.results:
            return
        plan = permuted(op, moved)
        if isinstance(plan, str):
            refuse(FoldTranspose.name, op, plan)
            return
        self.plans[op] = plan
        for result in op.results:
            self.origins[result] = _Origin(result, plan.perm)
        self.join(op, *moved)

    # ---- regions: connected by values that are transposes of others -----------------------------

    def join(self, op: Op, *values: Value) -> None:
        self.leaders[op] = op
        for value in values:
            self.leaders[self.leader(value.op)] = self.leader(op)

    def leader(self, op: Op) -> Op:
        while self.leaders[op] is not op:
            self.leaders[op] = self.leaders[self.leaders[op]]
            op = self.leaders[op]
        return op

    def regions(self) -> list[_Region]:
        found: dict[Op, _Region] = {}
        for op in self.leaders:  # in topological order
            found.setdefault(self.leader(op), {})[op] = None
        return list(found.values())

    # ---- decisions --------------------------------------------------------------------------------

    def settle(self, region: _Region) -> bool:
        """Take the transposes out of a region if that pays."""
        removed = [op for op in region if op not in self.plans]
        whole = self.needed(region)
        kept = dict(region)
        if whole > len(removed):
            for op in self.loose_ends(region):
                del kept[op]
        needed = self.needed(kept)
        even = (
            needed == len(removed)
            and any(op in self.plans for op in kept)
            and self.moved_bytes(kept) <= sum(op.types[0].nbytes for op in removed)
        )
        if needed < len(removed) or even:
            self.rewrite(kept)
            return True
        if whole > len(removed):
            reason = f"it would take {whole} transposes for {len(removed)}"
            refuse(FoldTranspose.name, removed[0], reason)
        return False

    def exits(self, region: _Region) -> Iterator[Value]:
        """Values that something outside of the region reads."""
        for op in region:
            for result in op.results:
                if any(use.op not in region for use in result.uses):
                    yield result

    def needed(self, region: _Region) -> int:
        """How many transposes the region would need where it is left."""
        return len(self.transposes(region))

    def moved_bytes(self, region: _Region) -> int:
        """How much those would move."""
        return sum(base.type.nbytes for base, _ in self.transposes(region))

    def transposes(self, region: _Region) -> set[tuple[Value, Perm]]:
        """What would be transposed, and how, where the region is left."""
        origins = [self.origins[value] for value in self.exits(region)]
        return {
            (origin.base, origin.perm)
            for origin in origins
            if origin.moves and origin.base.constant is None
        }

    def loose_ends(self, region: _Region) -> list[Op]:
        """Ops that lead to nothing but the outside, so that they rather stay behind a transpose."""
        loose: dict[Op, None] = {}
        for op in reversed(region):
            readers = {use.op for result in op.results for use in result.uses}
            if op in self.plans and not any(r in region and r not in loose for r in readers):
                loose[op] = None
        return list(loose)

    # ---- rewriting --------------------------------------------------------------------------------

    def rewrite(self, region: _Region) -> None:
        graph, read_before = (
            self.graph,
            [v.op for op in region for v in op.operands if v is not None],
        )
        exits = list(self.exits(region))
        outside = {v: [use for use in v.uses if use.op not in region] for v in exits}
        version = next(onnx_operator(op).version for op in region if op not in self.plans)
        for op in region:
            if op in self.plans:
                self.move(op, region)
        made: dict[tuple[Value, Perm], Value] = {}
        for value in exits:
            origin = self.origins[value]
            key = origin.base, origin.perm
            if key not in made:
                with graph.labelled(value.op.label):
                    base = self.before(origin.base, region)
                    made[key] = transposed(base, origin.perm, version)
            self.replaced[value] = made[key]
            for use in outside[value]:
                operands = list(use.op.operands)
                operands[use.index] = made[key]
                graph.set_operands(use.op, operands)
        erase_dead(graph, *(op for op in region if op not in self.plans), *read_before)

    def move(self, op: Op, region: _Region) -> None:
        """Make an op read what its operands are transposes of."""
        plan = self.plans[op]
        operands = [
            self.constant(op, index, operand) if isinstance(operand, np.ndarray)
            else None if operand is None
            else self.before(operand, region)
            for index, operand in enumerate(plan.operands)
        ]  # fmt: skip
        types = [type.with_shape(type.shape[a] for a in inverse(plan.perm)) for type in op.types]
        self.graph.set_operator(op, plan.operator, operands, types)

    def before(self, value: Value, region: _Region) -> Value:
        """What stands for a value inside of a region that is being rewritten."""
        if value.op in region:
            base = self.origins[value].base
            return base if base is value else self.before(base, region)
        return self.replaced.get(value, value)

    def constant(self, op: Op, index: int, array: Array) -> Value:
        before = op.operands[index] if index < len(op.operands) else None
        label = op.label if before is None else before.op.label
        return self.graph.add_constant(np.ascontiguousarray(array), label)
