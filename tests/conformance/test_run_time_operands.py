"""Frame steps, axes and sizes that are inputs: compared with numpy and onnx's reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

import dlc
from dlc.errors import InputError

RNG = np.random.default_rng(11)
SIGNAL = RNG.random((2, 40, 1), dtype=np.float32)
HANN = np.hanning(16).astype(np.float32)
THETA = RNG.random((2, 2, 3), dtype=np.float32)
POOLED = np.array([[[[5, 6], [7, 8]]]], np.float32)
PLACES = np.array([[[[5, 7], [13, 15]]]], np.int64)


def scalar(number: float, dtype: Any = np.int64) -> Any:
    return np.array(number, dtype)


def model(op: str, inputs: Mapping[str, Any], open_: Mapping[str, Any], version: int,
          names: list[str], **attributes: Any) -> Any:  # fmt: skip
    """One op whose result's shape is not declared; ``open_`` has the shapes with names in them."""
    kind = helper.np_dtype_to_tensor_dtype
    graph = helper.make_graph(
        [helper.make_node(op, names, ["y"], **attributes)],
        "operands",
        [
            helper.make_tensor_value_info(n, kind(a.dtype), open_.get(n, a.shape))
            for n, a in inputs.items()
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    opsets = [helper.make_opsetid("", version)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


# operator, version, attributes, inputs, open shapes, bounds, what changes in further runs
FORMS: list[tuple[str, int, dict[str, Any], dict[str, Any], dict[str, Any], dict[str, int], list[Any]]] = [
    ("AffineGrid", 20, {"align_corners": 1}, {"t": THETA, "s": np.array([2, 3, 5, 6])},
     {"t": ["N", 2, 3]}, {"N": 4, "any": 200}, [{"t": THETA[:1], "s": np.array([1, 7, 3, 2])}]),
    ("AffineGrid", 20, {}, {"t": THETA, "s": np.array([2, 3, 5, 6])}, {}, {"any": 200},
     [{"s": np.array([2, 1, 1, 40])}]),
    ("MaxUnpool", 11, {"kernel_shape": [2, 2], "strides": [2, 2]},
     {"x": POOLED, "i": PLACES, "s": np.array([1, 1, 5, 5])}, {}, {"any": 50},
     [{"s": np.array([1, 1, 4, 9])}]),
    ("MelWeightMatrix", 17, {}, {"n": scalar(8), "l": scalar(16), "r": scalar(8192),
     "f": scalar(0, np.float32), "g": scalar(4096, np.float32)}, {}, {"any": 200},
     [{"n": scalar(5), "l": scalar(33)}]),
    ("STFT", 17, {}, {"x": SIGNAL, "s": scalar(8), "w": HANN}, {"x": ["N", "T", 1]},
     {"N": 3, "T": 50}, [{"s": scalar(3), "x": SIGNAL[:1, :33]}]),
]  # fmt: skip


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form[0]}-{form[2]}")
def test_sizes_that_are_inputs(form: Any) -> None:
    op, version, attributes, inputs, open_, bounds, further = form
    proto = model(op, inputs, open_, version, list(inputs), **attributes)
    module = dlc.compile(proto, dims={name: dlc.AtMost(most) for name, most in bounds.items()})
    for changes in ({}, *further):
        given = {**inputs, **changes}
        expected = ReferenceEvaluator(proto).run(None, given)[0]
        found = module.run(given)["y"]
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_a_grid_of_another_batch_or_too_large_is_refused() -> None:
    inputs = {"t": THETA, "s": np.array([2, 3, 5, 6])}
    module = dlc.compile(model("AffineGrid", inputs, {"t": ["N", 2, 3]}, 20, ["t", "s"]),
                         dims={"N": dlc.AtMost(4), "any": dlc.AtMost(200)})  # fmt: skip
    for size in ([1, 3, 5, 6], [2, 3, 50, 50], [2, 3, -1, 6], [2, 3, 1 << 40, 1 << 40]):
        with pytest.raises(InputError):
            module.run({"t": THETA, "s": np.array(size)})


def test_frames_of_a_length_that_is_an_input() -> None:
    inputs = {"x": SIGNAL, "s": scalar(8), "l": scalar(16)}
    proto = model("STFT", inputs, {"x": ["N", "T", 1]}, 17, ["x", "s", "", "l"])
    module = dlc.compile(proto, dims={"N": dlc.AtMost(2), "T": dlc.AtMost(50)})
    for step, length, steps in ((8, 16, 40), (3, 7, 31), (50, 5, 9), (1, 9, 9)):
        signal = SIGNAL[:, :steps]
        starts = range(0, steps - length + 1, step)
        spectra = np.stack([np.fft.rfft(signal[:, k : k + length, 0]) for k in starts], 1)
        found = module.run({"x": signal, "s": scalar(step), "l": scalar(length)})["y"]
        expected = np.stack([spectra.real, spectra.imag], -1)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, atol=1e-5)
    for length in (41, 0, -3):
        with pytest.raises(InputError):
            module.run({**inputs, "l": scalar(length)})


@pytest.mark.parametrize(
    ("shape", "attributes", "axes"),
    [
        ((3, 5, 8, 1), {}, (0, 1, 2, -2, -4)),
        ((3, 5, 8, 1), {"onesided": 1}, (0, 1, 2, -3)),
        ((1, 5, 8, 2), {"inverse": 1, "onesided": 1}, (1, 2)),  # axis 0 has no such transform
    ],
)
def test_transforms_along_an_axis_that_is_an_input(
    shape: tuple[int, ...], attributes: dict[str, Any], axes: tuple[int, ...]
) -> None:
    x = RNG.random(shape, dtype=np.float32)
    proto = model("DFT", {"x": x, "a": scalar(1)}, {}, 20, ["x", "", "a"], **attributes)
    module = dlc.compile(proto)
    for axis in axes:
        given = {"x": x, "a": scalar(axis)}
        expected = ReferenceEvaluator(proto).run(None, given)[0]
        found = module.run(given)["y"]
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, atol=1e-5)
    for axis in (-1, 3, -9, *({0} - set(axes))):
        with pytest.raises(InputError):
            module.run({"x": x, "a": scalar(axis)})
