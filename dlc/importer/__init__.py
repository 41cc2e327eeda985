"""ONNX in: a model becomes a graph of named ops, every size known and every claim checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dlc.importer.aggregates import Dims, Inputs
from dlc.importer.bundles import named_all
from dlc.importer.inputs import bind_inputs
from dlc.importer.nodes import Builder, prune
from dlc.importer.source import read
from dlc.importer.values import Scope, check_declared
from dlc.ir.collector import collector_paused
from dlc.ir.graph import Graph
from dlc.ir.signature import Signature
from dlc.ir.sizes import AtMost


@collector_paused()
def load(
    source: Any,
    *,
    dims: Dims | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    notify: Callable[[str], None] | None = None,
) -> Graph:
    """The graph of a model: a path, its bytes, a ``ModelProto`` or an onnx-graphsurgeon graph.

    ``dims`` fixes symbolic dims by name, or says what they are ``AtMost`` at run time; ``shapes`` fixes
    whole inputs. A leading dim that neither fixes becomes 1, and ``notify`` is told so in a
    sentence. Types are inferred op by op; ops whose operands are all known and small become
    constants, so that sizes computed in the model are known too. Each tensor of a sequence or
    optional becomes an input or output of its own (``Graph.signature`` says of what); ``dims`` gives
    the length of an input sequence under its name, None for an optional that holds nothing, and the
    integers of an input that are to be known when compiling. What the model declares about its
    values is only compared with what was inferred.

    Raises ModelError for a model that cannot be read, is malformed, contradicts itself or leaves a
    dim open, UnsupportedError for an operator or form of one that dlc does not handle.
    """
    model = read(source)
    proto = model.proto.graph
    graph = Graph(proto.name or "model", model.opsets)
    graph.bounds = {n: size.bound for n, size in (dims or {}).items() if isinstance(size, AtMost)}
    scope = Scope(graph)
    builder = Builder(model, graph, scope)
    builder.add_initializers(proto)
    constants = {tensor.name for tensor in proto.initializer}
    inputs = [info for info in proto.input if info.name not in constants]
    apart = Inputs(inputs, dims or {}, shapes or {})
    bound = bind_inputs(apart.infos, apart.dims, apart.shapes, notify or _ignore)
    tensors = {name: graph.add_input(name, type) for name, type in bound}
    for name, array in apart.values.items():
        scope.define(name, graph.add_constant(array, name))
    for name, held in apart.held(tensors):
        scope.define(name, held)
    builder.add_nodes(proto)
    structures, outputs = named_all(builder.outputs(proto))
    # converters of classical models declare one row, or one target, whatever there are
    lenient = "ai.onnx.ml" in model.opsets
    check_declared(proto.output, scope, (notify or _ignore) if lenient else None)
    graph.set_outputs(outputs)
    prune(graph)
    signature = Signature(apart.structures, structures)
    graph.signature = None if signature.is_plain else signature
    return graph


def _ignore(sentence: str) -> None:
    pass


__all__ = ["load"]
