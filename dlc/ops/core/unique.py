"""``unique``: the distinct rows of a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.errors import UnsupportedError
from dlc.ir.operator import Array, Arrays, Types
from dlc.ir.sizes import Symbol
from dlc.ir.types import DType, TensorType
from dlc.ops.core.operator import CoreOperator, OnnxBody
from dlc.ops.emission import Access, Count, Emission, Kernel, Operand, Result, Scratch


@dataclass(frozen=True, slots=True)
class Unique(CoreOperator):
    """Of x[rows,inner]: the row each distinct row is first found in, i64[count]; which of the distinct
    ones each row equals, i64[rows]; and how often each comes, i64[count].

    In lexicographic order, or (not ``sorted``) in that of appearance. NaN equals NaN and is greater
    than every number. ``count`` is the symbol that takes the number of distinct rows at run time.

    C1: one operand of rank 2 and a real dtype.
    C2: ``count`` reaches from 0 to the number of rows, or beyond.
    """

    name: ClassVar[str] = "unique"
    count: Symbol
    sorted: bool = True

    @property
    def defined(self) -> tuple[Symbol, ...]:
        return (self.count,)

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        x = self.only(operands)
        real = x.dtype.is_float or x.dtype.is_integer
        self.require(x.rank == 2 and real, "C1", f"{x} is no matrix of numbers")
        fits = self.count.low <= 0 and self.count.bound >= x.bounds[0]
        self.require(fits, "C2", f"{self.count} does not reach from 0 to {x.bounds[0]}")
        each = TensorType(DType.I64, (self.count,))
        return each, TensorType(DType.I64, x.shape[:1]), each

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        x = np.asarray(operands[0])
        keys = [tuple((bool(v != v), 0 if v != v else v) for v in row) for row in x.tolist()]
        distinct = list(dict.fromkeys(keys))
        if self.sorted:
            distinct.sort()
        number = {key: i for i, key in enumerate(distinct)}
        inverse = np.array([number[key] for key in keys], np.int64)
        first = np.array([keys.index(key) for key in distinct], np.int64)
        return first, inverse, np.bincount(inverse, minlength=len(distinct)).astype(np.int64)

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        x = operands[0]
        if x.dtype.is_float and x.dtype.nbytes < 4:
            raise UnsupportedError(f"unique of {x.dtype.value} has no kernel; cast to f32")
        buffers = (*(Access(Result(k)) for k in range(3)), Access(Scratch()))
        args = (*buffers, Count(self.count), Access(Operand(0)), *x.shape, int(self.sorted))
        return Emission((Kernel(f"dlc_unique_{x.dtype.value}", args),), 8 * x.bounds[0])

    def to_onnx(self, body: OnnxBody, operands: Sequence[str], operand_types: Types,
                result_types: Sequence[TensorType]) -> Sequence[str]:  # fmt: skip
        return body.results("Unique", operands, 4, axis=0, sorted=int(self.sorted))[1:]
