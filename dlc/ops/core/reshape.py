"""``reshape``: the same elements, in the same order, under another shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.operator import Array, Arrays, Types
from dlc.ir.types import TensorType
from dlc.ops.core.operator import CoreOperator, OnnxBody
from dlc.ops.emission import Emission, copy_part


@dataclass(frozen=True, slots=True)
class Reshape(CoreOperator):
    """The operand's elements in row-major order, as a tensor of ``shape``; any dtype.

    Its copy costs nothing where the planner can give both sides one address.

    C1: one operand.
    C2: ``shape`` has no negative dim and as many elements as the operand.
    """

    name: ClassVar[str] = "reshape"
    shape: tuple[int, ...]

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        x = self.only(operands)
        result = TensorType(x.dtype, self.shape)
        fits = min(self.shape, default=0) >= 0 and result.capacity == math.prod(x.dims)
        self.require(fits, "C2", f"{x} does not reshape to {result}")
        return (result,)

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        return (np.asarray(operands[0]).reshape(self.shape),)

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        return Emission((copy_part(0, 0, 0, math.prod(self.shape)),))

    def to_onnx(self, body: OnnxBody, operands: Sequence[str], operand_types: Types,
                result_types: Sequence[TensorType]) -> Sequence[str]:  # fmt: skip
        shape = body.constant(np.array(self.shape, dtype=np.int64))
        return [body.node("Reshape", [*operands, shape], allowzero=1)]
