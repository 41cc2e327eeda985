"""What each pass refuses and why, its documentation page, idempotence, and results by onnxruntime."""

from __future__ import annotations

import re
import textwrap
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from dlc.importer import load
from dlc.interp import run
from dlc.ir.graph import Graph
from dlc.ir.text import parse_graph, print_graph
from dlc.ir.types import DType, TensorType
from dlc.ops.core.map import Map
from dlc.ops.onnx.operator import OnnxOperator
from dlc.passmanager import PIPELINES, PassManager, find_pass

PASSES = (
    "dce", "cse", "drop-identity", "expand-ops", "fold-constants", "fold-bn", "fuse-conv-relu",
    "fuse-maps",
)  # fmt: skip
WHOLE = PIPELINES["O2"].removesuffix(",hoist-constants,pack-constants,liveness,plan-arena")


def refusals(pipeline: str, body: str, opset: int = 17) -> dict[str, set[str]]:
    """Reasons by rule that the last pass gives for a graph."""
    manager = PassManager.parse(pipeline, explain=True)
    manager.run(parse_graph(f'graph "g" {{opsets = {{"" = {opset}}}}} {{\n{body}\n}}'))
    found: dict[str, set[str]] = {}
    for refusal in manager.report[-1].refusals:
        found.setdefault(refusal.rule, set()).add(refusal.reason)
    return found


# ---- documentation pages ------------------------------------------------------------------------


@pytest.mark.parametrize("name", PASSES)
def test_the_example_in_the_documentation_holds(name: str) -> None:
    page = textwrap.dedent("    " + (find_pass(name).__doc__ or ""))
    before, after = re.findall(r'^ *graph "g".*?^ *\}\n', page, re.MULTILINE | re.DOTALL)
    before, after = textwrap.dedent(before), textwrap.dedent(after)
    manager = PassManager.parse(name)
    result = manager.run(parse_graph(before))
    assert print_graph(result) == after
    assert manager.report[0].changed
    again = PassManager.parse(name)
    assert print_graph(again.run(result)) == after
    assert not again.report[0].changed


# ---- fold-bn ------------------------------------------------------------------------------------

BN = """
  %one = constant() {value = dense<f32[2] 1.0 1.0>}
  %n = onnx.BatchNormalization(%c, %one, %one, %one, %one) "bn"
"""


def conv(inputs: str = "%x, %w", attributes: str = "") -> str:
    return f"""
  %x = input() "x" : f32[1,1,4,4]
  %w = constant() {{value = dense<f32[2,1,1,1] 1.0 2.0>}}
  %c = onnx.Conv({inputs}) {attributes} "conv"
"""


@pytest.mark.parametrize(
    ("body", "opset", "reason"),
    [
        (conv() + BN + 'output(%n, %c) {names = ["n", "c"]}', 17, "is also read by output"),
        (
            '%v = input() "v" : f32[2,1,1,1]\n' + conv("%x, %v") + BN + 'output(%n) {names = ["n"]}',
            17, "the result of input 'v' is not a constant",
        ),
        (
            '%b = input() "b" : f32[2]\n' + conv("%x, %w, %b") + BN + 'output(%n) {names = ["n"]}',
            17, "the bias of 'conv' is not a constant",
        ),
        (
            conv() + BN.replace('"bn"', '{results = 3, training_mode = 1} "bn"').replace(
                "%n =", "%n, %p, %q =") + 'output(%n) {names = ["n"]}',
            17, "it is in training mode",
        ),
        (conv() + BN + 'output(%n) {names = ["n"]}', 6, "it is in training mode"),
        (
            conv() + BN.replace('"bn"', '{is_test = 1, spatial = 0} "bn"') + 'output(%n) {names = ["n"]}',
            6, "its statistics are not per channel",
        ),
        (
            conv() + BN.replace("f32[2] 1.0 1.0", "f32[2] -1.0 1.0") + 'output(%n) {names = ["n"]}',
            17, "the new weights would not be finite",
        ),
        (
            conv() + "%r = onnx.Relu(%c)\n" + BN.replace("(%c", "(%r") + 'output(%n) {names = ["n"]}',
            17, "onnx.Relu is not onnx.Conv or onnx.ConvTranspose or onnx.Gemm or onnx.MatMul",
        ),
    ],
)  # fmt: skip
def test_fold_bn_refuses_with_a_reason(body: str, opset: int, reason: str) -> None:
    (found,) = refusals("fold-bn", body, opset)["fold-bn-into-previous"]
    assert reason in found


