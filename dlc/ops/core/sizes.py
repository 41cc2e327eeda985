"""``sizes``: an integer tensor of sizes, most of them known only at run time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.operator import Array, Arrays, Types
from dlc.ir.sizes import Dim
from dlc.ir.types import DType, TensorType
from dlc.ops.core.operator import CoreOperator
from dlc.ops.emission import Access, Affine, Emission, Kernel, Result

_STORED = (DType.I64, DType.I32, DType.F64, DType.F32, DType.BOOL)  # as in dlc_store.h


@dataclass(frozen=True, slots=True)
class Sizes(CoreOperator):
    """``values`` in row-major order as a tensor of ``shape`` and ``dtype`` (i64 unless given).

    What ``constant`` is for numbers: a shape computed when compiling, but for the symbols in it.

    C1: no operand; as many values as the shape has elements; i64, i32, f64, f32 or bool.
    """

    name: ClassVar[str] = "sizes"
    values: tuple[Dim, ...]
    shape: tuple[int, ...]
    dtype: DType = DType.I64

    @property
    def known_sizes(self) -> Array | None:
        array = np.empty(len(self.values), object)
        array[:] = self.values
        return array.reshape(self.shape)

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        result = TensorType(self.dtype, self.shape)
        fits = not operands and result.capacity == len(self.values) and self.dtype in _STORED
        self.require(fits, "C1", f"{len(self.values)} values are no {result}")
        return (result,)

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        return (np.array(self.values, self.dtype.numpy).reshape(self.shape),)

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        kernel = f"dlc_store_{self.dtype.value}"
        return Emission(tuple(
            Kernel(kernel, (Access(Result(), Affine(i)), value))
            for i, value in enumerate(self.values)
        ))  # fmt: skip
