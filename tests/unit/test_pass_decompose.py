"""``decompose``: the bodies against the ops themselves, reasons, and mistakes in its options."""

from __future__ import annotations

import pytest
from pass_checks import graph_of, kinds, proved, refusals

from dlc.errors import PassError
from dlc.passmanager import PassManager

X = '%x = input() "x" : f32[2,4,3]\n'
C = "%c = constant() {value = dense<f32[3] 1.0 -2.0 0.5>}\n"
V = "%v = constant() {value = dense<f32[4] 1.0 2.0 0.5 3.0>}\n"
GEMM = '%b = input() "b" : f32[2,4]\n%x = input() "x" : f32[2,3]\n%k = input() "k" : f32[4,1]\n'
Y = '\noutput(%y) {names = ["y"]}'


@pytest.mark.parametrize(
    ("body", "opset"),
    [
        (X + '%y = onnx.Softmax(%x) {axis = 1} "soft"' + Y, 13),
        (X + '%y = onnx.LogSoftmax(%x) "soft"' + Y, 18),
        (X + C + '%y = onnx.LayerNormalization(%x, %c, %c) "ln"' + Y, 17),
        (X + C + '%y = onnx.LayerNormalization(%x, %c) {axis = -1, epsilon = 0.5} "ln"' + Y, 18),
        (X + '%y = onnx.HardSwish(%x) "swish"' + Y, 14),
        (X + '%y = onnx.Gelu(%x) {approximate = "tanh"} "gelu"' + Y, 20),
        (X + '%y = onnx.Mish(%x) "mish"' + Y, 18),
        (X + '%y = onnx.Celu(%x) {alpha = 0.5} "celu"' + Y, 12),
        (X + V + '%y = onnx.BatchNormalization(%x, %v, %v, %v, %v) "bn"' + Y, 9),
        (X + V + '%y = onnx.GroupNormalization(%x, %v, %v) {num_groups = 2} "gn"' + Y, 21),
        ('%x = input() "x" : f32[2,3,4,4]\n%y = onnx.MeanVarianceNormalization(%x) "mvn"' + Y, 13),
        (X + C + '%y = onnx.RMSNormalization(%x, %c) "rms"' + Y, 23),
        (GEMM + '%y = onnx.Gemm(%b, %x, %k) {alpha = 0.5, beta = 2.0, transA = 1} "gemm"' + Y, 13),
        (GEMM + '%y = onnx.Gemm(%b, %x, %k) {beta = 0.0, transA = 1} "gemm"' + Y, 13),
    ],
)  # fmt: skip
def test_the_parts_compute_the_op(body: str, opset: int) -> None:
    graph = graph_of(body, opset)
    result = proved("decompose", graph)
    assert kinds(graph)[0] not in kinds(result)


def test_operands_stay_the_same_values() -> None:
    """What stands for an operand in the body is the operand again, constants too."""
    graph = graph_of(X + C + "%n = onnx.RMSNormalization(%x, %c)\n%y = onnx.Add(%n, %c)" + Y, 23)
    result = proved("decompose", graph)
    scale = result.outputs[0].op.operands[1]
    assert scale is not None
    assert {use.op.operator.label for use in scale.uses} == {"onnx.Mul", "onnx.Add"}


@pytest.mark.parametrize(
    ("body", "opset", "reason"),
    [
        (X + '%v = input() "v" : f32[4]\n%y = onnx.BatchNormalization(%x, %v, %v, %v, %v)' + Y, 15,
         "its parameters are not constants of each channel"),
        (X + V + "%y, %m, %n = onnx.BatchNormalization(%x, %v, %v, %v, %v) {results = 3, training_mode = 1}"
         + Y, 15, "it is in training mode"),
        ('%x = input() "x" : f32[2,3]\n%y = onnx.Gemm(%x, %x, %x) {transB = 1, broadcast = 1} : f32[2,2]' + Y, 6,
         "it broadcasts as before opset 7"),
        (X + "%y = onnx.Softmax(%x)" + Y, 11, "ONNX has no body of it in version 11"),
    ],
)  # fmt: skip
def test_refuses_with_a_reason(body: str, opset: int, reason: str) -> None:
    assert reason in refusals("decompose", graph_of(body, opset))


@pytest.mark.parametrize(
    ("pipeline", "sentence"),
    [
        ("decompose{ops=(Softmacks)}", "ONNX has no operator 'Softmacks'; did you mean Softmax"),
        (
            "decompose{ops=(Softmax,Conv)}",
            "ONNX does not say what Conv is made of; leave it out of ops",
        ),
    ],
)
def test_mistakes(pipeline: str, sentence: str) -> None:
    with pytest.raises(PassError, match="decompose") as caught:
        PassManager.parse(pipeline)
    assert sentence in str(caught.value)
