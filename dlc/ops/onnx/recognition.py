"""What rules share that recognise a named op in the smaller ops exporters write for it."""

from __future__ import annotations

from functools import cache
from typing import Any

from onnx import TensorProto, defs

from dlc.errors import UnsupportedError
from dlc.ir.graph import Graph
from dlc.ir.types import DType
from dlc.ops.onnx.operator import OnnxOperator, schema_of
from dlc.rewrite.pattern import Match


@cache
def first_version(type: str) -> int:
    """The operator set that brought an operator of the default ONNX domain."""
    for version in range(1, defs.onnx_opset_version() + 1):
        try:
            return schema_of(type, version).since_version
        except UnsupportedError:
            continue
    raise UnsupportedError(f"operator {type} is in no opset of ai.onnx")


def lacking(graph: Graph, type: str) -> str | None:
    """Why the graph's opset cannot express an operator; None when it can."""
    opset, first = graph.opsets.get("", 0), first_version(type)
    if opset >= first:
        return None
    return f"opset {opset} has no {type}; put raise-opset{{to={first}}} before it"


def named(graph: Graph, type: str, **attributes: Any) -> OnnxOperator:
    """An operator of the graph's opset; attributes that are None are left out."""
    written = tuple((k, v) for k, v in sorted(attributes.items()) if v is not None)
    return OnnxOperator(type, graph.opsets[""], written)


def refusal(match: Match, type: str, like: str = "x") -> str | None:
    """Why what a pattern found cannot become one op of ``type`` whose result is typed as ``like``."""
    x, result = match[like].type, match.root.types[0]
    if result != x:
        return f"its constants change the type from {x} to {result}"
    reason = match.escape() or lacking(match.graph, type)
    if reason is None and not _takes(match.graph, type, x.dtype):
        return f"{type} is not defined for {x.dtype.value}"
    return reason


def _takes(graph: Graph, type: str, dtype: DType) -> bool:
    name = TensorProto.DataType.Name(dtype.onnx).lower()
    return f"tensor({name})" in schema_of(type, graph.opsets[""]).inputs[0].types
