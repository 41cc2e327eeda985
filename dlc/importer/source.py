"""Reading a model from where it comes, and what is checked before any node is looked at."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError, EncodeError  # type: ignore[import-untyped]
from onnx import defs, inliner

from dlc.errors import DlcError, ModelError
from dlc.importer.legacy import lifted

OPSETS = range(7, 29)
_MAX_NODES = 200_000
_MAX_DEPTH = 16

FunctionId = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Model:
    """A parsed model: no local functions left, its default opset one that dlc handles."""

    proto: onnx.ModelProto
    opsets: dict[str, int]
    folder: Path | None
    """Where external data may lie; None when the model did not come from a file."""


def read(source: Any) -> Model:
    """The model from a path, bytes, ``ModelProto`` or onnx-graphsurgeon graph."""
    folder = None
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        folder = path.parent
        proto = _parse(_bytes_of(path), str(path))
    elif isinstance(source, bytes | bytearray | memoryview):
        proto = _parse(bytes(source), "the model")
    elif isinstance(source, onnx.ModelProto):
        proto = source
    elif type(source).__module__.partition(".")[0] == "onnx_graphsurgeon":
        proto = _from_graphsurgeon(source)
    else:
        raise ModelError(
            f"a model is a path, bytes, a ModelProto or an onnx-graphsurgeon graph, "
            f"not {type(source).__name__}"
        )
    if not all(isinstance(text, str) for text in _strings(proto)):
        raise ModelError("a name in the model is not UTF-8 text; the file is damaged")
    if 0 < _version(proto) < OPSETS[0]:
        proto = lifted(proto, _version(proto)) or proto
    opsets = _opsets(proto)
    if proto.functions:
        _check_functions(proto)
        try:
            proto = inliner.inline_local_functions(proto)
        except (RuntimeError, ValueError, EncodeError) as error:
            raise ModelError(f"the model's functions cannot be inlined: {_flat(error)}") from None
        opsets = _opsets(proto)
    if modified := _modified(proto):
        try:
            proto = inliner.inline_selected_functions(proto, modified, inline_schema_functions=True)
        except (RuntimeError, ValueError, EncodeError) as error:
            raise ModelError(f"a node with a graph cannot be inlined: {_flat(error)}") from None
    return Model(proto, opsets, folder)


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from None


def _parse(data: bytes, name: str) -> onnx.ModelProto:
    try:
        proto: onnx.ModelProto = onnx.ModelProto.FromString(data)
    except DecodeError:
        raise ModelError(
            f"{name} is not an ONNX file, or it is damaged or cut short; fetch it again"
        ) from None
    if not proto.HasField("graph"):
        raise ModelError(f"{name} holds no graph: it is not an ONNX model, or it is cut short")
    return proto


def _strings(proto: onnx.ModelProto) -> Iterator[str | bytes]:
    """Every name in the model: protobuf hands out those that are not UTF-8 as bytes."""
    for entry in proto.opset_import:
        yield entry.domain
    for function in proto.functions:
        yield from (function.domain, function.name, function.overload)
        yield from (*function.input, *function.output, *function.attribute)
        yield from (entry.domain for entry in function.opset_import)
        yield from (attribute.name for attribute in function.attribute_proto)
        yield from _strings_of(function.node)
    yield from _strings_in(proto.graph)


def _strings_in(graph: onnx.GraphProto, depth: int = 0) -> Iterator[str | bytes]:
    yield graph.name
    yield from (tensor.name for tensor in graph.initializer)
    for info in (*graph.input, *graph.output, *graph.value_info):
        yield info.name
        yield from (dim.dim_param for dim in info.type.tensor_type.shape.dim)
    yield from _strings_of(graph.node, depth)


def _strings_of(nodes: Iterable[onnx.NodeProto], depth: int = 0) -> Iterator[str | bytes]:
    if depth > _MAX_DEPTH:
        raise ModelError(f"graphs nest more than {_MAX_DEPTH} deep in the model")
    for node in nodes:
        yield from (node.name, node.op_type, node.domain, node.overload)
        yield from node.input
        yield from node.output
        for attribute in node.attribute:
            yield from (attribute.name, attribute.ref_attr_name)
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _strings_in(attribute.g, depth + 1)


def _from_graphsurgeon(source: Any) -> onnx.ModelProto:
    # only users of it have such a graph
    from onnx_graphsurgeon import export_onnx  # type: ignore[attr-defined]

    try:
        proto: onnx.ModelProto = export_onnx(source)
    except DlcError:
        raise
    except Exception as error:  # whatever the library raises, the graph is what is wrong
        raise ModelError(f"onnx-graphsurgeon cannot export the graph: {_flat(error)}") from error
    return proto


def _opsets(proto: onnx.ModelProto) -> dict[str, int]:
    opsets: dict[str, int] = {}
    for entry in proto.opset_import:
        domain = "" if entry.domain == "ai.onnx" else entry.domain
        if opsets.setdefault(domain, entry.version) != entry.version:
            raise ModelError(f"the model imports two versions of opset {domain or 'ai.onnx'!r}")
    if "" not in opsets and any(not node.domain for node in proto.graph.node):
        raise ModelError("the model does not say which opset it uses: no opset_import for ai.onnx")
    version = opsets.get("", OPSETS[-1])
    if version not in OPSETS:
        raise ModelError(
            f"the model uses opset {version}; dlc reads {OPSETS[0]} to {OPSETS[-1]}, so convert it "
            f"with onnx.version_converter"
        )
    return opsets


def _version(proto: onnx.ModelProto) -> int:
    """The default opset; 0 where the model says none."""
    return next((e.version for e in proto.opset_import if e.domain in ("", "ai.onnx")), 0)


def _modified(proto: onnx.ModelProto) -> list[tuple[str, str]]:
    """Operators of other domains whose function bodies take in graphs of the model's own."""
    return sorted({
        (node.domain, node.op_type)
        for node in _all_nodes(proto.graph.node)
        if node.domain not in ("", "ai.onnx") and defs.has(node.op_type, node.domain)
        and any(a.type == onnx.AttributeProto.GRAPH for a in node.attribute)
    })  # fmt: skip


def _check_functions(proto: onnx.ModelProto) -> None:
    """Refuse functions that call themselves or would unfold into an absurd number of nodes."""
    functions = {(f.domain, f.name, f.overload): f for f in proto.functions}
    sizes: dict[FunctionId, int] = {}

    def size(nodes: Iterable[onnx.NodeProto], calls: tuple[FunctionId, ...]) -> int:
        total = 0
        for node in _all_nodes(nodes):
            key = (node.domain, node.op_type, node.overload)
            total += 1
            if key in functions:
                if key in calls or len(calls) >= _MAX_DEPTH:
                    raise ModelError(
                        f"function {node.op_type!r} of the model calls itself or nests too deep"
                    )
                if key not in sizes:
                    sizes[key] = size(functions[key].node, (*calls, key))
                total += sizes[key]
            if total > _MAX_NODES:
                raise ModelError(f"the model's functions unfold into over {_MAX_NODES} nodes")
        return total

    size(proto.graph.node, ())


def _all_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """Every node, those of nested graphs too."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _all_nodes(attribute.g.node)


def _flat(error: Exception) -> str:
    return " ".join(str(error).split())
