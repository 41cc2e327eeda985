"""The trained models of the shared folder, whole: import, rewrite, plan, C, compare, sanitise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from dlc import api
from dlc.backends.c99.emit import emit
from dlc.backends.c99.module import DEFAULT_FLAGS, build
from dlc.backends.c99.toolchain import (
    STRICT_FLAGS,
    available_compilers,
    build_executable,
    build_shared,
)
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

#: arena of -O2 beside that of -Os, where large values have channels that do not fill blocks of 16;
#: everywhere else at most 1.15
GROWTH = {"lenet5": 2.7, "asl_alvinwan": 2.7, "lenet_openvino": 2.7, "mnist8_cntk": 2.0,
          "blazeface_front": 1.85, "cifar_winml_classifier": 1.45, "mobilenetv1_025_96": 1.35,
          "tiny_vww_float": 1.35, "fastestdet": 1.35}  # fmt: skip


@pytest.fixture(scope="session")
def large(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The large benchmark models, made by the zoo's own script (once for each test process)."""
    folder = tmp_path_factory.mktemp("zoo")
    script = shared / "zoo" / "fill.py"
    done = subprocess.run([sys.executable, script, folder, *LARGE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def find(name: str, shared: Path, large: Path) -> Path:
    kind, _, stem = name.partition("/")
    if kind == "models":
        return next((shared / "models" / stem).glob("*.onnx"))
    return (large if stem in LARGE else shared / "zoo") / f"{stem}.onnx"


NAMES = [f"models/{n}" for n in MODELS] + [f"zoo/{n}" for n in ZOO + LARGE]


def reference(path: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Random inputs and onnxruntime's outputs, by name."""
    graph = api.load(path)
    types = {n: v.type for n, v in zip(graph.input_names, graph.inputs, strict=True)}
    inputs = api.random_inputs(types, np.random.default_rng(1))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return inputs, dict(zip(names, session.run(names, inputs), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_onnxruntime_in_the_least_memory(name: str, shared: Path, large: Path) -> None:
    path = find(name, shared, large)
    fast, report = api.check(path), api.check(path, passes="Os")
    for found in (fast, report):
        assert found.ok, "\n".join(found.lines())
        assert found.arena_bytes == found.lower_bound
    growth = GROWTH.get(name.partition("/")[2], 1.15)
    assert fast.arena_bytes <= growth * report.arena_bytes
    bound = BOUNDS.get(name.removeprefix("zoo/")) if name.startswith("zoo/") else None
    if bound is not None:
        assert report.peak_bytes_with_io <= bound * 1024

    vectors = shared / "models" / name.removeprefix("models/") / "vectors.npz"
    if name.startswith("models/"):
        with np.load(vectors) as stored:
            inputs = {str(n): stored[f"input_{i}"] for i, n in enumerate(stored["input_names"])}
        assert api.check(path, inputs=inputs).ok


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_emitted_c_is_strict_sound_and_clean(
    name: str, shared: Path, large: Path, tmp_path: Path
) -> None:
    """Plan verified; gcc and clang without a warning; no libc; poison, heap and sanitizers agree."""
    path = find(name, shared, large)
    graph = api.plan(path)
    inputs, expected = reference(path)
    folder = emit(graph, tmp_path / "c", name="model", weights="file")
    verify_plan(folder)
    for compiler in available_compilers():
        if compiler.family in ("gcc", "clang"):
            library = build_shared([folder / "model.c"], compiler=compiler,
                                   flags=[*STRICT_FLAGS, "-O2"], out=tmp_path / f"{compiler.family}.so")  # fmt: skip
            undefined = subprocess.run(
                ["nm", "-Du", library], capture_output=True, text=True, check=True
            )
            called = {line.split()[1].split("@")[0] for line in undefined.stdout.splitlines()
                      if " U " in line}  # fmt: skip
            assert called <= {"memcpy", "memset"}

    plain = build(folder).run(inputs)
    poisoned = build(folder, flags=[*DEFAULT_FLAGS, "-DDLC_POISON"]).run(inputs)
    heap = build(emit(graph, tmp_path / "heap", name="model", weights="file", memory="heap")).run(
        inputs
    )
    for key, value in plain.items():
        np.testing.assert_array_equal(poisoned[key], value)
        np.testing.assert_array_equal(heap[key], value)

    # weights as C arrays, so that the sanitizer guards each of them; a file above 8 MB
    small = path.stat().st_size < 8_000_000
    checked = emit(graph, tmp_path / "checked", name="model", weights="c" if small else "file",
                   vectors=(inputs, expected))  # fmt: skip
    sources = sorted(checked.glob("*.c"))
    program = build_executable(
        sources, sanitize=True, flags=["-std=c99"], out=tmp_path / "selftest"
    )
    done = subprocess.run([program], cwd=checked, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_valgrind_finds_nothing_on_lenet5(shared: Path, large: Path, tmp_path: Path) -> None:
    folder, _ = api.emit(find("zoo/lenet5", shared, large), tmp_path / "c")
    program = build_executable(sorted(folder.glob("*.c")), flags=["-std=c99", "-g", "-O1"],
                               out=tmp_path / "selftest")  # fmt: skip
    subprocess.run(
        ["valgrind", "-q", "--error-exitcode=9", "--leak-check=full", program], check=True
    )


@pytest.mark.slow
def test_mnist_accuracy_equals_onnxruntime_to_the_image(shared: Path) -> None:
    path = next((shared / "models" / "mnist8_cntk").glob("*.onnx"))
    with np.load(shared / "data" / "mnist_test_5000.npz") as data:
        images, labels = data["x"].astype(np.float32)[:, None, None], data["y"]
    module = api.compile(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (name,) = module.inputs
    ours = np.array([next(iter(module.run({name: x}).values())).argmax() for x in images])
    theirs = np.array([np.asarray(session.run(None, {name: x})[0]).argmax() for x in images])
    np.testing.assert_array_equal(ours, theirs)
    assert float((ours == labels).mean()) >= 0.98


@pytest.mark.slow
def test_imagenet_top1_equals_onnxruntime_to_the_image(shared: Path) -> None:
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
    assert sum(a == b for a, b in zip(ours, labels, strict=True)) >= 80
