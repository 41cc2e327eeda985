"""Nodes of a model become ops; what is known when importing becomes a constant."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx

from dlc.errors import DlcError, ModelError, UnsupportedError, VerifyError
from dlc.importer.source import Model
from dlc.importer.tensors import constant_array, to_array
from dlc.importer.values import Scope, check_declared, free_names
from dlc.ir.graph import Graph, Value, infer_types
from dlc.ir.operator import Array, Constant, Data
from dlc.ir.types import DType, Symbol, TensorType
from dlc.ops.onnx.control import CONTROL
from dlc.ops.onnx.inference import SMALL
from dlc.ops.onnx.operator import Attribute, OnnxOperator, from_attribute, schema_of

#: never folded: random, or the marks by which quantisation is recognised later
_KEPT = frozenset({
    "RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial",
    "Bernoulli", "Dropout", "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear",
})  # fmt: skip


class Builder:
    """Adds the parts of one ONNX graph to a dlc graph, under the names of a scope."""

    def __init__(self, model: Model, graph: Graph, scope: Scope) -> None:
        self.model = model
        self.graph = graph
        self.scope = scope

    def add_initializers(self, proto: onnx.GraphProto) -> None:
        if proto.sparse_initializer:
            name = proto.sparse_initializer[0].values.name
            raise UnsupportedError(f"initializer {name!r} is sparse; store it as a dense tensor")
        for tensor in proto.initializer:
            array = to_array(tensor, self.model.folder)
            self.scope.define(tensor.name, self.graph.add_constant(array, tensor.name))

    def add_nodes(self, proto: onnx.GraphProto) -> None:
        """Add every node, then compare what the model declares of their results."""
        for index, node in enumerate(proto.node):
            label = node.name or f"{node.op_type}_{index}"
            try:
                self._add(node, label)
            except (VerifyError, UnsupportedError) as error:
                kind = ModelError if isinstance(error, VerifyError) else UnsupportedError
                raise kind(f"node {label!r}: {error}") from error
        check_declared(proto.value_info, self.scope)

    def outputs(self, proto: onnx.GraphProto) -> list[tuple[str, Value]]:
        """Names and values of the graph's outputs."""
        names = [info.name for info in proto.output]
        if len(set(names)) != len(names):
            raise ModelError(f"graph {proto.name!r} lists an output twice")
        return [
            (name, self.scope.lookup(name, f"the output list of {proto.name!r}")) for name in names
        ]

    def _add(self, node: onnx.NodeProto, label: str) -> None:
        domain = "" if node.domain == "ai.onnx" else node.domain
        if node.op_type == "Constant" and not domain:
            value = self.graph.add_constant(constant_array(node, self.model.folder), label)
            self._define(node, [value], label)
            return
        if domain not in self.model.opsets:
            raise ModelError(
                f"node {label!r}: the model imports no opset of domain {domain!r}, which its "
                f"operator {node.op_type} belongs to"
            )
        version = self.model.opsets[domain]
        schema = schema_of(node.op_type, version, domain)
        operands = [
            self.scope.lookup(n, f"node {label!r}") if n else None for n in _trimmed(node.input)
        ]
        if node.op_type in CONTROL and not domain:
            if node.op_type == "Scan" and version < 9:
                raise UnsupportedError("Scan of opset 8 is not supported; convert it to opset 9")
            if (
                node.op_type == "If"
                and operands
                and operands[0]
                and operands[0].constant is not None
            ):
                self._inline(node, bool(operands[0].constant.reshape(-1)[0]), label)
                return
            if node.op_type == "Loop":  # captures come third, whatever is absent before them
                operands += [None] * (2 - len(operands))
            attrs, captured = self._regions(node, operands, label)
            operands += captured
        else:
            attrs = {a.name: self._attribute(a) for a in _unique(node, label)}
        results = len(_trimmed(node.output))
        if results != max(schema.min_output, 1):
            attrs["results"] = results
        operator = OnnxOperator(
            node.op_type, version, tuple(sorted(attrs.items(), key=_key)), domain
        )
        self._define(node, self._apply(operator, operands, label), label)

    def _define(self, node: onnx.NodeProto, values: Sequence[Value], label: str) -> None:
        names = _trimmed(node.output)
        if len(names) > len(values):
            raise ModelError(f"node {label!r} names {len(names)} results, but has {len(values)}")
        for name, value in zip(names, values, strict=False):
            if name:
                self.scope.define(name, value)

    def _attribute(self, attribute: onnx.AttributeProto) -> Attribute:
        if attribute.type == onnx.AttributeProto.TENSOR:
            return Data(to_array(attribute.t, self.model.folder))
        return from_attribute(attribute)

    def _apply(
        self, operator: OnnxOperator, operands: Sequence[Value | None], label: str
    ) -> Sequence[Value]:
        sizes = _sizes(operator, operands)
        if sizes is not None:
            return [self.graph.add_constant(sizes, label)]
        types = [_renamed(t, operands, label) for t in infer_types(operator, operands)]
        arrays = _fold(operator, operands, types)
        if arrays is not None:
            return [self.graph.add_constant(array, label) for array in arrays]
        return self.graph.add(operator, operands, types=types, label=label).results

    # ---- nested graphs ----------------------------------------------------------------------

    def _inline(self, node: onnx.NodeProto, condition: bool, label: str) -> None:
        """Add the branch that a known condition takes, in place of an If.

        The other branch need not even be well-typed: exporters guard a Squeeze so.
        """
        wanted = "then_branch" if condition else "else_branch"
        body = next((a.g for a in node.attribute if a.name == wanted), None)
        if body is None:
            raise ModelError(f"node {label!r} has no {wanted}")
        inner = Builder(self.model, self.graph, Scope(self.graph, self.scope))
        inner.add_initializers(body)
        inner.add_nodes(body)
        check_declared(body.output, inner.scope)
        self._define(node, [value for _, value in inner.outputs(body)], label)

    def _regions(
        self, node: onnx.NodeProto, operands: list[Value | None], label: str
    ) -> tuple[dict[str, Attribute], list[Value]]:
        """Attributes of an If, Loop or Scan with its bodies as graphs, and the values they capture."""
        attributes = _unique(node, label)
        bodies = [a for a in attributes if a.type == onnx.AttributeProto.GRAPH]
        attrs = {a.name: self._attribute(a) for a in attributes if a not in bodies}
        names = list(dict.fromkeys(name for a in bodies for name in free_names(a.g)))
        around = {name: self.scope.lookup(name, f"the body of node {label!r}") for name in names}
        fed = _fed(node.op_type, operands, attrs.get("num_scan_inputs", 0), attrs, label)
        for attribute in bodies:
            attrs[attribute.name] = self._region(attribute.g, fed, around, label)
        captured = [value for value in around.values() if value.constant is None]
        if captured:
            attrs["captures"] = len(captured)
        return attrs, captured

    def _region(
        self, body: onnx.GraphProto, fed: Sequence[TensorType], around: dict[str, Value], label: str
    ) -> Graph:
        if len(body.input) != len(fed):
            raise ModelError(
                f"node {label!r}: its body {body.name!r} has {len(body.input)} inputs where "
                f"{len(fed)} values are passed in"
            )
        region = Graph(body.name or "body", self.model.opsets)
        inner = Builder(self.model, region, Scope(region))
        for info, type in zip(body.input, fed, strict=True):
            inner.scope.define(info.name, region.add_input(info.name, type))
        # a Loop's counter and condition are often declared [1]; a scalar is what they are
        check_declared([i for i, t in zip(body.input, fed, strict=True) if t.shape], inner.scope)
        for name, value in around.items():
            operator = value.op.operator
            if isinstance(operator, Constant):  # known outside is known inside
                inner.scope.define(name, region.add_constant(operator.value, value.op.label))
            else:
                inner.scope.define(name, region.add_input(name, value.type))
        inner.add_initializers(body)
        inner.add_nodes(body)
        outputs = inner.outputs(body)
        check_declared(body.output, inner.scope)
        region.set_outputs(outputs)
        prune(region)
        return region


