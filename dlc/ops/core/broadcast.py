"""``broadcast``: a tensor repeated to fill a larger shape."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.operator import Array, Arrays, Types
from dlc.ir.sizes import Dim
from dlc.ir.types import TensorType
from dlc.ops.core.operator import Condition, CoreOperator, OnnxBody
from dlc.ops.emission import Emission, Nest, Operand, Result
from dlc.ops.nest import collapse, fits, not_negative


@dataclass(frozen=True, slots=True)
class Broadcast(CoreOperator):
    """The operand repeated to ``shape`` by numpy's broadcasting rules; any dtype.

    C1: one operand.
    C2: the operand broadcasts to exactly ``shape``.
    """

    name: ClassVar[str] = "broadcast"
    shape: tuple[Dim, ...]

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        x = self.only(operands)
        self.require_sizes([x])
        return (x.with_shape(self.shape),)

    def conditions(self, operands: Sequence[TensorType]) -> Iterator[Condition]:
        x = operands[0]
        yield (
            (*not_negative(self.shape), *fits(x.shape, self.shape)), "C2",
            f"{x} does not broadcast to [{', '.join(map(str, self.shape))}]",
        )  # fmt: skip

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        return (np.broadcast_to(np.asarray(operands[0]), self.fixed(self.shape)).copy(),)

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        extents, (write, read) = collapse(
            self.shape, [(Result(), self.shape), (Operand(0), operands[0].shape)]
        )
        return Emission((*self.checks(operands), Nest(extents, (read,), write)))

    def to_onnx(self, body: OnnxBody, operands: Sequence[str], operand_types: Types,
                result_types: Sequence[TensorType]) -> Sequence[str]:  # fmt: skip
        shape = body.constant(np.array(self.fixed(self.shape), dtype=np.int64))
        return [body.node("Expand", [*operands, shape])]
