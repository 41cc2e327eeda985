"""``nonzero``: where a tensor is true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.operator import Array, Arrays, Types
from dlc.ir.sizes import Symbol
from dlc.ir.types import DType, TensorType
from dlc.ops.core.operator import CoreOperator, OnnxBody
from dlc.ops.emission import Access, Count, Emission, Kernel, Operand, Result


@dataclass(frozen=True, slots=True)
class NonZero(CoreOperator):
    """Row-major numbers of the true elements of a bool tensor, in order, as i64[count].

    ``count`` is the symbol that takes their number at run time.

    C1: one operand, of bool.
    C2: ``count`` reaches from 0 to the number of elements of the operand, or beyond.
    """

    name: ClassVar[str] = "nonzero"
    count: Symbol

    @property
    def defined(self) -> tuple[Symbol, ...]:
        return (self.count,)

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        x = self.only(operands)
        self.require(x.dtype is DType.BOOL, "C1", f"{x} is not of bool")
        fits = self.count.low <= 0 and self.count.bound >= x.capacity
        self.require(fits, "C2", f"{self.count} does not reach from 0 to {x.capacity}")
        return (TensorType(DType.I64, (self.count,)),)

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        return (np.flatnonzero(np.asarray(operands[0])).astype(np.int64),)

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        args = (Access(Result()), Count(self.count), Access(Operand(0)), operands[0].count)
        return Emission((Kernel("dlc_nonzero", args),))

    def to_onnx(self, body: OnnxBody, operands: Sequence[str], operand_types: Types,
                result_types: Sequence[TensorType]) -> Sequence[str]:  # fmt: skip
        flat = body.node("Reshape", [*operands, body.constant(np.array([-1], np.int64))])
        found = body.node("NonZero", [flat])
        return [body.node("Reshape", [found, body.constant(np.array([-1], np.int64))])]
