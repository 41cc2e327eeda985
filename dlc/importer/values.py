"""Names of a model's values, and which of them a nested graph takes from around it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import onnx

from dlc.errors import ModelError
from dlc.importer.bundles import Absent, Bundle, Held, kind
from dlc.importer.inputs import declared_shape
from dlc.ir.graph import Graph, Value
from dlc.ir.types import DType


class Scope:
    """The values of one ONNX graph by name. ``outer`` is a scope of the same dlc graph around it."""

    def __init__(self, graph: Graph, outer: Scope | None = None) -> None:
        self.graph = graph
        self.outer = outer
        self._values: dict[str, Held] = {}

    def define(self, name: str, value: Held) -> None:
        """Name a value; ModelError when the graph has that name already."""
        if not name:
            raise ModelError(f"an input or constant of graph {self.graph.name!r} has no name")
        if name in self._values:
            raise ModelError(f"the model defines value {name!r} twice; names must be unique")
        self._values[name] = value

    def find(self, name: str) -> Held | None:
        """What has that name, here or in the scopes around."""
        value = self._values.get(name)
        if value is None and self.outer is not None:
            return self.outer.find(name)
        return value

    def held(self, name: str, reader: str) -> Held:
        """What has that name; ModelError names the reader when nothing has (yet)."""
        value = self.find(name)
        if value is None:
            raise ModelError(
                f"{reader} reads {name!r}, which no input, constant or earlier node provides: it is "
                f"missing, its nodes are out of order, or they form a cycle"
            )
        return value


def check_declared(
    infos: Iterable[onnx.ValueInfoProto], scope: Scope, notify: Callable[[str], None] | None = None
) -> None:
    """Raise ModelError for a declared type that contradicts the inferred one.

    With ``notify`` a declared shape that does is but told, in a sentence.
    """
    for info in infos:
        value = scope.find(info.name)
        if value is None:
            continue
        if not _admits(info.type, value):
            raise ModelError(
                f"value {info.name!r} is {kind(value)}, but is declared as something else; correct "
                f"or remove the declaration"
            )
        if not isinstance(value, Value) or not info.type.HasField("tensor_type"):
            continue  # elements are tensors of their own
        declared, number = declared_shape(info), info.type.tensor_type.elem_type
        type = value.type
        fits = same = number in (0, type.dtype.onnx)
        if declared is not None:
            fits = fits and len(declared) == type.rank
            pairs = zip(declared, type.shape, strict=False)
            fits = fits and all(
                a == b for a, b in pairs if isinstance(a, int) and isinstance(b, int)
            )
        if same and not fits and notify is not None:
            notify(f"{info.name!r} is declared as {_text(number, declared)}, but it is {type}")
        elif not fits:
            raise ModelError(
                f"value {info.name!r} is declared as {_text(number, declared)} but its node computes "
                f"{type}; correct or remove the declaration"
            )


def _admits(declared: onnx.TypeProto, held: Held) -> bool:
    """Whether something may be declared so; its elements are not looked at."""
    of = declared.WhichOneof("value")
    if of == "optional_type":
        return isinstance(held, Absent) or _admits(declared.optional_type.elem_type, held)
    if of == "sequence_type":
        return isinstance(held, Bundle)
    return of is None or (of == "tensor_type" and isinstance(held, Value))


def _text(number: int, shape: list[int | str | None] | None) -> str:
    known = {dtype.onnx: dtype.value for dtype in DType}
    dims = "..." if shape is None else ",".join("?" if dim is None else str(dim) for dim in shape)
    return f"{known.get(number, f'type {number} ')}[{dims}]"
