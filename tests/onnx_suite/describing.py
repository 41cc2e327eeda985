"""What a case is made of: operators, element types, opsets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import onnx

from dlc.errors import DlcError
from dlc.ir.types import DType
from onnx_suite.cases import cases


@dataclass(frozen=True, order=True)
class Use:
    """An operator in a case: its domain, type, operator set, and the type of its first operand."""

    domain: str
    type: str
    opset: int
    dtype: str
    """Of the first operand, or of the result when there is none; empty when not known."""

    @property
    def label(self) -> str:
        return f"{self.domain}.{self.type}" if self.domain else self.type


@cache
def uses(name: str) -> tuple[Use, ...]:
    """Operators of a case, those in subgraphs too, each once, in order."""
    model = cases()[name].model
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    found = [_use(node, kinds, opsets) for node, kinds in _nodes(_inferred(model).graph, {})]
    return tuple(dict.fromkeys(found))


def _use(node: onnx.NodeProto, kinds: Mapping[str, str], opsets: Mapping[str, int]) -> Use:
    named = [n for n in (*node.input, *node.output) if n]
    domain = "" if node.domain == "ai.onnx" else node.domain
    return Use(
        domain, node.op_type, opsets.get(domain, 0), kinds.get(named[0], "") if named else ""
    )


def _inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    try:
        return onnx.shape_inference.infer_shapes(model)
    except onnx.shape_inference.InferenceError:
        return model


def graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and those within it."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from graphs(inner)


def _nodes(graph: onnx.GraphProto,
           outer: Mapping[str, str]) -> Iterator[tuple[onnx.NodeProto, Mapping[str, str]]]:  # fmt: skip
    """Nodes with the element types of the values they may see."""
    kinds = {**outer, **{t.name: _kind_name(t.data_type) for t in graph.initializer}}
    for info in (*graph.input, *graph.value_info, *graph.output):
        kinds[info.name] = kind_of(info.type)
    for node in graph.node:
        yield node, kinds
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from _nodes(inner, kinds)


def kind_of(type: onnx.TypeProto) -> str:
    """``f32``, ``seq(f32)``, ``optional(seq(f32))``; empty when the type says nothing."""
    kind = type.WhichOneof("value")
    if kind == "tensor_type":
        return _kind_name(type.tensor_type.elem_type)
    if kind in ("sequence_type", "optional_type"):
        inner = kind_of(getattr(type, kind).elem_type)
        return f"{'seq' if kind == 'sequence_type' else 'optional'}({inner})"
    return kind.removesuffix("_type") if kind else ""


def _kind_name(number: int) -> str:
    if number == onnx.TensorProto.UNDEFINED:
        return ""
    try:
        return DType.of(number).value
    except DlcError:  # a type dlc has no name for
        return onnx.TensorProto.DataType.Name(number).lower()


def io_kinds(name: str) -> list[str]:
    """Types of the inputs and outputs of a case, each once."""
    graph = cases()[name].model.graph
    return list(dict.fromkeys(kind_of(info.type) for info in (*graph.input, *graph.output)))
