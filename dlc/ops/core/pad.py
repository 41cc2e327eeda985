"""``pad``: a tensor with a border of one value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.expr import Call, Const, Expr
from dlc.ir.operator import Array, Arrays, Types
from dlc.ir.sizes import Dim
from dlc.ir.types import DType, TensorType, strides_of
from dlc.ops.core.operator import Condition, CoreOperator, OnnxBody
from dlc.ops.emission import Access, Affine, Emission, Nest, Operand, Part, Result
from dlc.ops.nest import dot, merge_loops, not_negative


@dataclass(frozen=True, slots=True)
class Pad(CoreOperator):
    """The operand inside a border: ``before[i]`` and ``after[i]`` positions of axis ``i`` hold ``value``.

    Every element is written once: the border in up to two slabs an axis, the inside in one copy.

    C1: one operand, of a number or bool dtype.
    C2: ``before`` and ``after`` have one entry, not negative, for each axis of the operand.
    """

    name: ClassVar[str] = "pad"
    before: tuple[Dim, ...]
    after: tuple[Dim, ...]
    value: float | int | bool = 0

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        x = self.only(operands)
        self.require(x.dtype is not DType.STRING, "C1", "strings cannot be padded")
        fits = len(self.before) == len(self.after) == x.rank
        self.require(fits, "C2", f"needs two sizes for each axis of {x}")
        self.require_sizes([x])
        return (TensorType(x.dtype, self._padded(x.shape)),)

    def conditions(self, operands: Sequence[TensorType]) -> Iterator[Condition]:
        yield not_negative((*self.before, *self.after)), "C2", "a size is negative"

    def _padded(self, shape: Sequence[Dim]) -> tuple[Dim, ...]:
        sizes = zip(self.before, shape, self.after, strict=True)
        return tuple(before + dim + after for before, dim, after in sizes)

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        x = np.asarray(operands[0])
        result = np.full(self.fixed(self._padded(x.shape)), self.value, dtype=x.dtype)
        inside = zip(self.fixed(self.before), x.shape, strict=True)
        result[tuple(slice(start, start + size) for start, size in inside)] = x
        return (result,)

    def _border(self, inside: Sequence[Dim]) -> Iterator[tuple[list[Dim], list[Dim]]]:
        """Disjoint boxes (starts, sizes) that make up the border of the result.

        The slabs of axis i span the whole result along later axes, the inside along earlier ones.
        """
        whole = self._padded(inside)
        for axis, size in enumerate(inside):
            sides: list[tuple[Dim, Dim]] = [
                (0, self.before[axis]), (self.before[axis] + size, self.after[axis])
            ]  # fmt: skip
            for start, width in sides:
                if width != 0:
                    yield (
                        [*self.before[:axis], start, *[0] * (len(whole) - axis - 1)],
                        [*inside[:axis], width, *whole[axis + 1 :]],
                    )

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        inside, steps = operands[0].shape, strides_of(results[0].shape)
        fill: Expr = Call(results[0].dtype.value, (Const(self.value),))
        parts: list[Part] = list(self.checks(operands))
        for starts, sizes in self._border(inside):
            extents, (write,) = merge_loops(sizes, [Affine(dot(starts, steps), steps)])
            parts.append(Nest(extents, (), Access(Result(), write), fill))
        target = Affine(dot(self.before, steps), steps)
        extents, (write, read) = merge_loops(inside, [target, Affine(0, strides_of(inside))])
        parts.append(Nest(extents, (Access(Operand(0), read),), Access(Result(), write)))
        return Emission(tuple(parts))

    def to_onnx(self, body: OnnxBody, operands: Sequence[str], operand_types: Types,
                result_types: Sequence[TensorType]) -> Sequence[str]:  # fmt: skip
        pads = body.constant(np.array(self.fixed([*self.before, *self.after]), np.int64))
        value = body.constant(np.array(self.value, dtype=result_types[0].dtype.numpy))
        return [body.node("Pad", [*operands, pads, value])]
