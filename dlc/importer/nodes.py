"""Nodes of a model become ops; what is known when importing becomes a constant."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import zip_longest

import numpy as np
import onnx

from dlc.errors import DlcError, ModelError, UnsupportedError, VerifyError
from dlc.importer.bundles import (
    Held,
    is_tensor,
    leaves,
    named_all,
    rebuilt,
    same_structure,
    tensors,
)
from dlc.importer.carried import widened
from dlc.importer.forms import check_form, whole_number
from dlc.importer.inputs import declared_shape
from dlc.importer.scan8 import is_batched, unbatched
from dlc.importer.sequences import Desugaring, find_rule
from dlc.importer.source import Model
from dlc.importer.tensors import constant_array, to_array
from dlc.importer.values import Scope, check_declared
from dlc.ir.graph import Graph, Value
from dlc.ir.operator import Array, Constant, Data
from dlc.ir.sizes import symbols_of
from dlc.ir.types import TensorType
from dlc.ops.onnx.control import CONTROL
from dlc.ops.onnx.expand import expanded, known_types, narrowed
from dlc.ops.onnx.expansion import Declared
from dlc.ops.onnx.inference import SMALL
from dlc.ops.onnx.nested import fed, free_names
from dlc.ops.onnx.operator import Attribute, OnnxOperator, from_attribute, schema_of

#: never folded: random, or the marks by which quantisation is recognised later
_KEPT = frozenset({
    "RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial",
    "Bernoulli", "Dropout", "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear",
})  # fmt: skip

#: times a Loop's body is made anew for states that outgrow it; what then still does is found at run time
_WIDENINGS = 8
#: the same for all loops of a model: nested ones multiply
_ALL_WIDENINGS = 500


class Builder:
    """Adds the parts of one ONNX graph to a dlc graph, under the names of a scope."""

    def __init__(self, model: Model, graph: Graph, scope: Scope) -> None:
        self.model = model
        self.graph = graph
        self.scope = scope
        #: shapes that the ONNX graph declares of its values, by name
        self.declared: dict[str, Declared] = {}
        #: how often bodies of loops were made anew, in all graphs of the model
        self.widenings = [0]

    def add_initializers(self, proto: onnx.GraphProto) -> None:
        if proto.sparse_initializer:
            name = proto.sparse_initializer[0].values.name
            raise UnsupportedError(f"initializer {name!r} is sparse; store it as a dense tensor")
        for tensor in proto.initializer:
            array = to_array(tensor, self.model.folder)
            self.scope.define(tensor.name, self.graph.add_constant(array, tensor.name))

    def add_nodes(self, proto: onnx.GraphProto) -> None:
        """Add every node, then compare what the model declares of their results."""
        self.declared = {
            info.name: declared_shape(info)
            for info in (*proto.value_info, *proto.output)
            if info.type.HasField("tensor_type")
        }
        for node in reversed(proto.node):  # what only changes the elements has the shape it gives
            if node.op_type in ("Cast", "Identity") and len(node.input) == len(node.output) == 1:
                shape = self.declared.get(node.output[0])
                self.declared.setdefault(node.input[0], shape)
        for index, node in enumerate(proto.node):
            label = node.name or f"{node.op_type}_{index}"
            try:
                self._add(node, label)
            except (VerifyError, UnsupportedError) as error:
                kind = ModelError if isinstance(error, VerifyError) else UnsupportedError
                raise kind(f"node {label!r}: {error}") from error
        check_declared(proto.value_info, self.scope)

    def outputs(self, proto: onnx.GraphProto) -> list[tuple[str, Held]]:
        """Names of the graph's outputs, and what they stand for."""
        names = [info.name for info in proto.output]
        if len(set(names)) != len(names):
            raise ModelError(f"graph {proto.name!r} lists an output twice")
        return [
            (name, self.scope.held(name, f"the output list of {proto.name!r}")) for name in names
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
        version, structure = self.model.opsets[domain], list[Held]()
        if not domain and is_batched(node, version):
            node = unbatched(node, label)
        if node.op_type == "Scan" and not domain:
            version = max(version, 9)
        schema = schema_of(node.op_type, version, domain)
        names = _trimmed(node.input)
        held = [self.scope.held(n, f"node {label!r}") if n else None for n in names]
        rule = None if domain else find_rule(node.op_type, held)
        if rule is not None:
            check_form(schema, node, held)
            desugared = rule(Desugaring(self, node, held, label))
            self._define(node, desugared if isinstance(desugared, list) else [desugared], label)
            return
        operands = tensors(held)
        if node.op_type in CONTROL and not domain:
            if (
                node.op_type == "If"
                and operands
                and operands[0]
                and operands[0].constant is not None
            ):
                self._inline(node, bool(whole_number(operands[0].constant)), label)
                return
            if node.op_type == "Loop":  # captures come third, whatever is absent before them
                operands += [None] * (2 - len(operands))
            attrs, captured, structure = self._regions(node, operands, label)
            operands += captured
        else:
            attrs = {a.name: self._attribute(a) for a in _unique(node, label)}
        results = len(_trimmed(node.output))
        if not all(map(is_tensor, structure)):
            results = sum(len(leaves(held)) for held in structure)
        if results != max(schema.min_output, 1):
            attrs["results"] = results
        operator = OnnxOperator(
            node.op_type, version, tuple(sorted(attrs.items(), key=_key)), domain
        )
        declared = [self.declared.get(name) for name in _trimmed(node.output)]
        found: Sequence[Held] = self._apply(operator, operands, label, declared)
        if not all(map(is_tensor, structure)):
            values = iter(tensors(found))
            found = [rebuilt(held, values) for held in structure]  # type: ignore[arg-type]
        self._define(node, found, label)

    def apply(self, type: str, operands: Sequence[Value], label: str, results: int | None, least: int,
              **attributes: Attribute) -> Sequence[Value]:  # fmt: skip
        """The results of an op of the default domain; ``results`` where its schema leaves it open."""
        own = {} if results is None else {"results": results}
        attrs = tuple(sorted({**attributes, **own}.items(), key=_key))
        operator = OnnxOperator(type, max(self.model.opsets[""], least), attrs)
        return self._apply(operator, operands, label)

    def inlined(
        self, body: onnx.GraphProto, given: Sequence[Held | None], label: str
    ) -> list[Held]:
        """The results of a nested graph whose nodes are added in place of the node it belongs to."""
        if len(body.input) != len(given):
            raise ModelError(
                f"node {label!r}: its body {body.name!r} has {len(body.input)} inputs where "
                f"{len(given)} values are passed in"
            )
        inner = self._inside(self.graph, Scope(self.graph, self.scope))
        for info, value in zip(body.input, given, strict=True):
            if value is not None:
                inner.scope.define(info.name, value)
        inner.add_initializers(body)
        inner.add_nodes(body)
        check_declared(body.output, inner.scope)
        return [held for _, held in inner.outputs(body)]

    def _define(self, node: onnx.NodeProto, values: Sequence[Held], label: str) -> None:
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
        self, operator: OnnxOperator, operands: Sequence[Value | None], label: str,
        declared: Sequence[Declared] = (),
    ) -> Sequence[Value]:  # fmt: skip
        sizes = _sizes(operator, operands)
        if sizes is not None:
            return [self.graph.add_constant(sizes, label)]
        types = known_types(operator, operands)
        if types is None:
            return expanded(self.graph, operator, operands, label, declared)
        arrays = _fold(operator, operands, types)
        if arrays is not None:
            return [self.graph.add_constant(array, label) for array in arrays]
        results = self.graph.add(operator, operands, types=types, label=label).results
        with self.graph.labelled(label):
            declarations = zip_longest(results, declared[: len(results)])
            return [narrowed(value, shape) for value, shape in declarations]

    # ---- nested graphs ----------------------------------------------------------------------

    def _inside(self, graph: Graph, scope: Scope) -> Builder:
        """The builder of a nested graph."""
        inner = Builder(self.model, graph, scope)
        inner.widenings = self.widenings
        return inner

    def _inline(self, node: onnx.NodeProto, condition: bool, label: str) -> None:
        """Add the branch that a known condition takes, in place of an If.

        The other branch need not even be well-typed: exporters guard a Squeeze so.
        """
        wanted = "then_branch" if condition else "else_branch"
        body = next((a.g for a in node.attribute if a.name == wanted), None)
        if body is None:
            raise ModelError(f"node {label!r} has no {wanted}")
        self._define(node, self.inlined(body, [], label), label)

    def _regions(
        self, node: onnx.NodeProto, operands: list[Value | None], label: str
    ) -> tuple[dict[str, Attribute], list[Value], list[Held]]:
        """Attributes of an If, Loop or Scan with its bodies as graphs, the values they capture, and
        the structure of the bodies' results.
        """
        attributes = _unique(node, label)
        bodies = [a for a in attributes if a.type == onnx.AttributeProto.GRAPH]
        attrs = {a.name: self._attribute(a) for a in attributes if a not in bodies}
        names = list(dict.fromkeys(name for a in bodies for name in free_names(a.g)))
        around = {name: self.scope.held(name, f"the body of node {label!r}") for name in names}
        types = fed(node.op_type, [None if v is None else v.type for v in operands], attrs, label)
        structures = []
        for attribute in bodies:
            region, structure = self._region(attribute.g, types, around, label)
            for _ in range(_WIDENINGS if node.op_type == "Loop" else 0):
                wider = self._wider(operands, types, region, around, label)
                if wider is None:
                    break
                self.widenings[0] += 1
                if self.widenings[0] > _ALL_WIDENINGS:
                    raise UnsupportedError("too many states of nested loops change in size")
                types = wider
                region, structure = self._region(attribute.g, types, around, label)
            attrs[attribute.name] = region
            structures.append(structure)
        if not all(len(s) == len(structures[0]) and all(map(same_structure, s, structures[0]))
                   for s in structures):  # fmt: skip
            raise UnsupportedError(
                "its branches give sequences of different lengths, or an optional with a value and "
                "one without; make its condition a constant"
            )
        inside = [value for held in around.values() for value in leaves(held)]
        captured = [value for value in inside if value.constant is None]
        if captured:
            attrs["captures"] = len(captured)
        return attrs, captured, structures[0] if structures else []

    def _wider(self, operands: Sequence[Value | None], types: list[TensorType], body: Graph,
               around: dict[str, Held], label: str) -> list[TensorType] | None:  # fmt: skip
        """Types that more turns of a Loop's body fit, where its states change in size."""
        limit = operands[0] if operands else None
        most = None if limit is None or limit.sizes is None else limit.sizes.reshape(-1)[0]
        first = [*types[:2], *(v.type for v in operands[2:] if v is not None)]
        outside = [v.type for held in around.values() for v in leaves(held)] + first
        taken = {dim.name for type in outside for dim in symbols_of(type.shape)}
        return widened(first, types, body, label, most, taken)

    def _region(
        self, body: onnx.GraphProto, types: Sequence[TensorType], around: dict[str, Held],
        label: str,
    ) -> tuple[Graph, list[Held]]:  # fmt: skip
        if len(body.input) != len(types):
            raise ModelError(
                f"node {label!r}: its body {body.name!r} has {len(body.input)} inputs where "
                f"{len(types)} values are passed in"
            )
        region = Graph(body.name or "body", self.model.opsets)
        region.bounds = self.graph.bounds
        inner = self._inside(region, Scope(region))
        for info, type in zip(body.input, types, strict=True):
            inner.scope.define(info.name, region.add_input(info.name, type))
        # a Loop's counter and condition are often declared [1]; a scalar is what they are
        check_declared([i for i, t in zip(body.input, types, strict=True) if t.shape], inner.scope)
        for name, held in around.items():
            copies = [_copied(region, name, value) for value in leaves(held)]
            inner.scope.define(name, rebuilt(held, iter(copies)))
        inner.add_initializers(body)
        inner.add_nodes(body)
        outputs = inner.outputs(body)
        check_declared(body.output, inner.scope)
        region.set_outputs(named_all(outputs)[1])
        prune(region)
        return region, [held for _, held in outputs]


def _copied(region: Graph, name: str, value: Value) -> Value:
    operator = value.op.operator
    if isinstance(operator, Constant):  # known outside is known inside
        return region.add_constant(operator.value, value.op.label)
    return region.add_input(name, value.type)


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
