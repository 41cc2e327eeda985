"""``transpose``: the dims of a tensor in another order."""

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
class Transpose(CoreOperator):
    """``result.shape[i] == x.shape[perm[i]]``; any dtype.

    C1: one operand.
    C2: ``perm`` is a permutation of the operand's axes.
    """

    name: ClassVar[str] = "transpose"
    perm: tuple[int, ...]

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        x = self.only(operands)
        self.require(
            sorted(self.perm) == list(range(x.rank)), "C2", f"perm {self.perm} does not permute {x}"
        )
        return (x.with_shape(x.shape[axis] for axis in self.perm),)

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        return (np.transpose(np.asarray(operands[0]), self.perm).copy(),)

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        steps, shape = strides_of(operands[0].shape), results[0].shape
        accesses = [Affine(0, strides_of(shape)), Affine(0, tuple(steps[i] for i in self.perm))]
        extents, (write, read) = merge_loops(shape, accesses)
        return Emission((Nest(extents, (Access(Operand(0), read),), Access(Result(), write)),))

    def to_onnx(self, body: OnnxBody, operands: Sequence[str], operand_types: Types,
                result_types: Sequence[TensorType]) -> Sequence[str]:  # fmt: skip
        return [body.node("Transpose", operands, perm=self.perm)]
