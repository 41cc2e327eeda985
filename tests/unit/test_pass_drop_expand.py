"""``drop-expand``: what it refuses and why, and every broadcast against onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pass_checks import graph_of, ir_sections, kinds, proved, refusals

from dlc.ir.graph import Graph
from dlc.ir.types import DType, TensorType
from dlc.ops.onnx.operator import OnnxOperator
from dlc.passmanager import PIPELINES

E = '%s = constant() {value = dense<i64[2] 2 3>}\n%z = input() "z" : f32[3]\n%e = onnx.Expand(%z, %s)\n'
Y = '\noutput(%y) {names = ["y"]}'


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (E + '%x = input() "x" : f32[1,3]\n%y = onnx.Add(%x, %e)' + Y, "another shape"),
        (E + '%x = input() "x" : f32[1,3]\n%y = onnx.PRelu(%e, %x)' + Y, "another shape"),
        ('%x = input() "x" : f32[3]\n%y = onnx.Add(%x, %x)' + Y, "none of its operands is expanded"),
    ],
)  # fmt: skip
def test_refuses_with_a_reason(body: str, reason: str) -> None:
    assert reason in refusals("drop-expand", graph_of(body))


def test_old_broadcasting_stays() -> None:
    body = '%x = input() "x" : f32[3]\n%y = onnx.Add(%x, %x)' + Y
    assert "as before opset 7" in refusals("drop-expand", graph_of(body, opset=6))


@pytest.mark.parametrize("graph", ir_sections("drop-expand"), ids=lambda graph: graph.name)
def test_examples_keep_their_meaning(graph: Graph) -> None:
    proved("drop-expand", graph)


def test_compiled_models_profit_too() -> None:
    assert all("drop-expand" in PIPELINES[name] for name in ("O1", "O2", "Os", "onnx"))


@st.composite
def broadcasts(draw: st.DrawFn) -> Graph:
    """An op whose operands are partly ones, and partly expanded to the full shape."""
    shape = tuple(draw(st.lists(st.integers(1, 3), min_size=1, max_size=4)))
    type = draw(st.sampled_from(["Add", "Max", "PRelu", "Where", "Less"]))
    graph = Graph("broadcast", {"": 17})
    target = graph.add_constant(np.array(shape, np.int64))
    operands = []
    for i in range({"Where": 3}.get(type, 2)):
        sizes = tuple(dim if draw(st.booleans()) else 1 for dim in shape)
        if type == "PRelu" and i == 0:
            sizes = shape
        sizes = sizes[draw(st.integers(0, len(shape))) :] if i else sizes
        dtype = DType.BOOL if type == "Where" and i == 0 else DType.F32
        value = graph.add_input(f"x{i}", TensorType(dtype, sizes))
        if draw(st.booleans()):
            value = graph.add(OnnxOperator("Expand", 17), [value, target]).result
        operands.append(value)
    graph.set_outputs([("y", graph.add(OnnxOperator(type, 17), operands).result)])
    return graph


@settings(max_examples=40, deadline=None)
@given(graph=broadcasts())
def test_broadcasts_keep_their_results(graph: Graph) -> None:
    result = proved("drop-expand", graph, runs=1)
    assert kinds(result).count("onnx.Expand") <= 1 + (kinds(result)[-1] == "onnx.PRelu")
