"""What an op computes: operators are frozen dataclasses whose fields are the attributes.

Terms: an *operator* says what is computed (``Conv(strides=(2, 2), ...)``); an *op* is a place in a
graph where an operator is applied to values (``dlc.ir.graph.Op``).
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast, get_args

import numpy as np

from dlc.errors import DlcError, ParseError, UnsupportedError, VerifyError
from dlc.ir.attributes import field_hints, field_names, rebuild_fields
from dlc.ir.sizes import Dim, Size, Symbol, substitute, symbols_of
from dlc.ir.types import DType, TensorType

if TYPE_CHECKING:
    from dlc.ir.graph import Graph

Array = np.ndarray[Any, Any]
Types = Sequence[TensorType | None]
Arrays = Sequence[Array | None]


@dataclass(frozen=True, slots=True)
class Cost:
    """Work of one op: multiply-accumulates, and bytes read and written once each."""

    macs: int
    bytes: int


class Operator:
    """Base of all operators.

    A subclass is a frozen dataclass with a class attribute ``name`` (its name in textual IR) and
    numbered constraints (C1, C2 ...) in its docstring, which errors cite. Subclassing registers it;
    a duplicate name is an error.
    """

    name: ClassVar[str] = ""
    #: whether the verifier infers result types again and compares them with the recorded ones
    recheck: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        name = cls.__dict__.get("name", "")
        if not name:
            return
        known = _REGISTRY.get(name)
        # dataclass(slots=True) makes the class twice: same module and name is no duplicate
        if known is not None and (known.__module__, known.__qualname__) != (
            cls.__module__, cls.__qualname__,
        ):  # fmt: skip
            raise DlcError(
                f"operator {name!r} is defined in {known.__module__} and {cls.__module__}"
            )
        _REGISTRY[name] = cls

    @property
    def label(self) -> str:
        """The name as printed in textual IR."""
        return self.name

    def label_in(self, opsets: Mapping[str, int]) -> str:
        """The label in a graph of these operator sets; must tell all that ``attributes`` do not."""
        return self.label

    @classmethod
    def from_text(
        cls,
        label: str,
        attributes: Mapping[str, Any],
        opsets: Mapping[str, int],  # for operators of a version
    ) -> Self:
        """The operator that prints as ``label`` (see ``label_in``) with these attributes.

        Attributes left out take their defaults. Raises ParseError for unknown, missing or
        ill-typed ones.
        """
        return rebuild_fields(cls, attributes, f"operator {label}")

    def attributes(self) -> dict[str, Any]:
        """Attributes for textual IR, defaults included."""
        return {name: getattr(self, name) for name in field_names(type(self))}

    def regions(self) -> Iterator[Graph]:
        """Graphs held as attributes (branches, loop bodies)."""
        return iter(())

    def with_regions(self, regions: Sequence[Graph]) -> Operator:
        """The same operator with other graphs in the places of ``regions()``, in that order."""
        swaps = {id(old): new for old, new in zip(self.regions(), regions, strict=True)}

        def swap(value: Any) -> Any:
            if isinstance(value, tuple):
                return tuple(swap(item) for item in value)
            return swaps.get(id(value), value)

        fields = {name: swap(getattr(self, name)) for name in field_names(type(self))}
        return type(self)(**fields)

    @property
    def defined(self) -> tuple[Symbol, ...]:
        """Symbols that take their run-time values in this op."""
        return ()

    @property
    def mentioned(self) -> tuple[Symbol, ...]:
        """Symbols in the fields."""
        names = _size_fields(cast("Any", type(self)))
        return tuple(s for name in names for s in symbols_of(getattr(self, name)))

    @property
    def known_sizes(self) -> Array | None:
        """The ints and sizes of the only result, where they are known when compiling."""
        return None

    def at(self, values: Mapping[Symbol, Dim]) -> Self:
        """The same operator with symbols in its fields replaced (not those it defines)."""
        known = {s: v for s, v in values.items() if s not in self.defined}
        changed = {
            name: _substituted(getattr(self, name), known)
            for name in _size_fields(cast("Any", type(self)))
        }
        return replace(cast("Any", self), **changed) if changed and self.mentioned else self

    def renamed(self, symbols: Mapping[Symbol, Symbol]) -> Self:
        """The same operator with symbols it defines, or mentions in its fields, under other names."""
        values = {name: getattr(self, name) for name in field_names(type(self))}
        changed = {n: _substituted(v, symbols) for n, v in values.items() if [*symbols_of(v)]}
        renamed: Self = replace(cast("Any", self), **changed)
        return renamed

    def define(self, operands: Arrays, results: Sequence[Array],
               types: Sequence[TensorType]) -> dict[Symbol, int]:  # fmt: skip
        """Values of the ``defined`` symbols: unless told otherwise, dims of the results."""
        return {
            dim: size
            for array, type in zip(results, types, strict=True)
            for size, dim in zip(array.shape, type.shape, strict=True)
            if dim in self.defined and isinstance(dim, Symbol)
        }

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        """Result types; VerifyError cites the constraint that operands break."""
        raise NotImplementedError(f"{self.name} has no infer")

    def infer_from(self, operands: Types, constants: Arrays) -> tuple[TensorType, ...]:
        """As ``infer``, for operators whose result shape depends on operand values.

        ``constants`` has, for each operand, its value where it is known when compiling.
        """
        return self.infer(operands)

    def check_sizes(self, operands: Arrays) -> None:
        """Raise VerifyError where the sizes of operands do not fit, as the emitted C finds out at run
        time; what ``infer`` refuses of types with these sizes.
        """
        return

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        """Results in numpy: the oracle of this operator, also used to fold constants."""
        raise UnsupportedError(f"{self.label} cannot be evaluated")

    def cost(self, operands: Types, results: Sequence[TensorType]) -> Cost:
        """Work for operands and results of these types."""
        return Cost(0, sum(t.nbytes for t in [*operands, *results] if t is not None))

    def require(self, condition: bool, constraint: str, message: str) -> None:
        """Raise VerifyError citing ``constraint`` unless ``condition`` holds."""
        if not condition:
            raise VerifyError(f"{self.label}: {message} ({constraint})")


@cache
def _size_fields(cls: Any) -> tuple[str, ...]:
    """Names of the fields whose type hint allows sizes."""
    return tuple(name for name, hint in field_hints(cls).items() if _allows_size(hint))


def _allows_size(hint: Any) -> bool:
    return hint is Size or any(_allows_size(argument) for argument in get_args(hint))


def _substituted(value: Any, values: Mapping[Symbol, Dim]) -> Any:
    if isinstance(value, tuple):
        return tuple(_substituted(item, values) for item in value)
    return substitute(value, values) if isinstance(value, Size) else value


_REGISTRY: dict[str, type[Operator]] = {}


def registered_operators() -> dict[str, type[Operator]]:
    """Operators by name, as far as their modules have been imported (see ``dlc.ops``)."""
    return dict(sorted(_REGISTRY.items()))


#: modules whose import registers operators; third parties use the entry point group ``dlc.ops``
OPERATOR_MODULES = ("dlc.ops.core", "dlc.ops.onnx.operator")
ENTRY_POINT_GROUP = "dlc.ops"


@cache
def discover_operators() -> None:
    """Import (once) every module that registers operators (by name: this room is below theirs)."""
    for module in OPERATOR_MODULES:
        importlib.import_module(module)
    from dlc.ir.plugins import entry_points  # slow to import, rarely needed

    for _ in entry_points(ENTRY_POINT_GROUP):
        pass  # importing registers


def find_operator(label: str) -> type[Operator]:
    """The class that reads ``label`` in textual IR; discovers operators when it is not known yet.

    A label with a dot that is no operator's name is a named ONNX op, ``<domain>.<type>``.
    Raises ParseError when there is none.
    """
    found = _lookup(label)
    if found is None:
        discover_operators()
        found = _lookup(label)
    if found is None:
        raise ParseError(f"unknown operator {label!r}; `dlc ops` lists those there are")
    return found


def _lookup(label: str) -> type[Operator] | None:
    return _REGISTRY.get(label) or (_REGISTRY.get("onnx") if "." in label else None)


@dataclass(frozen=True, slots=True)
class Input(Operator):
    """A graph input (or, in a region, a block argument). Its type is given, not inferred."""

    name: ClassVar[str] = "input"
    recheck: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Output(Operator):
    """The terminator: its operands are the graph's outputs, ``names`` their names in order."""

    name: ClassVar[str] = "output"
    names: tuple[str, ...]

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        self.require(len(operands) == len(self.names), "C1", "one name for each output")
        return ()


