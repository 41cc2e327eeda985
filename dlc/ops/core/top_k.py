"""``top_k``: the greatest or least elements along an axis, and where they lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.errors import UnsupportedError
from dlc.ir.operator import Array, Arrays, Types
from dlc.ir.sizes import Dim, less, product
from dlc.ir.types import DType, TensorType
from dlc.ops.core.operator import Condition, CoreOperator, OnnxBody
from dlc.ops.emission import Access, Emission, Kernel, Operand, Result


@dataclass(frozen=True, slots=True)
class TopK(CoreOperator):
    """Operand x; results: its ``k`` greatest (or least) elements along ``axis``, and their positions.

    The best comes first, of equal elements the earlier. NaN is greater than every number. Positions
    are i64.

    C1: one operand of a real dtype.
    C2: 0 <= axis < rank.
    C3: 0 <= k <= the operand's size along the axis.
    """

    name: ClassVar[str] = "top_k"
    axis: int
    k: Dim
    largest: bool = True

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        x = self.only(operands)
        self.require(x.dtype.is_float or x.dtype.is_integer, "C1", f"{x} has no order")
        self.require(0 <= self.axis < x.rank, "C2", f"{x} has no axis {self.axis}")
        self.require_sizes([x])
        values = x.with_shape(self.k if i == self.axis else dim for i, dim in enumerate(x.shape))
        return values, values.with_dtype(DType.I64)

    def conditions(self, operands: Sequence[TensorType]) -> Iterator[Condition]:
        size = operands[0].shape[self.axis]
        enough = less(-1, self.k), 1 - less(size, self.k)
        yield enough, "C3", f"k is {self.k} of {size} elements"

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        lines = np.moveaxis(np.asarray(operands[0]), self.axis, -1)
        if self.largest:  # numpy sorts the least first, NaN last, and keeps the order of equals
            order = lines.shape[-1] - 1 - np.argsort(lines[..., ::-1], axis=-1, kind="stable")
            order = order[..., ::-1]
        else:
            order = np.argsort(lines, axis=-1, kind="stable")
        (k,) = self.fixed([self.k])
        order = order[..., :k].astype(np.int64)
        values = np.take_along_axis(lines, order, axis=-1)
        return tuple(np.moveaxis(a, -1, self.axis).copy() for a in (values, order))

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        x = operands[0]
        if x.dtype.is_float and x.dtype.nbytes < 4:
            raise UnsupportedError(f"top_k of {x.dtype.value} has no kernel; cast to f32")
        outer, inner = product(x.shape[: self.axis]), product(x.shape[self.axis + 1 :])
        sizes = (outer, x.shape[self.axis], inner, self.k, int(self.largest))
        buffers = (Access(Result(0)), Access(Result(1)), Access(Operand(0)))
        kernel = Kernel(f"dlc_top_k_{x.dtype.value}", (*buffers, *sizes))
        return Emission((*self.checks(operands), kernel))

    def to_onnx(self, body: OnnxBody, operands: Sequence[str], operand_types: Types,
                result_types: Sequence[TensorType]) -> Sequence[str]:  # fmt: skip
        k = body.constant(np.array(self.fixed([self.k]), dtype=np.int64))
        return body.results("TopK", [*operands, k], 2, axis=self.axis, largest=int(self.largest))
