"""``random``: random bits that only a key and the place of an element decide."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.operator import Array, Arrays, Types
from dlc.ir.sizes import Dim
from dlc.ir.types import DType, TensorType
from dlc.ops.core.operator import Condition, CoreOperator, OnnxBody
from dlc.ops.emission import Access, Emission, Kernel, Result
from dlc.ops.nest import not_negative

_LOW = np.uint64(0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class Random(CoreOperator):
    """No operands; u32 numbers of a given shape, each bit as likely 0 as 1.

    Philox4x32-10 (Salmon et al. 2011) of the element's number under the 64-bit ``key``: there is no
    state, so every run and every machine gives the same numbers.

    C1: no operands.
    C2: no dim is negative, and 0 <= key < 2**64.
    """

    name: ClassVar[str] = "random"
    shape: tuple[Dim, ...]
    key: int = 0

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        self.require(not operands, "C1", f"has {len(operands)} operands, not none")
        self.require(0 <= self.key < 1 << 64, "C2", f"key {self.key} is out of range")
        self.require_sizes([])
        return (TensorType(DType.U32, self.shape),)

    def conditions(self, operands: Sequence[TensorType]) -> Iterator[Condition]:
        yield not_negative(self.shape), "C2", f"shape {self.shape} has a negative dim"

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        shape = self.fixed(self.shape)
        count = math.prod(shape)
        block = np.arange(-(-count // 4), dtype=np.uint64)
        words = [block & _LOW, block >> np.uint64(32), block * np.uint64(0), block * np.uint64(0)]
        low, high = self.key & 0xFFFFFFFF, self.key >> 32
        for _ in range(10):
            a, b = words[0] * np.uint64(0xD2511F53), words[2] * np.uint64(0xCD9E8D57)
            words = [
                (b >> np.uint64(32)) ^ words[1] ^ np.uint64(low), b & _LOW,
                (a >> np.uint64(32)) ^ words[3] ^ np.uint64(high), a & _LOW,
            ]  # fmt: skip
            low, high = (low + 0x9E3779B9) & 0xFFFFFFFF, (high + 0xBB67AE85) & 0xFFFFFFFF
        numbers = np.stack(words, axis=-1).ravel()[:count]
        return (numbers.astype(np.uint32).reshape(shape),)

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        halves = (self.key & 0xFFFFFFFF, self.key >> 32)
        kernel = Kernel("dlc_random_u32", (Access(Result()), *halves, results[0].count))
        return Emission((*self.checks(operands), kernel))

    def to_onnx(self, body: OnnxBody, operands: Sequence[str], operand_types: Types,
                result_types: Sequence[TensorType]) -> Sequence[str]:  # fmt: skip
        """The numbers themselves: ONNX's random operators give others in every runtime."""
        return [body.constant(self.evaluate(())[0])]
