"""DFT and STFT against numpy and onnxruntime: every path of taking a length apart, and compiled C."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from single_node import expanded, model, normal, reference

from dlc import AtMost, api, interp

I64 = np.int64


def transformed(x: np.ndarray, length: int, axis: int, inverse: bool, onesided: bool) -> np.ndarray:
    """What numpy computes of pairs (or reals) along the last axis."""
    given_ = x[..., 0] + (1j * x[..., 1] if x.shape[-1] == 2 else 0)
    if inverse and onesided:
        return np.fft.irfft(given_, length, axis)[..., None]
    found = (np.fft.ifft if inverse else np.fft.fft)(given_, length, axis)
    if onesided:
        found = np.take(found, np.arange(length // 2 + 1), axis)
    return np.stack([found.real, found.imag], -1)


def dft(x: np.ndarray, length: int, axis: int, opset: int, **attributes: Any) -> Any:
    if opset < 20:
        return model(
            "DFT", [x, np.array(length, I64)], opset, (1,), 1, {"axis": axis, **attributes}
        )
    operands = [x, np.array(length, I64), np.array(axis, I64)]
    return model("DFT", operands, opset, (1, 2), 1, attributes)


@settings(max_examples=40)
@given(
    given_=st.integers(1, 40), length=st.integers(1, 80), parts=st.integers(1, 2),
    axis=st.integers(0, 2), inverse=st.booleans(), onesided=st.booleans(),
    opset=st.sampled_from([17, 20]), wide=st.booleans(),
)  # fmt: skip
def test_any_length_axis_and_side(
    given_: int, length: int, parts: int, axis: int, inverse: bool, onesided: bool, opset: int,
    wide: bool,
) -> None:  # fmt: skip
    if onesided and not inverse:
        parts = 1
    if inverse and onesided:
        parts, length = 2, length + 1
    shape = [2, 3, 2]
    shape[axis] = given_
    x = normal(*shape, parts, dtype=np.float64 if wide else np.float32)
    proto = dft(x, length, axis, opset, inverse=int(inverse), onesided=int(onesided))
    (found,) = interp.run(expanded(proto), {"x0": x}).values()
    expected = transformed(x, length, axis, inverse, onesided)
    assert (found.dtype, found.shape) == (x.dtype, expected.shape)
    precision = 1e-12 if wide else 1e-5
    np.testing.assert_allclose(found, expected, rtol=precision, atol=precision * length**0.5)


@pytest.mark.parametrize("length", [128, 130, 251, 384, 1009, 1024, 2 * 509])
@pytest.mark.parametrize("inverse, onesided", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_large_lengths_are_taken_apart(length: int, inverse: int, onesided: int) -> None:
    kept = length // 2 + 1 if inverse and onesided else length
    x = normal(2, kept, 1 if onesided and not inverse else 2, dtype=np.float64)
    proto = dft(x, length, 1, 20, inverse=inverse, onesided=onesided)
    graph = expanded(proto)
    assert max(op.types[0].capacity for op in graph.ops if op.types) < 20 * length * 64
    (found,) = interp.run(graph, {"x0": x}).values()
    expected = transformed(x, length, 1, bool(inverse), bool(onesided))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10)


def test_frames_agree_with_onnxruntime(tmp_path: Path) -> None:
    x, window = normal(2, 200, 1), normal(48)
    operands = [x, np.array(7, I64), window, np.array(48, I64)]
    for onesided in (0, 1):
        proto = model("STFT", operands, 17, (1, 3), 1, {"onesided": onesided})
        (expected,) = reference(proto, {"x0": x, "x2": window})
        compiled = api.compile(proto, out=tmp_path / f"c{onesided}")
        (found,) = compiled.run({"x0": x, "x2": window}).values()
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)  # its roots are rough
        frames = np.stack([x[:, i : i + 48] for i in range(0, 200 - 47, 7)], 1) * window[:, None]
        exact = transformed(frames.astype(np.float64), 48, 2, False, bool(onesided))
        np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-5)


def test_a_prime_length_compiles(tmp_path: Path) -> None:
    x = normal(3, 211, 2)
    proto = dft(x, 211, 1, 17)
    (found,) = api.compile(proto, out=tmp_path / "c").run({"x0": x}).values()
    exact = transformed(x.astype(np.float64), 211, 1, False, False)
    np.testing.assert_allclose(found, exact, rtol=1e-4, atol=1e-4)
    (theirs,) = reference(proto, {"x0": x})
    np.testing.assert_allclose(found, theirs, rtol=1e-2, atol=1e-2)  # its chirps are rough


@pytest.mark.parametrize("length", [12, 150])
def test_a_batch_known_at_run_time(length: int, tmp_path: Path) -> None:
    x = normal(3, length, 2)
    proto = dft(x, length, 1, 17)
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"
    compiled = api.compile(proto, dims={"N": AtMost(5)}, out=tmp_path / "c")
    (found,) = compiled.run({"x0": x}).values()
    exact = transformed(x.astype(np.float64), length, 1, False, False)
    np.testing.assert_allclose(found, exact, rtol=1e-4, atol=1e-4)
