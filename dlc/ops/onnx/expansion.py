"""Expansion of named ONNX ops into core ops: a registry of small functions, one per ONNX op.

An expansion takes the op (``call``, for attributes and result types) and its operands as Values
(None where absent), builds core ops with ``dlc.ops.build``, and returns the result Value, or a
tuple of them. An ONNX op without an expansion but with a function body in ``onnx.defs`` is
expanded through that body.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from dlc.errors import DlcError, UnsupportedError
from dlc.ir.graph import Op, Value
from dlc.ir.operator import Array
from dlc.ir.types import Dim, DType, TensorType
from dlc.ops.onnx.inference import infer_dtypes
from dlc.ops.onnx.operator import OnnxOperator
from dlc.ops.symbols import bound_sizes

Declared = Sequence[int | str | None] | None  # a shape as a model declares it
Expansion = Callable[..., "Value | Sequence[Value]"]
_EXPANSIONS: dict[tuple[str, str], Expansion] = {}


class Call:
    """The op being expanded, seen from its expansion."""

    def __init__(self, op: Op, declared: Sequence[Declared] = ()) -> None:
        assert isinstance(op.operator, OnnxOperator)
        self.op = op
        self.operator = op.operator
        self.graph = op.graph
        self._declared = declared

    @property
    def version(self) -> int:
        """Operator set version of the op's domain."""
        return self.operator.version

    @property
    def results(self) -> int:
        """How many results are asked for."""
        return self.operator.results

    @property
    def types(self) -> tuple[TensorType, ...]:
        """Types of the results; UnsupportedError where they follow from run-time sizes."""
        if not self.op.types:
            raise self.unsupported("sizes known only at run time are not supported here")
        return self.op.types

    @property
    def shape(self) -> tuple[int, ...]:
        """Static shape of result 0; UnsupportedError as for ``types``."""
        return self.types[0].dims

    @property
    def dtype(self) -> DType:
        """Element type of result 0."""
        return self.dtype_of(0)

    def dtype_of(self, k: int) -> DType:
        """Element type of result ``k``, also where its shape is not known."""
        if self.op.types:
            return self.op.types[k].dtype
        dtype = infer_dtypes(self.operator, self.op.operand_types)[k]
        if dtype is None:
            raise self.unsupported(f"the element type of result {k} is not known")
        return dtype

    def declared(self, k: int = 0) -> Declared:
        """The shape the model declares for result ``k``: ints, names and None; None without one."""
        return self._declared[k] if k < len(self._declared) else None

    def bound(self, k: int = 0, axis: int = 0) -> int:
        """The most that a size of a result may be where its operands do not bound it.

        What the model declares, else what the user says (``--max``); UnsupportedError without both.
        """
        shape = self.declared(k)
        dim = shape[axis] if shape is not None and axis < len(shape) else None
        return dim if isinstance(dim, int) else self._asked()

    def most(self, k: int = 0) -> int:
        """As ``bound``, for the number of elements of a result."""
        sizes = [dim for dim in self.declared(k) or (None,) if isinstance(dim, int)]
        if len(sizes) == len(self.declared(k) or (None,)):
            return max(math.prod(sizes), 1)
        return self._asked()

    def _asked(self) -> int:
        """The room that the user asks for, in elements."""
        bounds = self.graph.bounds
        found = bounds.get(self.op.label, bounds.get("any"))
        if found is None:
            raise self.unsupported(
                f"nothing bounds the run-time size of its result; give --max {self.op.label}=SIZE "
                f"(or --max any=SIZE), the room for its elements"
            )
        return found

    def bounds_of_shape(self, rank: int, k: int = 0) -> list[int]:
        """``bound`` for each axis of a result."""
        return [self.bound(k, axis) for axis in range(rank)]

    def intervals(self, rank: int, operands: Sequence[int]) -> tuple[list[int], list[int]]:
        """Least and greatest sizes of the axes of result 0: what is stated is both, else 0 and ``bound``.

        All 0 where these operands, which say the sizes, are known when compiling.
        """
        if all(self.known(index) is not None for index in operands):
            return [0] * rank, [0] * rank
        stated = self.op.types[0].shape if self.op.types else self.declared() or ()
        ends = [dim if isinstance(dim, int) else None for dim in (*stated, *[None] * rank)][:rank]
        asked = self._asked() if None in ends else 0
        return [end or 0 for end in ends], [asked if end is None else end for end in ends]

    def known(self, index: int) -> Array | None:
        """Ints and sizes of operand ``index`` where they are known when compiling, else None."""
        value = self.op.operands[index] if index < len(self.op.operands) else None
        return None if value is None else value.sizes

    def sizes(self, index: int, low: int | Sequence[int], bound: int | Sequence[int], *,
              clamp: bool = False, joint: int | None = None) -> list[Dim] | None:  # fmt: skip
        """The elements of integer operand ``index`` in order; None when it is absent.

        What is known when compiling is returned as it is. Else the operand's elements are bound to
        fresh symbols at run time, each within its interval (``joint``: and their product): a value
        outside ends the run with a status, or with ``clamp`` becomes the nearest that is inside.
        """
        value = self.op.operands[index] if index < len(self.op.operands) else None
        if value is None:
            return None
        if value.sizes is not None:
            return list(value.sizes.ravel().tolist())
        name = f"{self.operator.type}_{self.operator.schema.inputs[index].name}".lower()
        return bound_sizes(value, name, low, bound, clamp=clamp, joint=joint)

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
        name = f" node {self.op.label!r}" if self.op.label else ""
        return UnsupportedError(f"{self.operator.type}{name}: {reason}")


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