def test_fold_bn_before_a_padded_conv_refuses() -> None:
    body = """
  %x = input() "x" : f32[1,2,4,4]
  %one = constant() {value = dense<f32[2] 1.0 1.0>}
  %zero = constant() {value = dense<f32[2] 0.0 0.0>}
  %n = onnx.BatchNormalization(%x, %one, ZERO, %zero, %one) "bn"
  %w = constant() {value = dense<f32[1,2,3,3] 1.0 1.0 1.0 1.0 1.0 1.0 1.0 1.0 1.0 1.0 1.0 1.0 1.0 1.0 1.0 1.0 1.0 1.0>}
  %c = onnx.Conv(%n, %w) {pads = [1, 1, 1, 1]} "conv"
  output(%c) {names = ["y"]}
"""
    reason = "the padding of the conv after it would need the shift too"
    assert reason in refusals("fold-bn", body.replace("ZERO", "%one"))["fold-bn-into-next"]
    # without a shift the padding does not matter
    found = refusals("fold-bn", body.replace("ZERO", "%zero"))["fold-bn-into-next"]
    assert found == {"input 'x' is not onnx.BatchNormalization"}


def norm(channels: int, rng: np.random.Generator) -> list[np.ndarray[Any, Any]]:
    return [rng.uniform(0.5, 2, channels).astype(np.float32) for _ in range(4)]


