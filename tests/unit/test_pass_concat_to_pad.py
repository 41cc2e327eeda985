"""``concat-to-pad``: what it refuses and why, and what stays the same."""

from __future__ import annotations

import pytest
from pass_checks import graph_of, ir_sections, kinds, proved, refusals

from dlc.ir.graph import Graph

X = '%x = input() "x" : f32[1,2]\n%a = constant() {value = dense<f32[1,1] 0.0>}\n'
Y = '\noutput(%y) {names = ["y"]}'


@pytest.mark.parametrize(
    ("body", "opset", "reason"),
    [
        (X + "%y = onnx.Concat(%x, %a, %x) {axis = 1}" + Y, 17, "several of its operands"),
        (X + "%y = onnx.Concat(%a, %a) {axis = 1}" + Y, 17, "all are repeated numbers"),
        (X + "%y = onnx.Concat(%x) {axis = 1}" + Y, 17, "none of its operands"),
        (X + "%b = constant() {value = dense<f32[1,1] -0.0>}\n"
         "%y = onnx.Concat(%a, %x, %b) {axis = 1}" + Y, 17, "its operands hold different numbers"),
        ((X + "%y = onnx.Concat(%x, %a) {axis = 1}" + Y).replace("f32", "f64"), 10,
         "the number is an attribute of 32 bits"),
        ((X + "%y = onnx.Concat(%x, %a) {axis = 1}" + Y).replace("f32", "bf16"), 17,
         "Pad does not take bf16 in every opset"),
        (X + "%y = onnx.Concat(%x, %a) {axis = 1} : f32[1,3]" + Y, 3, "other attributes before opset 4"),
    ],
)  # fmt: skip
def test_refuses_with_a_reason(body: str, opset: int, reason: str) -> None:
    assert reason in refusals("concat-to-pad", graph_of(body, opset=opset))


@pytest.mark.parametrize("graph", ir_sections("concat-to-pad"), ids=lambda graph: graph.name)
def test_examples_keep_their_meaning(graph: Graph) -> None:
    proved("concat-to-pad", graph)


@pytest.mark.parametrize("number", ["-0.0", "nan", "inf", "0.1"])
@pytest.mark.parametrize("opset", [9, 17])
def test_every_number_pads(number: str, opset: int) -> None:
    graph = graph_of(
        X.replace("] 0.0", f"] {number}") + "%y = onnx.Concat(%a, %x) {axis = 1}" + Y, opset
    )
    assert kinds(proved("concat-to-pad", graph)) == ["onnx.Pad"]
