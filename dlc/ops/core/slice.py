"""``slice``: every ``step``-th element along each axis, forwards or backwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.operator import Array, Arrays, Types
from dlc.ir.sizes import Dim, bound_of, equal, less, low_of
from dlc.ir.types import TensorType, strides_of
from dlc.ops.core.operator import Condition, CoreOperator, OnnxBody
from dlc.ops.emission import Access, Affine, Emission, Nest, Operand, Result
from dlc.ops.nest import dot, merge_loops, not_negative


@dataclass(frozen=True, slots=True)
class Slice(CoreOperator):
    """``result[i, j, ...] = x[starts[0] + i * steps[0], starts[1] + j * steps[1], ...]``.

    ``sizes`` is the result's shape; steps may be negative. Any dtype.

    C1: one operand.
    C2: ``starts``, ``sizes`` and ``steps`` have one entry for each axis of the operand.
    C3: no step is 0, no size negative, and every element read lies inside the operand.
    """

    name: ClassVar[str] = "slice"
    starts: tuple[Dim, ...]
    sizes: tuple[Dim, ...]
    steps: tuple[Dim, ...]

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        x = self.only(operands)
        self.require(
            set(map(len, self._entries())) == {x.rank},
            "C2",
            f"does not have one entry for each axis of {x}",
        )
        self.require_sizes([x])
        return (x.with_shape(self.sizes),)

    def conditions(self, operands: Sequence[TensorType]) -> Iterator[Condition]:
        yield (1 - equal(step, 0) for step in self.steps), "C3", "has a step of 0"
        yield not_negative(self.sizes), "C3", "has a negative size"
        yield self._inside(operands[0].shape), "C3", f"reads outside {operands[0]}"

    def _inside(self, shape: Sequence[Dim]) -> Iterator[Dim]:
        """Conditions under which every position read is one of ``shape``."""
        entries = zip(shape, self.sizes, self.steps, self._ends(), strict=True)
        for dim, size, step, (first, last) in entries:
            least = [first] * (bound_of(step) > 0) + [last] * (low_of(step) < 0)
            most = [last] * (bound_of(step) > 0) + [first] * (low_of(step) < 0)
            for condition in (*not_negative(least), *(less(position, dim) for position in most)):
                yield condition + equal(size, 0)

    def _ends(self) -> list[tuple[Dim, Dim]]:
        """The first and last position read along each axis."""
        entries = zip(*self._entries(), strict=True)
        return [(start, start + (size - 1) * step) for start, size, step in entries]

    def _entries(self) -> tuple[tuple[Dim, ...], ...]:
        return self.starts, self.sizes, self.steps

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        x = np.asarray(operands[0])
        entries = zip(*map(self.fixed, self._entries()), strict=True)
        positions = [start + step * np.arange(size) for start, size, step in entries]
        return ((x[np.ix_(*positions)] if positions else x).copy(),)

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        strides, shape = strides_of(operands[0].shape), results[0].shape
        base = dot(self.starts, strides)
        steps = tuple(step * stride for step, stride in zip(self.steps, strides, strict=True))
        accesses = [Affine(0, strides_of(shape)), Affine(base, steps)]
        extents, (write, read) = merge_loops(shape, accesses)
        nest = Nest(extents, (Access(Operand(0), read),), Access(Result(), write))
        return Emission((*self.checks(operands), nest))

    def to_onnx(self, body: OnnxBody, operands: Sequence[str], operand_types: Types,
                result_types: Sequence[TensorType]) -> Sequence[str]:  # fmt: skip
        if not self.sizes:
            return [body.node("Identity", operands)]
        # ONNX writes "down to and including element 0" as a stop far below it
        starts, sizes, steps = (np.array(self.fixed(e), np.int64) for e in self._entries())
        stops = starts + (sizes - 1) * steps + np.sign(steps)
        lists = [starts, np.where(stops < 0, -(2**31), stops), np.arange(len(starts)), steps]
        constants = [body.constant(entries) for entries in lists]
        return [body.node("Slice", [*operands, *constants])]
