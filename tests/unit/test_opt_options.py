"""What ``dlc opt`` and its kin show of passes: IR, diff, timing, statistics, explanations, pipelines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dlc.cli import main

TEXT = """graph "g" {opsets = {"" = 17}} {
  %0 = input() "x" : f32[2,3]
  %1 = onnx.Identity(%0) "same" : f32[2,3]
  %2 = onnx.Exp(%1) "exp" : f32[2,3]
  %3 = onnx.Transpose(%2) {perm = [1, 0]} "t" : f32[3,2]
  output(%3) {names = ["y"]}
}
"""
FAILING = """
import dlc

@dlc.graph_pass("erase-then-fail")
def fail(graph):
    graph.set_outputs([("y", graph.inputs[0])])
    raise RuntimeError("by design")
"""


@pytest.fixture
def graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)  # where reproducers are written
    path = tmp_path / "g.dlc"
    path.write_text(TEXT)
    return path


def opt(capfd: pytest.CaptureFixture[str], *args: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["opt", *map(str, args)])
    out, err = capfd.readouterr()
    return int(stop.value.code or 0), out, err


def headings(err: str) -> list[str]:
    return [line[9:-6] for line in err.splitlines() if line.startswith("// -----")]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--print-ir-before"], ["IR before dce", "IR before drop-identity"]),
        (["--print-ir-before=dce"], ["IR before dce"]),
        (["--print-ir-after"], ["IR after dce (unchanged)", "IR after drop-identity"]),
        (["--print-ir-after=dce", "--print-ir-before=dce"],
         ["IR before dce", "IR after dce (unchanged)"]),
        (["--print-ir-after-change"], ["IR after drop-identity"]),
        (["--print-ir-after-failure"], []),
    ],
)  # fmt: skip
def test_printing(
    capfd: pytest.CaptureFixture[str], graph: Path, options: list[str], expected: list[str]
) -> None:
    code, out, err = opt(capfd, *options, graph, "--pass=dce,drop-identity")
    assert code == 0, err
    assert headings(err) == expected
    assert err.count("onnx.Exp") == len(expected)
    assert "onnx.Identity" not in out


def test_printing_after_a_failure(
    capfd: pytest.CaptureFixture[str], graph: Path, tmp_path: Path
) -> None:
    (tmp_path / "failing.py").write_text(FAILING)
    code, _, err = opt(capfd, graph, f"--load={tmp_path / 'failing.py'}",
                       "--pass=erase-then-fail", "--print-ir-after-failure", "--print-ir-after-change",
                       "--timing")  # fmt: skip
    assert code == 2
    assert headings(err) == ["IR after erase-then-fail failed"]
    assert "output(%0)" in err
    assert "all passes" in err  # tables are printed all the same
    assert "dlc: error: pass erase-then-fail failed: RuntimeError: by design" in err


def test_the_pass_to_print_must_exist(capfd: pytest.CaptureFixture[str], graph: Path) -> None:
    assert "did you mean dce?" in opt(capfd, graph, "--print-ir-after=dcee", "--pass=dce")[2]


def test_diff_shows_what_a_pass_changed_and_no_more(
    capfd: pytest.CaptureFixture[str], graph: Path
) -> None:
    _, _, err = opt(capfd, graph, "--diff", "--pass=dce,drop-identity")
    changed = [line for line in err.splitlines() if line[:1] in "+-"]
    assert changed == [
        "--- before drop-identity",
        "+++ after drop-identity",
        '-  %1 = onnx.Identity(%0) "same" : f32[2,3]',
        '-  %2 = onnx.Exp(%1) "exp" : f32[2,3]',
        '+  %2 = onnx.Exp(%0) "exp" : f32[2,3]',
    ]
    assert "\x1b" not in err


def test_diff_in_colour() -> None:
    from dlc.instrument import Difference
    from dlc.ir.text import parse_graph
    from dlc.passmanager import PassManager

    written: list[str] = []
    manager = PassManager.parse("drop-identity")
    manager.instruments.append(Difference(written.append, colour=True))
    manager.run(parse_graph(TEXT))
    (text,) = written
    assert '\x1b[31m-  %1 = onnx.Identity(%0) "same" : f32[2,3]\x1b[0m' in text.splitlines()


def test_timing(capfd: pytest.CaptureFixture[str], graph: Path) -> None:
    _, out, err = opt(capfd, graph, "--timing", "--pass=again(dce,drop-identity)")
    rows = {line.split()[0]: line.split() for line in err.splitlines() if line.strip()}
    assert rows["dce"][1] == rows["drop-identity"][1] == "2"
    assert rows["all"][2] == "4"
    assert "time" not in out


def test_statistics(capfd: pytest.CaptureFixture[str], graph: Path, tmp_path: Path) -> None:
    _, _, err = opt(capfd, graph, "--statistics", "--pass=drop-identity")
    assert "3 → 2" in err
    assert "-1 onnx.Identity" in err
    _, _, err = opt(capfd, graph, "--statistics=json", "--pass=drop-identity,dce")
    first, second = json.loads(err)
    assert first["pass"] == "drop-identity"
    assert (first["changed"], second["changed"]) == (True, False)
    assert first["removed"] == {"onnx.Identity": 1}
    assert first["added"] == {}
    assert first["before"] == {
        "ops": {"onnx.Exp": 1, "onnx.Identity": 1, "onnx.Transpose": 1}, "count": 3, "macs": 0,
        "weight_bytes": 0, "peak_bytes": 48,
    }  # fmt: skip
    opt(capfd, graph, f"--statistics={tmp_path / 's.json'}", "--pass=drop-identity")
    assert json.loads((tmp_path / "s.json").read_text())[0]["after"] == first["after"]
    assert "json" in opt(capfd, graph, "--statistics=s.txt", "--pass=dce")[2]


def test_statistics_of_a_plan_are_the_plans() -> None:
    from dlc import demo, load
    from dlc.instrument import measure
    from dlc.passmanager import PassManager

    graph = load(demo.model_path(), dims={"N": 1})
    before = measure(graph)
    planned = PassManager.parse("Os").run(graph)  # O2 computes whole blocks of channels
    after = measure(planned)
    assert before.macs == after.macs == 416520  # 117600 + 240000 + 48000 + 10080 + 840
    assert after.peak_bytes == planned.annotations["peak_bytes_with_io"] < before.peak_bytes
    constants = [op for op in graph.ops if op.operator.name == "constant"]
    assert before.weight_bytes == sum(op.types[0].nbytes for op in constants)


def test_explain(capfd: pytest.CaptureFixture[str], graph: Path) -> None:
    _, _, err = opt(capfd, "--explain", graph, "--pass=drop-identity")
    assert err.splitlines() == [
        "pass drop-identity, rule drop-no-op did not match",
        "  onnx.Transpose 't': it changes the type",
        "pass drop-identity, rule merge-transposes did not match",
        "  onnx.Transpose 't': onnx.Exp 'exp' is not onnx.Transpose or transpose",
        "pass drop-identity, rule transpose-beside-reshape did not match",
        "  onnx.Transpose 't': it changes the order",
    ]
    _, _, err = opt(capfd, graph, "--explain=drop-no-op", "--pass=drop-identity")
    assert "merge-transposes" not in err
    assert "it changes the type" in err
    assert (
        "merge-transposes"
        in opt(capfd, graph, "--explain=drop-identity", "--pass=drop-identity")[2]
    )
    assert "no near misses" in opt(capfd, graph, "--explain=dce", "--pass=dce")[2]
    sentence = opt(capfd, graph, "--explain=drop-no", "--pass=drop-identity")[2]
    assert "no rule 'drop-no' in this pipeline; there is drop-no-op" in sentence


def test_dump_pipeline(capfd: pytest.CaptureFixture[str]) -> None:
    from dlc.passmanager import PIPELINES

    code, out, _ = opt(capfd, "no-such-model.onnx", "-Os", "--dump-pipeline")
    assert (code, out.strip()) == (0, PIPELINES["Os"])
    text = "mcu,cleanup(dce,cse),fuse-maps{max_size=4}"
    _, out, _ = opt(capfd, "x", f"--pass-pipeline={text}", "--dump-pipeline")
    assert out.strip() == text.replace("mcu", PIPELINES["mcu"])
    assert "-O0, -O1, -O2 and -Os" in opt(capfd, "x", "-O3")[2]


@pytest.mark.parametrize("name", ["O0", "O1", "O2", "Os", "mcu", "server"])
def test_every_named_pipeline_gives_the_same_answers(name: str) -> None:
    import numpy as np

    from dlc import demo, load
    from dlc.interp import run
    from dlc.passmanager import PassManager

    graph = load(demo.model_path(), dims={"N": 1})
    image = demo.heldout_digits()[0][:1].astype(np.float32)
    expected = run(graph, {"image": image})["probabilities"]
    got = run(PassManager.parse(name).run(graph), {"image": image})["probabilities"]
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_a_fact_no_pass_before_it_ensures_names_the_pass_that_does(
    capfd: pytest.CaptureFixture[str], graph: Path, tmp_path: Path
) -> None:
    (tmp_path / "facts.py").write_text("""
import dlc

@dlc.graph_pass("look", ensures="seen")
def look(graph): return False

@dlc.graph_pass("use", requires="seen")
def use(graph): return False

@dlc.graph_pass("lost", requires="nothing ensures this")
def lost(graph): return False
""")
    load = f"--load={tmp_path / 'facts.py'}"
    assert opt(capfd, graph, load, "--pass=look,dce,use")[0] == 0
    assert (
        "pass use requires 'seen'; put look before it"
        in opt(capfd, graph, load, "--pass=use,look")[2]
    )
    assert "which no known pass ensures" in opt(capfd, graph, load, "--pass=lost")[2]
    assert "put expand-ops before it" in opt(capfd, graph, "--pass=fuse-maps")[2]
