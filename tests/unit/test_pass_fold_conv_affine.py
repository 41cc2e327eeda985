"""``fold-conv-affine``: what it refuses and why, and every shape of constant against onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pass_checks import graph_of, ir_sections, kinds, proved, refusals

from dlc.ir.graph import Graph
from dlc.ir.types import DType, TensorType
from dlc.ops.onnx.operator import OnnxOperator

X = '%x = input() "x" : f32[1,1,2,2]\n%w = constant() {value = dense<f32[2,1,1,1] 1.0 2.0>}\n'
CONV = X + '%c = onnx.Conv(%x, %w) "conv"\n'
Y = '\noutput(%y) {names = ["y"]}'


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (CONV + "%d = constant() {value = dense<f32[2] 1.0 2.0>}\n%y = onnx.Add(%c, %d)" + Y,
         "its constant f32[2] is not one number for each channel"),
        (CONV + "%d = constant() {value = dense<f32[1,1,1,1,1] 1.0>}\n%y = onnx.Mul(%c, %d)" + Y,
         "it changes the type"),
        (CONV + '%d = input() "d" : f32[]\n%y = onnx.Add(%c, %d)' + Y, "is not a constant"),
        (CONV + '%d = constant() {value = dense<f32[] 1.0>}\n%y = onnx.Add(%c, %d)\n'
         'output(%y, %c) {names = ["y", "c"]}', "is also read by"),
        (X + '%b = input() "b" : f32[2]\n%c = onnx.Conv(%x, %w, %b) "conv"\n'
         "%d = constant() {value = dense<f32[] 1.0>}\n%y = onnx.Add(%c, %d)" + Y,
         "the bias of 'conv' is not a constant"),
        (CONV + "%d = constant() {value = dense<f32[] 3e38>}\n%y = onnx.Mul(%c, %d)" + Y,
         "the new weights would not be finite"),
        ((CONV + "%d = constant() {value = dense<f32[] 1.0>}\n%y = onnx.Add(%c, %d)" + Y)
         .replace("f32", "bf16"), "of bf16 would lose too much"),
    ],
)  # fmt: skip
def test_refuses_with_a_reason(body: str, reason: str) -> None:
    assert reason in refusals("fold-conv-affine", graph_of(body, opset=22))


def test_old_broadcasting_stays() -> None:
    body = (
        CONV
        + "%d = constant() {value = dense<f32[1,2,2,2] 1 2 3 4 5 6 7 8>}\n%y = onnx.Add(%c, %d)"
    )
    assert "as before opset 7" in refusals("fold-conv-affine", graph_of(body + Y, opset=6))


@pytest.mark.parametrize("graph", ir_sections("fold-conv-affine"), ids=lambda graph: graph.name)
def test_examples_keep_their_meaning(graph: Graph) -> None:
    proved("fold-conv-affine", graph)


@st.composite
def convolutions(draw: st.DrawFn) -> Graph:
    """A convolution of one or two image axes, and a constant behind it."""
    rank, channels = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    graph, rng = Graph("conv", {"": 17}), np.random.default_rng(draw(st.integers(0, 9)))
    type = draw(st.sampled_from(["Conv", "ConvTranspose"]))
    shape = (channels, 2) if type == "Conv" else (2, channels)
    operands = [graph.add_input("x", TensorType(DType.F32, (1, 2, *(3,) * rank)))]
    operands.append(graph.add_constant(rng.standard_normal((*shape, *(2,) * rank), np.float32)))
    if draw(st.booleans()):
        operands.append(graph.add_constant(rng.standard_normal(channels, np.float32)))
    y = graph.add(OnnxOperator(type, 17), operands).result
    sizes = draw(st.sampled_from([(), (1,), (channels, *(1,) * rank), (1, channels, *(1,) * rank)]))
    c = graph.add_constant(rng.standard_normal(sizes, np.float32))
    behind = draw(st.sampled_from(["Add", "Sub", "Mul"]))
    flip = behind != "Sub" and draw(st.booleans())
    y = graph.add(OnnxOperator(behind, 17), [c, y] if flip else [y, c]).result
    graph.set_outputs([("y", y)])
    return graph


@settings(max_examples=40, deadline=None)
@given(graph=convolutions())
def test_convolutions_keep_their_results(graph: Graph) -> None:
    left = kinds(proved("fold-conv-affine", graph, runs=1))
    assert len(left) == 1 or left == ["onnx.ConvTranspose", "onnx.Mul"]
