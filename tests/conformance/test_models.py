"""The trained models of the shared folder, whole: import, rewrite, plan, C, compare, sanitise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dlc import api
from dlc.plan.check import verify_plan

MODELS = """asl_alvinwan mnist8_cntk lenet_openvino mnist_onnxmlir tiny_ad_float tiny_ic_resnet8_float
tiny_ic_kaijiang tiny_kws_float tiny_vww_float cifar_winml_classifier kws_micro_fp32 espcn_float
super_resolution ultraface_rfb320 yunet_n_320 fastestdet blazeface_front facemesh
mobilenetv2_imagenet_float rl_go1_policy wakeword_hey_nabu""".split()
ZOO = """lenet5 mnist_cnn resnet8_cifar dscnn_kws ad_autoencoder mobilenetv1_025_96 fastestdet""".split()
LARGE = "mobilenetv2 mobilenetv3_small squeezenet1_1 resnet18 resnet50 yolov4_tiny".split()
#: KiB of live float32 bytes, graph inputs counted and weights not: what is asked for at most
BOUNDS = {"lenet5": 23.0, "mnist_cnn": 61.25, "resnet8_cifar": 192, "dscnn_kws": 62.5, "mobilenetv1_025_96": 216,
          "mobilenetv2": 5880, "resnet50": 7056, "squeezenet1_1": 3836.5, "yolov4_tiny": 10816}  # fmt: skip


@pytest.fixture(scope="session")
def large(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The large benchmark models, made by the zoo's own script."""
    folder = tmp_path_factory.getbasetemp().parent / "zoo"
    missing = [name for name in LARGE if not (folder / f"{name}.onnx").exists()]
    if missing:
        folder.mkdir(exist_ok=True)
        script = shared / "zoo" / "fill.py"
        subprocess.run([sys.executable, script, folder, *missing], check=True, capture_output=True)
    return folder


def find(name: str, shared: Path, large: Path) -> Path:
    kind, _, stem = name.partition("/")
    if kind == "models":
        return next((shared / "models" / stem).glob("*.onnx"))
    return (large if stem in LARGE else shared / "zoo") / f"{stem}.onnx"


NAMES = [f"models/{n}" for n in MODELS] + [f"zoo/{n}" for n in ZOO + LARGE]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_model(name: str, shared: Path, large: Path, tmp_path: Path) -> None:
    path = find(name, shared, large)
    report = api.check(path)
    assert report.ok, "\n".join(report.lines())
    assert report.arena_bytes == report.lower_bound
    bound = BOUNDS.get(name.removeprefix("zoo/")) if name.startswith("zoo/") else None
    if bound is not None:
        assert report.peak_bytes_with_io <= bound * 1024

    folder, _ = api.emit(path, tmp_path / "c")
    verify_plan(folder)
    vectors = shared / "models" / name.removeprefix("models/") / "vectors.npz"
    if name.startswith("models/") and vectors.exists():
        with np.load(vectors) as stored:
            inputs = {str(n): stored[f"input_{i}"] for i, n in enumerate(stored["input_names"])}
        assert api.check(path, inputs=inputs).ok


@pytest.mark.slow
def test_mnist_accuracy_equals_onnxruntime_to_the_image(shared: Path) -> None:
    import onnxruntime

    path = next((shared / "models" / "mnist8_cntk").glob("*.onnx"))
    with np.load(shared / "data" / "mnist_test_5000.npz") as data:
        images, labels = data["x"].astype(np.float32)[:, None, None], data["y"]
    module = api.compile(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (name,) = module.inputs
    ours = np.array([next(iter(module.run({name: x}).values())).argmax() for x in images])
    theirs = np.array([np.asarray(session.run(None, {name: x})[0]).argmax() for x in images])
    np.testing.assert_array_equal(ours, theirs)
    assert round(float((ours == labels).mean()), 3) == 0.984


@pytest.mark.slow
def test_imagenet_top1_equals_onnxruntime_to_the_image(shared: Path) -> None:
    import onnxruntime
    from PIL import Image

    path = next((shared / "models" / "mobilenetv2_imagenet_float").glob("*.onnx"))
    module = api.compile(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (name,) = module.inputs
    mean, spread = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    ours, theirs, labels = [], [], []
    for file in sorted((shared / "data" / "imagenet_100").glob("*.jpg")):
        pixels = np.asarray(Image.open(file).convert("RGB"), np.float64) / 255
        x = ((pixels - mean) / spread).transpose(2, 0, 1)[None].astype(np.float32)
        ours.append(next(iter(module.run({name: x}).values())).argmax())
        theirs.append(np.asarray(session.run(None, {name: x})[0]).argmax())
        labels.append(int(file.name[:4]))
    assert ours == theirs
    assert sum(a == b for a, b in zip(ours, labels, strict=True)) == 82
