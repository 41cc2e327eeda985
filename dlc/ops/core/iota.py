"""``iota``: the numbers from 0 on, as many as a size says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.operator import Array, Arrays, Types
from dlc.ir.sizes import Dim
from dlc.ir.types import DType, TensorType
from dlc.ops.core.operator import Condition, CoreOperator, OnnxBody
from dlc.ops.emission import Access, Emission, Kernel, Result
from dlc.ops.nest import not_negative


@dataclass(frozen=True, slots=True)
class Iota(CoreOperator):
    """``0, 1, ... count - 1`` as i64[count].

    C1: no operand.
    C2: ``count`` is not negative.
    """

    name: ClassVar[str] = "iota"
    count: Dim

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        self.require(not operands, "C1", f"has {len(operands)} operands, not none")
        self.require_sizes([])
        return (TensorType(DType.I64, (self.count,)),)

    def conditions(self, operands: Sequence[TensorType]) -> Iterator[Condition]:
        yield not_negative([self.count]), "C2", f"count {self.count} is negative"

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        return (np.arange(*self.fixed([self.count]), dtype=np.int64),)

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        kernel = Kernel("dlc_iota_i64", (Access(Result()), self.count))
        return Emission((*self.checks([]), kernel))

    def to_onnx(self, body: OnnxBody, operands: Sequence[str], operand_types: Types,
                result_types: Sequence[TensorType]) -> Sequence[str]:  # fmt: skip
        ends = (0, *self.fixed([self.count]), 1)
        return [body.node("Range", [body.constant(np.array(n, dtype=np.int64)) for n in ends])]
