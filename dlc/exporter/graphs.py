"""Graphs as GraphProtos: names for everything, regions as nested graphs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

from dlc.errors import UnsupportedError, VerifyError
from dlc.exporter.aggregates import restore
from dlc.exporter.functions import DOMAIN, Functions
from dlc.ir.graph import Graph, Op, Value
from dlc.ir.operator import Constant, Data, Input, Output
from dlc.ir.signature import Signature
from dlc.ir.types import TensorType
from dlc.ops.core.operator import CoreOperator
from dlc.ops.onnx.inference import type_proto
from dlc.ops.onnx.operator import OnnxOperator

_SMALL_BYTES = 256


class Names:
    """Unique names: the one asked for where it is free, else with a number behind it."""

    def __init__(self, taken: Sequence[str] = ()) -> None:
        self._counts = dict.fromkeys(taken, 1)

    def fresh(self, base: str) -> str:
        # control characters and blanks break viewers and text formats
        base = "".join(c if c.isprintable() and not c.isspace() else "_" for c in base) or "value"
        name = base
        while name in self._counts:
            self._counts[base] += 1
            name = f"{base}_{self._counts[base]}"
        self._counts[name] = 1
        return name


class Writer:
    """Writes one model: its main graph, nested graphs, and the functions they call."""

    def __init__(self, version: int) -> None:
        self.functions = Functions(version)
        self._nodes = Names()
        self._values = Names()
        self._large: dict[int, tuple[Data, str]] = {}

    def model_graph(self, graph: Graph) -> onnx.GraphProto:
        """The main graph; its inputs and outputs keep their names."""
        inputs, outputs = graph.input_names, graph.output_names
        for kind, names in (("inputs", inputs), ("outputs", outputs)):
            if len(set(names)) < len(names) or not all(names):
                raise VerifyError(f"the {kind} of graph {graph.name!r} need names, each its own")
        self._values = Names([*inputs, *outputs])
        values = dict(zip(graph.inputs, inputs, strict=True))
        proto = self._graph(graph, graph.inputs, values, outputs)
        for data, name in self._large.values():
            proto.initializer.append(numpy_helper.from_array(np.asarray(data.array), name))
        return proto

    def restore(self, proto: onnx.GraphProto, signature: Signature) -> None:
        """Give the main graph the sequences and optionals of a signature."""
        restore(proto, signature, self._values.fresh)

    def _region(self, body: Graph, captures: Sequence[str]) -> onnx.GraphProto:
        """A nested graph: its last inputs are values of the graph around it."""
        own = body.inputs[: len(body.inputs) - len(captures)]
        values = {value: self._values.fresh(value.op.label) for value in own}
        values.update(zip(body.inputs[len(own) :], captures, strict=True))
        outputs = [self._values.fresh(name) for name in body.output_names]
        return self._graph(body, own, values, outputs)

    def _graph(
        self, graph: Graph, inputs: Sequence[Value], values: dict[Value, str],
        outputs: Sequence[str],
    ) -> onnx.GraphProto:  # fmt: skip
        proto = onnx.GraphProto(name=graph.name or "graph")
        proto.input.extend(_info(values[value], value.type) for value in inputs)
        renamed: list[tuple[str, Value]] = []
        for name, value in zip(outputs, graph.outputs, strict=True):
            direct = isinstance(value.op.operator, Input | Constant)
            if values.get(value) == name:  # an input that is an output under its own name
                continue
            if direct or value in values:
                renamed.append((name, value))
            else:
                values[value] = name
        for op in graph.ops:
            if isinstance(op.operator, Constant):
                values[op.results[0]] = self._constant(proto, op, op.operator.value)
            elif not isinstance(op.operator, Input | Output):
                proto.node.append(self._node(op, values))
        for name, value in renamed:
            label = self._nodes.fresh(f"{name}_identity")
            proto.node.append(helper.make_node("Identity", [values[value]], [name], label))
        proto.output.extend(
            _info(name, value.type) for name, value in zip(outputs, graph.outputs, strict=True)
        )
        return proto

    def _constant(self, proto: onnx.GraphProto, op: Op, data: Data) -> str:
        """The name of a constant: in its own graph, or, once, in the main graph if it is large.

        Small ones are often sizes, which shape inference sees only in the graph that uses them.
        """
        if id(data) in self._large:
            return self._large[id(data)][1]
        name = self._values.fresh(op.label or "constant")
        if data.array.nbytes > _SMALL_BYTES:
            self._large[id(data)] = data, name  # holding the data keeps its id its own
        else:
            proto.initializer.append(numpy_helper.from_array(np.asarray(data.array), name))
        return name

    def _node(self, op: Op, values: dict[Value, str]) -> onnx.NodeProto:
        label = self._nodes.fresh(op.label or op.operator.name)
        operands = ["" if value is None else values[value] for value in op.operands]
        for index, value in enumerate(op.results):
            if value not in values:
                base = op.label or op.operator.name
                values[value] = self._values.fresh(f"{base}_{index}" if index else base)
        results = [values[value] for value in op.results]
        operator = op.operator
        if isinstance(operator, OnnxOperator):
            return self._named(operator, label, operands, results)
        if isinstance(operator, CoreOperator):
            whole = operator.onnx_node()
            if whole is not None:  # functions cannot take graphs
                type, attributes = whole
                attrs = tuple(sorted(attributes.items(), key=lambda item: item[0]))
                named = OnnxOperator(type, self.functions.version, attrs)
                return self._named(named, label, operands, results)
            name = self.functions.name_of(op)
            return helper.make_node(name, operands, results, label, domain=DOMAIN)
        raise UnsupportedError(f"{operator.label} op {op.label!r} has no ONNX form")

    def _named(
        self, operator: OnnxOperator, label: str, operands: Sequence[str], results: Sequence[str]
    ) -> onnx.NodeProto:
        own = len(operands) - operator.captures
        node = operator.node(operands[:own], results)
        node.name = label
        attributes: Mapping[str, object] = dict(operator.attrs)
        for name, value in attributes.items():
            if isinstance(value, Graph):
                body = self._region(value, operands[own:])
                node.attribute.append(helper.make_attribute(name, body))
        return node


def _info(name: str, type: TensorType) -> onnx.ValueInfoProto:
    return helper.make_value_info(name, type_proto(type))
