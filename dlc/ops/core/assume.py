"""``assume``: a value whose run-time sizes are known to be certain ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.operator import Array, Arrays, Types
from dlc.ir.sizes import Size, equal
from dlc.ir.types import Dim, TensorType
from dlc.ops.core.operator import CoreOperator, OnnxBody
from dlc.ops.emission import Check, Emission, copy_part


@dataclass(frozen=True, slots=True)
class Assume(CoreOperator):
    """The operand, whose shape is ``shape``: where a size differs the run ends with DLC_BAD_SIZE.

    Its copy costs nothing where the planner can give both sides one address.

    C1: one operand.
    C2: ``shape`` has its rank, and no dim of it surely differs.
    """

    name: ClassVar[str] = "assume"
    shape: tuple[Dim, ...]

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        x = self.only(operands)
        fits = len(self.shape) == x.rank and all(
            equal(a, b) != 0 for a, b in zip(self.shape, x.shape, strict=True)
        )
        self.require(fits, "C2", f"{x} is never {x.with_shape(self.shape)}")
        return (x.with_shape(self.shape),)

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        x = np.asarray(operands[0])
        self.require(x.shape == self.shape, "C2", f"{list(x.shape)} is not {list(self.shape)}")
        return (x.copy(),)

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        conditions = (equal(a, b) for a, b in zip(self.shape, operands[0].shape, strict=True))
        checks = tuple(Check(c) for c in conditions if isinstance(c, Size))
        return Emission((*checks, copy_part(0, 0, 0, results[0].count)))

    def to_onnx(self, body: OnnxBody, operands: Sequence[str], operand_types: Types,
                result_types: Sequence[TensorType]) -> Sequence[str]:  # fmt: skip
        return [body.node("Identity", operands)]
