"""Function bodies: what ``onnx.defs`` itself says an op is made of.

Used for ops without an expansion. Nodes of a body that only see constants (the arithmetic on shapes
that bodies are full of) are evaluated at once, so that later nodes have static shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import onnx
from onnx import helper

from dlc.errors import ModelError
from dlc.ir.graph import Op, Value
from dlc.ir.types import TensorType
from dlc.ops.onnx.expansion import Call
from dlc.ops.onnx.operator import Attribute, OnnxOperator, from_attribute, schema_of

Expand = Callable[[Op], Sequence[Value]]


def has_function_body(operator: OnnxOperator) -> bool:
    """Whether the operator's schema comes with a function body."""
    schema: Any = operator.schema  # the stubs of onnx leave these methods out
    return bool(schema.has_function or schema.has_context_dependent_function)


def expand_body(call: Call, expand: Expand) -> list[Value]:
    """The results of an op by its function body, each of whose named ops ``expand`` takes apart.

    Raises UnsupportedError when a node of the body cannot be expanded, and ModelError when the
    schema builds no body for these operands.
    """
    function = _body(call)
    operands = dict(zip(function.input, call.op.operands, strict=False))
    values: dict[str, Value | None] = {"": None, **operands}
    versions = {entry.domain: entry.version for entry in function.opset_import}
    default = call.graph.opsets.get("", 1)  # bodies of other domains need not say
    for node in function.node:
        operator = _operator(call, node, versions.get(node.domain, default))
        results = _apply(call, operator, [values.get(name) for name in node.input], expand)
        values.update(zip(node.output, results, strict=False))
    outputs = [values[name] for name in function.output[: len(call.types)]]
    return [value for value in outputs if value is not None]


def _apply(call: Call, operator: OnnxOperator, operands: list[Value | None],
           expand: Expand) -> Sequence[Value]:  # fmt: skip
    present = [value for value in operands if value is not None]
    if present and all(value.constant is not None for value in present):
        arrays = [None if value is None else value.constant for value in operands]
        return [call.graph.add_constant(array) for array in operator.evaluate(arrays)]
    return expand(call.graph.add(operator, operands))


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
        node = operator.node(names, len(call.types)).SerializeToString()
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
    proto = helper.make_tensor_type_proto(type.dtype.onnx, type.dims)
    return bytes(proto.SerializeToString())


def _operator(call: Call, node: onnx.NodeProto, version: int) -> OnnxOperator:
    """The operator of a node of the body; attribute references take the op's own, or its default."""
    found: dict[str, Attribute] = {}
    if len(node.output) != max(schema_of(node.op_type, version, node.domain).min_output, 1):
        found["results"] = len(node.output)
    for attribute in node.attribute:
        if attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS):
            raise call.unsupported(f"its function body has a subgraph ({node.op_type})")
        reference = attribute.ref_attr_name
        value = call.attr(reference) if reference else from_attribute(attribute)
        if value is not None:
            found[attribute.name] = value
    return OnnxOperator(node.op_type, version, tuple(sorted(found.items())), node.domain)
