"""``gather``: rows of a tensor picked by a tensor of indices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.operator import Array, Arrays, Types
from dlc.ir.sizes import product
from dlc.ir.types import DType, TensorType
from dlc.ops.core.operator import CoreOperator, OnnxBody
from dlc.ops.emission import Access, Emission, Kernel, Operand, Result


@dataclass(frozen=True, slots=True)
class Gather(CoreOperator):
    """``result[..., i..., ...] = data[..., indices[i...], ...]`` with the indices along ``axis``.

    Operands are ``data`` (any dtype) and ``indices`` (i32 or i64, any shape); the result's shape is
    that of ``data`` with ``axis`` replaced by the shape of ``indices``. Negative indices count from
    the end. An index out of range ends the run with status DLC_BAD_INDEX.

    C1: two operands, ``indices`` of i32 or i64.
    C2: ``axis`` is an axis of ``data`` (not negative).
    C3: indices known when compiling are in range.
    """

    name: ClassVar[str] = "gather"
    axis: int

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        self.require(len(operands) == 2, "C1", f"has {len(operands)} operands, not two")
        data, indices = operands
        assert data is not None
        assert indices is not None
        integers = indices.dtype in (DType.I32, DType.I64)
        self.require(integers, "C1", f"indices are {indices}, not i32 or i64")
        self.require(0 <= self.axis < data.rank, "C2", f"{data} has no axis {self.axis}")
        shape = (*data.shape[: self.axis], *indices.shape, *data.shape[self.axis + 1 :])
        return (data.with_shape(shape),)

    def infer_from(self, operands: Types, constants: Arrays) -> tuple[TensorType, ...]:
        result = self.infer(operands)
        indices, data = constants[1], operands[0]
        if indices is not None and indices.size and data is not None:
            bound = data.bounds[self.axis]
            fits = -bound <= indices.min() and indices.max() < bound
            self.require(fits, "C3", f"an index is out of range for axis {self.axis} of {data}")
        return result

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        data, indices = np.asarray(operands[0]), np.asarray(operands[1])
        bound = data.shape[self.axis]
        fits = bool(((indices >= -bound) & (indices < bound)).all())
        self.require(fits, "C3", f"an index is out of range for axis {self.axis}, {bound} long")
        return (np.take(data, indices, axis=self.axis),)

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        data, indices = operands
        outer = product(data.shape[: self.axis])
        inner = product(data.shape[self.axis + 1 :]) * data.dtype.nbytes
        sizes = (outer, data.shape[self.axis], inner, indices.count)
        buffers = (Access(Result()), Access(Operand(0)), Access(Operand(1)))
        kernel = f"dlc_gather_{indices.dtype.value}"
        return Emission((Kernel(kernel, (*buffers, *sizes), fallible=True),))

    def to_onnx(self, body: OnnxBody, operands: Sequence[str], operand_types: Types,
                result_types: Sequence[TensorType]) -> Sequence[str]:  # fmt: skip
        return [body.node("Gather", operands, axis=self.axis)]
