"""``det``: determinants of square matrices."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.operator import Array, Arrays, Cost, Types
from dlc.ir.sizes import bound_of, equal, product
from dlc.ir.types import DType, TensorType
from dlc.ops.core.operator import Condition, CoreOperator, OnnxBody
from dlc.ops.emission import Access, Emission, Kernel, Operand, Result, Scratch


@dataclass(frozen=True, slots=True)
class Det(CoreOperator):
    """The determinant of the matrices on the last two axes.

    C1: one operand, f32 or f64.
    C2: its last two axes are of one size.
    """

    name: ClassVar[str] = "det"

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        x = self.only(operands)
        self.require(x.dtype in (DType.F32, DType.F64), "C1", f"cannot take {x}")
        self.require(x.rank >= 2, "C2", f"{x} holds no square matrices")
        self.require_sizes([x])
        return (x.with_shape(x.shape[:-2]),)

    def conditions(self, operands: Sequence[TensorType]) -> Iterator[Condition]:
        rows, cols = operands[0].shape[-2:]
        yield (equal(rows, cols),), "C2", f"{operands[0]} holds no square matrices"

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        x = np.asarray(operands[0])
        return (np.asarray(np.linalg.det(x), x.dtype),)

    def cost(self, operands: Types, results: Sequence[TensorType]) -> Cost:
        (x,) = operands
        assert x is not None
        macs = math.prod(x.bounds) * x.bounds[-1] // 3
        return Cost(macs, x.nbytes + results[0].nbytes)

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        x = operands[0]
        *batch, size, _ = x.shape
        buffers = (Access(Result()), Access(Scratch()), Access(Operand(0)))
        kernel = Kernel(f"dlc_det_{x.dtype.value}", (*buffers, product(batch), size))
        scratch = bound_of(size) ** 2 * x.dtype.nbytes
        return Emission((*self.checks(operands), kernel), scratch)

    def to_onnx(self, body: OnnxBody, operands: Sequence[str], operand_types: Types,
                result_types: Sequence[TensorType]) -> Sequence[str]:  # fmt: skip
        return [body.node("Det", operands)]
