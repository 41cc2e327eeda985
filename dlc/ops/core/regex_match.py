"""``regex_match``: whether strings match a regular expression in full."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.operator import Array, Arrays, Types
from dlc.ir.types import DType, TensorType
from dlc.ops.automata import Automaton
from dlc.ops.core.operator import CoreOperator, OnnxBody
from dlc.ops.emission import Access, Emission, Kernel, Operand, Result


@dataclass(frozen=True, slots=True)
class RegexMatch(CoreOperator):
    """``result[i]``: whether the UTF-8 of ``x[i]`` matches ``pattern`` from its first byte to its last.

    Operands are ``x`` (string) and the table of the pattern (``dlc.ops.automata``): ``kind`` of each
    byte (u8), the state that follows, ``next[state, kind]`` (u16), and which states accept (bool).

    C1: four operands of these dtypes and fitting shapes.
    """

    name: ClassVar[str] = "regex_match"
    pattern: str

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        self.require(len(operands) == 4, "C1", f"has {len(operands)} operands, not four")
        x, kind, following, accepts = (t for t in operands if t is not None)
        dtypes = [t.dtype for t in (x, kind, following, accepts)]
        fits = dtypes == [DType.STRING, DType.U8, DType.U16, DType.BOOL]
        fits = fits and kind.shape == (256,) and following.rank == 2
        fits = fits and accepts.shape == following.shape[:1]
        self.require(fits, "C1", f"the tables are {kind}, {following} and {accepts}")
        return (x.with_dtype(DType.BOOL),)

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        x, *tables = (np.asarray(array) for array in operands)
        automaton = Automaton(*tables)
        found = [automaton.matches(text.encode("utf-8", "surrogateescape")) for text in x.ravel()]
        return (np.array(found, bool).reshape(x.shape),)

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        buffers = (Access(Result()), *(Access(Operand(i)) for i in range(4)))
        kinds = operands[2].dims[1]
        return Emission((Kernel("dlc_regex_match", (*buffers, kinds, operands[0].count)),))

    def to_onnx(self, body: OnnxBody, operands: Sequence[str], operand_types: Types,
                result_types: Sequence[TensorType]) -> Sequence[str]:  # fmt: skip
        return [body.node("RegexFullMatch", operands[:1], pattern=self.pattern)]
