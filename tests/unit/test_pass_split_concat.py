"""``split-concat``: what it refuses and why, and random cuts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pass_checks import graph_of, kinds, proved, refusals

from dlc.ir.graph import Graph, Value
from dlc.ir.types import DType, TensorType
from dlc.ops.onnx.operator import OnnxOperator

SPLIT = """%x = input() "x" : f32[2,4]
%a, %b = onnx.Split(%x, _) {axis = 1, results = 2} "split" : f32[2,2], f32[2,2]
"""
CONCAT = """%a = input() "a" : f32[2,2]
%b = input() "b" : f32[2,2]
%j = onnx.Concat(%a, %b) {axis = 1} "concat"
"""
N = "".join(f"%n{i} = constant() {{value = dense<i64[1] {i}>}}\n" for i in range(4))
TWO = "%two = constant() {value = dense<i64[1] 2>}\n"
Y = '\noutput(%y) {names = ["y"]}'


@pytest.mark.parametrize(
    ("rule", "body", "reason"),
    [
        ("concat-of-parts", SPLIT + "%y = onnx.Concat(%b, %a) {axis = 1}" + Y, "do not touch in this order"),
        ("concat-of-parts", SPLIT + "%y = onnx.Concat(%a, %b) {axis = 0}" + Y, "or along another axis"),
        ("concat-of-parts", SPLIT + "%y = onnx.Concat(%a, %x) {axis = 1}" + Y, "an operand is no part"),
        ("concat-of-parts", SPLIT + "%y = onnx.Concat(%a) {axis = 1}" + Y, "its operands leave out an end"),
        ("concat-of-parts", SPLIT + "%y = onnx.Concat(%a, %a) {axis = 1}" + Y, "do not touch in this order"),
        ("split-of-concat", CONCAT + "%y, %z = onnx.Split(%j, _) {results = 2} : f32[1,4], f32[1,4]" + Y,
         "it splits along another axis"),
        ("split-of-concat", CONCAT + "%s = constant() {value = dense<i64[2] 1 3>}\n"
         "%y, %z = onnx.Split(%j, %s) {axis = 1, results = 2}" + Y, "cuts through an operand of the concat"),
        ("slice-of-concat", CONCAT + N + "%y = onnx.Slice(%j, %n1, %n3, %n1)" + Y,
         "it cuts through operands of the concat"),
        ("slice-of-concat", CONCAT + N + "%y = onnx.Slice(%j, %n0, %n1, %n0)" + Y, "it cuts another axis"),
        ("slice-of-concat", CONCAT + N + "%y = onnx.Slice(%j, %n0, %n2, %n1, %n2)" + Y, "in steps of 1"),
        ("concat-of-concat", CONCAT + '%y = onnx.Concat(%j, %a) {axis = 1}\noutput(%y, %j) {names = ["y", "j"]}',
         "no operand is a concat along the same axis that nothing else reads"),
    ],
)  # fmt: skip
def test_refuses_with_a_reason(rule: str, body: str, reason: str) -> None:
    found = refusals("split-concat", graph_of(body))
    assert any(line.startswith(rule) and reason in line for line in found.splitlines()), found


@st.composite
def cuts(draw: st.DrawFn) -> Graph:
    """Splits, slices and concats of a value of two axes, at random."""
    opset = draw(st.sampled_from([9, 13, 18]))
    graph = Graph("cuts", {"": opset})
    types = [TensorType(DType.F32, (2, draw(st.integers(2, 5)))) for _ in range(2)]
    values = [graph.add_input(f"x{i}", type) for i, type in enumerate(types)]

    def add(type: str, *operands: Value, **attributes: object) -> None:
        operator = OnnxOperator(type, opset, tuple(sorted(attributes.items())))
        values.extend(graph.add(operator, operands, label=f"{type}{len(graph)}").results)

    for _ in range(draw(st.integers(1, 7))):
        x = draw(st.sampled_from(values[-4:]))
        size, kind = x.shape[1], draw(st.sampled_from(["split", "slice", "concat", "concat"]))
        if kind == "concat":
            alike = [v for v in values if v.shape[0] == x.shape[0]]
            count = draw(st.integers(1, 3))
            start = values.index(x)
            others = draw(st.sampled_from([alike[:count], values[start + 1 : start + count + 1]]))
            if size < 20:
                add("Concat", x, *others, axis=1)
        elif kind == "slice":
            start = draw(st.integers(0, size - 1))
            stop = draw(st.integers(start + 1, size + 2))
            if opset < 10:
                add("Slice", x, axes=(1,), starts=(start,), ends=(stop,))
            else:
                bounds = (start - draw(st.sampled_from([0, size])), stop, 1)
                add("Slice", x, *(graph.add_constant(np.array([n], np.int64)) for n in bounds))
        elif size > 1:
            sizes = (draw(st.integers(1, size - 1)),)
            sizes = (*sizes, size - sum(sizes))
            if opset < 13:
                add("Split", x, axis=1, split=sizes, results=2)
            else:
                add("Split", x, graph.add_constant(np.array(sizes, np.int64)), axis=1, results=2)
    outputs = draw(st.lists(st.sampled_from(values), min_size=1, max_size=2))
    graph.set_outputs([(f"y{i}", v) for i, v in enumerate([values[-1], *outputs])])
    return graph


@settings(max_examples=80)
@given(graph=cuts())
def test_random_cuts(graph: Graph) -> None:
    result = proved("dce,split-concat", graph, runs=1)
    assert len(kinds(result)) <= len(kinds(graph))
