"""What conv, conv_transpose, pool, contract and reduce share: they end in an epilogue.

An epilogue is how a bias, an activation, a residual add or a scale is computed while the value is
still in a register. A pass that fuses a ``map`` asks ``isinstance(op.operator, WithEpilogue)``,
builds the composed expression and calls ``op.operator.with_epilogue(expr)``, appending what the
expression reads to the op's operands.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from dlc.ir.expr import A0, Expr
from dlc.ir.operator import Array, Arrays, Cost, Types
from dlc.ir.types import DType, TensorType
from dlc.ops.core.operator import Condition, CoreOperator, OnnxBody
from dlc.ops.nest import fits


@dataclass(frozen=True, slots=True, kw_only=True)
class WithEpilogue(CoreOperator):
    """``result = epilogue(accumulated, *extras)``, operands being the main ones, then the extras.

    The epilogue sets the dtype of the result, never its shape.

    E1: every operand is present, and there are at least ``main_operands``.
    E2: extras broadcast to the shape of the accumulated value.
    E3: the epilogue uses a0 (the accumulated value) and a1.. (the extras) only, and types.
    """

    epilogue: Expr = A0

    @property
    def main_operands(self) -> int:
        """How many operands come before the extras."""
        return 1

    def accumulated(self, main: Sequence[TensorType]) -> TensorType:
        """Type of the value the epilogue is applied to."""
        raise NotImplementedError(f"{self.name} has no accumulated type")

    def accumulate(self, main: Sequence[Array]) -> Array:
        """The value the epilogue is applied to, of any dtype that converts to the inferred one."""
        raise NotImplementedError(f"{self.name} cannot accumulate")

    def macs(self, main: Sequence[TensorType], result: TensorType) -> int:
        """Multiply-accumulates of the accumulation."""
        return 0

    def accumulate_onnx(self, body: OnnxBody, main: Sequence[str], types: Sequence[TensorType],
                        result: TensorType) -> str:  # fmt: skip
        """Append ONNX nodes for the accumulated value of type ``result``; returns its name."""
        raise NotImplementedError(f"{self.name} has no ONNX form")

    def with_epilogue(self, epilogue: Expr) -> Self:
        """The same operator ending in another epilogue."""
        return replace(self, epilogue=epilogue)

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        types = [t for t in operands if t is not None]
        count = self.main_operands
        self.require(count <= len(types) == len(operands), "E1", f"needs {count} operands")
        value, extras = self.accumulated(types[:count]), types[count:]
        self.require_sizes(types)
        self.require(self.epilogue.arity <= 1 + len(extras), "E3",
                     f"epilogue {self.epilogue} has too few operands")  # fmt: skip
        return (value.with_dtype(self.epilogue.dtype_of([t.dtype for t in [value, *extras]])),)

    def main_conditions(self, main: Sequence[TensorType]) -> Iterator[Condition]:
        """What the sizes of the main operands must satisfy."""
        return iter(())

    def conditions(self, operands: Sequence[TensorType]) -> Iterator[Condition]:
        main, extras = operands[: self.main_operands], operands[self.main_operands :]
        yield from self.main_conditions(main)
        if extras:
            value = self.accumulated(main)
            for extra in extras:
                yield fits(extra.shape, value.shape), "E2", f"{extra} does not broadcast to {value}"

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        arrays = [np.asarray(a) for a in operands]
        main, extras = arrays[: self.main_operands], arrays[self.main_operands :]
        declared = self.accumulated([TensorType(DType.of(a), a.shape) for a in main])
        with np.errstate(all="ignore"):
            value = np.asarray(self.accumulate(main)).astype(declared.dtype.numpy, copy=False)
        result = self.epilogue.evaluate([value, *extras])
        return (np.broadcast_to(result, value.shape).astype(result.dtype, copy=False),)

    def cost(self, operands: Types, results: Sequence[TensorType]) -> Cost:
        types = [t for t in operands if t is not None]
        moved = sum(t.nbytes for t in [*types, *results])
        return Cost(self.macs(types[: self.main_operands], results[0]), moved)

    def to_onnx(self, body: OnnxBody, operands: Sequence[str], operand_types: Types,
                result_types: Sequence[TensorType]) -> Sequence[str]:  # fmt: skip
        types = [t for t in operand_types if t is not None]
        count = self.main_operands
        value = self.accumulated(types[:count])
        name = self.accumulate_onnx(body, operands[:count], types[:count], value)
        if self.epilogue == A0:
            return [name]
        return [body.expression(self.epilogue, [name, *operands[count:]], [value, *types[count:]])]


def wide(array: Array) -> Array:
    """16-bit floats as f32, so that sums of them keep their digits; other arrays unchanged."""
    narrow = array.dtype.itemsize == 2 and array.dtype.kind not in "iu"
    return array.astype(np.float32) if narrow else array
