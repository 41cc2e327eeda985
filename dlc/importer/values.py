"""Names of a model's values, and which of them a nested graph takes from around it."""

from __future__ import annotations

from collections.abc import Iterable

import onnx

from dlc.errors import ModelError, UnsupportedError
from dlc.importer.inputs import declared_shape
from dlc.ir.graph import Graph, Value
from dlc.ir.types import DType


class Scope:
    """The values of one ONNX graph by name. ``outer`` is a scope of the same dlc graph around it."""

    def __init__(self, graph: Graph, outer: Scope | None = None) -> None:
        self.graph = graph
        self.outer = outer
        self._values: dict[str, Value] = {}

    def define(self, name: str, value: Value) -> None:
        """Name a value; ModelError when the graph has that name already."""
        if not name:
            raise ModelError(f"an input or constant of graph {self.graph.name!r} has no name")
        if name in self._values:
            raise ModelError(f"the model defines value {name!r} twice; names must be unique")
        self._values[name] = value

    def find(self, name: str) -> Value | None:
        """The value of that name, here or in the scopes around."""
        value = self._values.get(name)
        if value is None and self.outer is not None:
            return self.outer.find(name)
        return value

    def lookup(self, name: str, reader: str) -> Value:
        """The value of that name; ModelError names the reader when there is none (yet)."""
        value = self.find(name)
        if value is None:
            raise ModelError(
                f"{reader} reads {name!r}, which no input, constant or earlier node provides: it is "
                f"missing, its nodes are out of order, or they form a cycle"
            )
        return value


def free_names(graph: onnx.GraphProto) -> dict[str, None]:
    """Names a nested graph reads but does not define, in the order it reads them."""
    defined = {info.name for info in graph.input} | {tensor.name for tensor in graph.initializer}
    free: dict[str, None] = {}

    def read(names: Iterable[str]) -> None:
        free.update((name, None) for name in names if name and name not in defined)

    for node in graph.node:
        read(node.input)
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                read(free_names(attribute.g))
        defined.update(node.output)
    read(info.name for info in graph.output)
    return free


def check_declared(infos: Iterable[onnx.ValueInfoProto], scope: Scope) -> None:
    """Raise ModelError for a declared type that contradicts the inferred one."""
    for info in infos:
        value = scope.find(info.name)
        if value is None:
            continue
        if not info.type.HasField("tensor_type"):
            if info.type.WhichOneof("value") is not None:
                raise UnsupportedError(f"value {info.name!r} is declared as something but a tensor")
            continue
        declared, number = declared_shape(info), info.type.tensor_type.elem_type
        type = value.type
        fits = number in (0, type.dtype.onnx)
        if declared is not None:
            fits = fits and len(declared) == type.rank
            pairs = zip(declared, type.shape, strict=False)
            fits = fits and all(
                a == b for a, b in pairs if isinstance(a, int) and isinstance(b, int)
            )
        if not fits:
            raise ModelError(
                f"value {info.name!r} is declared as {_text(number, declared)} but its node computes "
                f"{type}; correct or remove the declaration"
            )


def _text(number: int, shape: list[int | str | None] | None) -> str:
    known = {dtype.onnx: dtype.value for dtype in DType}
    dims = "..." if shape is None else ",".join("?" if dim is None else str(dim) for dim in shape)
    return f"{known.get(number, f'type {number} ')}[{dims}]"
