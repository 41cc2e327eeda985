"""Expansion of named ONNX ops into core ops: a registry of small functions, one per ONNX op.

An expansion takes the op (``call``, for attributes and result types) and its operands as Values
(None where absent), builds core ops with ``dlc.ops.build``, and returns the result Value, or a
tuple of them. An ONNX op without an expansion but with a function body in ``onnx.defs`` is
expanded through that body.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dlc.errors import DlcError, UnsupportedError
from dlc.ir.graph import Op, Value
from dlc.ir.operator import Array
from dlc.ir.types import DType, TensorType
from dlc.ops.onnx.operator import OnnxOperator

Expansion = Callable[..., "Value | Sequence[Value]"]
_EXPANSIONS: dict[tuple[str, str], Expansion] = {}


class Call:
    """The op being expanded, seen from its expansion."""

    def __init__(self, op: Op) -> None:
        assert isinstance(op.operator, OnnxOperator)
        self.op = op
        self.operator = op.operator
        self.graph = op.graph

    @property
    def version(self) -> int:
        """Operator set version of the op's domain."""
        return self.operator.version

    @property
    def types(self) -> tuple[TensorType, ...]:
        """Types of the results."""
        return self.op.types

    @property
    def shape(self) -> tuple[int, ...]:
        """Static shape of result 0."""
        return self.op.types[0].dims

    @property
    def dtype(self) -> DType:
        """Element type of result 0."""
        return self.op.types[0].dtype

    def attr(self, name: str, default: Any = None) -> Any:
        """An attribute, else the schema's default, else ``default``."""
        return self.operator.attr(name, default)

    def constant(self, index: int) -> Array | None:
        """The value of operand ``index``, None when the operand is absent.

        Raises UnsupportedError when it is present but not known when compiling.
        """
        value = self.op.operands[index] if index < len(self.op.operands) else None
        if value is None:
            return None
        if value.constant is None:
            raise self.unsupported(f"operand {index} is not a constant")
        return value.constant

    def unsupported(self, reason: str) -> UnsupportedError:
        """The error for a form of the op that cannot be expanded."""
        return UnsupportedError(f"{self.operator.type} node {self.op.label!r}: {reason}")


def expansion(*types: str, domain: str = "") -> Callable[[Expansion], Expansion]:
    """Register a function as the expansion of ONNX ops."""

    def register(function: Expansion) -> Expansion:
        for type in types:
            if (domain, type) in _EXPANSIONS:
                raise DlcError(f"two expansions for ONNX operator {type}")
            _EXPANSIONS[domain, type] = function
        return function

    return register


def find_expansion(operator: OnnxOperator) -> Expansion | None:
    """The registered expansion of an operator (discovers ``dlc.ops.onnx`` on first use)."""
    from dlc.ops.onnx import discover

    discover()
    return _EXPANSIONS.get((operator.domain, operator.type))
