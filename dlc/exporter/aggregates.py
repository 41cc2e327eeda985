"""Sequences and optionals of the model a graph came from, put together again at its border."""

from __future__ import annotations

from collections.abc import Callable

import onnx
from onnx import TensorProto, helper

from dlc.ir.signature import Signature, Structure

Fresh = Callable[[str], str]
#: what an empty sequence or optional is said to hold: nothing tells
_UNKNOWN = helper.make_tensor_type_proto(TensorProto.FLOAT, None)


def restore(proto: onnx.GraphProto, signature: Signature, fresh: Fresh) -> None:
    """Give a graph of tensors the inputs and outputs of a signature, by nodes around it.

    ``fresh`` makes unique names of the ones it is asked for.
    """
    tensors = {info.name: info for info in (*proto.input, *proto.output)}
    border = _Border(proto, tensors, fresh)
    inputs = [border.taken(name, structure) for name, structure in signature.inputs]
    before = list(border.nodes)
    border.nodes.clear()
    outputs = [border.given(name, structure) for name, structure in signature.outputs]
    nodes = [*before, *proto.node, *border.nodes]
    for field, items in (("input", inputs), ("output", outputs), ("node", nodes)):
        proto.ClearField(field)
        getattr(proto, field).extend(items)


class _Border:
    def __init__(
        self, proto: onnx.GraphProto, tensors: dict[str, onnx.ValueInfoProto], fresh: Fresh
    ) -> None:
        self.proto = proto
        self.tensors = tensors
        self.fresh = fresh
        self.nodes: list[onnx.NodeProto] = []

    def taken(self, name: str, structure: Structure) -> onnx.ValueInfoProto:
        """An input, and the nodes that take its tensors out of it."""
        if structure == name:
            return self.tensors[name]
        if structure is not None:
            self._take(name, structure)
        return helper.make_value_info(name, self._type(structure))

    def _take(self, name: str, structure: Structure) -> None:
        if not isinstance(structure, tuple):
            self.nodes.append(helper.make_node("Identity", [name], [structure]))
            return
        for i, part in enumerate(structure):
            index = self.fresh(f"{name}_index")
            self.proto.initializer.append(helper.make_tensor(index, TensorProto.INT64, [], [i]))
            element = part if isinstance(part, str) else self.fresh(f"{name}_element")
            self.nodes.append(helper.make_node("SequenceAt", [name, index], [element]))
            if element is not part:
                self._take(element, part)

    def given(self, name: str, structure: Structure) -> onnx.ValueInfoProto:
        """An output, and the nodes that put its tensors into it."""
        if structure == name:
            return self.tensors[name]
        self._give(name, structure)
        return helper.make_value_info(name, self._type(structure))

    def _give(self, name: str, structure: Structure) -> None:
        if structure is None:
            self.nodes.append(helper.make_node("Optional", [], [name], type=_UNKNOWN))
        elif isinstance(structure, str):
            self.nodes.append(helper.make_node("Identity", [structure], [name]))
        elif not structure:
            self.nodes.append(helper.make_node("SequenceEmpty", [], [name]))
        else:
            parts = [p if isinstance(p, str) else self.fresh(f"{name}_element") for p in structure]
            for part, inner in zip(parts, structure, strict=True):
                if part is not inner:
                    self._give(part, inner)
            self.nodes.append(helper.make_node("SequenceConstruct", parts, [name]))

    def _type(self, structure: Structure) -> onnx.TypeProto:
        if structure is None:
            return helper.make_optional_type_proto(_UNKNOWN)
        if isinstance(structure, str):
            return self.tensors[structure].type
        parts = [self._type(part) for part in structure]
        element = parts[0] if parts else _UNKNOWN
        if any(part != element for part in parts):  # elements of different sizes
            element = helper.make_tensor_type_proto(element.tensor_type.elem_type, None)
        return helper.make_sequence_type_proto(element)
