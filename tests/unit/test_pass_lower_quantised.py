"""``lower-quantised``: onnxruntime's integers, and what it refuses and why."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pass_checks import graph_of, kinds, refusals

from dlc.exporter import to_onnx
from dlc.interp import run
from dlc.passmanager import PassManager

SCALES = st.floats(0.0009765625, 0.5, width=32)


def group(operator: str, x: str, operands: str = "%d, %v", *, scales: tuple[float, float, float],
          zeros: tuple[int, int] = (3, 7), dtype: str = "u8", weights: str = "i8[1] 1",
          bias: str = "i32[1] 1", relu: bool = False) -> str:  # fmt: skip
    """An operator between DequantizeLinear and QuantizeLinear; %v are weights, %c a bias."""
    steps = {"s": scales[0], "ws": scales[1], "ys": scales[2]}
    steps["bs"] = float(np.float32(scales[0]) * np.float32(scales[1]))
    constants = {name: f"f32[] {np.float32(step).item()!r}" for name, step in steps.items()}
    constants |= {"z": f"{dtype}[] {zeros[0]}", "yz": f"{dtype}[] {zeros[1]}"}
    constants |= {"w": weights, "b": bias}
    return "\n".join([
        f'%x = input() "x" : {dtype}[{x}]',
        *(f"%{name} = constant() {{value = dense<{value}>}}" for name, value in constants.items()),
        "%d = onnx.DequantizeLinear(%x, %s, %z)",
        "%v = onnx.DequantizeLinear(%w, %ws)",
        "%c = onnx.DequantizeLinear(%b, %bs)",
        f"%p = onnx.{operator.replace('@', operands)}",
        *(["%r = onnx.Relu(%p)"] if relu else []),
        f"%y = onnx.QuantizeLinear({'%r' if relu else '%p'}, %ys, %yz)",
        'output(%y) {names = ["y"]}',
    ])  # fmt: skip


def dense(dtype: str, array: np.ndarray) -> str:
    shape = ",".join(map(str, array.shape))
    return f"{dtype}[{shape}] {' '.join(map(str, array.ravel()))}"


def agrees(body: str, x: np.ndarray) -> None:
    """The pass changes the group, and numpy then finds the integers onnxruntime's kernels find."""
    graph = graph_of(body)
    session = onnxruntime.InferenceSession(
        to_onnx(graph).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    expected = np.asarray(session.run(None, {"x": x})[0])
    manager = PassManager.parse("lower-quantised")
    lowered = manager.run(graph)
    assert manager.report[0].changed
    np.testing.assert_array_equal(run(lowered, {"x": x})["y"], expected)


@settings(max_examples=20, deadline=None)
@given(scales=st.tuples(SCALES, SCALES, SCALES), zero=st.integers(0, 255), relu=st.booleans(),
       pad=st.integers(0, 1), seed=st.integers(0, 99))  # fmt: skip
def test_convs_give_the_integers_of_onnxruntime(
    scales: tuple[float, float, float], zero: int, relu: bool, pad: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    body = group(
        f"Conv(@) {{pads = [{pad}, {pad}, {pad}, {pad}]}}", "1,3,5,5", "%d, %v, %c", scales=scales,
        zeros=(zero, 0 if relu else 100), relu=relu,
        weights=dense("i8", rng.integers(-127, 128, (4, 3, 3, 3))),
        bias=dense("i32", rng.integers(-5000, 5000, 4)),
    )  # fmt: skip
    agrees(body, rng.integers(0, 256, (1, 3, 5, 5)).astype(np.uint8))


@settings(max_examples=20, deadline=None)
@given(scales=st.tuples(SCALES, SCALES, SCALES), gemm=st.booleans(), seed=st.integers(0, 99))
def test_products_give_the_integers_of_onnxruntime(
    scales: tuple[float, float, float], gemm: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    body = group(
        "Gemm(@)" if gemm else "MatMul(@)", "2,17", "%d, %v, %c" if gemm else "%d, %v",
        scales=scales, weights=dense("i8", rng.integers(-127, 128, (17, 5))),
        bias=dense("i32", rng.integers(-5000, 5000, 5)),
    )  # fmt: skip
    agrees(body, rng.integers(0, 256, (2, 17)).astype(np.uint8))


@settings(max_examples=20, deadline=None)
@given(scales=st.tuples(SCALES, SCALES, SCALES), zero=st.integers(0, 255), seed=st.integers(0, 99))
def test_softmax_gives_the_integers_of_onnxruntime(
    scales: tuple[float, float, float], zero: int, seed: int
) -> None:
    body = group("Softmax(%d)", "4,9", scales=scales, zeros=(zero, 0))
    x = np.random.default_rng(seed).integers(0, 256, (4, 9)).astype(np.uint8)
    agrees(body, x)


HALF = (0.5, 0.25, 0.125)
LARGE = dense("i8", np.full((600, 1), 127))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (group("MatMul(@)", "1,600", scales=HALF, weights=LARGE), "more digits than f32 has"),
        (group("Conv(@)", "1,1,2,2", scales=HALF, dtype="i8", weights="i8[1,1,1,1] 1"),
         "its activations are signed"),
        (group("MatMul(@)", "1,1", scales=HALF, weights="i8[1,1] 1", relu=True),
         "does not repeat its Relu"),
        (group("Gemm(@) {alpha = 2.0}", "1,1", scales=HALF, weights="i8[1,1] 1"), "it scales"),
        (group("Gemm(@) {transA = 1}", "1,1", scales=HALF, weights="i8[1,1] 1"), "it transposes"),
        (group("MatMul(%d, %d)", "1,1", scales=HALF),
         "its weights are no constant bytes"),
        (group("Softmax(%d) {axis = 0}", "4,9", scales=HALF), "not along the last axis"),
    ],
)  # fmt: skip
def test_refuses_with_a_reason(body: str, reason: str) -> None:
    assert reason in refusals("lower-quantised", graph_of(body))


def test_bytes_read_as_unsigned_only_where_one_op_reads_them() -> None:
    """A signed activation that is made here, for one reader, is unsigned to onnxruntime."""
    chain = """%x = input() "x" : f32[1,2]
      %s = constant() {value = dense<f32[] 0.5>}
      %z = constant() {value = dense<i8[] 1>}
      %w = constant() {value = dense<i8[2,2] 1 2 3 4>}
      %q = onnx.QuantizeLinear(%x, %s, %z)
      %d = onnx.DequantizeLinear(%q, %s, %z)
      %v = onnx.DequantizeLinear(%w, %s)
      %m = onnx.MatMul(%d, %v)
      %y = onnx.QuantizeLinear(%m, %s, %z)
      %e = onnx.DequantizeLinear(%y, %s, %z)
      output(%e) {names = ["y"]}"""
    lowered = PassManager.parse("lower-quantised").run(graph_of(chain))
    assert "onnx.Mul" in kinds(lowered)
    signed = chain.replace('output(%e) {names = ["y"]}', 'output(%y) {names = ["y"]}')
    assert "differ in signedness" in refusals("lower-quantised", graph_of(signed))
