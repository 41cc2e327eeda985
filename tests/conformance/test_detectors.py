"""Object detectors whole, post-processing included: one function in C gives what onnxruntime gives."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from backend_support import STRICT
from detectors import BOUNDS, DETECTORS
from detectors.images import Arrays, blank, noise
from single_node import reference

from dlc import api
from dlc.backends.c99 import Module, build, emit
from dlc.backends.c99.toolchain import build_executable
from dlc.errors import InputError

SEEDS = (0, 1, 2)


@cache
def model_of(detector: str) -> onnx.ModelProto:
    return DETECTORS[detector]()


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Module]:
    """Detectors by name, each compiled once under strict flags."""
    folder = tmp_path_factory.mktemp("detectors")
    return {
        name: build(
            emit(api.plan(model_of(name), dims=BOUNDS.get(name)), folder / name), flags=STRICT
        )
        for name in DETECTORS
    }


def expected_of(detector: str, arrays: Arrays) -> Arrays:
    model = model_of(detector)
    names = [output.name for output in model.graph.output]
    return dict(zip(names, map(np.asarray, reference(model, arrays)), strict=True))


def found_in(outputs: Arrays) -> int:
    """How many detections there are, as one of the outputs says or by its length."""
    number = outputs.get("num_detections")
    return int(number[0]) if number is not None else outputs["scores"].size


def assert_agree(got: Arrays, expected: Arrays) -> None:
    assert list(got) == list(expected)
    for name, value in expected.items():
        assert (got[name].dtype, got[name].shape) == (value.dtype, value.shape), name
        if value.dtype.kind == "i":
            assert np.array_equal(got[name], value), name
        else:
            np.testing.assert_allclose(
                got[name], value, rtol=1e-4, atol=1e-5 * value.max(initial=1.0)
            )


@pytest.mark.parametrize("detector", DETECTORS)
def test_agrees_with_onnxruntime(detector: str, modules: dict[str, Module]) -> None:
    counts = set()
    for seed in SEEDS:
        arrays = noise(detector, seed)
        expected = expected_of(detector, arrays)
        assert_agree(modules[detector].run(arrays), expected)
        counts.add(found_in(expected))
    assert len(counts) > 1, "every image has as many detections"


@pytest.mark.parametrize("detector", DETECTORS)
def test_nothing_is_found_where_nothing_is(detector: str, modules: dict[str, Module]) -> None:
    arrays = blank(detector)
    expected = expected_of(detector, arrays)
    assert found_in(expected) == 0
    assert_agree(modules[detector].run(arrays), expected)


@pytest.mark.parametrize("detector", DETECTORS)
def test_no_decision_hangs_on_rounding(detector: str) -> None:
    """The same detections of a picture changed by far more than the order of additions changes it."""
    rng = np.random.default_rng(0)
    for seed in SEEDS:
        arrays = noise(detector, seed)
        moved = {
            name: (value * (1 + 1e-5 * rng.standard_normal(value.shape))).astype(value.dtype)
            if value.ndim > 2 and value.dtype == np.float32
            else value
            for name, value in arrays.items()
        }
        before, after = expected_of(detector, arrays), expected_of(detector, moved)
        for name, value in before.items():
            np.testing.assert_allclose(
                after[name], value, rtol=1e-2, atol=1e-2 * value.max(initial=0.1)
            )


def test_an_image_beyond_the_bounds_is_refused(modules: dict[str, Module]) -> None:
    image = np.zeros((3, 129, 96), np.float32)
    with pytest.raises(InputError):
        modules["faster_rcnn"].run({"image": image})


def test_faster_rcnn_has_the_operators_of_the_exported_one() -> None:
    types = {node.op_type for node in model_of("faster_rcnn").graph.node}
    assert types >= set(
        "Expand Concat Exp Unsqueeze ConstantOfShape Floor Gather Greater GreaterOrEqual Less And Min "
        "NonMaxSuppression Range Div Clip Reshape Resize Where Shape Slice Softmax Split Squeeze Sub "
        "ReduceSum TopK Transpose NonZero RoiAlign ScatterElements".split()
    )


@pytest.mark.slow
@pytest.mark.parametrize("memory", ["arena", "heap"])
@pytest.mark.parametrize("detector", DETECTORS)
def test_sanitizers_find_nothing(detector: str, memory: str, tmp_path: Path) -> None:
    graph = api.plan(model_of(detector), dims=BOUNDS.get(detector))
    for number, arrays in enumerate((noise(detector, 1), blank(detector))):
        folder = emit(
            graph, tmp_path / str(number), memory=memory,
            vectors=(arrays, expected_of(detector, arrays)),
        )  # fmt: skip
        program = build_executable(
            sorted(folder.glob("*.c")), flags=("-std=c99", "-DDLC_POISON"), sanitize=True,
            out=folder / "selftest",
        )  # fmt: skip
        done = subprocess.run([program], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr
