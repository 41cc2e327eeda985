"""``strength-reduce``: what it refuses and why, and the values where arithmetic is special."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pass_checks import graph_of, kinds, proved, refusals

from dlc.interp import run
from dlc.ir.graph import Graph
from dlc.ir.types import DType, TensorType
from dlc.ops.onnx.operator import OnnxOperator
from dlc.passmanager import PassManager

SPECIAL = np.array(
    [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 1e-38, 3e38, -3e38, 0.1],
    np.float32,
)


def graph_with(
    type: str, *operands: float | None, dtype: DType = DType.F32, before: str = ""
) -> Graph:
    """One op of the input (None) and scalar constants."""
    graph = Graph("g", {"": 17})
    x = graph.add_input("x", TensorType(dtype, SPECIAL.shape))
    if before:
        x = graph.add(OnnxOperator(before, 17), [x]).result
    values = [x if v is None else graph.add_constant(np.array(v, dtype.numpy)) for v in operands]
    graph.set_outputs([("y", graph.add(OnnxOperator(type, 17), values).result)])
    return graph


@pytest.mark.parametrize(
    ("graph", "reason"),
    [
        (graph_with("Pow", None, 0.5), "its base may be -inf, whose square root is NaN"),
        (graph_with("Pow", None, 2.5), "there is nothing cheaper for the exponent 2.5"),
        (graph_with("Pow", None, 0.5, dtype=DType.I32), "nothing cheaper for the exponent 0"),
        (graph_with("Pow", None, -1, dtype=DType.I32), "an integer has no square root or reciprocal"),
        (graph_with("Pow", None, None), "is not a constant"),
        (graph_with("Add", None, 0.0), "it turns -0.0 into 0.0"),
        (graph_with("Sub", None, -0.0), "it turns -0.0 into 0.0"),
        (graph_with("Mul", None, 0.0), "x * 0 keeps NaN, infinity and the sign"),
        (graph_with("Mul", None, 2.0), "its constant is not 1"),
        (graph_with("Add", None, None), "neither operand is constant"),
        (graph_with("Sub", 0.0, None), "its second operand is not constant"),
        (graph_with("Div", None, 3.0), "its divisor is not a power of two"),
        (graph_with("Div", None, 2.0**-128), "its divisor is not a power of two"),
        (graph_with("Div", None, 2.0**127), "its divisor is not a power of two"),
        (graph_with("Div", None, 0.0), "its divisor is not a power of two"),
        (graph_with("Div", None, 2, dtype=DType.I32), "i32 has no exact reciprocals"),
        (graph_with("Relu", None, before="Abs"), "its operand is no result of onnx.Relu"),
        (graph_of('%x = input() "x" : f32[2]\n%c = constant() {value = dense<f32[1,1] 1.0>}\n'
                  '%y = onnx.Mul(%x, %c)\noutput(%y) {names = ["y"]}'), "it changes the type"),
    ],
)  # fmt: skip
def test_refuses_with_a_reason(graph: Graph, reason: str) -> None:
    assert reason in refusals("strength-reduce", graph)


@pytest.mark.parametrize(
    ("graph", "left"),
    [
        (graph_with("Pow", None, 2.0), ["onnx.Mul"]),
        (graph_with("Pow", None, 1.0), []),
        (graph_with("Pow", None, -1.0), ["onnx.Reciprocal"]),
        (graph_with("Pow", None, 0.5, before="Abs"), ["onnx.Abs", "onnx.Sqrt"]),
        (graph_with("Pow", None, 0.5, before="Relu"), ["onnx.Relu", "onnx.Sqrt"]),
        (graph_with("Add", None, -0.0), []),
        (graph_with("Add", -0.0, None), []),
        (graph_with("Sub", None, 0.0), []),
        (graph_with("Mul", 1.0, None), []),
        (graph_with("Mul", -1.0, None), ["onnx.Neg"]),
        (graph_with("Div", None, 1.0), []),
        (graph_with("Div", None, -0.25), ["onnx.Mul"]),
        (graph_with("Div", None, 2.0**126), ["onnx.Mul"]),
        (graph_with("Floor", None, before="Floor"), ["onnx.Floor"]),
        (graph_with("Pow", None, 3, dtype=DType.I32), ["onnx.Mul", "onnx.Mul"]),
        (graph_with("Add", None, 0, dtype=DType.I32), []),
        (graph_with("Mul", None, -1, dtype=DType.I32), ["onnx.Neg"]),
    ],
)  # fmt: skip
def test_special_values_come_out_the_same(graph: Graph, left: list[str]) -> None:
    result = proved("strength-reduce", graph)
    assert kinds(result) == left
    with np.errstate(all="ignore"):
        x = {"x": SPECIAL.astype(graph.inputs[0].type.dtype.numpy)}
        expected, found = run(graph, x)["y"], run(result, x)["y"]
    np.testing.assert_array_equal(found, expected)
    zeros = expected == 0
    if "Sqrt" not in str(left) and expected.dtype.kind == "f":  # pow(-0.0, 0.5) is 0.0
        np.testing.assert_array_equal(np.signbit(found[zeros]), np.signbit(expected[zeros]))


def test_options_give_up_what_nobody_minds() -> None:
    zero = PassManager.parse("strength-reduce{signed_zeros=false}").run(
        graph_with("Add", None, 0.0)
    )
    assert kinds(zero) == []
    root = PassManager.parse("strength-reduce{infinities=false}").run(graph_with("Pow", None, 0.5))
    assert kinds(root) == ["onnx.Sqrt"]


@given(exponent=st.integers(-126, 126), sign=st.sampled_from([1.0, -1.0]), x=st.floats(width=32))
def test_division_by_a_power_of_two_is_a_product(exponent: int, sign: float, x: float) -> None:
    divisor = np.float32(sign * 2.0**exponent)
    with np.errstate(all="ignore"):
        a, b = np.float32(x) / divisor, np.float32(x) * (np.float32(1) / divisor)
    assert a == b or (np.isnan(a) and np.isnan(b))
