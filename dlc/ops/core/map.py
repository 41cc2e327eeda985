"""``map``: an element-wise scalar expression over broadcast operands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.expr import Expr
from dlc.ir.operator import Array, Arrays, Cost, Types
from dlc.ir.types import TensorType, broadcast_shapes
from dlc.ops.core.operator import Condition, CoreOperator, OnnxBody
from dlc.ops.emission import Emission, Nest, Operand, Result
from dlc.ops.nest import collapse, fits


@dataclass(frozen=True, slots=True)
class Map(CoreOperator):
    """``result[i] = expr(operand0[i], operand1[i], ...)`` with numpy broadcasting.

    C1: at least one operand, and the expression uses no argument beyond them.
    C2: operand shapes broadcast together.
    C3: the expression types with the operands' dtypes.
    """

    name: ClassVar[str] = "map"
    expr: Expr

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        types = [t for t in operands if t is not None]
        self.require(bool(types) and len(types) == len(operands), "C1", "needs operands")
        arity = self.expr.arity
        self.require(arity <= len(types), "C1", f"a{arity - 1} of {len(types)} operands")
        dtype = self.expr.dtype_of([t.dtype for t in types])
        return (TensorType(dtype, broadcast_shapes(*(t.shape for t in types))),)

    def conditions(self, operands: Sequence[TensorType]) -> Iterator[Condition]:
        shapes = [t.shape for t in operands]
        result = broadcast_shapes(*shapes)
        together = (condition for shape in shapes for condition in fits(shape, result))
        yield together, "C2", "the shapes do not broadcast"

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        arrays = [np.asarray(a) for a in operands]
        shape = np.broadcast_shapes(*(a.shape for a in arrays))
        return (np.broadcast_to(self.expr.evaluate(arrays), shape).copy(),)

    def cost(self, operands: Types, results: Sequence[TensorType]) -> Cost:
        moved = sum(t.nbytes for t in [*operands, *results] if t is not None)
        return Cost(0, moved)

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        extents, (write, *reads) = collapse(
            results[0].shape, [(Result(), results[0].shape)]
            + [(Operand(i), t.shape) for i, t in enumerate(operands)]
        )  # fmt: skip
        nest = Nest(extents, tuple(reads), write, self.expr)
        return Emission((*self.checks(operands), nest))

    def to_onnx(self, body: OnnxBody, operands: Sequence[str], operand_types: Types,
                result_types: Sequence[TensorType]) -> Sequence[str]:  # fmt: skip
        return [body.expression(self.expr, operands, [t for t in operand_types if t is not None])]
