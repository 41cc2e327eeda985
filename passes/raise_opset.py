"""A newer operator set for a graph, so that other passes may use its operators."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.version_converter import convert_version

from dlc.errors import DlcError, PassError, UnsupportedError
from dlc.exporter.versions import means_the_same
from dlc.importer import load
from dlc.interp import run
from dlc.ir.graph import Graph, Op, Value
from dlc.ir.operator import Constant, Input, Output
from dlc.ir.types import TensorType
from dlc.ops.onnx.control import CONTROL
from dlc.ops.onnx.expand import expand_op
from dlc.ops.onnx.inference import SMALL, type_proto
from dlc.ops.onnx.operator import OnnxOperator
from dlc.rewrite.base import Pass
from dlc.rewrite.driver import refuse


@dataclass(frozen=True, slots=True)
class RaiseOpset(Pass):
    """Raise the graph's ONNX operator set version to `to`; it is never lowered.

    Ops whose meaning did not change only take the new version. The others are converted one by one
    by onnx.version_converter, which may make several ops of one; what it cannot convert keeps its
    version (`onnx.Upsample:9`) and is expanded when the model is exported. Passes such as
    recognise-layernorm (17), recognise-gelu (20) and recognise-attention (23) need operators that
    older sets lack.

    Before:

        graph "g" {opsets = {"" = 11}} {
          %0 = input() "x" : f32[1,2,1]
          %1 = onnx.Relu(%0) "relu" : f32[1,2,1]
          %2 = onnx.Squeeze(%1) {axes = [2]} "squeeze" : f32[1,2]
          output(%2) {names = ["y"]}
        }

    After:

        graph "g" {opsets = {"" = 23}} {
          %0 = input() "x" : f32[1,2,1]
          %1 = onnx.Relu(%0) "relu" : f32[1,2,1]
          %2 = constant() {value = dense<i64[1] 2>} "squeeze" : i64[1]
          %3 = onnx.Squeeze(%1, %2) "squeeze" : f32[1,2]
          output(%3) {names = ["y"]}
        }
    """

    name: ClassVar[str] = "raise-opset"
    contract: ClassVar[str] = "reassociates"
    to: int = 23

    def __post_init__(self) -> None:
        newest = onnx.defs.onnx_opset_version()
        if not 1 <= self.to <= newest:
            raise ValueError(f"to={self.to} is no opset; the newest one known is {newest}")

    def run(self, graph: Graph) -> tuple[Graph, bool]:
        if graph.opsets.get("", self.to) >= self.to:
            return graph, False
        for op in graph.ops:
            operator = op.operator
            if isinstance(operator, OnnxOperator) and not operator.domain:
                self._raise(op, operator)
        graph.opsets[""] = self.to
        return graph, True

    def _raise(self, op: Op, operator: OnnxOperator) -> None:
        if operator.version >= self.to:
            return
        if means_the_same(operator, self.to):
            op.graph.set_operator(op, replace(operator, version=self.to), types=op.types)
            return
        try:
            old = _alone(op, operator)
            scaling = operator.type in _SCALING and self.to >= _FIRST_RESIZE
            body = load(_resize(old, self.to) if scaling else convert_version(old, self.to))
            _prove(load(old), body)
            _splice(op, body)
        except (DlcError, RuntimeError) as error:
            refuse(self.name, op, " ".join(str(error).split()))


_NAME = "operand{}"
#: the converter of onnx leaves out that before opset 11 pixels were counted from their corner
_SCALING, _FIRST_RESIZE = ("Upsample", "Resize"), 11
#: of a model of one op; any that knows all versions will do
_IR_VERSION = 10
_MOST_ELEMENTS = 1 << 24


def _alone(op: Op, operator: OnnxOperator) -> onnx.ModelProto:
    """The op as a model of one node; its small constants are sizes, and known."""
    if operator.type in CONTROL:
        raise PassError(f"{operator.label} changed its meaning, and has a body")
    names = [_NAME.format(i) if v is not None else "" for i, v in enumerate(op.operands)]
    results = [f"result{i}" for i in range(len(op.results))]
    values = {name: v for name, v in zip(names, op.operands, strict=True) if v is not None}
    known = {
        name: numpy_helper.from_array(np.asarray(v.constant), name)
        for name, v in values.items()
        if v.constant is not None and v.type.capacity <= SMALL
    }
    graph = helper.make_graph(
        [operator.node(names, results)], "op",
        [_info(name, v.type) for name, v in values.items() if name not in known],
        [_info(name, t) for name, t in zip(results, op.types, strict=True)], list(known.values()),
    )  # fmt: skip
    imports = [helper.make_opsetid("", operator.version)]
    return helper.make_model(graph, opset_imports=imports, ir_version=_IR_VERSION)


def _info(name: str, type: TensorType) -> onnx.ValueInfoProto:
    return helper.make_value_info(name, type_proto(type))


def _resize(old: onnx.ModelProto, version: int) -> onnx.ModelProto:
    """An Upsample, or a Resize of opset 10, as the Resize of a later one."""
    new = onnx.ModelProto()
    new.CopyFrom(old)
    new.opset_import[0].version = version
    node = new.graph.node[0]
    given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    added = {"roi": np.zeros(0, np.float32)}  # its place may not be empty in opset 11
    if "scales" in given:
        added["scales"] = np.asarray(given["scales"], np.float32)
    new.graph.initializer.extend(numpy_helper.from_array(a, name) for name, a in added.items())
    names = [node.input[0], "roi", "scales" if "scales" in added else node.input[1]]
    resize = helper.make_node(
        "Resize", names, node.output, mode=given.get("mode", b"nearest"),
        coordinate_transformation_mode="asymmetric", nearest_mode="floor",
    )  # fmt: skip
    node.CopyFrom(resize)
    return new


def _prove(old: Graph, new: Graph) -> None:
    """PassError unless both give the same on random operands: the converter is not without faults."""
    if sum(value.type.capacity for value in (*old.inputs, *old.outputs)) > _MOST_ELEMENTS:
        raise PassError("its operands are too large to prove its conversion")
    rng = np.random.default_rng(0)
    feeds = {
        name: rng.uniform(0 if v.type.dtype.is_integer else -2, 2, v.shape).astype(
            v.type.dtype.numpy
        )
        for name, v in zip(old.input_names, old.inputs, strict=True)
    }
    try:
        expected = run(_expanded(old), feeds)
        found = run(_expanded(new), {name: feeds[name] for name in new.input_names})
    except Exception as error:  # a reference implementation may raise anything on odd operands
        raise PassError(
            f"its conversion cannot be proven: {type(error).__name__}: {error}"
        ) from error
    for name, array in expected.items():
        if not np.allclose(array, found[name], 1e-5, 1e-5, equal_nan=True):
            raise PassError(f"its conversion to opset {new.opsets['']} computes something else")


def _expanded(graph: Graph) -> Graph:
    """A copy in core ops, where they are known: more strict than the reference of onnx."""
    graph = graph.copy()
    for op in graph.ops:
        with contextlib.suppress(UnsupportedError):
            expand_op(op)
    return graph


def _splice(op: Op, body: Graph) -> None:
    """Put the ops of ``body``, whose values are named after those of ``op``, in its place."""
    given = {_NAME.format(i): value for i, value in enumerate(op.operands)}
    if tuple(value.type for value in body.outputs) != op.types:
        raise PassError("its conversion changes the type of its result")
    mapped: dict[Value, Value | None] = {}
    graph = op.graph
    for inner in body.ops:
        if isinstance(inner.operator, Output):
            continue
        if isinstance(inner.operator, Input | Constant) and inner.label in given:
            mapped[inner.result] = given[inner.label]
            continue
        operands = [None if v is None else mapped[v] for v in inner.operands]
        twin = graph.add(inner.operator, operands, types=inner.types, label=op.label)
        mapped.update(zip(inner.results, twin.results, strict=True))
    results: Sequence[Value] = [
        value for value in map(mapped.get, body.outputs) if value is not None
    ]
    graph.replace(op, results)
