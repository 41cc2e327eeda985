"""Printing a graph as textual IR: one op a line, results numbered in order, attributes sorted."""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from dlc.errors import UnsupportedError
from dlc.ir.expr import Expr
from dlc.ir.graph import Graph, Op, Value
from dlc.ir.operator import Array, Data
from dlc.ir.sizes import Apply, Sum, Symbol, quoted
from dlc.ir.text import dense
from dlc.ir.text.seeded import Seeded
from dlc.ir.types import DType, TensorType

INLINE_LIMIT = 64
"""Constants of more elements than this are printed by digest."""

_LABEL = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*(?::\d+)?", re.ASCII)


def print_graph(graph: Graph, *, inline_limit: int | None = INLINE_LIMIT) -> str:
    """The graph as text, which ``parse_graph`` reads back to an equal graph.

    Constants of more than ``inline_limit`` elements are printed by digest (``save`` stores them
    beside the text); None prints every one in full. Equal graphs print equally. Raises
    UnsupportedError for an attribute or annotation that textual IR cannot hold.
    """
    return Printer(inline_limit).print(graph)


class Printer:
    """Prints graphs, and collects the constants it printed by digest in ``resources``."""

    def __init__(self, inline_limit: int | None) -> None:
        self.inline_limit = inline_limit
        self.resources: dict[str, Array] = {}
        self._types: dict[TensorType, str] = {}

    def print(self, graph: Graph) -> str:
        """The text of a graph, ending in a newline."""
        return self._graph(graph, "") + "\n"

    def name(self, value: Value, number: int) -> str:
        """What a value, the ``number``-th of its graph, is called."""
        return f"%{number}"

    def _graph(self, graph: Graph, indent: str) -> str:
        head = f"graph {json.dumps(graph.name)} "
        facts: dict[str, Any] = {}
        if graph.opsets:
            facts["opsets"] = graph.opsets
        if graph.signature is not None:
            facts["signature"] = graph.signature.attributes
        if facts:
            head += f"{self._dict(facts, indent)} "
        if graph.annotations:
            head += f"@ {self._dict(graph.annotations, indent)} "
        names: dict[Value, str] = {}
        inner = indent + "  "
        lines = [head + "{"]
        lines += [inner + self._op(op, names, graph.opsets, inner) for op in graph.ops]
        lines.append(indent + "}")
        return "\n".join(lines)

    def _op(self, op: Op, names: dict[Value, str], opsets: Mapping[str, int], indent: str) -> str:
        operands = ", ".join(["_" if v is None else names[v] for v in op.operands])
        for value in op.results:
            names[value] = self.name(value, len(names))
        operator = op.operator
        label = operator.label_in(opsets)
        if not _LABEL.fullmatch(label):
            label = f"op {json.dumps(label)}"
        line = f"{label}({operands})"
        if op.results:
            line = f"{', '.join([names[value] for value in op.results])} = {line}"
        try:
            attributes = operator.attributes()
            if attributes:
                line += f" {self._dict(attributes, indent)}"
            if op.label:
                line += f" {json.dumps(op.label)}"
            if op.annotations:
                line += f" @ {self._dict(op.annotations, indent)}"
        except UnsupportedError as error:
            raise UnsupportedError(f"{operator.label} {op.label!r}: {error}") from None
        if op.results:
            line += f" : {', '.join([self._type(type) for type in op.types])}"
        return line

    def _type(self, type: TensorType) -> str:
        text = self._types.get(type)
        if text is None:
            text = self._types[type] = str(type)
        return text

    def _dict(self, values: Mapping[Any, Any], indent: str) -> str:
        keys = sorted(values, key=_rank)
        parts = [f"{_key(key)} = {self._value(values[key], indent)}" for key in keys]
        return f"{{{', '.join(parts)}}}"

    def _value(self, value: Any, indent: str) -> str:
        found = _SCALARS.get(type(value))
        if found is not None:
            text: str = found(value)
            return text
        if isinstance(value, tuple | list):
            return f"[{', '.join([self._value(item, indent) for item in value])}]"
        if isinstance(value, Mapping):
            return self._dict(value, indent)
        if isinstance(value, Data):
            return self._data(value)
        if isinstance(value, Graph):
            return self._graph(value, indent)
        if isinstance(value, TensorType):
            return self._type(value)
        if isinstance(value, Expr):
            return f"`{value}`"
        if isinstance(value, enum.Enum):
            return self._value(value.value, indent)
        if isinstance(value, np.generic) and value.dtype.kind in "biuf":
            return self._value(value.item(), indent)
        if is_dataclass(value) and not isinstance(value, type):
            return self._dict({f.name: getattr(value, f.name) for f in fields(value)}, indent)
        raise UnsupportedError(f"textual IR has no form for a value of type {type(value).__name__}")

    def _data(self, data: Data) -> str:
        array = data.array
        dtype = DType.of(array)
        head = f"{dtype.value}[{','.join(map(str, array.shape))}]"
        if isinstance(data, Seeded):
            return f'dense<{head} "{data.spec}">'
        by_digest = self.inline_limit is not None and array.size > self.inline_limit
        if by_digest and dtype is not DType.STRING:  # strings are always in the text
            self.resources[data.digest] = array
            return f'dense<{head} "{dense.DIGEST}{data.digest}">'
        return f"dense<{head} {dense.encode(array, dtype)}".rstrip() + ">"


def _rank(key: Any) -> tuple[bool, Any]:
    """Where a key stands among others: numbers first, then names."""
    if isinstance(key, str):
        return True, key
    if isinstance(key, int) and not isinstance(key, bool):
        return False, key
    raise UnsupportedError(f"textual IR has no dictionary key of type {type(key).__name__}")


def _key(key: str | int) -> str:
    return quoted(key) if isinstance(key, str) else str(key)


_SCALARS: dict[type, Any] = {
    bool: lambda value: "true" if value else "false",
    int: str,
    float: repr,
    str: json.dumps,
    type(None): lambda _: "none",
    DType: lambda value: value.value,
    Symbol: str,
    Sum: str,
    Apply: str,
}
