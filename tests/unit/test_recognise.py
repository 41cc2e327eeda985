"""Passes that recognise named ops: the meaning stays, twice is once, and why they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from pass_checks import graph_of, ir_sections, kinds, proved, refusals

from dlc.errors import PassError
from dlc.passmanager import PassManager

PIPELINES = {
    "recognise-gelu": "recognise-gelu",
    "recognise-silu": "recognise-silu",
    "recognise-hardswish": "recognise-hardswish",
    "recognise-layernorm": "recognise-layernorm,fold-norm-affine",
    "recognise-attention": "recognise-attention",
    "recognise-softmax": "recognise-softmax",
    "recognise-prelu": "recognise-prelu",
    "fold-norm-affine": "fold-norm-affine",
    "raise-opset": "raise-opset{to=23}",
}


@pytest.mark.parametrize("name", PIPELINES)
def test_the_meaning_stays_and_twice_is_once(name: str) -> None:
    for graph in ir_sections(name):
        proved(PIPELINES[name], graph)


# ---- near misses --------------------------------------------------------------------------------

GELU = """
  %x = input() "x" : f32[4]
  %root = constant() {value = dense<f32[] 1.4142135>}
  %a = onnx.Div(%x, %root) "div"
  %b = onnx.Erf(%a) "erf"
  %one = constant() {value = dense<f32[] 1.0>}
  %c = onnx.Add(%b, %one) "add"
  %d = onnx.Mul(%x, %c) "mul"
  %half = constant() {value = dense<f32[] 0.5>}
  %y = onnx.Mul(%d, %half) "half"
  output(%y) {names = ["y"]}"""
SILU = """
  %x = input() "x" : f32[4]
  %s = onnx.Sigmoid(%x) "sigmoid"
  %y = onnx.Mul(%x, %s) "mul"
  output(%y) {names = ["y"]}"""
HARDSWISH = """
  %x = input() "x" : f32[4]
  %three = constant() {value = dense<f32[] 3.0>}
  %a = onnx.Add(%x, %three) "add"
  %zero = constant() {value = dense<f32[] 0.0>}
  %six = constant() {value = dense<f32[] 6.0>}
  %b = onnx.Clip(%a, %zero, %six) "clip"
  %c = onnx.Mul(%x, %b) "mul"
  %y = onnx.Div(%c, %six) "div"
  output(%y) {names = ["y"]}"""
NORM = """
  %x = input() "x" : f32[2,4,4]
  %m = onnx.ReduceMean(%x) {axes = [2]} "mean"
  %d = onnx.Sub(%x, %m) "sub"
  %two = constant() {value = dense<f32[] 2.0>}
  %s = onnx.Pow(%d, %two) "pow"
  %v = onnx.ReduceMean(%s) {axes = [2]} "variance"
  %epsilon = constant() {value = dense<f32[] 0.001>}
  %a = onnx.Add(%v, %epsilon) "add"
  %r = onnx.Sqrt(%a) "sqrt"
  %y = onnx.Div(%d, %r) "div"
  output(%y) {names = ["y"]}"""
ATTENTION = """
  %q = input() "q" : f32[1,2,5,4]
  %k = input() "k" : f32[1,2,5,4]
  %v = input() "v" : f32[1,2,5,4]
  %t = onnx.Transpose(%k) {perm = [0, 1, 3, 2]} "transpose"
  %s = onnx.MatMul(%q, %t) "scores"
  %two = constant() {value = dense<f32[] 2.0>}
  %h = onnx.Div(%s, %two) "scale"
  %w = onnx.Softmax(%h) {axis = -1} "weights"
  %y = onnx.MatMul(%w, %v) "attention"
  output(%y) {names = ["y"]}"""
SOFTMAX = """
  %x = input() "x" : f32[2,3,4]
  %e = onnx.Exp(%x) "exp"
  %axes = constant() {value = dense<i64[1] 2>}
  %s = onnx.ReduceSum(%e, %axes) "sum"
  %y = onnx.Div(%e, %s) "div"
  output(%y) {names = ["y"]}"""
LEAKY = """
  %x = input() "x" : f32[4]
  %alpha = constant() {value = dense<f32[] 0.25>}
  %a = onnx.Mul(%x, %alpha) "mul"
  %y = onnx.Max(%x, %a) "max"
  output(%y) {names = ["y"]}"""
AFFINE = """
  %x = input() "x" : f32[2,4]
  %s = constant() {value = dense<f32[4] 1.0 1.0 1.0 1.0>}
  %n = onnx.LayerNormalization(%x, %s) "norm"
  %c = constant() {value = dense<f32[] 2.0>}
  %y = onnx.Mul(%n, %c) "mul"
  output(%y) {names = ["y"]}"""
ALL = {
    "recognise-gelu": (GELU, 20), "recognise-silu": (SILU, 24), "recognise-hardswish": (HARDSWISH, 14),
    "recognise-layernorm": (NORM, 17), "recognise-attention": (ATTENTION, 23),
    "recognise-softmax": (SOFTMAX, 13), "recognise-prelu": (LEAKY, 16), "fold-norm-affine": (AFFINE, 17),
}  # fmt: skip


@pytest.mark.parametrize("name", ALL)
def test_the_base_of_the_near_misses_matches(name: str) -> None:
    body, opset = ALL[name]
    before = graph_of(body, opset)
    assert len(kinds(proved(name, before))) == 1


@pytest.mark.parametrize(
    ("name", "old", "new", "reason"),
    [
        # a wrong constant
        ("recognise-gelu", "1.4142135", "1.5", "onnx.Div 'div' multiplies by 0.6666667, not 0.7071068"),
        ("recognise-gelu", "0.5", "0.25", "onnx.Mul 'half' multiplies by 0.25, not 0.5"),
        ("recognise-gelu", "1.0", "2.0", "onnx.Add 'add' adds 2, not 1"),
        ("recognise-hardswish", "3.0", "2.0", "onnx.Add 'add' adds 2, not 3"),
        ("recognise-hardswish", "f32[] 6.0", "f32[] 5.0", "the constant 5 is not 6"),
        ("recognise-prelu", "0.25", "1.25", "the slope is 1.25, not between 0 and 1"),
        ("recognise-layernorm", "2.0", "3.0", "onnx.Pow 'pow' is not a product of 2 values"),
        ("recognise-layernorm", "0.001", "-0.001", "epsilon is negative"),
        ("recognise-attention", "f32[] 2.0", "f32[] -2.0", "the scale is -0.5"),
        # a value that something else reads too
        ("recognise-gelu", "output(%y) {names = [", 'output(%b, %y) {names = ["b", ',
         "the result of onnx.Erf 'erf' is also read by output"),
        ("recognise-gelu", "output(%y) {names = [", 'output(%d, %y) {names = ["d", ',
         "the result of onnx.Mul 'mul' is also read by output"),
        ("recognise-silu", "output(%y) {names = [", 'output(%s, %y) {names = ["s", ',
         "the result of onnx.Sigmoid 'sigmoid' is also read by output"),
        ("recognise-layernorm", "output(%y) {names = [", 'output(%d, %y) {names = ["d", ',
         "the result of onnx.Sub 'sub' is also read by output"),
        ("recognise-attention", "output(%y) {names = [", 'output(%w, %y) {names = ["w", ',
         "the result of onnx.Softmax 'weights' is also read by output"),
        ("recognise-softmax", "output(%y) {names = [", 'output(%e, %y) {names = ["e", ',
         "the result of onnx.Exp 'exp' is also read by output"),
        ("fold-norm-affine", "output(%y) {names = [", 'output(%n, %y) {names = ["n", ',
         "the result of onnx.LayerNormalization 'norm' is also read by output"),
        # a wrong axis
        ("recognise-layernorm", "axes = [2]", "axes = [1]", "the mean is over axes [1], not over the last"),
        ("recognise-layernorm", "(%s) {axes = [2]}", "(%s) {axes = [1]}",
         "the means are not over the same axes"),
        ("recognise-attention", "axis = -1", "axis = 2", "the softmax is not along the last axis"),
        ("recognise-attention", '"k" : f32[1,2,5,4]', '"k" : f32[1,1,5,4]',
         "the keys have the shape [1, 1, 5, 4]"),
        ("recognise-softmax", "i64[1] 2", "i64[2] 1 2", "the sum is not along one axis"),
        # a constant that makes the result larger
        ("recognise-silu", "onnx.Sigmoid(%x)", "onnx.Sigmoid(%z)", "different values"),
        ("recognise-gelu", "f32[] 0.5", "f32[1,1] 0.5", "change the type from f32[4] to f32[1,4]"),
        # other dtypes
        ("recognise-layernorm", "f32[", "f64[", "LayerNormalization computes its statistics in f32"),
        ("recognise-hardswish", "f32[", "bf16[", "HardSwish is not defined for bf16"),
    ],
)  # fmt: skip
def test_a_near_miss_is_explained(name: str, old: str, new: str, reason: str) -> None:
    body, opset = ALL[name]
    changed = body.replace(old, new)
    assert changed != body
    if "%z" in changed:
        changed = '\n  %z = input() "z" : f32[4]' + changed
    graph = graph_of(changed, opset)
    assert reason in refusals(name, graph)
    assert kinds(PassManager.parse(name).run(graph)) == kinds(graph)


@pytest.mark.parametrize(
    ("name", "type", "first"),
    [
        ("recognise-gelu", "Gelu", 20), ("recognise-silu", "Swish", 24),
        ("recognise-hardswish", "HardSwish", 14), ("recognise-layernorm", "LayerNormalization", 17),
        ("recognise-attention", "Attention", 23),
    ],
)  # fmt: skip
def test_an_opset_that_lacks_the_op_is_raised_first(name: str, type: str, first: int) -> None:
    graph = graph_of(ALL[name][0], first - 1)
    reason = f"opset {first - 1} has no {type}; put raise-opset{{to={first}}} before it"
    assert reason in refusals(name, graph)
    assert f"onnx.{type}" in kinds(proved(f"raise-opset{{to={first}}},{name}", graph))


def test_a_bias_that_is_no_constant_stays() -> None:
    body = AFFINE.replace("(%x, %s)", "(%x, %s, %b)").replace(
        "%n =", '%b = input() "b" : f32[4]\n  %n ='
    )
    assert "its bias is not a constant" in refusals("fold-norm-affine", graph_of(body))


def test_softmax_before_opset_13_is_along_the_last_axis() -> None:
    body = SOFTMAX.replace("(%e, %axes)", ":11(%e) {axes = [1]}")
    reason = "Softmax of opset 12 is along the last axis only"
    assert reason in refusals("recognise-softmax", graph_of(body, 12))


def test_softmax_is_right_where_exp_overflows() -> None:
    from dlc.interp import run

    graph = graph_of(SOFTMAX)
    x = np.full((2, 3, 4), 1000.0, np.float32)
    with np.errstate(all="ignore"):
        assert np.isnan(run(graph, {"x": x})["y"]).all()
    found = run(PassManager.parse("recognise-softmax").run(graph), {"x": x})["y"]
    np.testing.assert_allclose(found, 0.25)


# ---- raise-opset --------------------------------------------------------------------------------


def test_raise_opset_says_what_it_takes() -> None:
    with pytest.raises(PassError, match="to=99 is no opset; the newest one known is"):
        PassManager.parse("raise-opset{to=99}")


def test_what_the_converter_gets_wrong_keeps_its_version() -> None:
    graph = next(g for g in ir_sections("raise-opset") if g.name == "group norm")
    assert "GroupNormalization 'norm'" in refusals("raise-opset{to=23}", graph)


def test_bodies_are_raised_too() -> None:
    graph = graph_of(
        """
  %c = input() "c" : bool[]
  %x = input() "x" : f32[1,4]
  %y = onnx.If(%c, %x) {captures = 1, else_branch = graph "else" {opsets = {"" = 11}} {
      %0 = input() "x" : f32[1,4]
      %1 = onnx.Squeeze(%0) {axes = [0]} : f32[4]
      output(%1) {names = ["e"]}
    }, then_branch = graph "then" {opsets = {"" = 11}} {
      %0 = input() "x" : f32[1,4]
      %1 = constant() {value = dense<f32[4] 1.0 2.0 3.0 4.0>} : f32[4]
      output(%1) {names = ["t"]}
    }} : f32[4]
  output(%y) {names = ["y"]}""",
        11,
    )
    raised = PassManager.parse("raise-opset").run(graph)
    (choice,) = [op for op in raised.ops if op.operator.label == "onnx.If"]
    assert {body.opsets[""] for body in choice.operator.regions()} == {23}
    proved("raise-opset", graph)
