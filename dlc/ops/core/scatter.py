"""``scatter``: rows of a tensor replaced by, or combined with, rows of updates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.errors import UnsupportedError
from dlc.ir.operator import Array, Arrays, Types
from dlc.ir.scalars import SCALARS
from dlc.ir.sizes import product
from dlc.ir.types import DType, TensorType
from dlc.ops.core.operator import Condition, CoreOperator, OnnxBody
from dlc.ops.emission import Access, Emission, Kernel, Operand, Result, copy_part
from dlc.ops.nest import same_shape

FUNCTIONS = ("set", "add", "mul", "max", "min")
_NARROW = frozenset({DType.BOOL, DType.F16, DType.BF16})


@dataclass(frozen=True, slots=True)
class Scatter(CoreOperator):
    """``result = data``, then ``result[index[i]] = function(result[index[i]], updates[i])`` in order.

    Operands are ``data`` [rows, inner...], ``index`` (i64, [count]) and ``updates``
    [count, inner...]. The function ``set`` gives the update, and suits any dtype. Negative indices
    count from the end. An index out of range ends the run with status DLC_BAD_INDEX.

    C1: three operands, ``index`` i64 of rank 1, ``data`` and ``updates`` of one dtype.
    C2: ``updates`` has the shape of ``data`` but for dim 0, which is that of ``index``.
    C3: function is set, add, mul, max or min; other than set, the dtype is one C computes with.
    C4: indices known when compiling are in range.
    """

    name: ClassVar[str] = "scatter"
    function: str = "set"

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        self.require(len(operands) == 3, "C1", f"has {len(operands)} operands, not three")
        data, index, updates = operands
        assert data is not None
        assert index is not None
        assert updates is not None
        fits = index.dtype is DType.I64 and index.rank == 1 and data.dtype is updates.dtype
        self.require(fits and data.rank > 0, "C1", f"cannot take {data}, {index}, {updates}")
        self.require_sizes([data, index, updates])
        computable = self.function == "set" or data.dtype not in _NARROW
        self.require(self.function in FUNCTIONS and computable, "C3",
                     f"function {self.function!r} does not suit {data}")  # fmt: skip
        return (data,)

    def conditions(self, operands: Sequence[TensorType]) -> Iterator[Condition]:
        data, index, updates = operands
        same = same_shape(updates.shape, (*index.shape, *data.shape[1:]))
        yield same, "C2", f"{updates} does not suit {data} and {index}"

    def infer_from(self, operands: Types, constants: Arrays) -> tuple[TensorType, ...]:
        result = self.infer(operands)
        if constants[1] is not None:
            self._check(constants[1], result[0].bounds[0])
        return result

    def _check(self, index: Array, rows: int) -> None:
        fits = bool(((index >= -rows) & (index < rows)).all())
        self.require(fits, "C4", f"an index is out of range for {rows} rows")

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        data, index, updates = (np.asarray(a) for a in operands)
        self._check(index, len(data))
        result = data.copy()
        with np.errstate(all="ignore"):  # overflow to infinity is C's answer too
            for at, row in zip(index, updates, strict=True):
                result[at] = (
                    row if self.function == "set" else SCALARS[self.function].numpy(result[at], row)
                )
        return (result,)

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        data, index, _ = operands
        inner = product(data.shape[1:])
        kernel = f"dlc_scatter_{self.function}"
        if self.function == "set":
            inner = inner * data.dtype.nbytes
        else:
            kernel += f"_{data.dtype.value}"
        buffers = (Access(Result()), Access(Operand(2)), Access(Operand(1)))
        sizes = (data.shape[0], inner, index.shape[0])
        return Emission((
            *self.checks(operands), copy_part(0, 0, 0, data.count),
            Kernel(kernel, (*buffers, *sizes), fallible=True),
        ))  # fmt: skip

    def to_onnx(self, body: OnnxBody, operands: Sequence[str], operand_types: Types,
                result_types: Sequence[TensorType]) -> Sequence[str]:  # fmt: skip
        if self.function not in FUNCTIONS:
            raise UnsupportedError(f"scatter with {self.function!r} has no ONNX form")
        data, index, updates = operands
        column = body.constant(np.array([-1, 1], dtype=np.int64))
        reduction = {} if self.function == "set" else {"reduction": self.function}
        rows = body.node("Reshape", [index, column])
        return [body.node("ScatterND", [data, rows, updates], **reduction)]
