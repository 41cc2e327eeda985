"""Whatever the order and the grouping of a formula's ops, it is recognised, and means the same."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dlc.interp import run
from dlc.ir.graph import Graph, Value
from dlc.ir.types import DType, TensorType
from dlc.ops.onnx.operator import OnnxOperator
from dlc.passmanager import PassManager

OPSET = 24


class Formula:
    """Writes formulas over one input, with choices drawn where exporters differ."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.graph = Graph("g", {"": OPSET})
        self.x = self.graph.add_input("x", TensorType(DType.F32, (2, 8)))

    def add(self, type: str, *operands: Value) -> Value:
        return self.graph.add(OnnxOperator(type, OPSET), operands).result

    def number(self, number: float) -> Value:
        shape = self.draw(st.sampled_from([(), (1,), (1, 1)]))
        return self.graph.add_constant(np.full(shape, number, np.float32))

    def product(self, *factors: Value, times: float = 1.0) -> Value:
        """A product in some order and grouping, its number somewhere in it."""
        parts: list[Value | float] = [*factors, *([] if times == 1.0 else [times])]
        return self.grouped(parts, "Mul", "Div", lambda number: 1 / number)

    def sum(self, *terms: Value, plus: float = 0.0) -> Value:
        """A sum in some order and grouping."""
        parts: list[Value | float] = [*terms, *([] if plus == 0.0 else [plus])]
        return self.grouped(parts, "Add", "Sub", lambda number: -number)

    def grouped(
        self, parts: list[Value | float], join: str, opposite: str, invert: Callable[[float], float]
    ) -> Value:
        parts = self.draw(st.permutations(parts))
        while len(parts) > 1:
            at = self.draw(st.integers(0, len(parts) - 2))
            a, b = parts[at : at + 2]
            if isinstance(b, float) and self.draw(st.booleans()):
                joined = self.add(opposite, self.value(a), self.number(invert(b)))
            else:
                joined = self.add(join, self.value(a), self.value(b))
            parts = [*parts[:at], joined, *parts[at + 2 :]]
        return self.value(parts[0])

    def value(self, part: Value | float) -> Value:
        return self.number(part) if isinstance(part, float) else part

    def cube(self) -> Value:
        if self.draw(st.booleans()):
            return self.add("Pow", self.x, self.number(3.0))
        return self.product(self.x, self.x, self.x)


def gelu(f: Formula) -> Value:
    erf = f.add("Erf", f.product(f.x, times=math.sqrt(0.5)))
    return f.product(f.x, f.sum(erf, plus=1.0), times=0.5)


def gelu_tanh(f: Formula) -> Value:
    inner = f.sum(f.x, f.product(f.cube(), times=0.044715))
    tanh = f.add("Tanh", f.product(inner, times=math.sqrt(2 / math.pi)))
    return f.product(f.x, f.sum(tanh, plus=1.0), times=0.5)


def silu(f: Formula) -> Value:
    return f.product(f.x, f.add("Sigmoid", f.x))


def hardswish(f: Formula) -> Value:
    clipped = f.add("Clip", f.sum(f.x, plus=3.0), f.graph.add_constant(np.float32(0)),
                    f.graph.add_constant(np.float32(6)))  # fmt: skip
    return f.product(f.x, clipped, times=1 / 6)


FORMULAS = {
    gelu: ("recognise-gelu", "onnx.Gelu"), gelu_tanh: ("recognise-gelu", "onnx.Gelu"),
    silu: ("recognise-silu", "onnx.Swish"), hardswish: ("recognise-hardswish", "onnx.HardSwish"),
}  # fmt: skip


@given(st.data(), st.sampled_from(list(FORMULAS)))
@settings(max_examples=60, deadline=None)
def test_formulas_are_recognised_however_they_are_written(
    data: st.DataObject, formula: Callable[[Formula], Value]
) -> None:
    writer = Formula(data.draw)
    result = formula(writer)
    if result.type != writer.x.type:
        return
    writer.graph.set_outputs({"y": result})
    name, label = FORMULAS[formula]
    found = PassManager.parse(name).run(writer.graph)
    assert label in [op.operator.label for op in found.ops]
    x = np.linspace(-6, 6, 16, dtype=np.float32).reshape(2, 8)
    expected, got = (run(graph, {"x": x})["y"] for graph in (writer.graph, found))
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=2e-6)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_what_is_recognised_means_the_same(data: st.DataObject) -> None:
    """Numbers near those of the formulas, and a wrong one now and then: never another meaning."""
    writer = Formula(data.draw)
    f, number = writer, lambda n: data.draw(st.sampled_from([n, n, n, 1.5, -n]))
    erf = f.add("Erf", f.product(f.x, times=number(math.sqrt(0.5))))
    gate = data.draw(st.sampled_from([f.sum(erf, plus=number(1.0)), erf, f.add("Sigmoid", f.x)]))
    f.graph.set_outputs({"y": f.product(f.x, gate, times=number(0.5))})
    found = PassManager.parse("recognise-gelu,recognise-silu").run(f.graph)
    x = np.linspace(-6, 6, 16, dtype=np.float32).reshape(2, 8)
    expected, got = (run(graph, {"x": x})["y"] for graph in (f.graph, found))
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=2e-6)
