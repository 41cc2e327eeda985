"""``reshape``: the same elements, in the same order, under another shape."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.operator import Array, Arrays, Types
from dlc.ir.sizes import Dim, bound_of, equal
from dlc.ir.types import TensorType
from dlc.ops.core.operator import Condition, CoreOperator, OnnxBody
from dlc.ops.emission import Emission, copy_part
from dlc.ops.nest import not_negative


@dataclass(frozen=True, slots=True)
class Reshape(CoreOperator):
    """The operand's elements in row-major order, as a tensor of ``shape``; any dtype.

    Its copy costs nothing where the planner can give both sides one address.

    C1: one operand.
    C2: ``shape`` has no negative dim and as many elements as the operand.
    """

    name: ClassVar[str] = "reshape"
    shape: tuple[Dim, ...]

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        x = self.only(operands)
        result = TensorType(x.dtype, self.shape)
        self.require_sizes([x])
        return (result,)

    def conditions(self, operands: Sequence[TensorType]) -> Iterator[Condition]:
        x = operands[0]
        result = x.with_shape(self.shape)
        yield (
            (*not_negative(self.shape), equal(result.count, x.count)), "C2",
            f"{x} does not reshape to {result}",
        )  # fmt: skip

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        return (np.asarray(operands[0]).reshape(self.fixed(self.shape)),)

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        count = min(operands[0].count, results[0].count, key=bound_of)  # equal at run time
        return Emission((*self.checks(operands), copy_part(0, 0, 0, count)))

    def to_onnx(self, body: OnnxBody, operands: Sequence[str], operand_types: Types,
                result_types: Sequence[TensorType]) -> Sequence[str]:  # fmt: skip
        shape = body.constant(np.array(self.fixed(self.shape), dtype=np.int64))
        return [body.node("Reshape", [*operands, shape], allowzero=1)]