class Data:
    """An immutable array with a digest, so that constants hash and compare by content.

    Kept in native byte order; strings are kept as objects of type ``str``. VerifyError for an
    array of anything else that no tensor can hold.
    """

    __slots__ = ("_digest", "array")

    def __init__(self, array: Any) -> None:
        array = np.asarray(array)
        if array.dtype.kind in "OUST":
            array = _strings(array)
        elif not array.dtype.isnative:
            array = array.astype(array.dtype.newbyteorder("="))
        if array.flags.writeable:
            array = array.view()
            array.flags.writeable = False
        self.array: Array = array
        self._digest: str | None = None

    @property
    def digest(self) -> str:
        """Hex SHA-256 of dtype, shape and bytes."""
        if self._digest is None:
            head = f"{self.array.dtype.name}{self.array.shape}".encode()
            body = (
                repr(self.array.tolist()).encode()
                if self.array.dtype == object
                else np.ascontiguousarray(self.array).tobytes()
            )
            self._digest = hashlib.sha256(head + body).hexdigest()
        return self._digest

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Data) and (
            self.array is other.array or self.digest == other.digest
        )

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"Data({self.array.dtype.name}{list(self.array.shape)})"


def _strings(array: Array) -> Array:
    items = [
        item.decode("utf-8", "surrogateescape") if isinstance(item, bytes) else item
        for item in array.ravel().tolist()
    ]
    if not all(isinstance(item, str) for item in items):
        raise VerifyError("an array of Python objects other than strings is no tensor")
    result = np.empty(len(items), dtype=object)
    result[:] = items
    return result.reshape(array.shape)


@dataclass(frozen=True, slots=True)
class Constant(Operator):
    """A value known when compiling."""

    name: ClassVar[str] = "constant"
    value: Data = field()

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        self.require(not operands, "C1", "a constant has no operands")
        return (TensorType(DType.of(self.value.array), tuple(self.value.array.shape)),)

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        return (self.value.array,)

    @property
    def known_sizes(self) -> Array | None:
        return self.value.array.astype(object) if self.value.array.dtype.kind in "iu" else None
