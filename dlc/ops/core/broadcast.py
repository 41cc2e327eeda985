"""``broadcast``: a tensor repeated to fill a larger shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.operator import Array, Arrays, Types
from dlc.ir.types import TensorType, broadcast_shapes
from dlc.ops.core.operator import CoreOperator, OnnxBody
from dlc.ops.emission import Emission, Nest, Operand, Result
from dlc.ops.nest import collapse


@dataclass(frozen=True, slots=True)
class Broadcast(CoreOperator):
    """The operand repeated to ``shape`` by numpy's broadcasting rules; any dtype.

    C1: one operand.
    C2: the operand broadcasts to exactly ``shape``.
    """

    name: ClassVar[str] = "broadcast"
    shape: tuple[int, ...]

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        x = self.only(operands)
        fits = broadcast_shapes(x.shape, self.shape) == self.shape
        self.require(fits, "C2", f"{x} does not broadcast to {list(self.shape)}")
        return (x.with_shape(self.shape),)

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        return (np.broadcast_to(np.asarray(operands[0]), self.shape).copy(),)

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        extents, (write, read) = collapse(
            self.shape, [(Result(), self.shape), (Operand(0), operands[0].dims)]
        )
        return Emission((Nest(extents, (read,), write),))

    def to_onnx(self, body: OnnxBody, operands: Sequence[str], operand_types: Types,
                result_types: Sequence[TensorType]) -> Sequence[str]:  # fmt: skip
        shape = body.constant(np.array(self.shape, dtype=np.int64))
        return [body.node("Expand", [*operands, shape])]
