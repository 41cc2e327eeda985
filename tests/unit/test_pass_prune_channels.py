"""``prune-channels``: zeroed channels, masks, thresholds, reasons, and random networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pass_checks import graph_of, proved, refusals

from dlc.errors import InputError
from dlc.interp import run
from dlc.ir.graph import Graph, Value
from dlc.ir.types import DType, TensorType
from dlc.ops.onnx.operator import OnnxOperator
from dlc.passmanager import PassManager

CONV = """%x = input() "x" : f32[1,1,2,2]
%w = constant() {value = dense<f32[2,1,1,1] 3.0 0.0>}
%c = onnx.Conv(%x, %w) "conv"
"""
V = "%v = constant() {value = dense<f32[1,2,1,1] 5.0 7.0>}\n"
NEXT = V + '%y = onnx.Conv(%c, %v) "next"\noutput(%y) {names = ["y"]}'


def through(line: str) -> str:
    return CONV + line + "\n" + NEXT.replace("%c,", "%d,")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (CONV + 'output(%c) {names = ["y"]}', "output needs all of its channels"),
        (CONV.replace("3.0 0.0", "3.0 1.0") + NEXT, "none of its channels is to go"),
        (CONV.replace("%w = constant() {value = dense<f32[2,1,1,1] 3.0 0.0>}", '%w = input() "w" : f32[2,1,1,1]')
         + NEXT, "its weights or bias are not constant"),
        (through('%d = onnx.Sigmoid(%c) "sigmoid"'), "onnx.Conv 'next' reads channels that are not zero any more"),
        (through('%d = onnx.Softmax(%c) "soft"'), "onnx.Softmax 'soft' needs all of its channels"),
        (through('%z = input() "z" : f32[1,2,2,2]\n%d = onnx.Add(%c, %z) "add"'),
         "onnx.Add 'add' joins it with a value that has all channels"),
        (through('%d = onnx.Div(%c, %c) "div"'), "onnx.Div 'div' divides by its channels"),
        (through('%i = constant() {value = dense<f32[2,1,1] 1.0 inf>}\n%d = onnx.Mul(%c, %i) "mul"'),
         "onnx.Mul 'mul' multiplies zeros by what is not finite"),
        (through('%p = constant() {value = dense<i64[8] 0 1 0 0 0 0 0 0>}\n%e = onnx.Pad(%c, %p) "pad"\n'
                 "%o = constant() {value = dense<f32[2,3,1,1] 1.0 1.0 1.0 1.0 1.0 1.0>}\n%d = onnx.Conv(%e, %o)"),
         "onnx.Pad 'pad' pads its channels"),
        (CONV + NEXT.replace("7.0", "nan"), "onnx.Conv 'next' has weights that are not finite"),
        (CONV + NEXT.replace("%v = constant() {value = dense<f32[1,2,1,1] 5.0 7.0>}", '%v = input() "v" : f32[1,2,1,1]'),
         "onnx.Conv 'next' has weights that are not constant"),
        (through('%g = constant() {value = dense<f32[4,1,1,1] 1.0 2.0 3.0 4.0>}\n'
                 '%e = onnx.Conv(%c, %g) {group = 2} "wide"\n'
                 "%o = constant() {value = dense<f32[2,4,1,1] 1.0 1.0 1.0 1.0 1.0 1.0 1.0 1.0>}\n%d = onnx.Conv(%e, %o)"),
         "onnx.Conv 'wide' has groups of several channels"),
        (through('%o = constant() {value = dense<f32[2] 1.0 1.0>}\n'
                 '%d = onnx.BatchNormalization(%c, %o, %o, %o, %o) "bn"'), "(fold-bn, if it was a normalisation)"),
    ],
)  # fmt: skip
def test_refuses_with_a_reason(body: str, reason: str) -> None:
    assert reason in refusals("prune-channels", graph_of(body))


def channels(graph: Graph, label: str) -> int:
    (conv,) = (op for op in graph.ops if op.label == label)
    return int(conv.types[0].shape[1])  # type: ignore[arg-type]


def test_a_threshold_takes_small_channels() -> None:
    graph = graph_of(CONV.replace("0.0>", "0.01>") + NEXT)
    assert channels(PassManager.parse("prune-channels").run(graph), "conv") == 2
    pruned = PassManager.parse("prune-channels{threshold=0.01}").run(graph)
    assert channels(pruned, "conv") == 1


def test_one_channel_always_stays() -> None:
    graph = graph_of(CONV.replace("3.0 0.0", "0.0 0.0") + NEXT)
    result = proved("prune-channels", graph)
    assert channels(result, "conv") == 1


def test_a_mask_rules_channels_out(tmp_path: Path) -> None:
    np.savez(tmp_path / "masks.npz", conv=np.array([0, 1]))
    graph = graph_of(CONV.replace("3.0 0.0", "3.0 4.0") + NEXT)
    pruned = PassManager.parse(f"prune-channels{{masks='{tmp_path}/masks.npz'}}").run(graph)
    zeroed = graph_of(CONV.replace("3.0 0.0", "0.0 4.0") + NEXT)
    x = {"x": np.random.default_rng(0).random((1, 1, 2, 2), np.float32)}
    np.testing.assert_array_equal(run(pruned, x)["y"], run(zeroed, x)["y"])
    assert channels(pruned, "conv") == 1


@pytest.mark.parametrize(
    ("masks", "sentence"),
    [
        ({"cnov": np.ones(2)}, "has a mask for 'cnov', which is no Conv of the model"),
        ({"conv": np.ones(3)}, "the mask of 'conv' has shape [3], its channels are 2"),
        ({"conv": np.array([None, 1])}, "is no .npz file of masks"),
        (None, "is no .npz file of masks"),
    ],
)
def test_bad_masks(tmp_path: Path, masks: dict[str, np.ndarray] | None, sentence: str) -> None:  # type: ignore[type-arg]
    path = tmp_path / "masks.npz"
    if masks is not None:
        np.savez(path, **masks)  # type: ignore[arg-type]
    with pytest.raises(InputError) as caught:
        PassManager.parse(f"prune-channels{{masks='{path}'}}").run(graph_of(CONV + NEXT))
    assert sentence in str(caught.value)


@st.composite
def networks(draw: st.DrawFn) -> Graph:
    """A conv with zero channels, what may follow it, and a conv or product in the end."""
    graph = Graph("network", {"": 17})
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    count = draw(st.integers(2, 4))

    def constant(*shape: int, zero: bool = False) -> Value:
        array = rng.uniform(0.5, 2, shape).astype(np.float32)
        if zero:
            array[gone] = 0
        return graph.add_constant(array)

    def add(type: str, *operands: Value, **attributes: object) -> Value:
        operator = OnnxOperator(type, 17, tuple(sorted(attributes.items())))
        return graph.add(operator, operands, label=f"{type}{len(graph)}").results[0]

    gone = np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    x = graph.add_input("x", TensorType(DType.F32, (1, 2, 4, 4)))
    bias = [constant(count, zero=True)] if draw(st.booleans()) else []
    x = add("Conv", x, constant(count, 2, 3, 3, zero=True), *bias)
    for _ in range(draw(st.integers(0, 4))):
        kind = draw(
            st.sampled_from(["unary", "silu", "depthwise", "scale", "pool", "pad", "norm", "shift"])
        )
        if kind == "unary":
            x = add(draw(st.sampled_from(["Relu", "Tanh", "HardSwish", "Abs", "Softplus"])), x)
        elif kind == "silu":
            x = add("Mul", x, add("Sigmoid", x))
        elif kind == "depthwise":
            x = add(
                "Conv",
                x,
                constant(count, 1, 1, 1),
                constant(count, zero=draw(st.booleans())),
                group=count,
            )
        elif kind == "scale":
            x = add("Mul", constant(count, 1, 1), x)
        elif kind == "shift":
            x = add("Add", x, constant(count, 1, 1, zero=draw(st.booleans())))
        elif kind == "pool":
            x = add(draw(st.sampled_from(["MaxPool", "AveragePool"])), x, kernel_shape=(1, 1))
        elif kind == "pad":
            x = add("Pad", x, graph.add_constant(np.array([0, 0, 1, 0, 0, 0, 0, 0], np.int64)))
        else:
            zero = draw(st.booleans())
            parameters = [constant(count), constant(count, zero=zero), constant(count, zero=zero)]
            x = add("BatchNormalization", x, *parameters, constant(count))
    end = draw(st.sampled_from(["Conv", "ConvTranspose", "Gemm", "MatMul"]))
    if end == "Conv":
        x = add("Conv", x, constant(2, count, 1, 1), pads=(1, 1, 0, 0))
    elif end == "ConvTranspose":
        x = add("ConvTranspose", x, constant(count, 2, 2, 2))
    elif end == "Gemm":
        x = add("Flatten", x)
        x = add("Gemm", x, constant(3, x.shape[1]), transB=1)
    else:
        x = add("Reshape", x, graph.add_constant(np.array([1, -1], np.int64)))
        x = add("MatMul", x, constant(x.shape[1], 3))
    graph.set_outputs([("y", x)])
    return graph


@settings(max_examples=60)
@given(graph=networks())
def test_zero_channels_leave_without_a_trace(graph: Graph) -> None:
    result = proved("prune-channels", graph, runs=1)
    (x,) = graph.inputs
    arrays = {"x": np.random.default_rng(1).standard_normal(x.shape).astype(np.float32)}
    np.testing.assert_allclose(
        run(result, arrays)["y"], run(graph, arrays)["y"], rtol=1e-4, atol=1e-5
    )
