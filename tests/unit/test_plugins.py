"""Passes, operators, kernels and backends of one's own: the examples, files, entry points, mistakes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import dlc
from dlc.errors import DlcError, PassError, PluginError, UnsupportedError
from dlc.interp import run
from dlc.ir.graph import Graph
from dlc.ir.plugins import load_module
from dlc.ir.text import parse_graph, print_graph
from dlc.ops.build import map_, reshape
from dlc.passmanager import PassManager, find_pass
from dlc.rewrite import graph_pass, op, rule_pass, value

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def squash(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    norm = np.linalg.norm(x, axis=-1, keepdims=True)
    return np.asarray(x * norm / (1 + norm**2))


def model(
    kind: str, domain: str = "com.example", inputs: int = 1, **attributes: object
) -> onnx.ModelProto:
    """x[2,3,8] (, ...) -> kind -> y, of an unknown type."""
    names = [f"x{i}" if i else "x" for i in range(inputs)]
    graph = helper.make_graph(
        [helper.make_node(kind, names, ["y"], "mine", domain=domain, **attributes)], "m",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, [2, 3, 8]) for n in names],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )  # fmt: skip
    opsets = [helper.make_opsetid(name, v) for name, v in {domain: 1, "": 17}.items()]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def main(*args: object) -> int:
    from dlc.cli import main as dlc_main

    with pytest.raises(SystemExit) as stop:
        dlc_main([str(a) for a in args])
    return int(stop.value.code or 0)


# ---- the examples -------------------------------------------------------------------------------


def test_a_custom_operator_with_its_kernel_in_under_60_lines() -> None:
    files = [EXAMPLES / "custom_op.py", EXAMPLES / "kernels" / "squash_f32.h"]
    assert sum(len(file.read_text().splitlines()) for file in files) < 60


def test_the_custom_operator_end_to_end(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path, load = tmp_path / "m.onnx", f"--load={EXAMPLES / 'custom_op.py'}"
    onnx.save(model("Squash"), path)
    assert main("compile", path, "-o", tmp_path / "c", load) == 0
    assert "squash_f32(" in (tmp_path / "c" / "model.c").read_text()
    assert (tmp_path / "c" / "kernels" / "squash_f32.h").exists()
    assert (tmp_path / "c" / "kernels" / "dlc_sqrt.h").exists()

    x = np.random.default_rng(0).standard_normal((2, 3, 8)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x)
    assert (
        main("run", path, load, "--inputs", tmp_path / "x.npz", "--outputs", tmp_path / "y.npz")
        == 0
    )
    np.testing.assert_allclose(np.load(tmp_path / "y.npz")["y"], squash(x), rtol=1e-6)

    assert main("check", path, load) == 0
    assert "onnxruntime has no com.example.Squash" in capfd.readouterr().out

    assert main("opt", path, load, "-o", tmp_path / "again.onnx") == 0
    assert onnx.load(tmp_path / "again.onnx").graph.node[0].op_type == "Squash"
    graph = dlc.load(path)
    np.testing.assert_allclose(run(graph, {"x": x})["y"], squash(x), rtol=1e-6)
    assert print_graph(parse_graph(print_graph(graph))) == print_graph(graph)


def test_the_example_passes(tmp_path: Path) -> None:
    load_module(EXAMPLES / "my_pass.py")
    graph = parse_graph("""graph "g" {opsets = {"" = 17}} {
  %x = input() "x" : f32[2]
  %one = constant() {value = dense<f32[2,1] 1.0 1.0>}
  %a = onnx.Mul(%x, %one)
  %b = onnx.Mul(%a, %one)
  output(%b) {names = ["y"]}
}""")
    manager = PassManager.parse("drop-scale-by-one,label-ops{prefix=op_}", explain=True)
    text = print_graph(manager.run(graph))
    assert text.count("onnx.Mul") == 1
    assert '"op_0"' in text
    assert [r.reason for r in manager.report[0].refusals] == ["it broadcasts its operand"]
    again = PassManager.parse("drop-scale-by-one,label-ops")
    assert print_graph(again.run(parse_graph(text))) == text


# ---- decorators ---------------------------------------------------------------------------------


def test_a_function_is_a_pass() -> None:
    @graph_pass("test-rename", contract="approximate", requires="core")
    def rename(graph: Graph, *, to: str = "new", times: int = 1) -> bool:
        """Rename the graph."""
        changed, graph.name = graph.name != to, to
        return changed

    cls = find_pass("test-rename")
    assert (cls.contract, cls.requires, cls.__doc__) == ("approximate", "core", "Rename the graph.")
    graph = Graph("old")
    graph.set_outputs([])
    assert PassManager.parse("test-rename{to=it,times=2}").run(graph).name == "it"
    assert graph.name == "old"
    assert rename(graph)  # still a function
    with pytest.raises(PassError, match="option times of pass test-rename is of type int"):
        PassManager.parse("test-rename{times=x}")


def test_a_function_of_another_form_is_refused() -> None:
    with pytest.raises(
        PassError, match="option depth needs a type and a default, as in depth: int = 0"
    ):

        @graph_pass("test-bad-option")
        def bad(graph: Graph, depth) -> bool:  # type: ignore[no-untyped-def]
            return False

    with pytest.raises(PassError, match="takes no graph"):

        @graph_pass("test-no-graph")
        def none() -> bool:
            return False

    @graph_pass("test-returns-nothing")
    def nothing(graph: Graph) -> None:
        pass

    with pytest.raises(PassError, match="returned None; return whether it changed the graph"):
        PassManager.parse("test-returns-nothing").run(Graph())


def test_a_name_is_used_once() -> None:
    with pytest.raises(DlcError, match="pass 'dce' is defined in"):

        @rule_pass("dce")
        class Dce(dlc.Rule):
            pattern = op("onnx.Relu", value())


# ---- operators ----------------------------------------------------------------------------------


def test_an_operator_declared_by_its_expansion() -> None:
    @dlc.onnx_operator("Blend", domain="test.blend", alpha=0.5, axis=int)
    def blend(call, a, b=None):  # type: ignore[no-untyped-def]
        scaled = map_(f"a0 * {call.attr('alpha')}", a)
        return reshape(scaled if b is None else map_("a0 + a1", scaled, b), [2, 24])

    x = np.arange(48, dtype=np.float32).reshape(2, 3, 8)
    for inputs, expected in ((1, x / 2), (2, x / 2 + x)):
        graph = dlc.load(model("Blend", "test.blend", inputs, axis=1))
        assert graph.outputs[0].shape == (2, 24)
        arrays = dict.fromkeys(graph.input_names, x)
        np.testing.assert_array_equal(run(graph, arrays)["y"], expected.reshape(2, 24))
        np.testing.assert_array_equal(dlc.compile(graph).run(arrays)["y"], expected.reshape(2, 24))
    with pytest.raises(
        DlcError, match=r"operator Blend of domain 'test.blend' is declared already"
    ):
        dlc.onnx_operator("Blend", domain="test.blend")(lambda call, x: x)


def test_an_expansion_that_fails_is_one_sentence() -> None:
    @dlc.onnx_operator("Wrong", domain="test.wrong")
    def wrong(call, x):  # type: ignore[no-untyped-def]
        return x + 1

    with pytest.raises(UnsupportedError, match=r"test.wrong.Wrong: its expansion fails: TypeError"):
        dlc.load(model("Wrong", "test.wrong"))


def test_a_kernel_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dlc.backends.c99.headers import read_header
    from dlc.ops import emission

    monkeypatch.setattr(emission, "_KERNEL_PATH", [])
    with pytest.raises(PluginError, match="is no folder of C kernels"):
        dlc.kernel_path(tmp_path / "none")
    with pytest.raises(UnsupportedError, match="there is no C kernel mine_f32 yet"):
        read_header("mine_f32.h")
    ours = read_header("dlc_sqrt.h")
    dlc.kernel_path(tmp_path)
    with pytest.raises(UnsupportedError, match=f"and none in {tmp_path}"):
        read_header("mine_f32.h")
    (tmp_path / "mine_f32.h").write_text("int mine;\n")
    assert read_header("mine_f32.h") == "int mine;\n"
    assert read_header("dlc_sqrt.h") == ours


# ---- backends -----------------------------------------------------------------------------------


def test_a_backend_of_a_loaded_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "steps.py").write_text("""
import dlc
from dlc.plan import program_of

