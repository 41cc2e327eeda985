"""``let``: symbols take the run-time values of sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from dlc.errors import VerifyError
from dlc.ir.operator import Array, Arrays, Types
from dlc.ir.sizes import Symbol
from dlc.ir.types import Dim, TensorType
from dlc.ops.core.operator import CoreOperator
from dlc.ops.emission import Define, Emission


@dataclass(frozen=True, slots=True)
class Let(CoreOperator):
    """Defines ``symbols[i]`` as ``values[i]``; it has no operand and no result.

    What it adds to the sizes is an interval, or the most their product can be, that is known to hold.
    A value outside a symbol's interval, or a product above a joint bound, ends the run with status
    DLC_BAD_SIZE.

    C1: no operand; one value for each symbol.
    """

    name: ClassVar[str] = "let"
    symbols: tuple[Symbol, ...]
    values: tuple[Dim, ...]

    @property
    def defined(self) -> tuple[Symbol, ...]:
        return self.symbols

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        fits = not operands and len(self.values) == len(self.symbols)
        self.require(fits, "C1", f"{len(self.values)} values for {len(self.symbols)} symbols")
        return ()

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        return ()

    def define(
        self, operands: Arrays, results: Sequence[Array], types: Sequence[TensorType]
    ) -> dict[Symbol, int]:
        found: dict[Symbol, int] = {}
        for symbol, value in zip(self.symbols, self.values, strict=True):
            if not isinstance(value, int):
                raise VerifyError(f"size {value} has no value at run time")
            found[symbol] = value
        return found

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        return Emission(
            tuple(Define(s, value) for s, value in zip(self.symbols, self.values, strict=True))
        )
