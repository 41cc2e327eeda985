"""``pad``: a tensor with a border of one value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.expr import Call, Const, Expr
from dlc.ir.operator import Array, Arrays, Types
from dlc.ir.types import DType, TensorType, strides_of
from dlc.ops.core.operator import CoreOperator, OnnxBody
from dlc.ops.emission import Access, Affine, Emission, Nest, Operand, Result
from dlc.ops.nest import merge_loops


@dataclass(frozen=True, slots=True)
class Pad(CoreOperator):
    """The operand inside a border: ``before[i]`` and ``after[i]`` positions of axis ``i`` hold ``value``.

    Every element is written once: the border in up to two slabs an axis, the inside in one copy.

    C1: one operand, of a number or bool dtype.
    C2: ``before`` and ``after`` have one entry, not negative, for each axis of the operand.
    """

    name: ClassVar[str] = "pad"
    before: tuple[int, ...]
    after: tuple[int, ...]
    value: float | int | bool = 0

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        x = self.only(operands)
        self.require(x.dtype is not DType.STRING, "C1", "strings cannot be padded")
        amounts = [*self.before, *self.after]
        fits = len(self.before) == len(self.after) == x.rank and min(amounts, default=0) >= 0
        self.require(fits, "C2", f"needs two sizes, not negative, for each axis of {x}")
        padded = zip(self.before, x.dims, self.after, strict=True)
        return (TensorType(x.dtype, tuple(sum(sizes) for sizes in padded)),)

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        x = np.asarray(operands[0])
        padded = zip(self.before, x.shape, self.after, strict=True)
        result = np.full(tuple(sum(sizes) for sizes in padded), self.value, dtype=x.dtype)
        inside = zip(self.before, x.shape, strict=True)
        result[tuple(slice(start, start + size) for start, size in inside)] = x
        return (result,)

    def _border(self, inside: tuple[int, ...]) -> Iterator[tuple[list[int], list[int]]]:
        """Disjoint boxes (starts, sizes) that make up the border of the result.

        The slabs of axis i span the whole result along later axes, the inside along earlier ones.
        """
        whole = [sum(sizes) for sizes in zip(self.before, inside, self.after, strict=True)]
        for axis, size in enumerate(inside):
            sides = ((0, self.before[axis]), (self.before[axis] + size, self.after[axis]))
            for start, width in sides:
                if width:
                    yield (
                        [*self.before[:axis], start, *[0] * (len(whole) - axis - 1)],
                        [*inside[:axis], width, *whole[axis + 1 :]],
                    )

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        inside, steps = operands[0].dims, strides_of(results[0].dims)
        fill: Expr = Call(results[0].dtype.value, (Const(self.value),))
        parts = []
        for starts, sizes in self._border(inside):
            extents, (write,) = merge_loops(sizes, [Affine(_offset(starts, steps), steps)])
            parts.append(Nest(extents, (), Access(Result(), write), fill))
        target = Affine(_offset(self.before, steps), steps)
        extents, (write, read) = merge_loops(inside, [target, Affine(0, strides_of(inside))])
        parts.append(Nest(extents, (Access(Operand(0), read),), Access(Result(), write)))
        return Emission(tuple(parts))

    def to_onnx(self, body: OnnxBody, operands: Sequence[str], operand_types: Types,
                result_types: Sequence[TensorType]) -> Sequence[str]:  # fmt: skip
        pads = body.constant(np.array([*self.before, *self.after], dtype=np.int64))
        value = body.constant(np.array(self.value, dtype=result_types[0].dtype.numpy))
        return [body.node("Pad", [*operands, pads, value])]


def _offset(starts: Sequence[int], strides: Sequence[int]) -> int:
    return sum(start * stride for start, stride in zip(starts, strides, strict=True))