@dlc.backend("test-steps")
def emit(graph, out_dir, *, name, weights, memory):
    out_dir.mkdir()
    (out_dir / "steps.txt").write_text("\\n".join(s.op.operator.name for s in program_of(graph).steps))
    return out_dir
""")
    onnx.save(model("Relu", ""), tmp_path / "m.onnx")
    args = [
        "compile",
        tmp_path / "m.onnx",
        "-o",
        tmp_path / "out",
        f"--load={tmp_path / 'steps.py'}",
    ]
    assert main(*args, "--backend=test-steps") == 0
    assert (tmp_path / "out" / "steps.txt").read_text() == "map"
    assert main(*args, "--backend=test-none") == 2
    assert "no backend 'test-none'; there are c99, test-steps" in capfd.readouterr().err


# ---- installed packages -------------------------------------------------------------------------


def install(folder: Path, points: str, **modules: str) -> None:
    """What pip leaves of a package with entry points."""
    info = folder / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(points)
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)


def installed(folder: Path, *args: object) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.path.insert(0, {str(folder)!r}); from dlc.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, args)], capture_output=True, text=True
    )


def test_entry_points(tmp_path: Path) -> None:
    example = (
        (EXAMPLES / "custom_op.py")
        .read_text()
        .replace("Path(__file__).parent", f"Path({str(EXAMPLES)!r})")
    )
    install(
        tmp_path,
        "[dlc.passes]\nmine = my_pass\n[dlc.ops]\nmine = my_op\n[dlc.backends]\ncount = my_backend\n",
        my_pass=(EXAMPLES / "my_pass.py").read_text(), my_op=example,
        my_backend="def emit(graph, out_dir, **_):\n    out_dir.write_text(str(len(graph)))\n    return out_dir\n",
    )  # fmt: skip
    onnx.save(model("Squash"), tmp_path / "m.onnx")
    done = installed(tmp_path, "opt", tmp_path / "m.onnx", "--pass=drop-scale-by-one,expand-ops")
    assert done.returncode == 0, done.stderr
    assert "= squash(%0)" in done.stdout
    (tmp_path / "g.dlc").write_text(done.stdout)
    done = installed(
        tmp_path, "compile", tmp_path / "g.dlc", "-o", tmp_path / "n", "--backend=count"
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "n").read_text() == "3"


@pytest.mark.parametrize(
    ("group", "args"),
    [
        ("dlc.passes", ["passes"]),
        ("dlc.ops", ["opt", "m.onnx"]),
        ("dlc.backends", ["compile", "m.onnx", "-o", "out", "--backend=mine"]),
    ],
)
def test_an_installed_plugin_that_does_not_import(
    tmp_path: Path, group: str, args: list[str]
) -> None:
    install(tmp_path, f"[{group}]\nmine = broken\n", broken="import nothing_of_this_name\n")
    onnx.save(model("Unheard" if group == "dlc.ops" else "Relu", "x.y" if group == "dlc.ops" else ""),
              tmp_path / "m.onnx")  # fmt: skip
    done = installed(tmp_path, *[tmp_path / a if a in ("m.onnx", "out") else a for a in args])
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert (
        "plugin 'mine' (broken) does not import: ModuleNotFoundError: No module named"
        in done.stderr
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1\nraise ValueError('no')\n", "bad.py, line 2, fails to load: ValueError: no"),
        ("def f(:\n", "bad.py, line 1, fails to load: SyntaxError"),
        ("import sys\nsys.exit(3)\n", "bad.py, line 2, fails to load: SystemExit: 3"),
    ],
)
def test_a_file_that_fails_says_where(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    (tmp_path / "bad.py").write_text(text)
    onnx.save(model("Relu", ""), tmp_path / "m.onnx")
    for command in (
        ["opt"],
        ["check"],
        ["compile", "-o", tmp_path / "o"],
        ["run", "--inputs=x.npz"],
    ):
        assert main(*command, tmp_path / "m.onnx", f"--load={tmp_path / 'bad.py'}") == 2
        (line,) = capfd.readouterr().err.splitlines()
        assert words in line
