"""Trained models of open sizes: compiled once for bounds, held against onnxruntime at two sizes each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper

from dlc import AtMost, api

Dims = dict[str, int]
# model: bounds of its dims, and the sizes it is run at
MODELS: dict[str, tuple[dict[str, int | AtMost], list[Dims]]] = {
    "gru_gonnx": (
        {"batch_size": AtMost(3), "seq_length": AtMost(8)},
        [{"batch_size": 1, "seq_length": 5}, {"batch_size": 3, "seq_length": 8}],
    ),
    "thai2rom_encoder": ({"input_length": AtMost(20)}, [{"input_length": 7}, {"input_length": 20}]),
    "vespa_transformer": (
        {"batch": AtMost(3), "tokens": AtMost(12)},
        [{"batch": 1, "tokens": 6}, {"batch": 3, "tokens": 11}],
    ),
}
LARGER: dict[str, tuple[dict[str, int | AtMost], list[Dims]]] = {
    "lstm_bidi_sonos": (
        {"batch": AtMost(2), "length": AtMost(30)},
        [{"batch": 1, "length": 26}, {"batch": 2, "length": 7}],
    ),
    "silero_16k_op15": (
        {"batch": AtMost(2), "sequence": 576},
        [{"batch": 1, "sequence": 576}, {"batch": 2, "sequence": 576}],
    ),
    "bodypix_mbv1_050": (
        {"unk__349": AtMost(97), "unk__350": AtMost(129)},
        [{"unk__349": 65, "unk__350": 97}, {"unk__349": 97, "unk__350": 129}],
    ),
    "ppocr_cls": (
        {f"p2o.DynamicDimension.{i}": AtMost(most) for i, most in enumerate((2, 48, 192))},
        [
            {f"p2o.DynamicDimension.{i}": size for i, size in enumerate(sizes)}
            for sizes in ((1, 48, 192), (2, 48, 160))
        ],
    ),
}


def arrays(proto: onnx.ModelProto, sizes: Dims) -> dict[str, Any]:
    """Inputs at these sizes: tokens where they are integers."""
    rng = np.random.default_rng(1)
    weights = {tensor.name for tensor in proto.graph.initializer}
    found: dict[str, Any] = {
        "sr": np.array(16000, np.int64),
        "input_lengths": np.array([sizes.get("input_length", 0)], np.int32),
    }
    names = [value.name for value in proto.graph.input if value.name not in weights]
    for value in proto.graph.input:
        if value.name in found or value.name in weights:
            continue
        tensor = value.type.tensor_type
        shape = [sizes.get(d.dim_param, d.dim_value) for d in tensor.shape.dim]
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.elem_type))
        whole = rng.integers(1, 60, shape) if dtype.kind in "iu" else rng.standard_normal(shape) / 2
        found[value.name] = whole.astype(dtype)
    return {name: found[name] for name in names}


def check(name: str, bounds: dict[str, int | AtMost], runs: list[Dims], shared: Path) -> None:
    (path,) = (shared / "models" / name).glob("*.onnx")
    proto, module = onnx.load(path), api.compile(path, dims=bounds)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(str(path), options)
    for sizes in runs:
        inputs = arrays(proto, sizes)
        expected = session.run(None, inputs)
        for got, want in zip(module.run(inputs).values(), expected, strict=True):
            assert got.shape == want.shape
            np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-5 * abs(want).max())


@pytest.mark.parametrize("name", MODELS)
def test_one_program_for_all_sizes(name: str, shared: Path) -> None:
    check(name, *MODELS[name], shared)


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGER)
def test_one_program_of_a_larger_model(name: str, shared: Path) -> None:
    check(name, *LARGER[name], shared)
