"""``fold-pad``: what it refuses and why, and every window against onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pass_checks import graph_of, kinds, proved, refusals

from dlc.ir.graph import Graph
from dlc.ir.types import DType, TensorType
from dlc.ops.onnx.operator import OnnxOperator

PAD = """
  %x = input() "x" : f32[1,1,4,4]
  %pads = constant() {value = dense<i64[8] 0 0 1 1 0 0 1 1>}
  %p = onnx.Pad(%x, %pads) "pad"
"""
W = "%w = constant() {value = dense<f32[1,1,1,1] 2.0>}\n"
CONV = W + '%y = onnx.Conv(%p, %w)\noutput(%y) {names = ["y"]}'


def pool(type: str, attributes: str = "") -> str:
    return (
        f'%y = onnx.{type}(%p) {{kernel_shape = [3, 3]{attributes}}}\noutput(%y) {{names = ["y"]}}'
    )


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (PAD.replace('"pad"', '{mode = "edge"} "pad"') + CONV, "it pads by mode 'edge'"),
        (PAD.replace("0 0 1 1 0 0 1 1", "0 1 0 0 0 0 0 0").replace("[1,1,4,4]", "[1,0,4,4]") + CONV,
         "it pads the batch or the channels"),
        (PAD.replace("0 0 1 1 0", "0 0 -1 1 0") + CONV, "it crops"),
        (PAD + CONV.replace("%w)", '%w) {auto_pad = "SAME_UPPER"}'), "pads by auto_pad=SAME_UPPER"),
        ("%fill = constant() {value = dense<f32[] 1.5>}" + PAD.replace("%pads)", "%pads, %fill)") + CONV,
         "it pads with 1.5, Conv with 0"),
        ('%fill = input() "fill" : f32[]' + PAD.replace("%pads)", "%pads, %fill)") + CONV,
         "its value is not constant"),
        (PAD + pool("MaxPool"), "an element may be below the 0.0 it pads with"),
        (PAD + pool("MaxPool", ", dilations = [2, 2]"), "the pool has ceil_mode or dilations"),
        (PAD + pool("AveragePool", ", ceil_mode = 1"), "the pool has ceil_mode or dilations"),
        (PAD + pool("AveragePool", ", pads = [1, 1, 1, 1]"), "does not count its own padding"),
        (PAD + pool("AveragePool", ", pads = [2, 2, 2, 2]"), "its pads are as large as the window"),
        (PAD + '%y, %i = onnx.MaxPool(%p) {kernel_shape = [3, 3], results = 2}\n'
         'output(%y, %i) {names = ["y", "i"]}', "the indices of the maxima count the padding"),
    ],
)  # fmt: skip
def test_refuses_with_a_reason(body: str, reason: str) -> None:
    assert reason in refusals("fold-pad", graph_of(body))


def test_pads_that_are_computed_stay() -> None:
    body = PAD.replace("%pads = constant() {value = dense<i64[8] 0 0 1 1 0 0 1 1>}",
                       '%pads = input() "pads" : i64[8]')  # fmt: skip
    body = body.replace('"pad"\n', '"pad" : f32[1,1,6,6]\n')
    assert "its pads are not constant" in refusals("fold-pad", graph_of(body + CONV))


@pytest.mark.parametrize(("fill", "folds"), [("-inf", True), ("-3.4028234663852886e+38", False)])
def test_a_maximum_never_sees_minus_infinity(fill: str, folds: bool) -> None:
    body = f"%fill = constant() {{value = dense<f32[] {fill}>}}"
    graph = graph_of(body + PAD.replace("%pads)", "%pads, %fill)") + pool("MaxPool"))
    left = kinds(proved("fold-pad", graph))
    assert left == (["onnx.MaxPool"] if folds else ["onnx.Pad", "onnx.MaxPool"])


def test_unsigned_integers_are_never_below_zero() -> None:
    graph = graph_of(PAD.replace("f32", "u8") + pool("MaxPool"))
    assert kinds(proved("fold-pad", graph)) == ["onnx.MaxPool"]


@st.composite
def windows(draw: st.DrawFn) -> Graph:
    """A Pad of one to three image axes, and what may take it in."""
    rank = draw(st.integers(1, 3))
    sizes = st.lists(st.integers(0, 2), min_size=rank, max_size=rank)
    graph = Graph("window", {"": 17})
    x = graph.add_input(
        "x", TensorType(DType.F32, (1, 2, *draw(st.tuples(*[st.integers(3, 5)] * rank))))
    )
    if draw(st.booleans()):
        x = graph.add(OnnxOperator("Relu", 17), [x]).result
    pads = graph.add_constant(np.array([0, 0, *draw(sizes), 0, 0, *draw(sizes)], np.int64))
    x = graph.add(OnnxOperator("Pad", 17), [x, pads]).result
    kernel = tuple(draw(st.lists(st.integers(1, 3), min_size=rank, max_size=rank)))
    own = draw(sizes) + draw(sizes)
    attrs: dict[str, Any] = {
        "strides": tuple(draw(st.lists(st.integers(1, 2), min_size=rank, max_size=rank)))
    }
    type = draw(st.sampled_from(["Conv", "AveragePool", "MaxPool"]))
    if type != "Conv":
        own = [min(p, k - 1) for p, k in zip(own, kernel * 2, strict=True)]
        attrs["kernel_shape"] = kernel
    if draw(st.booleans()):
        attrs["pads"] = tuple(own)
    if type == "AveragePool":
        attrs["count_include_pad"] = draw(st.integers(0, 1))
    operands = [x]
    if type == "Conv":
        operands.append(
            graph.add_constant(
                np.random.default_rng(0).standard_normal((3, 2, *kernel)).astype(np.float32)
            )
        )
    y = graph.add(OnnxOperator(type, 17, tuple(sorted(attrs.items()))), operands).result
    graph.set_outputs([("y", y)])
    return graph


@settings(max_examples=40, deadline=None)
@given(graph=windows())
def test_windows_keep_their_results(graph: Graph) -> None:
    proved("fold-pad", graph, runs=1)
