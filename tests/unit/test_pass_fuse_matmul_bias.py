"""``fuse-matmul-bias``: what it refuses and why, and random products."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pass_checks import graph_of, kinds, proved, refusals

X = '%x = input() "x" : f32[3,2]\n%w = input() "w" : f32[2,4]\n'
Y = '\noutput(%y) {names = ["y"]}'


@pytest.mark.parametrize(
    ("body", "opset", "reason"),
    [
        ('%x = input() "x" : f32[5,3,2]\n%w = input() "w" : f32[2,4]\n%b = input() "b" : f32[4]\n'
         "%m = onnx.MatMul(%x, %w)\n%y = onnx.Add(%m, %b)" + Y, 17,
         "a product of 3 axes has no Gemm; its contract will take the epilogue"),
        ('%x = input() "x" : f32[2]\n%w = input() "w" : f32[2,4]\n%b = input() "b" : f32[4]\n'
         "%m = onnx.MatMul(%x, %w)\n%y = onnx.Add(%m, %b)" + Y, 17, "has no Gemm"),
        (X + '%b = input() "b" : f32[5,3,4]\n%m = onnx.MatMul(%x, %w)\n%y = onnx.Add(%m, %b)' + Y, 17,
         "f32[5,3,4] does not broadcast to f32[3,4]"),
        (X.replace("3,2", "1,2") + '%b = input() "b" : f32[3,4]\n%m = onnx.MatMul(%x, %w)\n'
         "%y = onnx.Add(%m, %b)" + Y, 17, "f32[3,4] does not broadcast to f32[1,4]"),
        (X.replace("f32", "u8") + '%b = input() "b" : i32[4]\n%m = onnx.MatMulInteger(%x, %w)\n'
         "%y = onnx.Add(%m, %b)" + Y, 17, "is not onnx.MatMul"),
        (X + '%b = input() "b" : f32[3,4]\n%m = onnx.MatMul(%x, %w)\n%y = onnx.Add(%m, %b)\n'
         'output(%y, %m) {names = ["y", "m"]}', 17, "is also read by"),
        (X + '%b = input() "b" : f32[3,4]\n%m = onnx.MatMul(%x, %w)\n%y = onnx.Add(%m, %b)' + Y, 6,
         "it broadcasts as before opset 7"),
        (X.replace("f32", "i32") + '%b = input() "b" : i32[4]\n%m = onnx.MatMul:9(%x, %w)\n'
         "%y = onnx.Add:7(%m, %b)" + Y, 17, "runtimes have no Gemm of i32"),
        (X + '%b = input() "b" : f32[4]\n%m = onnx.Gemm(%x, %w, %b)\n%y = onnx.Add(%m, %b)' + Y, 17,
         "has 3 operands"),
    ],
)  # fmt: skip
def test_refuses_with_a_reason(body: str, opset: int, reason: str) -> None:
    assert reason in refusals("fuse-matmul-bias", graph_of(body, opset))


@pytest.mark.parametrize("dtype", ["f32", "f64", "f16"])
def test_products_of_what_gemm_takes(dtype: str) -> None:
    body = X + '%b = input() "b" : f32[4]\n%m = onnx.MatMul(%x, %w)\n%y = onnx.Add(%m, %b)' + Y
    result = proved("fuse-matmul-bias", graph_of(body.replace("f32", dtype)))
    assert kinds(result) == ["onnx.Gemm"]


@given(
    bias=st.sampled_from(["f32[]", "f32[1]", "f32[4]", "f32[1,4]", "f32[3,1]", "f32[3,4]"]),
    left=st.booleans(), right=st.booleans(), first=st.booleans(),
)  # fmt: skip
def test_random_biases_and_transposes(bias: str, left: bool, right: bool, first: bool) -> None:
    lines = [
        f'%x = input() "x" : f32[{"2,3" if left else "3,2"}]',
        f'%w = input() "w" : f32[{"4,2" if right else "2,4"}]',
        f'%b = input() "b" : {bias}',
    ]
    lines += ["%s = onnx.Transpose(%x)"] if left else []
    lines += ["%t = onnx.Transpose(%w)"] if right else []
    lines.append(f"%m = onnx.MatMul({'%s' if left else '%x'}, {'%t' if right else '%w'})")
    lines.append(f"%y = onnx.Add({'%b, %m' if first else '%m, %b'})")
    result = proved("fuse-matmul-bias", graph_of("\n".join(lines) + Y), runs=1)
    assert kinds(result) == ["onnx.Gemm"]
