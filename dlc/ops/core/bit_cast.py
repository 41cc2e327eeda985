"""``bit_cast``: the same bits, read as another dtype of the same size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.operator import Array, Arrays, Types
from dlc.ir.types import DType, TensorType
from dlc.ops.core.operator import CoreOperator, OnnxBody
from dlc.ops.emission import Access, Emission, Kernel, Operand, Result


@dataclass(frozen=True, slots=True)
class BitCast(CoreOperator):
    """The bytes of the operand as elements of ``dtype``.

    C1: one operand.
    C2: its elements have as many bytes as those of ``dtype``, and neither dtype is string.
    """

    name: ClassVar[str] = "bit_cast"
    dtype: DType

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        x = self.only(operands)
        sizes = x.dtype.nbytes == self.dtype.nbytes and DType.STRING not in (x.dtype, self.dtype)
        self.require(sizes, "C2", f"{x} has no {self.dtype.value} of the same size")
        return (x.with_dtype(self.dtype),)

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        x = np.asarray(operands[0])
        flat = np.ascontiguousarray(x).reshape(-1)
        return (flat.view(self.dtype.numpy).reshape(x.shape).copy(),)

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        size = operands[0].count * self.dtype.nbytes
        copy = (Access(Result()), Access(Operand(0)), size)
        return Emission((Kernel("dlc_copy_bytes", copy),))

    def to_onnx(self, body: OnnxBody, operands: Sequence[str], operand_types: Types,
                result_types: Sequence[TensorType]) -> Sequence[str]:  # fmt: skip
        return [body.node("BitCast", operands, to=self.dtype.onnx)]
