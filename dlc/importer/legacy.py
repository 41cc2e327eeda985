"""Models of opsets before 7, in the form opset 7 has for their operators.

Until opset 7 operands broadcast only where an attribute said so, from a given axis, and operators
were told whether they train. onnx.version_converter does not know broadcasting from an axis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import onnx
from onnx import defs, helper

from dlc.errors import ModelError

FIRST = 7
"""The opset that models are brought to."""

Ranks = Mapping[str, int]
Lift = Callable[[onnx.NodeProto, Ranks], Iterator[onnx.NodeProto]]


def lifted(proto: onnx.ModelProto, version: int) -> onnx.ModelProto | None:
    """The model at opset 7, or None when it has a node that would need more than is done here.

    Raises ModelError for a node that trains, or broadcasts an operand of a rank nobody knows.
    """
    changed = _changed(proto.graph.node, version)
    inner = (a.g.node for node in proto.graph.node for a in node.attribute if a.HasField("g"))
    if proto.functions or any(_changed(nodes, version) for nodes in inner):
        return None
    if not all(kind in _LIFTS and _since(kind, FIRST - 1) == _since(kind, version)
               for kind in changed):  # fmt: skip
        return None
    new = onnx.ModelProto()
    new.CopyFrom(proto)
    for entry in new.opset_import:
        if entry.domain in ("", "ai.onnx"):
            entry.version = FIRST
    if changed:
        ranks = _ranks(proto)
        del new.graph.node[:]
        for node in proto.graph.node:
            lift = _LIFTS[node.op_type] if node.op_type in changed else _same
            new.graph.node.extend(lift(node, ranks))
    return new


def _since(kind: str, version: int) -> int:
    try:
        return int(defs.get_schema(kind, version).since_version)
    except defs.SchemaError:
        return 0


def _changed(nodes: Iterable[onnx.NodeProto], version: int) -> set[str]:
    """Operators whose definition is another one in opset 7."""
    kinds = {node.op_type for node in nodes if not node.domain}
    return {kind for kind in kinds if _since(kind, version) != _since(kind, FIRST)}


def _ranks(proto: onnx.ModelProto) -> dict[str, int]:
    try:
        graph = onnx.shape_inference.infer_shapes(proto).graph
    except (RuntimeError, ValueError, onnx.shape_inference.InferenceError):
        graph = proto.graph  # the importer will say what is wrong with it
    infos = (*graph.value_info, *graph.input, *graph.output)
    found = {i.name: len(i.type.tensor_type.shape.dim) for i in infos
             if i.type.tensor_type.HasField("shape")}  # fmt: skip
    return found | {tensor.name: len(tensor.dims) for tensor in graph.initializer}


def _same(node: onnx.NodeProto, ranks: Ranks) -> Iterator[onnx.NodeProto]:
    yield node


def _binary(node: onnx.NodeProto, ranks: Ranks) -> Iterator[onnx.NodeProto]:
    """The second operand lies along the axes of the first from ``axis`` on, else along the last."""
    new, attributes = _without(node, "broadcast", "axis")
    axis = attributes.get("axis")
    if attributes.get("broadcast") and axis is not None and len(node.input) == 2:
        yield from _aligned(new, ranks, axis)
    yield new


def _slope(node: onnx.NodeProto, ranks: Ranks) -> Iterator[onnx.NodeProto]:
    """One slope for all, or one for each channel, which is axis 1."""
    new, _ = _without(node)
    if len(node.input) == 2 and _rank(node, ranks, 1) == 1 and _rank(node, ranks, 0) > 1:
        yield from _aligned(new, ranks, 1)
    yield new


def _aligned(node: onnx.NodeProto, ranks: Ranks, axis: int) -> Iterator[onnx.NodeProto]:
    """Give operand 1 the trailing axes that it lacks when it starts at ``axis`` of operand 0."""
    first, second = _rank(node, ranks, 0), _rank(node, ranks, 1)
    missing = first - (axis % first if first else 0) - second
    if missing > 0:
        name = f"{node.output[0]}_broadcast"
        axes = list(range(second, second + missing))
        yield helper.make_node("Unsqueeze", [node.input[1]], [name], axes=axes)
        node.input[1] = name


def _rank(node: onnx.NodeProto, ranks: Ranks, index: int) -> int:
    try:
        return ranks[node.input[index]]
    except KeyError:
        raise ModelError(
            f"{node.op_type} node {node.name!r} broadcasts as before opset {FIRST}, and the rank of "
            f"its operand {index} is not known; declare it"
        ) from None


def _inference(node: onnx.NodeProto, ranks: Ranks) -> Iterator[onnx.NodeProto]:
    new, attributes = _without(node, "is_test")
    if not attributes.get("is_test"):
        raise ModelError(
            f"{node.op_type} node {node.name!r} trains (is_test is 0); export the model for inference"
        )
    yield new


def _less(*attributes: str) -> Lift:
    """Only attributes that mean nothing any more go."""

    def lift(node: onnx.NodeProto, ranks: Ranks) -> Iterator[onnx.NodeProto]:
        yield _without(node, *attributes)[0]

    return lift


def _without(node: onnx.NodeProto, *names: str) -> tuple[onnx.NodeProto, dict[str, int]]:
    """A copy without some integer attributes, and their values."""
    new = onnx.NodeProto()
    new.CopyFrom(node)
    del new.attribute[:]
    new.attribute.extend(a for a in node.attribute if a.name not in names)
    return new, {a.name: a.i for a in node.attribute if a.name in names}


_LIFTS: dict[str, Lift] = {
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Pow", "And", "Or", "Xor", "Equal", "Greater", "Less"),
                    _binary),
    "PRelu": _slope, "Gemm": _less("broadcast"), "AveragePool": _same,
    "BatchNormalization": _inference, "Dropout": _inference,
    **dict.fromkeys(("RNN", "GRU", "LSTM"), _less("output_sequence")),
}  # fmt: skip