def prune(graph: Graph) -> None:
    """Drop constants that nothing reads (most were operands of ops that became constants)."""
    for op in graph.ops:
        if isinstance(op.operator, Constant) and not graph.is_used(op):
            graph.erase(op)


def _key(item: tuple[str, Attribute]) -> str:
    return item[0]


def _trimmed(names: Sequence[str]) -> list[str]:
    """Names without the absent ones at the end."""
    kept = list(names)
    while kept and not kept[-1]:
        kept.pop()
    return kept


def _unique(node: onnx.NodeProto, label: str) -> list[onnx.AttributeProto]:
    attributes = list(node.attribute)
    if len({attribute.name for attribute in attributes}) != len(attributes):
        raise ModelError(f"node {label!r} has an attribute twice")
    for attribute in attributes:
        if attribute.ref_attr_name:
            raise ModelError(f"node {label!r} refers to a function's attribute outside a function")
    return attributes


def _fed(
    kind: str, operands: Sequence[Value | None], scans: int, attrs: dict[str, Attribute], label: str
) -> list[TensorType]:
    """Types of the values an If, Loop or Scan passes into its body, captures apart."""
    if kind == "If":
        return []
    types = [None if value is None else value.type for value in operands]
    if kind == "Loop":
        types = [TensorType(DType.I64, ()), TensorType(DType.BOOL, ()), *types[2:]]
    else:
        first = len(types) - scans
        axes = attrs.get("scan_input_axes") or (0,) * scans
        if scans < 1 or first < 0 or len(axes) != scans:
            raise ModelError(f"node {label!r}: its operands and num_scan_inputs do not agree")
        for index, axis in enumerate(axes, first):
            type = types[index]
            if type is None or not -type.rank <= axis < type.rank:
                raise ModelError(f"node {label!r}: operand {index} has no axis {axis} to scan")
            axis %= type.rank
            types[index] = type.with_shape((*type.shape[:axis], *type.shape[axis + 1 :]))
    present = [type for type in types if type is not None]
    if len(present) < len(types):
        raise ModelError(f"node {label!r}: a value that its body needs is absent")
    return present


