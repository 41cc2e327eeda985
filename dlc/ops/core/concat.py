"""``concat``: tensors one after the other along an axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.operator import Array, Arrays, Types
from dlc.ir.sizes import Dim
from dlc.ir.types import TensorType, strides_of
from dlc.ops.core.operator import Condition, CoreOperator, OnnxBody
from dlc.ops.emission import Access, Affine, Emission, Nest, Operand, Part, Result
from dlc.ops.nest import merge_loops, same_shape


@dataclass(frozen=True, slots=True)
class Concat(CoreOperator):
    """The operands joined along ``axis``; any dtype.

    One part per operand, so that the planner can let producers write into the joined buffer.

    C1: at least one operand, all of one dtype and rank.
    C2: ``axis`` is an axis of theirs (not negative).
    C3: their shapes differ along ``axis`` only.
    """

    name: ClassVar[str] = "concat"
    axis: int

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        types = [t for t in operands if t is not None]
        self.require(0 < len(types) == len(operands), "C1", "needs operands")
        first = types[0]
        alike = all(t.dtype is first.dtype and t.rank == first.rank for t in types)
        self.require(alike, "C1", f"operands {', '.join(map(str, types))} differ in dtype or rank")
        self.require(0 <= self.axis < first.rank, "C2", f"{first} has no axis {self.axis}")
        self.require_sizes(types)
        joined: Dim = 0
        for t in types:
            joined = joined + t.shape[self.axis]
        shape = (*first.shape[: self.axis], joined, *first.shape[self.axis + 1 :])
        return (TensorType(first.dtype, shape),)

    def conditions(self, operands: Sequence[TensorType]) -> Iterator[Condition]:
        first = operands[0]
        for t in operands[1:]:
            other = (*t.shape[: self.axis], first.shape[self.axis], *t.shape[self.axis + 1 :])
            yield same_shape(first.shape, other), "C3", f"{t} does not join {first}"

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        return (np.concatenate([np.asarray(a) for a in operands], axis=self.axis),)

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        steps = strides_of(results[0].shape)
        parts: list[Part] = list(self.checks(operands))
        start: Dim = 0
        for index, operand in enumerate(operands):
            accesses = [
                Affine(start * steps[self.axis], steps),
                Affine(0, strides_of(operand.shape)),
            ]
            extents, (write, read) = merge_loops(operand.shape, accesses)
            parts.append(Nest(extents, (Access(Operand(index), read),), Access(Result(), write)))
            start = start + operand.shape[self.axis]
        return Emission(tuple(parts))

    def to_onnx(self, body: OnnxBody, operands: Sequence[str], operand_types: Types,
                result_types: Sequence[TensorType]) -> Sequence[str]:  # fmt: skip
        return [body.node("Concat", operands, axis=self.axis)]
