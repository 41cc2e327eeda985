"""Base of core operators: what each must say besides its types and its numpy meaning."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Protocol

from dlc.ir.operator import Operator, Types
from dlc.ir.types import TensorType
from dlc.ops.emission import Emission


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
