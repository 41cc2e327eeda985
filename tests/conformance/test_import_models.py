"""Trained models come in and go out again, and onnxruntime computes the same from what went out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from dlc.exporter import to_onnx
from dlc.importer import load
from dlc.ir.graph import Graph

ort.set_default_logger_severity(3)

MODELS = [
    "asl_alvinwan",
    "mnist8_cntk",
    "lenet_openvino",
    "mnist_onnxmlir",
    "tiny_ad_float",
    "tiny_ic_resnet8_float",
    "tiny_ic_kaijiang",
    "tiny_kws_float",
    "tiny_vww_float",
    "cifar_winml_classifier",
    "kws_micro_fp32",
    "espcn_float",
    "super_resolution",
    "ultraface_rfb320",
    "yunet_n_320",
    "fastestdet",
    "blazeface_front",
    "facemesh",
    "mobilenetv2_imagenet_float",
    "rl_go1_policy",
    "wakeword_hey_nabu",
]
#: nested graphs, loops over time, int8, sizes computed in the model
FURTHER = [
    "silero_16k_op15",
    "gtcrn",
    "thai2rom_encoder",
    "vespa_transformer",
    "bodypix_mbv1_050",
    "ppocr_cls",
    "lstm_bidi_sonos",
    "selfie_seg",
    "deeploy_TinyViT_Demo",
    "tiny_kws_int8",
    "mnist_quantized_connxr",
]


def opened(folder: Path) -> tuple[Graph, dict[str, Any], dict[str, Any]]:
    """The graph of a model at the shapes of its vectors, their inputs and their outputs."""
    with np.load(folder / "vectors.npz") as vectors:
        names = {kind: list(map(str, vectors[f"{kind}_names"])) for kind in ("input", "output")}
        values = {
            kind: {name: vectors[f"{kind}_{k}"] for k, name in enumerate(names[kind])}
            for kind in names
        }
    (path,) = folder.glob("*.onnx")
    shapes = {name: array.shape for name, array in values["input"].items()}
    return load(path, shapes=shapes), values["input"], values["output"]


@pytest.mark.parametrize("name", [*MODELS, *FURTHER])
def test_a_model_survives_import_and_export(name: str, shared: Path) -> None:
    graph, inputs, outputs = opened(shared / "models" / name)
    for value, expected in zip(graph.outputs, outputs.values(), strict=True):
        assert value.shape == expected.shape
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(to_onnx(graph).SerializeToString(), options)
    found = session.run(list(outputs), inputs)
    for got, want in zip(found, outputs.values(), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-4)
