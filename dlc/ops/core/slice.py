"""``slice``: every ``step``-th element along each axis, forwards or backwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.operator import Array, Arrays, Types
from dlc.ir.types import TensorType, strides_of
from dlc.ops.core.operator import CoreOperator, OnnxBody
from dlc.ops.emission import Access, Affine, Emission, Nest, Operand, Result
from dlc.ops.nest import merge_loops


@dataclass(frozen=True, slots=True)
class Slice(CoreOperator):
    """``result[i, j, ...] = x[starts[0] + i * steps[0], starts[1] + j * steps[1], ...]``.

    ``sizes`` is the result's shape; steps may be negative. Any dtype.

    C1: one operand.
    C2: ``starts``, ``sizes`` and ``steps`` have one entry for each axis of the operand.
    C3: no step is 0, no size negative, and every element read lies inside the operand.
    """

    name: ClassVar[str] = "slice"
    starts: tuple[int, ...]
    sizes: tuple[int, ...]
    steps: tuple[int, ...]

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        x = self.only(operands)
        entries = {len(self.starts), len(self.sizes), len(self.steps)}
        self.require(entries == {x.rank}, "C2", f"does not have one entry for each axis of {x}")
        self.require(0 not in self.steps, "C3", "has a step of 0")
        for dim, size, (first, last) in zip(x.dims, self.sizes, self._ends(), strict=True):
            inside = 0 <= first < dim and 0 <= last < dim
            self.require(size == 0 or (size > 0 and inside), "C3", f"reads outside {x}")
        return (x.with_shape(self.sizes),)

    def _ends(self) -> list[tuple[int, int]]:
        """The first and last position read along each axis."""
        entries = zip(self.starts, self.sizes, self.steps, strict=True)
        return [(start, start + (size - 1) * step) for start, size, step in entries]

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        x = np.asarray(operands[0])
        entries = zip(self.starts, self.sizes, self.steps, strict=True)
        positions = [start + step * np.arange(size) for start, size, step in entries]
        return ((x[np.ix_(*positions)] if positions else x).copy(),)

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        strides, shape = strides_of(operands[0].dims), results[0].dims
        base = sum(start * stride for start, stride in zip(self.starts, strides, strict=True))
        steps = tuple(step * stride for step, stride in zip(self.steps, strides, strict=True))
        accesses = [Affine(0, strides_of(shape)), Affine(base, steps)]
        extents, (write, read) = merge_loops(shape, accesses)
        return Emission((Nest(extents, (Access(Operand(0), read),), Access(Result(), write)),))

    def to_onnx(self, body: OnnxBody, operands: Sequence[str], operand_types: Types,
                result_types: Sequence[TensorType]) -> Sequence[str]:  # fmt: skip
        if not self.sizes:
            return [body.node("Identity", operands)]
        # ONNX writes "down to and including element 0" as a stop far below it
        ends = [last + (1 if step > 0 else -1)
                for (_, last), step in zip(self._ends(), self.steps, strict=True)]  # fmt: skip
        stops = [-(2**31) if stop < 0 else stop for stop in ends]
        lists = [self.starts, stops, range(len(self.starts)), self.steps]
        constants = [body.constant(np.array(entries, dtype=np.int64)) for entries in lists]
        return [body.node("Slice", [*operands, *constants])]
