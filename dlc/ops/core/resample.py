"""``resample``: a tensor resized along one axis by a table of weighted neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.operator import Array, Arrays, Cost, Types
from dlc.ir.sizes import product
from dlc.ir.types import DType, TensorType
from dlc.ops.core.operator import CoreOperator, OnnxBody
from dlc.ops.emission import Access, Emission, Kernel, Operand, Result


@dataclass(frozen=True, slots=True)
class Resample(CoreOperator):
    """``result[o, i, r] = sum_t weight[i, t] * x[o, index[i, t], r]`` with ``i`` along ``axis``.

    Operands are ``x`` (f32), ``index`` (i32, ``[count, taps]``) and ``weight`` (f32, as ``index``).
    Linear and cubic resizing of several axes is a chain of these, for their kernels separate.

    C1: three operands: x f32, index i32, weight f32.
    C2: ``axis`` is an axis of x (not negative).
    C3: index and weight have one shape, ``[count, taps]``, with at least one tap.
    C4: the index table is a constant, the size along the axis fixed, and every index inside it.
    """

    name: ClassVar[str] = "resample"
    axis: int

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        self.require(len(operands) == 3, "C1", f"has {len(operands)} operands, not three")
        x, index, weight = operands
        assert x is not None
        assert index is not None
        assert weight is not None
        dtypes = (x.dtype, index.dtype, weight.dtype)
        self.require(dtypes == (DType.F32, DType.I32, DType.F32), "C1", f"cannot take {dtypes}")
        self.require(0 <= self.axis < x.rank, "C2", f"{x} has no axis {self.axis}")
        table = index.rank == 2 and index.shape == weight.shape and index.dims[1] > 0
        self.require(table, "C3", f"{index} and {weight} are not tables of one shape")
        shape = (*x.shape[: self.axis], index.shape[0], *x.shape[self.axis + 1 :])
        return (x.with_shape(shape),)

    def infer_from(self, operands: Types, constants: Arrays) -> tuple[TensorType, ...]:
        result = self.infer(operands)
        index, x = constants[1], operands[0]
        self.require(index is not None, "C4", "the index table is not a constant")
        assert index is not None
        assert x is not None
        extent = x.shape[self.axis]
        fits = isinstance(extent, int) and ((index >= 0) & (index < extent)).all()
        self.require(bool(fits), "C4", f"an index is outside axis {self.axis} of {x}")
        return result

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        x, index, weight = (np.asarray(a) for a in operands)
        taken = np.take(x, index, axis=self.axis)  # [outer..., count, taps, inner...]
        shape = weight.shape + (1,) * (x.ndim - self.axis - 1)
        return ((taken * weight.reshape(shape)).sum(axis=self.axis + 1, dtype=x.dtype),)

    def cost(self, operands: Types, results: Sequence[TensorType]) -> Cost:
        index, moved = operands[1], [*operands, *results]
        assert index is not None
        macs = results[0].capacity * index.bounds[1]
        return Cost(macs, sum(t.nbytes for t in moved if t is not None))

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        dims, (count, taps) = operands[0].shape, operands[1].dims
        outer, inner = product(dims[: self.axis]), product(dims[self.axis + 1 :])
        buffers = (Access(Result()), *(Access(Operand(i)) for i in range(3)))
        sizes = (outer, dims[self.axis], inner, count, taps)
        return Emission((Kernel("dlc_resample_f32", (*buffers, *sizes)),))

    def to_onnx(self, body: OnnxBody, operands: Sequence[str], operand_types: Types,
                result_types: Sequence[TensorType]) -> Sequence[str]:  # fmt: skip
        (x, index, weight), table = operands, operand_types[1]
        assert table is not None
        inner = result_types[0].rank - self.axis - 1
        ones = body.constant(np.array([*table.dims, *[1] * inner], dtype=np.int64))
        taken = body.node("Gather", [x, index], axis=self.axis)
        weighted = body.node("Mul", [taken, body.node("Reshape", [weight, ones])])
        axes = body.constant(np.array([self.axis + 1], dtype=np.int64))
        return [body.node("ReduceSum", [weighted, axes], keepdims=0)]
