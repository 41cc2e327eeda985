"""``merge-parallel-conv`` and ``merge-parallel-matmul``: reasons, and random branches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pass_checks import graph_of, kinds, proved, refusals

from dlc.ir.graph import Graph, Value
from dlc.ir.types import DType, TensorType
from dlc.ops.onnx.operator import OnnxOperator

CONV = '%x = input() "x" : f32[1,2,3,3]\n'
W = "%w = constant() {value = dense<f32[1,2,1,1] 1.0 2.0>}\n"
MATRIX = """%x = input() "x" : f32[2,2]
%w = constant() {value = dense<f32[2,2] 1.0 2.0 3.0 4.0>}
"""
YZ = '\noutput(%y, %z) {names = ["y", "z"]}'
Y = '\noutput(%y) {names = ["y"]}'
TWO = "%y = onnx.Conv(%x, %w)\n%z = onnx.Conv(%x, %w)\n" + 'output(%y, %z) {names = ["y", "z"]}'


@pytest.mark.parametrize(
    ("pipeline", "body", "reason"),
    [
        ("merge-parallel-conv", CONV + W + "%y = onnx.Conv(%x, %w)" + Y, "no other Conv like it"),
        ("merge-parallel-conv", CONV + "%w = constant() {value = dense<f32[2,1,1,1] 1.0 2.0>}\n"
         "%y = onnx.Conv(%x, %w) {group = 2}" + Y, "it has groups"),
        ("merge-parallel-conv", CONV + '%w = input() "w" : f32[1,2,1,1]\n%y = onnx.Conv(%x, %w)' + Y,
         "its weights or bias are not constant"),
        ("merge-parallel-conv{max_bytes=15}", CONV + W + TWO, "the weights would have 16 bytes"),
        ("merge-parallel-matmul", '%x = input() "x" : f32[2,2]\n%y = onnx.MatMul(%x, %x)' + Y,
         "its matrix is not constant"),
        ("merge-parallel-matmul", '%x = input() "x" : f32[3,1,1]\n' + W + "%y = onnx.MatMul(%w, %w)" + Y,
         "its operands are not matrices"),
        ("merge-parallel-matmul", '%x = input() "x" : f32[2,2]\n'
         "%w = constant() {value = dense<f32[2,2] 1.0 2.0 3.0 4.0>}\n%y = onnx.Gemm(%x, %w, %x)" + Y,
         "its bias is not one constant row"),
        ("merge-parallel-matmul", '%x = input() "x" : f32[2,2]\n'
         "%w = constant() {value = dense<f32[2,2] 1.0 2.0 3.0 4.0>}\n%y = onnx.Gemm(%x, %w)" + Y,
         "no other product like it reads its operand"),
        ("merge-parallel-matmul{max_bytes=1}", MATRIX + "%y = onnx.MatMul(%x, %w)\n%z = onnx.MatMul(%x, %w)" + YZ,
         "the matrix would have 32 bytes"),
    ],
)  # fmt: skip
def test_refuses_with_a_reason(pipeline: str, body: str, reason: str) -> None:
    assert reason in refusals(pipeline, graph_of(body))


class Branches:
    def __init__(self, draw: st.DrawFn, opset: int, *shape: int) -> None:
        self.draw, self.opset = draw, opset
        self.graph = Graph("branches", {"": opset})
        self.x = self.graph.add_input("x", TensorType(DType.F32, shape))
        self.rng = np.random.default_rng(draw(st.integers(0, 99)))
        self.results: list[Value] = []

    def array(self, *shape: int) -> Value:
        return self.graph.add_constant(self.rng.standard_normal(shape).astype(np.float32))

    def add(self, type: str, *operands: Value, **attributes: object) -> Value:
        operator = OnnxOperator(type, self.opset, tuple(sorted(attributes.items())))
        return self.graph.add(operator, operands, label=f"{type}{len(self.graph)}").result

    def finish(self) -> Graph:
        self.graph.set_outputs([(f"y{i}", value) for i, value in enumerate(self.results)])
        return self.graph


@st.composite
def convs(draw: st.DrawFn) -> Graph:
    branches = Branches(draw, draw(st.sampled_from([9, 13, 18])), 1, 2, 5, 5)
    for _ in range(draw(st.integers(2, 4))):
        channels, kernel = draw(st.integers(1, 3)), draw(st.sampled_from([1, 3]))
        w = branches.array(channels, 2, kernel, kernel)
        bias = [branches.array(channels)] if draw(st.booleans()) else []
        pads = (draw(st.integers(0, 1)),) * 4
        value = branches.add("Conv", branches.x, w, *bias, pads=pads)
        branches.results.append(branches.add("Relu", value) if draw(st.booleans()) else value)
    return branches.finish()


@st.composite
def products(draw: st.DrawFn) -> Graph:
    shape = draw(st.sampled_from([(3, 2), (1, 3, 2)]))
    branches = Branches(draw, draw(st.sampled_from([9, 13, 18])), *shape)
    for _ in range(draw(st.integers(2, 4))):
        columns, bias = draw(st.integers(1, 3)), draw(st.booleans())
        if len(shape) == 2 and (bias or branches.opset > 10) and draw(st.booleans()):
            right = draw(st.integers(0, 1))
            w = branches.array(*((columns, 2) if right else (2, columns)))
            c = draw(st.sampled_from([(columns,), (1, columns), ()]))
            value = branches.add(
                "Gemm", branches.x, w, *([branches.array(*c)] if bias else []), transB=right
            )
        else:
            value = branches.add("MatMul", branches.x, branches.array(2, columns))
            value = branches.add("Add", value, branches.array(columns)) if bias else value
        branches.results.append(value)
    return branches.finish()


@settings(max_examples=40)
@given(graph=convs())
def test_random_convs(graph: Graph) -> None:
    result = proved("merge-parallel-conv", graph, runs=1)
    assert kinds(result).count("onnx.Conv") <= kinds(graph).count("onnx.Conv")


@settings(max_examples=40)
@given(graph=products())
def test_random_products(graph: Graph) -> None:
    result = proved("merge-parallel-matmul", graph, runs=1)
    for kind in ("onnx.MatMul", "onnx.Gemm"):
        assert kinds(result).count(kind) <= max(kinds(graph).count(kind), 1)
