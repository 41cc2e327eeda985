"""``unpack``: elements of less than a byte, stored several a byte, one by one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dlc.ir.expr import parse_expr
from dlc.ir.operator import Array, Arrays, Types
from dlc.ir.types import DType, TensorType
from dlc.ops.core.operator import CoreOperator, OnnxBody
from dlc.ops.emission import Access, Affine, Emission, Nest, Operand, Result


def packed(array: Any) -> Array:
    """An array of 4-bit or 2-bit integers as ONNX stores it: bytes, the first element lowest."""
    array = np.asarray(array)
    per = DType.of(array).per_byte
    flat = np.zeros(-(-array.size // per) * per, np.uint8)
    flat[: array.size] = array.reshape(-1).astype(np.int8).view(np.uint8)
    bits = 8 // per
    rows = (flat & ((1 << bits) - 1)).reshape(-1, per) << (np.arange(per, dtype=np.uint8) * bits)
    joined: Array = np.bitwise_or.reduce(rows, axis=1)
    return joined.astype(np.uint8)


@dataclass(frozen=True, slots=True)
class Unpack(CoreOperator):
    """Bytes that hold 4-bit or 2-bit integers, the first in the lowest bits, as a tensor of ``shape``.

    C1: one operand, a vector of u8.
    C2: ``dtype`` is i4, u4, i2 or u2, and the vector as long as its elements need.
    """

    name: ClassVar[str] = "unpack"
    dtype: DType
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many elements there are."""
        return math.prod(self.shape)

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        x = self.only(operands)
        self.require(x.dtype is DType.U8 and x.rank == 1, "C1", f"{x} is no vector of bytes")
        per = self.dtype.per_byte
        fits = per > 1 and self.dtype.is_integer and min(self.shape, default=0) >= 0
        fits = fits and x.shape[0] == -(-self.count // per)
        result = TensorType(self.dtype, self.shape)
        self.require(fits, "C2", f"{x} does not hold {result}")
        return (result,)

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        raw, per = np.asarray(operands[0]), self.dtype.per_byte
        bits = 8 // per
        fields = raw[:, None] >> (np.arange(per, dtype=np.uint8) * bits) & ((1 << bits) - 1)
        flat = fields.reshape(-1)[: self.count].astype(np.int8)
        if self.dtype.is_signed:
            flat = (flat << (8 - bits)) >> (8 - bits)
        return (flat.astype(self.dtype.numpy).reshape(self.shape),)

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        per = self.dtype.per_byte
        return Emission(tuple(self._field(k, per) for k in range(min(per, self.count))))

    def _field(self, k: int, per: int) -> Nest:
        """Every element that is number ``k`` of its byte."""
        rows = -(-(self.count - k) // per)
        shifted = parse_expr(f"{self.dtype.value}({f'shr(a0, {k * (8 // per)})' if k else 'a0'})")
        read, write = Access(Operand(0), Affine(0, (1,))), Access(Result(), Affine(k, (per,)))
        return Nest((rows,), (read,), write, shifted)

    def to_onnx(self, body: OnnxBody, operands: Sequence[str], operand_types: Types,
                result_types: Sequence[TensorType]) -> Sequence[str]:  # fmt: skip
        per = self.dtype.per_byte
        bits = 8 // per
        column = body.node("Unsqueeze", [operands[0], body.constant(np.array([1], np.int64))])
        steps = body.constant(np.arange(per, dtype=np.uint8) * np.uint8(bits))
        fields = body.node("BitShift", [column, steps], direction="RIGHT")
        mask = body.constant(np.array((1 << bits) - 1, np.uint8))
        flat = body.node("Reshape", [
            body.node("BitwiseAnd", [fields, mask]), body.constant(np.array([-1], np.int64))
        ])  # fmt: skip
        bounds = [body.constant(np.array([n], np.int64)) for n in (0, self.count)]
        shape = body.constant(np.array(self.shape, np.int64))
        kept = body.node("Reshape", [body.node("Slice", [flat, *bounds]), shape], allowzero=1)
        return [body.node("Cast", [kept], to=self.dtype.onnx)]