def _renamed(type: TensorType, operands: Sequence[Value | None], label: str) -> TensorType:
    """The type with symbols that are new here named after the node, so that none are confused."""
    if type.is_static:
        return type
    old = {dim for value in operands if value is not None for dim in value.type.shape}
    return type.with_shape(
        Symbol(f"{label}.{dim.name}", dim.bound)
        if isinstance(dim, Symbol) and dim not in old
        else dim
        for dim in type.shape
    )


def _sizes(operator: OnnxOperator, operands: Sequence[Value | None]) -> Array | None:
    """What Shape and Size of a value of static type give."""
    if operator.domain or operator.type not in ("Shape", "Size") or len(operands) != 1:
        return None
    (operand,) = operands
    if operand is None or not operand.type.is_static:
        return None
    if operator.type == "Size":
        return np.array(math.prod(operand.shape), np.int64)
    return np.array(operand.shape[operator.attr("start", 0) : operator.attr("end")], np.int64)


def _fold(
    operator: OnnxOperator, operands: Sequence[Value | None], types: Sequence[TensorType]
) -> Sequence[Array] | None:
    """The results of an op whose operands are all known, if all of it is small."""
    if operator.type in _KEPT or operator.type in CONTROL:
        return None
    arrays = [None if value is None else value.constant for value in operands]
    if any(a is None and v is not None for a, v in zip(arrays, operands, strict=True)):
        return None
    if sum(a.size for a in arrays if a is not None) + sum(t.capacity for t in types) > SMALL:
        return None
    try:
        return operator.evaluate(arrays)
    except DlcError:  # left in the graph: what cannot be folded may still be compiled
        return None
