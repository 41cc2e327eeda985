"""The command line as a user meets it: examples, exit codes, one-sentence errors."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from dlc import demo
from dlc.cli import cli, main


def dlc(capfd: pytest.CaptureFixture[str], *args: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in args])
    out, err = capfd.readouterr()
    code = stop.value.code
    return int(code or 0), out, err


def failing(capfd: pytest.CaptureFixture[str], *args: object) -> str:
    """The one sentence a mistake ends in."""
    code, _, err = dlc(capfd, *args)
    assert code == 2, err
    assert "Traceback" not in err
    complaints = [line for line in err.splitlines() if not line.startswith("dlc: note:")]
    assert len(complaints) == 1, err
    assert complaints[0].startswith("dlc: error: ")
    return complaints[0]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """x[N,3] -> Relu -> y."""
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"], "act")],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3])],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path / "tiny.onnx"
    onnx.save(proto, path)
    return path


def test_every_command_has_help_with_an_example(capfd: pytest.CaptureFixture[str]) -> None:
    for name in cli.list_commands(None):  # type: ignore[arg-type]
        code, out, _ = dlc(capfd, name, "--help")
        assert code == 0
        assert "Example" in out
        assert f"dlc {name}" in out


def test_help_is_quick_to_start() -> None:
    code = (
        "import sys, dlc.cli; dlc.cli.main.__module__;"
        "print([m for m in ('numpy','onnx','networkx','rich','cffi') if m in sys.modules])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "[]"


def test_compile_check_run_verify(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, model: Path
) -> None:
    code, out, err = dlc(capfd, "compile", model, "-o", tmp_path / "c", "--dim", "N=2")
    assert code == 0, err
    assert "arena" in out
    assert {"model.c", "model.h", "metadata.json", "CMakeLists.txt", "selftest.c"} <= {
        p.name for p in (tmp_path / "c").iterdir()
    }
    assert dlc(capfd, "verify-plan", tmp_path / "c")[0] == 0
    assert dlc(capfd, "check", model, "--dim", "N=2")[0] == 0

    x = np.array([[1, -2, 3], [-4, 5, -6]], np.float32)
    np.savez(tmp_path / "x.npz", x=x)
    code, _, err = dlc(capfd, "run", model, "--dim", "N=2", "--inputs", tmp_path / "x.npz",
                       "--outputs", tmp_path / "y.npz")  # fmt: skip
    assert code == 0, err
    with np.load(tmp_path / "y.npz") as results:
        np.testing.assert_array_equal(results["y"], np.maximum(x, 0))


def test_unbound_leading_dim_becomes_one_with_a_notice(
    capfd: pytest.CaptureFixture[str], model: Path
) -> None:
    code, _, err = dlc(capfd, "check", model)
    assert code == 0
    assert "note:" in err
    assert "--dim N=" in err


def test_opt_text_in_text_out(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, model: Path
) -> None:
    code, out, _ = dlc(capfd, "opt", model, "--pass=expand-ops", "-o", tmp_path / "g.dlc")
    assert code == 0
    code, out, _ = dlc(capfd, "opt", tmp_path / "g.dlc", "--pass=cse,dce")
    assert code == 0
    assert "max(a0, 0)" in out
    code, _, err = dlc(capfd, "opt", tmp_path / "g.dlc", "-o", tmp_path / "back.onnx")
    assert code == 0, err
    onnx.checker.check_model(onnx.load(tmp_path / "back.onnx"), full_check=True)


def test_check_differs_exits_1(
    capfd: pytest.CaptureFixture[str], model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dlc import api

    monkeypatch.setattr(api, "_reference", lambda *_: ("a liar", lambda a: {"y": a["x"] * 7}))
    code, out, _ = dlc(capfd, "check", model)
    assert code == 1
    assert "worst tensor: y" in out


def test_truncated_file(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(demo.model_path().read_bytes()[:50_000])
    assert "broken.onnx" in failing(capfd, "compile", broken, "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_missing_file(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "none.onnx" in failing(capfd, "check", tmp_path / "none.onnx")


def test_unknown_op(capfd: pytest.CaptureFixture[str], tmp_path: Path, model: Path) -> None:
    proto = onnx.load(model)
    proto.graph.node[0].op_type = "Frobnicate"
    onnx.save(proto, tmp_path / "odd.onnx")
    sentence = failing(capfd, "compile", tmp_path / "odd.onnx", "-o", tmp_path / "out")
    assert "Frobnicate" in sentence
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arrays, words",
    [
        ({}, ["x", "missing"]),
        ({"x": np.zeros((1, 3))}, ["x", "float64", "float32"]),
        ({"x": np.zeros((1, 4), np.float32)}, ["x", "1,4", "1,3"]),
        ({"x": np.zeros((1, 3), np.float32), "z": np.zeros(1)}, ["z"]),
    ],
)
def test_bad_inputs(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, model: Path,
    arrays: dict[str, np.ndarray], words: list[str],
) -> None:  # fmt: skip
    np.savez(tmp_path / "x.npz", **arrays)  # type: ignore[arg-type]
    sentence = failing(capfd, "run", model, "--inputs", tmp_path / "x.npz")
    for word in words:
        assert word in sentence.replace(" ", "").replace("f32", "float32").replace("f64", "float64")


def test_inputs_that_are_no_archive(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, model: Path
) -> None:
    (tmp_path / "x.npz").write_text("hello")
    assert "x.npz" in failing(capfd, "run", model, "--inputs", tmp_path / "x.npz")


def test_unwritable_folder(capfd: pytest.CaptureFixture[str], tmp_path: Path, model: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    failing(capfd, "compile", model, "-o", tmp_path / "file" / "out")
    assert "file" in failing(capfd, "compile", model, "-o", tmp_path / "file")
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_folder_of_somebody_else_is_left_alone(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, model: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    failing(capfd, "compile", model, "-o", tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_no_compiler(
    capfd: pytest.CaptureFixture[str], model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dlc.backends.c99 import module
    from dlc.errors import BuildError

    def none(name: str | None = None) -> None:
        raise BuildError("no C compiler: install gcc, or pip install 'dlc[zig]'")

    monkeypatch.setattr(module, "find_compiler", none)
    failing(capfd, "check", model)


def test_bad_options(capfd: pytest.CaptureFixture[str], model: Path) -> None:
    assert "fold-bn" in failing(capfd, "opt", model, "--pass=fold-nb")
    assert "NAME=SIZE" in failing(capfd, "check", model, "--dim", "N")
    assert "not both" in failing(capfd, "check", model, "--pass=dce", "-O1")
    assert "--frob" in failing(capfd, "check", model, "--frob")
    assert "suffix" in failing(capfd, "opt", model, "-o", "x.txt")


def test_passes_and_ops(capfd: pytest.CaptureFixture[str]) -> None:
    _, out, _ = dlc(capfd, "passes")
    for name in ("fold-bn", "fuse-conv-relu", "fold-constants", "drop-identity", "dce", "cse",
                 "expand-ops", "fuse-maps", "liveness", "plan-arena"):  # fmt: skip
        assert name in out
    assert dlc(capfd, "passes", "fold-bn")[0] == 0
    _, out, _ = dlc(capfd, "ops")
    assert "conv" in out
    assert re.search(r"Gemm +1 6 7 9 11 13 +expansion", out)
    assert re.search(r"ai.onnx.ml.Scaler +1 +expansion", out)
    assert "Gemm" not in dlc(capfd, "ops", "--missing")[1]


def test_demo(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, err = dlc(capfd, "demo", "-o", tmp_path / "lenet_c")
    assert code == 0, err
    assert "99.2%" in out
    assert "359 of 359" in out
    assert (tmp_path / "lenet_c" / "model.c").exists()


def test_a_level_into_onnx_keeps_to_named_ops(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, _, err = dlc(capfd, "opt", demo.model_path(), "-O2", "-o", tmp_path / "small.onnx")
    assert code == 0, err
    small = onnx.load(tmp_path / "small.onnx")
    assert not small.functions
    assert len(small.graph.node) <= len(onnx.load(demo.model_path()).graph.node)
    assert dlc(capfd, "check", tmp_path / "small.onnx")[0] == 0
