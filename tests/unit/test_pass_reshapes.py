"""``sink-reshape`` and ``hoist-reshape``: what they refuse and why, and random chains."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pass_checks import graph_of, kinds, proved, refusals

from dlc.ir.graph import Graph, Value
from dlc.ir.types import DType, TensorType
from dlc.ops.onnx.operator import OnnxOperator
from dlc.passmanager import PassManager

R = """%x = input() "x" : f32[2,6]
%s = constant() {value = dense<i64[2] 3 4>}
%r = onnx.Reshape(%x, %s) "r"
"""
BACK = "%t = constant() {value = dense<i64[2] 2 6>}\n"
Y = '\noutput(%y) {names = ["y"]}'


@pytest.mark.parametrize(
    ("pipeline", "body", "reason"),
    [
        ("sink-reshape", R + '%a = onnx.Exp(%r)\n%y = onnx.Abs(%r)\noutput(%a, %y) {names = ["a", "y"]}',
         "the reshape has other readers"),
        ("sink-reshape", R + '%z = input() "z" : f32[3,4]\n%y = onnx.Add(%r, %z)' + Y,
         "operand 1 is neither reshaped nor constant"),
        ("sink-reshape", R + '%z = input() "z" : f32[12]\n%q = onnx.Reshape(%z, %s)\n%y = onnx.Add(%r, %q)' + Y,
         "its operands are reshaped from different shapes"),
        ("sink-reshape", R + "%c = constant() {value = dense<f32[4] 1.0 2.0 3.0 4.0>}\n%y = onnx.Add(%r, %c)" + Y,
         "constant operand 1 does not broadcast to [2, 6]"),
        ("sink-reshape", R + '%z = input() "z" : f32[2,3,4]\n%y = onnx.Add(%r, %z)' + Y,
         "it reads no reshape of its own shape"),
        ("sink-reshape", '%x = input() "x" : f32[N<=4,6]\n%r = onnx.Flatten(%x) {axis = 0} : f32[1,M<=24]\n'
         "%y = onnx.Exp(%r)" + Y, "its shape is not fixed"),
        ("hoist-reshape", R + '%a = onnx.Exp(%r)\n' + BACK + "%q = onnx.Reshape(%a, %t)\n%y = onnx.Abs(%q)\n"
         'output(%a, %y) {names = ["a", "y"]}', "the result of onnx.Exp '' has other readers"),
        ("hoist-reshape", '%x = input() "x" : f32[12]\n%a = onnx.Exp(%x)\n' + BACK + "%y = onnx.Reshape(%a, %t)" + Y,
         "the chain begins with input, no reshape to meet"),
        ("hoist-reshape", R + '%z = input() "z" : f32[3,4]\n%a = onnx.Add(%r, %z)\n' + BACK
         + "%y = onnx.Reshape(%a, %t)" + Y, "reads no other value of its shape, or several"),
        ("hoist-reshape", R + "%y = onnx.Exp(%r)" + Y, "the chain begins with input, no reshape to meet"),
    ],
)  # fmt: skip
def test_refuses_with_a_reason(pipeline: str, body: str, reason: str) -> None:
    assert reason in refusals(pipeline, graph_of(body))


class Chain:
    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.opset = draw(st.sampled_from([9, 14, 18]))
        self.graph = Graph("chain", {"": self.opset})
        self.values = [self.graph.add_input("x", TensorType(DType.F32, (2, 3, 4)))]

    def add(self, type: str, *operands: Value, **attributes: object) -> None:
        operator = OnnxOperator(type, self.opset, tuple(sorted(attributes.items())))
        made = self.graph.add(operator, operands, label=f"{type}{len(self.graph)}")
        self.values.append(made.result)

    def constant(self, array: object, dtype: type = np.float32) -> Value:
        return self.graph.add_constant(np.asarray(array, dtype))

    def step(self) -> None:
        x = self.draw(st.sampled_from(self.values[-3:]))
        kind = self.draw(
            st.sampled_from(["reshape", "reshape", "flatten", "unary", "scale", "join"])
        )
        if kind == "reshape":
            shapes = [(2, 3, 4), (6, 4), (24,), (1, 2, 12), (2, 3, 2, 2), (4, 6)]
            self.add("Reshape", x, self.constant(self.draw(st.sampled_from(shapes)), np.int64))
        elif kind == "flatten" and x.type.rank:
            self.add("Flatten", x, axis=self.draw(st.integers(0, x.type.rank)))
        elif kind == "unary":
            self.add(self.draw(st.sampled_from(["Relu", "Tanh", "Abs"])), x)
        elif kind == "scale":
            shape = [self.draw(st.sampled_from([1, dim])) for dim in x.shape]
            shape = shape[self.draw(st.integers(0, len(shape))) :]
            values = np.arange(math.prod(shape)).reshape(shape) + 1
            self.add("Mul", *self.draw(st.permutations([x, self.constant(values)])))
        elif kind == "join":
            alike = [v for v in self.values if v.type == x.type]
            self.add("Add", x, self.draw(st.sampled_from(alike)))


@st.composite
def chains(draw: st.DrawFn) -> Graph:
    chain = Chain(draw)
    for _ in range(draw(st.integers(2, 10))):
        chain.step()
    chosen = [chain.values[-1], *draw(st.lists(st.sampled_from(chain.values), max_size=1))]
    chain.graph.set_outputs([(f"y{i}", v) for i, v in enumerate(chosen)])
    return chain.graph


@settings(max_examples=60)
@given(graph=chains(), name=st.sampled_from(["sink-reshape", "hoist-reshape"]))
def test_random_chains(graph: Graph, name: str) -> None:
    clean = PassManager.parse("dce").run(graph)
    result = proved(name, clean, runs=1)
    assert len(kinds(result)) <= len(kinds(clean))


def test_a_cast_may_change_the_dtype_on_the_way() -> None:
    graph = graph_of(R + "%c = onnx.Cast(%r) {to = 11}\n" + BACK + "%y = onnx.Reshape(%c, %t)" + Y)
    assert kinds(proved("sink-reshape", graph)) == ["onnx.Cast"]
