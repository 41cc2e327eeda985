"""``fold-softmax``: what it refuses and why, and what stays the same."""

from __future__ import annotations

import pytest
from pass_checks import graph_of, ir_sections, kinds, proved, refusals

from dlc.ir.graph import Graph

X = '%x = input() "x" : f32[2,1,1]\n'
Y = '\noutput(%y) {names = ["y"]}'


@pytest.mark.parametrize(
    ("body", "pipeline", "reason"),
    [
        (X + "%y = onnx.Softmax(%x) {axis = 0}" + Y, "fold-softmax", "it is over 2 elements"),
        (X + "%y = onnx.Softmax(%x)" + Y, "fold-softmax{max_elements=1}",
         "its 2 elements are more than max_elements=1"),
    ],
)  # fmt: skip
def test_refuses_with_a_reason(body: str, pipeline: str, reason: str) -> None:
    assert reason in refusals(pipeline, graph_of(body))


@pytest.mark.parametrize("graph", ir_sections("fold-softmax"), ids=lambda graph: graph.name)
def test_examples_keep_their_meaning(graph: Graph) -> None:
    proved("fold-softmax", graph)


@pytest.mark.parametrize("type", ["Softmax", "LogSoftmax", "Hardmax"])
@pytest.mark.parametrize("opset", [11, 17])
def test_one_element_is_a_constant(type: str, opset: int) -> None:
    graph = graph_of(X + f"%y = onnx.{type}(%x) {{axis = 1}}" + Y, opset)
    assert kinds(proved("fold-softmax", graph)) == []
