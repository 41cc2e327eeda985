"""``arg_reduce``: where the greatest or least element along an axis lies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.errors import UnsupportedError
from dlc.ir.operator import Array, Arrays, Types
from dlc.ir.sizes import less, product
from dlc.ir.types import DType, TensorType
from dlc.ops.core.operator import Condition, CoreOperator, OnnxBody
from dlc.ops.emission import Access, Emission, Kernel, Operand, Result


@dataclass(frozen=True, slots=True)
class ArgReduce(CoreOperator):
    """Operand x; the i64 position of its extreme element along ``axis``, a dim of 1 in the result.

    Of equal elements the first is taken, or the last if ``last``. NaN is the extreme only where it
    is the first element visited.

    C1: one operand of a real dtype.
    C2: kind is max or min.
    C3: 0 <= axis < rank, and the operand has elements along it.
    """

    name: ClassVar[str] = "arg_reduce"
    kind: str
    axis: int
    last: bool = False

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        x = self.only(operands)
        self.require(x.dtype.is_float or x.dtype.is_integer, "C1", f"{x} has no order")
        self.require(self.kind in ("max", "min"), "C2", f"kind {self.kind!r} is not max or min")
        self.require(0 <= self.axis < x.rank, "C3", f"{x} has no axis {self.axis}")
        self.require_sizes([x])
        shape = [1 if i == self.axis else dim for i, dim in enumerate(x.shape)]
        return (TensorType(DType.I64, tuple(shape)),)

    def conditions(self, operands: Sequence[TensorType]) -> Iterator[Condition]:
        x = operands[0]
        yield (less(0, x.shape[self.axis]),), "C3", f"no element along axis {self.axis} of {x}"

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        lines = np.moveaxis(np.asarray(operands[0]), self.axis, 0)
        best, where = lines[0], np.zeros(lines.shape[1:], np.int64)
        beats = {("max", False): np.greater, ("max", True): np.greater_equal,
                 ("min", False): np.less, ("min", True): np.less_equal}[self.kind, self.last]  # fmt: skip
        for i, line in enumerate(lines):
            better = beats(line, best)
            best, where = np.where(better, line, best), np.where(better, i, where)
        return (np.expand_dims(where, self.axis),)

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        x = operands[0]
        if x.dtype.is_float and x.dtype.nbytes < 4:
            raise UnsupportedError(f"arg_reduce of {x.dtype.value} has no kernel; cast to f32")
        outer, inner = product(x.shape[: self.axis]), product(x.shape[self.axis + 1 :])
        buffers, sizes = (Access(Result()), Access(Operand(0))), (outer, x.shape[self.axis], inner)
        kernel = Kernel(f"dlc_arg_{self.kind}_{x.dtype.value}", (*buffers, *sizes, int(self.last)))
        return Emission((*self.checks(operands), kernel))

    def to_onnx(self, body: OnnxBody, operands: Sequence[str], operand_types: Types,
                result_types: Sequence[TensorType]) -> Sequence[str]:  # fmt: skip
        return [body.node("ArgMax" if self.kind == "max" else "ArgMin", operands, axis=self.axis,
                          keepdims=1, select_last_index=int(self.last))]  # fmt: skip