def model(
    nodes: list[onnx.NodeProto], weights: dict[str, Any], shape: list[int]
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes, "m", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


CASES: dict[str, tuple[str, dict[str, Any], list[int], list[int], int]] = {
    # name: operator, attributes, shape of x, shape of w, channels of the result
    "conv": ("Conv", {"pads": [1, 1, 1, 1]}, [1, 3, 5, 5], [4, 3, 3, 3], 4),
    "depthwise": ("Conv", {"group": 4}, [1, 4, 5, 5], [4, 1, 3, 3], 4),
    "grouped": ("Conv", {"group": 2}, [1, 4, 5, 5], [6, 2, 1, 1], 6),
    "conv 1d": ("Conv", {}, [2, 3, 7], [4, 3, 3], 4),
    "transposed": ("ConvTranspose", {"strides": [2, 2]}, [1, 3, 4, 4], [3, 5, 2, 2], 5),
    "transposed, grouped": ("ConvTranspose", {"group": 2}, [1, 4, 4, 4], [4, 3, 3, 3], 6),
    "gemm": ("Gemm", {"alpha": 0.5, "beta": 2.0}, [3, 4], [4, 5], 5),
    "gemm, transposed": ("Gemm", {"transB": 1, "transA": 1}, [4, 3], [5, 4], 5),
    "matmul": ("MatMul", {}, [3, 4], [4, 5], 5),
}


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_bn_after_a_linear_op_folds_exactly(case: str, bias: bool) -> None:
    type, attributes, shape, weights, channels = CASES[case]
    rng = np.random.default_rng(0)
    arrays = {"w": rng.standard_normal(weights).astype(np.float32)}
    operands = ["x", "w"]
    if bias and type != "MatMul":
        arrays["b"] = rng.standard_normal(channels).astype(np.float32)
        operands.append("b")
    arrays |= dict(zip(("s", "t", "m", "v"), norm(channels, rng), strict=True))
    nodes = [
        helper.make_node(type, operands, ["c"], **attributes),
        helper.make_node("BatchNormalization", ["c", "s", "t", "m", "v"], ["y"], epsilon=0.01),
    ]
    assert_folds(model(nodes, arrays, shape))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("case", ["depthwise", "grouped", "conv 1d", "gemm", "matmul"])
def test_bn_before_a_linear_op_folds_exactly(case: str, bias: bool) -> None:
    type, attributes, shape, weights, channels = CASES[case]
    rng = np.random.default_rng(1)
    arrays = {"w": rng.standard_normal(weights).astype(np.float32)}
    operands = ["n", "w"]
    if bias and type != "MatMul":
        arrays["b"] = rng.standard_normal(channels).astype(np.float32)
        operands.append("b")
    arrays |= dict(zip(("s", "t", "m", "v"), norm(shape[1], rng), strict=True))
    nodes = [
        helper.make_node("BatchNormalization", ["x", "s", "t", "m", "v"], ["n"], epsilon=0.01),
        helper.make_node(type, operands, ["y"], **attributes),
    ]
    assert_folds(model(nodes, arrays, shape))


def assert_folds(proto: onnx.ModelProto) -> None:
    import onnxruntime

    graph = load(proto)
    folded = PassManager.parse("fold-bn").run(graph)
    assert "onnx.BatchNormalization" not in {op.operator.label for op in folded.ops}
    (x,) = graph.inputs
    inputs = {"x": np.random.default_rng(2).standard_normal(x.shape).astype(np.float32)}
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (expected,) = session.run(None, inputs)
    np.testing.assert_allclose(run(folded, inputs)["y"], expected, rtol=1e-4, atol=1e-5)
    lowered = PassManager.parse(WHOLE).run(graph)
    np.testing.assert_allclose(run(lowered, inputs)["y"], expected, rtol=1e-4, atol=1e-5)
    assert PassManager.parse("fold-bn").run(folded) is not folded
    assert print_graph(PassManager.parse("fold-bn").run(folded)) == print_graph(folded)


def test_shared_weights_are_never_modified() -> None:
    graph = parse_graph(
        'graph "g" {opsets = {"" = 17}} {' + conv() + '%d = onnx.Conv(%x, %w) "other"\n' + BN
        + '  output(%n, %d) {names = ["n", "d"]}\n}'
    )  # fmt: skip
    (weights,) = {op.operands[1] for op in graph.ops if op.label in ("conv", "other")}
    assert weights is not None
    before = np.array(weights.constant)
    folded = PassManager.parse("fold-bn").run(graph)
    np.testing.assert_array_equal(weights.constant, before)
    (other,) = (op.operands[1] for op in folded.ops if op.label == "other")
    assert other is not None
    np.testing.assert_array_equal(other.constant, before)


# ---- the other passes' reasons --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pipeline", "rule", "body", "reason"),
    [
        ("drop-identity", "drop-dropout", """
  %x = input() "x" : f32[4]
  %y, %m = onnx.Dropout:13(%x) {results = 2} : f32[4], bool[4]
  output(%y, %m) {names = ["y", "m"]}""", "its mask is read"),
        ("drop-identity", "drop-dropout", """
  %x = input() "x" : f32[4]
  %t = input() "t" : bool[]
  %y = onnx.Dropout:13(%x, _, %t) : f32[4]
  output(%y) {names = ["y"]}""", "it may be in training mode"),
        ("drop-identity", "drop-no-op", """
  %x = input() "x" : f32[4]
  %p = constant() {value = dense<i64[2] 1 -1>}
  %y = onnx.Pad(%x, %p)
  output(%y) {names = ["y"]}""", "it may shift its operand"),
        ("drop-identity", "drop-cast-pair", """
  %x = input() "x" : f32[4]
  %a = onnx.Cast(%x) {to = 7}
  %y = onnx.Cast(%a) {to = 1}
  output(%y) {names = ["y"]}""", "i64 does not hold every f32"),
        ("fold-constants", "fold-constants", """
  %n = constant() {value = dense<i64[1] 100000>}
  %y = onnx.ConstantOfShape(%n)
  output(%y) {names = ["y"]}""", "its results have 400000 bytes, its operands 8"),
        ("fold-constants{max_bytes=4}", "fold-constants", """
  %n = constant() {value = dense<f32[2] 1.0 2.0>}
  %y = onnx.Exp(%n)
  output(%y) {names = ["y"]}""", "its results have 8 bytes, more than max_bytes=4"),
        ("fuse-maps", "fuse-maps", """
  %x = input() "x" : f32[4]
  %a = map(%x) {expr = `exp(a0)`}
  %b = map(%a) {expr = `a0 * a0`}
  output(%b) {names = ["y"]}""", "its reader uses it 2 times, so its work would be repeated"),
        ("fuse-maps{max_size=3}", "fuse-maps", """
  %x = input() "x" : f32[4]
  %a = map(%x) {expr = `a0 + 1.0`}
  %b = map(%a) {expr = `exp(a0)`}
  output(%b) {names = ["y"]}""", "the expression would have 4 nodes"),
        ("fuse-maps{max_operands=2}", "fuse-maps", """
  %x = input() "x" : f32[4]
  %z = input() "z" : f32[4]
  %u = input() "u" : f32[4]
  %a = map(%x, %z) {expr = `a0 + a1`}
  %b = map(%a, %u) {expr = `a0 + a1`}
  output(%b) {names = ["y"]}""", "the loop would read 3 operands"),
        ("fuse-maps", "fuse-maps", """
  %x = input() "x" : f32[4]
  %z = input() "z" : f32[8,4]
  %a = map(%x) {expr = `exp(a0)`}
  %b = map(%a, %z) {expr = `a0 * a1`}
  output(%b) {names = ["y"]}""", "it is smaller than what reads it, so its work would be repeated"),
        ("fuse-conv-relu", "fuse-conv-relu", """
  %x = input() "x" : f32[2,2]
  %c = contract(%x, %x)
  output(%c) {names = ["y"]}""", "its result is an output of the graph"),
        ("fuse-conv-relu", "fuse-conv-relu", """
  %x = input() "x" : f32[2,2]
  %c = contract(%x, %x)
  %a = map(%c) {expr = `exp(a0)`}
  %b = map(%c) {expr = `-a0`}
  output(%a, %b) {names = ["a", "b"]}""", "several ops read its result"),
        ("fuse-conv-relu", "fuse-conv-relu", """
  %x = input() "x" : f32[2,2]
  %c = onnx.MatMul(%x, %x)
  %a = onnx.Softmax(%c) "soft"
  output(%a) {names = ["a"]}""", "onnx.Softmax 'soft' is not element-wise"),
        ("fuse-conv-relu{max_size=2}", "fuse-conv-relu", """
  %x = input() "x" : f32[2,2]
  %c = contract(%x, %x)
  %a = map(%c) {expr = `a0 + 1.0`}
  output(%a) {names = ["a"]}""", "the epilogue would have 3 nodes"),
    ],
)  # fmt: skip
def test_refuses_with_a_reason(pipeline: str, rule: str, body: str, reason: str) -> None:
    assert reason in refusals(pipeline, body)[rule]


