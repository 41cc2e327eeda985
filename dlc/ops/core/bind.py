"""``bind``: symbols take their run-time values from the elements of an integer tensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.operator import Array, Arrays, Types
from dlc.ir.sizes import Symbol
from dlc.ir.types import TensorType
from dlc.ops.core.operator import CoreOperator
from dlc.ops.emission import Access, Affine, Define, Emission, Operand


@dataclass(frozen=True, slots=True)
class Bind(CoreOperator):
    """Defines ``symbols[i]`` as element i of the operand; it has no result.

    A value outside a symbol's interval ends the run with status DLC_BAD_SIZE.

    C1: one operand, of an integer dtype, with one element for each symbol.
    """

    name: ClassVar[str] = "bind"
    symbols: tuple[Symbol, ...]

    @property
    def defined(self) -> tuple[Symbol, ...]:
        return self.symbols

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        x = self.only(operands)
        fits = x.dtype.is_integer and x.count == len(self.symbols)
        self.require(fits, "C1", f"{x} does not hold {len(self.symbols)} integers")
        return ()

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        return ()

    def define(
        self, operands: Arrays, results: Sequence[Array], types: Sequence[TensorType]
    ) -> dict[Symbol, int]:
        values = np.asarray(operands[0]).reshape(-1).tolist()
        return dict(zip(self.symbols, values, strict=True))

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        return Emission(tuple(
            Define(symbol, Access(Operand(0), Affine(i)))
            for i, symbol in enumerate(self.symbols)
        ))  # fmt: skip
