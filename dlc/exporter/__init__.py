"""ONNX out: a graph at the named or core level becomes a model that any ONNX runtime runs."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import onnx
from onnx import helper

from dlc.errors import BuildError
from dlc.exporter.functions import DOMAIN
from dlc.exporter.graphs import Writer
from dlc.exporter.versions import settle
from dlc.ir.graph import Graph

#: protobuf cannot write more; beyond it weights go to a file beside the model
MAX_FILE_BYTES = 2_000_000_000
#: the first IR version with model-local functions
_IR_VERSION = 8


def to_onnx(graph: Graph, *, tensors: bool = False) -> onnx.ModelProto:
    """The graph as an ONNX model with the same inputs, outputs and meaning.

    Where the graph's signature has sequences or optionals the model has them, too, unless ``tensors``
    asks for the tensors that they consist of.

    Named ops go out as they are, core ops as model-local functions of domain ``dlc``. A graph that
    holds core ops is written for opset 19 or later; a named op that means something else there is
    expanded into core ops first, in a copy. UnsupportedError when an op has no ONNX form.
    """
    signature = None if tensors else graph.signature
    graph, opsets = settle(graph)
    writer = Writer(opsets[""])
    proto = writer.model_graph(graph)
    if signature is not None:
        writer.restore(proto, signature)
    functions = writer.functions.protos
    if functions:
        opsets = opsets | {DOMAIN: 1}
    imports = [helper.make_opsetid(domain, version) for domain, version in opsets.items()]
    newest = helper.find_min_ir_version_for(imports, ignore_unknown=True)
    return helper.make_model(
        proto, functions=functions, opset_imports=imports, producer_name="dlc",
        ir_version=max(newest, _IR_VERSION),
    )  # fmt: skip


def save(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Write the graph as an .onnx file, with its weights in ``<name>.data`` beside it when too big.

    Nothing half-written is left behind; BuildError when the folder cannot be written.
    """
    target = Path(path)
    model = to_onnx(graph)
    large = model.ByteSize() > MAX_FILE_BYTES
    data = f"{target.name}.data"
    try:
        with tempfile.TemporaryDirectory(prefix=".dlc-", dir=target.parent) as folder:
            onnx.save_model(
                model, Path(folder, target.name), save_as_external_data=large, location=data
            )
            if Path(folder, data).exists():  # not when all tensors are small
                Path(folder, data).replace(target.with_name(data))
            Path(folder, target.name).replace(target)
    except OSError as error:
        raise BuildError(f"cannot write {target}: {error.strerror or error}") from None
