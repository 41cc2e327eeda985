"""Core ops as model-local functions: each distinct body once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

from dlc.errors import UnsupportedError
from dlc.exporter.expression import write_expression
from dlc.ir.expr import Expr
from dlc.ir.graph import Op
from dlc.ir.types import TensorType
from dlc.ops.core.operator import CoreOperator
from dlc.ops.onnx.operator import attribute_kind, schema_of, to_attribute

DOMAIN = "dlc"


class FunctionBody:
    """The nodes of one function; the ``OnnxBody`` that core ops write themselves into."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.nodes: list[onnx.NodeProto] = []

    def node(self, op_type: str, inputs: Sequence[str], **attributes: object) -> str:
        """Append a node of the default domain; attributes that are None are left out."""
        return self.results(op_type, inputs, 1, **attributes)[0]

    def results(
        self, op_type: str, inputs: Sequence[str], count: int, **attributes: object
    ) -> list[str]:
        """As ``node``, for a node of ``count`` outputs."""
        outputs = [f"v{len(self.nodes)}" + (f"_{k}" if k else "") for k in range(count)]
        node = helper.make_node(op_type, inputs, outputs)
        declared = schema_of(op_type, self.version).attributes
        for name, value in sorted(attributes.items()):
            if value is not None:
                plain = tuple(value) if isinstance(value, list) else value
                node.attribute.append(to_attribute(name, plain, attribute_kind(declared[name])))
        self.nodes.append(node)
        return outputs

    def constant(self, array: object) -> str:
        """Append a Constant node of the array's own dtype and shape."""
        output = f"v{len(self.nodes)}"
        value = numpy_helper.from_array(np.asarray(array))
        self.nodes.append(helper.make_node("Constant", [], [output], value=value))
        return output

    def expression(
        self, expr: object, arguments: Sequence[str], types: Sequence[TensorType]
    ) -> str:
        """Append the nodes of a scalar expression, broadcast over all arguments."""
        assert isinstance(expr, Expr)
        return write_expression(self, expr, arguments, types)


class Functions:
    """The functions of a model, made on demand."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.protos: list[onnx.FunctionProto] = []
        self._by_op: dict[object, str] = {}
        self._by_body: dict[bytes, str] = {}
        self._names: set[str] = set()

    def name_of(self, op: Op) -> str:
        """The name of the function that computes a core op."""
        key = (op.operator, tuple(op.operand_types), op.types)
        name = self._by_op.get(key)
        if name is None:
            name = self._by_op[key] = self._add(op)
        return name

    def _add(self, op: Op) -> str:
        proto = self._function(op)
        body = proto.SerializeToString(deterministic=True)
        name = self._by_body.get(body)
        if name is None:
            base = name = op.operator.name
            count = 1
            while name in self._names:
                count += 1
                name = f"{base}_{count}"
            self._names.add(name)
            self._by_body[body] = proto.name = name
            self.protos.append(proto)
        return name

    def _function(self, op: Op) -> onnx.FunctionProto:
        operator = op.operator
        assert isinstance(operator, CoreOperator)
        body = FunctionBody(self.version)
        operands = [f"x{k}" for k in range(len(op.operands))]
        try:
            results = operator.to_onnx(body, operands, op.operand_types, op.types)
        except NotImplementedError:
            raise UnsupportedError(
                f"{operator.label} op {op.label!r} has no ONNX form; export the graph before "
                f"this op is made"
            ) from None
        outputs: list[str] = []
        for result in results:  # a function may not return its input, nor one value twice
            direct = result in operands or result in outputs
            outputs.append(body.node("Identity", [result]) if direct else result)
        imports = [helper.make_opsetid("", self.version)]
        return helper.make_function(DOMAIN, "", operands, outputs, body.nodes, imports)
