"""Function bodies: what ``onnx.defs`` itself says an op is made of.

Used for ops without an expansion. Nodes of a body that only see constants (the arithmetic on shapes
that bodies are full of) are evaluated at once, so that later nodes have static shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import onnx
from onnx import helper

from dlc.errors import ModelError
from dlc.ir.graph import Op, Value
from dlc.ir.types import TensorType
from dlc.ops.onnx.expansion import Call
from dlc.ops.onnx.operator import Attribute, OnnxOperator, from_attribute

Expand = Callable[[Op], Sequence[Value]]


def has_function_body(operator: OnnxOperator) -> bool:
    """Whether the operator's schema comes with a function body."""
    schema = operator.schema
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
    for node in function.node:
        operator = OnnxOperator(
            node.op_type, versions[node.domain], _attributes(call, node), node.domain
        )
        results = _apply(call, operator, [values.get(name) for name in node.input], expand)
        values.update(zip(node.output, results, strict=False))
    results = [values[name] for name in function.output[: len(call.types)]]
    return [value for value in results if value is not None]


def _apply(call: Call, operator: OnnxOperator, operands: list[Value | None],
           expand: Expand) -> Sequence[Value]:  # fmt: skip
    constants = [value.constant for value in operands if value is not None]
    arrays = [array for array in constants if array is not None]
    if operands and len(arrays) == len(operands):
        return [call.graph.add_constant(array) for array in operator.evaluate(arrays)]
    return expand(call.graph.add(operator, operands))


def _body(call: Call) -> onnx.FunctionProto:
    """The body for the newest operator set that is not newer than the model's."""
    schema, operator = call.operator.schema, call.operator
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
        raise ModelError(f"{operator.type} node {call.op.label!r} has no function body for its operands")
    return onnx.FunctionProto.FromString(text)


def _type_proto(type: TensorType | None) -> bytes:
    if type is None:
        return b""
    proto = helper.make_tensor_type_proto(type.dtype.onnx, type.dims)
    return bytes(proto.SerializeToString())


def _attributes(call: Call, node: onnx.NodeProto) -> tuple[tuple[str, Attribute], ...]:
    """Attributes of a node of the body; references take the op's own, defaults included."""
    found: dict[str, Attribute] = {}
    for attribute in node.attribute:
        if attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS):
            raise call.unsupported(f"its function body has a subgraph ({node.op_type})")
        value = (
            call.attr(attribute.ref_attr_name)
            if attribute.ref_attr_name
            else from_attribute(attribute)
        )
        if value is not None:
            found[attribute.name] = value
    return tuple(sorted(found.items()))