def test_cse_tells_equal_samples_from_equal_constants() -> None:
    graph = Graph()
    arrays = [np.zeros(1000, np.float32) for _ in range(3)]
    arrays[1][1] = 1  # not one of the elements sampled
    graph.set_outputs([(f"y{i}", graph.add_constant(a)) for i, a in enumerate(arrays)])
    result = PassManager.parse("cse").run(graph)
    assert result.outputs[0] is result.outputs[2]
    assert result.outputs[1] is not result.outputs[0]


def test_fuse_conv_relu_keeps_the_graph_acyclic() -> None:
    """The other operand of an add is computed from the anchor's operand, after it."""
    graph = parse_graph("""graph "g" {
  %x = input() "x" : f32[2,2]
  %c = contract(%x, %x) "c"
  %d = contract(%x, %x) {transpose_lhs = true} "d"
  %e = map(%d) {expr = `exp(a0)`} "e"
  %f = map(%c, %e) {expr = `a0 * a1`} "f"
  %g = contract(%f, %e) "g"
  %h = map(%g, %f) {expr = `a0 + a1`} "h"
  output(%h) {names = ["y"]}
}""")
    result = PassManager.parse("fuse-conv-relu").run(graph)
    assert not any(isinstance(op.operator, Map) for op in result.ops)
    x = np.array([[0.1, 0.2], [0.3, 0.4]], np.float32)
    np.testing.assert_allclose(run(result, {"x": x})["y"], run(graph, {"x": x})["y"], rtol=1e-6)


def test_silu_and_residuals_fuse_across_ops() -> None:
    graph = parse_graph("""graph "g" {opsets = {"" = 17}} {
  %x = input() "x" : f32[1,2,4,4]
  %w = constant() {value = dense<f32[2,2,1,1] 1.0 2.0 3.0 4.0>}
  %c = onnx.Conv(%x, %w) "conv"
  %s = onnx.Sigmoid(%c) "sigmoid"
  %m = onnx.Mul(%c, %s) "mul"
  %y = onnx.Add(%m, %x) "add"
  output(%y) {names = ["y"]}
}""")
    result = PassManager.parse(WHOLE).run(graph)
    kinds = [op.operator.label for op in result.ops]
    assert kinds == ["input", "constant", "conv", "output"]
    x = np.random.default_rng(0).standard_normal((1, 2, 4, 4)).astype(np.float32)
    np.testing.assert_allclose(run(result, {"x": x})["y"], run(graph, {"x": x})["y"], rtol=1e-5)


# ---- scale ----------------------------------------------------------------------------------------


def chain(types: list[str], length: int) -> Graph:
    graph = Graph("chain", {"": 17})
    f32 = TensorType(DType.F32, (1, 8))
    x = graph.add_input("x", f32)
    others = {"Add": np.float32(0.5), "MatMul": np.eye(8, dtype=np.float32)}
    values = {type: graph.add_constant(array) for type, array in others.items()}
    for i in range(length):
        type = types[i % len(types)]
        operands = [x, *([values[type]] if type in values else [])]
        x = graph.add(OnnxOperator(type, 17), operands, types=[f32], label=f"{type}{i}").result
    graph.set_outputs([("y", x)])
    return graph


@pytest.mark.parametrize("types", [["Relu", "Add", "Tanh", "Identity"], ["MatMul", "Relu"]])
def test_cost_grows_linearly(types: list[str]) -> None:
    def seconds(make: Callable[[], Graph]) -> float:
        graph = make()
        start = time.process_time()
        PassManager.parse(WHOLE, verify=False).run(graph)
        return time.process_time() - start

    small = min(seconds(lambda: chain(types, 500)) for _ in range(2))
    large = seconds(lambda: chain(types, 3000))
    assert large < 6 * 3 * small
