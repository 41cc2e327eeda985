"""Function bodies: what ``onnx.defs`` itself says an op is made of.

Used for ops without an expansion. Nodes of a body that only see constants (the arithmetic on shapes
that bodies are full of) are evaluated at once, so that later nodes have static shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import onnx
from onnx import numpy_helper

from dlc.errors import ModelError
from dlc.ir.graph import Graph, Value
from dlc.ir.types import TensorType
from dlc.ops.onnx.expansion import Call
from dlc.ops.onnx.inference import type_proto
from dlc.ops.onnx.nested import fed, free_names
from dlc.ops.onnx.operator import Attribute, OnnxOperator, from_attribute, schema_of

Expand = Callable[[Graph, OnnxOperator, Sequence[Value | None]], Sequence[Value]]


def has_function_body(operator: OnnxOperator) -> bool:
    """Whether the operator's schema comes with a function body."""
    schema: Any = operator.schema  # the stubs of onnx leave these methods out
    return bool(schema.has_function or schema.has_context_dependent_function)


def expand_body(call: Call, expand: Expand) -> list[Value]:
    """The results of an op by its function body, each of whose nodes ``expand`` makes core ops of.

    Raises UnsupportedError when a node of the body cannot be expanded, and ModelError when the
    schema builds no body for these operands.
    """
    function = _body(call)
    operands = dict(zip(function.input, call.op.operands, strict=False))
    versions = {entry.domain: entry.version for entry in function.opset_import}
    default = call.graph.opsets.get("", 1)  # bodies of other domains need not say
    nodes = _Nodes(call, call.graph, {"": None, **operands}, {"": default, **versions}, expand)
    nodes.add(function.node)
    outputs = [nodes.values[name] for name in function.output[: call.results]]
    return [value for value in outputs if value is not None]


@dataclass
class _Nodes:
    """Adds nodes of a function body, or of a graph nested in it, to a graph."""

    call: Call
    graph: Graph
    values: dict[str, Value | None]
    versions: dict[str, int]
    expand: Expand

    def add(self, nodes: Iterable[onnx.NodeProto]) -> None:
        for node in nodes:
            operands = [self.values.get(name) for name in node.input]
            operator, captured = self._operator(node, operands)
            results = self._apply(operator, [*operands, *captured])
            self.values.update(zip(node.output, results, strict=False))

    def _apply(self, operator: OnnxOperator, operands: list[Value | None]) -> Sequence[Value]:
        present = [value for value in operands if value is not None]
        bodies = any(operator.regions())
        if present and not bodies and all(value.constant is not None for value in present):
            arrays = [None if value is None else value.constant for value in operands]
            return [self.graph.add_constant(array) for array in operator.evaluate(arrays)]
        return self.expand(self.graph, operator, operands)

    def _operator(self, node: onnx.NodeProto, operands: list[Value | None]
                  ) -> tuple[OnnxOperator, list[Value]]:  # fmt: skip
        """The operator of a node, and what its nested graphs capture. Attribute references take the
        attribute of the op whose body this is, or its default.
        """
        version = self.versions.get(node.domain, self.versions[""])
        found: dict[str, Attribute] = {}
        if len(node.output) != max(schema_of(node.op_type, version, node.domain).min_output, 1):
            found["results"] = len(node.output)
        bodies = [a for a in node.attribute if a.type == onnx.AttributeProto.GRAPH]
        for attribute in node.attribute:
            if attribute in bodies:
                continue
            reference = attribute.ref_attr_name
            value = self.call.attr(reference) if reference else from_attribute(attribute)
            if value is not None:
                found[attribute.name] = value
        around: dict[str, Value] = {}
        if bodies:
            if node.op_type == "Loop":  # captures come third, whatever is absent before them
                operands += [None] * (2 - len(operands))
            names = dict.fromkeys(name for a in bodies for name in free_names(a.g))
            around = {n: v for n in names if (v := self.values.get(n)) is not None}
            types = fed(node.op_type, [None if v is None else v.type for v in operands], found,
                        self.call.op.label)  # fmt: skip
            for body in bodies:
                found[body.name] = self._region(body.g, types, around)
        captured = [value for value in around.values() if value.constant is None]
        if captured:
            found["captures"] = len(captured)
        attrs = tuple(sorted(found.items(), key=lambda item: item[0]))
        return OnnxOperator(node.op_type, version, attrs, node.domain), captured

    def _region(
        self, body: onnx.GraphProto, types: Sequence[TensorType], around: dict[str, Value]
    ) -> Graph:
        """A nested graph; what is known outside is a constant inside."""
        region = Graph(body.name or "body", self.graph.opsets)
        values: dict[str, Value | None] = {"": None}
        for info, type in zip(body.input, types, strict=True):
            values[info.name] = region.add_input(info.name, type)
        for name, value in around.items():
            known = value.constant
            inside = region.add_input(name, value.type) if known is None else None
            values[name] = inside or region.add_constant(known)
        for tensor in body.initializer:
            values[tensor.name] = region.add_constant(numpy_helper.to_array(tensor))
        nodes = _Nodes(self.call, region, values, self.versions, self.expand)
        nodes.add(body.node)
        outputs = [(info.name, nodes.values[info.name]) for info in body.output]
        region.set_outputs([(name, value) for name, value in outputs if value is not None])
        return region


def _body(call: Call) -> onnx.FunctionProto:
    """The body for the newest operator set that is not newer than the model's."""
    schema: Any = call.operator.schema
    operator = call.operator
    plain = schema.function_opset_versions
    built = schema.context_dependent_function_opset_versions
    fitting = [v for v in {*plain, *built} if v <= operator.version] or [min({*plain, *built})]
    version = max(fitting)
    if version in plain:
        text = schema.get_function_with_opset_version(version)
    else:
        names = [f"i{k}" if v is not None else "" for k, v in enumerate(call.op.operands)]
        node = operator.node(names, call.results).SerializeToString()
        types = [_type_proto(type) for type in call.op.operand_types]
        text = schema.get_context_dependent_function_with_opset_version(version, node, types)
    if not text:
        raise ModelError(
            f"{operator.type} node {call.op.label!r} has no function body for its operands"
        )
    function = onnx.FunctionProto()
    function.ParseFromString(text)
    return function


def _type_proto(type: TensorType | None) -> bytes:
    if type is None:
        return b""
    return bytes(type_proto(type).SerializeToString())
