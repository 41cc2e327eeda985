"""If, Loop and Scan of any nesting: C against onnxruntime, bit for bit."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import control_flow
import numpy as np
import onnx
import pytest
from backend_support import STRICT, same
from hypothesis import Phase, given, settings

from dlc import api
from dlc.backends.c99 import build, emit
from dlc.backends.c99.toolchain import available_compilers, build_executable
from dlc.exporter import to_onnx
from dlc.interp import run
from dlc.plan.check import verify_plan

ort = pytest.importorskip("onnxruntime")
#: shrinking would take minutes, each try being compiled
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)


def reference(model: onnx.ModelProto, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = ort.InferenceSession(model.SerializeToString(), options)
    given = {value.name for value in session.get_inputs()}
    found = session.run(None, {n: a for n, a in arrays.items() if n in given})
    return dict(zip([output.name for output in session.get_outputs()], found, strict=True))


def differing(got: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> list[str]:
    return [name for name in expected if not same(got[name], expected[name])]


@settings(max_examples=12, phases=PHASES)
@given(control_flow.models(), control_flow.inputs())
def test_c_agrees_with_onnxruntime_also_poisoned_and_on_the_heap(
    model: onnx.ModelProto, arrays: dict[str, np.ndarray]
) -> None:
    expected = reference(model, arrays)
    graph = api.plan(model)
    assert not differing(run(graph, arrays), expected)
    with tempfile.TemporaryDirectory() as folder:
        for name, flags, options in (
            ("arena", STRICT, {}),
            ("poison", (*STRICT, "-DDLC_POISON"), {"weights": "file"}),
            ("heap", STRICT, {"memory": "heap"}),
        ):
            made = emit(graph, Path(folder) / name, **options)
            verify_plan(made)
            assert not differing(build(made, flags=flags).run(arrays), expected)


@settings(max_examples=30, phases=PHASES)
@given(control_flow.models(), control_flow.inputs())
def test_no_pipeline_changes_the_meaning(
    model: onnx.ModelProto, arrays: dict[str, np.ndarray]
) -> None:
    expected = reference(model, arrays)
    assert not differing(run(api.load(model), arrays), expected)
    for passes in ("O0", "Os", "expand-ops,dce,trim-bodies,fold-constants"):
        assert not differing(run(api.plan(model, passes=passes), arrays), expected)


@settings(max_examples=10, phases=PHASES)
@given(control_flow.models(sized=False), control_flow.inputs())
def test_core_form_goes_back_to_onnx(model: onnx.ModelProto, arrays: dict[str, np.ndarray]) -> None:
    exported = to_onnx(api.plan(model, passes="expand-ops,dce,trim-bodies,fold-constants,cse"))
    onnx.checker.check_model(exported)
    assert not differing(reference(exported, arrays), reference(model, arrays))


@settings(max_examples=4, phases=PHASES)
@given(control_flow.models(depth=3), control_flow.inputs())
def test_sanitizers_find_nothing(model: onnx.ModelProto, arrays: dict[str, np.ndarray]) -> None:
    graph = api.plan(model)
    used = {name: arrays[name] for name in graph.input_names}
    with tempfile.TemporaryDirectory() as folder:
        made = emit(graph, Path(folder) / "c", vectors=(used, reference(model, arrays)))
        for compiler in available_compilers():
            checks = compiler.family in ("gcc", "clang")
            program = build_executable(
                sorted(made.glob("*.c")), flags=STRICT if checks else ("-std=c99",),
                compiler=compiler, sanitize=checks, out=Path(folder) / compiler.family,
            )  # fmt: skip
            done = subprocess.run([program], capture_output=True, text=True, check=False)
            assert (done.returncode, done.stderr) == (0, "")
