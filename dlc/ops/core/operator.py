"""Base of core operators: what each must say besides its types and its numpy meaning."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np

from dlc.errors import UnsupportedError
from dlc.ir.operator import Arrays, Operator, Types
from dlc.ir.sizes import Dim, bound_of
from dlc.ir.types import DType, TensorType
from dlc.ops.emission import Check, Emission
from dlc.ops.nest import checks

#: conditions on sizes, the constraint they make up, and what it means when one fails
Condition = tuple[Iterable[Dim], str, str]


class OnnxBody(Protocol):
    """What ``to_onnx`` builds a function body with (implemented by dlc.exporter)."""

    @abstractmethod
    def node(self, op_type: str, inputs: Sequence[str], **attributes: object) -> str:
        """Append a node of the default domain; returns the name of its first output."""

    @abstractmethod
    def results(
        self, op_type: str, inputs: Sequence[str], count: int, **attributes: object
    ) -> list[str]:
        """As ``node``, for a node of ``count`` outputs; returns their names."""

    @abstractmethod
    def constant(self, array: object) -> str:
        """Append a Constant node; returns its output name."""

    @abstractmethod
    def expression(
        self, expr: object, arguments: Sequence[str], types: Sequence[TensorType]
    ) -> str:
        """Append the nodes that compute a scalar expression; returns the result's name."""


class CoreOperator(Operator):
    """An operator of the core level: emits data for C, and exports as standard ONNX nodes."""

    def only(self, operands: Types) -> TensorType:
        """The type of the one operand of a unary operator (its C1)."""
        self.require(len(operands) == 1, "C1", f"has {len(operands)} operands, not one")
        assert operands[0] is not None
        return operands[0]

    def conditions(self, operands: Sequence[TensorType]) -> Iterator[Condition]:
        """What the sizes must satisfy (``dlc.ops.nest`` says what a condition is).

        ``infer`` refuses what cannot hold (``require_sizes``); the emission begins with ``checks``
        of what is not proven to hold.
        """
        return iter(())

    def require_sizes(self, operands: Sequence[TensorType]) -> None:
        """Raise VerifyError unless the conditions may hold."""
        for sizes, constraint, message in self.conditions(operands):
            self.require(all(bound_of(size) > 0 for size in sizes), constraint, message)

    def check_sizes(self, operands: Arrays) -> None:
        arrays = [np.asarray(array) for array in operands]
        self.require_sizes([TensorType(DType.of(array), array.shape) for array in arrays])

    def checks(self, operands: Sequence[TensorType]) -> tuple[Check, ...]:
        """The conditions that may fail at run time."""
        return checks(c for conditions, _, _ in self.conditions(operands) for c in conditions)

    def fixed(self, dims: Iterable[Dim]) -> tuple[int, ...]:
        """Sizes as plain ints; UnsupportedError when one is known only at run time."""
        fixed: list[int] = []
        for dim in dims:
            if not isinstance(dim, int):
                raise UnsupportedError(
                    f"{self.label} needs a number where {dim} is, known at run time"
                )
            fixed.append(dim)
        return tuple(fixed)

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        """The loop nests and kernel calls that compute the results (``dlc.ops.emission``)."""
        raise NotImplementedError(f"{self.name} has no emission")

    def to_onnx(self, body: OnnxBody, operands: Sequence[str], operand_types: Types,
                result_types: Sequence[TensorType]) -> Sequence[str]:  # fmt: skip
        """Append ONNX nodes of the same meaning; returns the names of the results."""
        raise NotImplementedError(f"{self.name} has no ONNX form")

    def onnx_node(self) -> tuple[str, Mapping[str, object]] | None:
        """For operators with bodies, in place of ``to_onnx``: type and attributes (bodies, and
        ``captures``, their number) of one ONNX node with the same operands and results.
        """
        return None
