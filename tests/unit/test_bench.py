"""dlc bench: statistics, the JSON form, layers, peers, devices side by side, plots, errors."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import dlc
from dlc.backends.c99.toolchain import STRICT_FLAGS, compile_with, find_compiler
from dlc.bench import (
    Layer,
    Machine,
    ModelResult,
    Peak,
    Report,
    Timing,
    bench_model,
    compare,
    find_peer,
    measured_peak,
    read_report,
)
from dlc.bench.compare import pearson
from dlc.bench.measure import interleave
from dlc.bench.peers import Peer
from dlc.bench.pinning import pinned, usable_cores
from dlc.bench.plots import plot_comparison, plot_report
from dlc.bench.report import layer_table, markdown, model_table, summary_lines, write_csv
from dlc.cli import main
from dlc.errors import DlcError, InputError, UnsupportedError

RNG = np.random.default_rng(5)


def timing(name: str, mean: float, runs: int = 9) -> Timing:
    return Timing(name, "1", tuple(map(float, RNG.uniform(0.5 * mean, 1.5 * mean, runs))))


def report(cpu: str, scale: float = 1.0, **changed: Any) -> Report:
    layers = (Layer(0, "c1", "conv", 1000, 100, 2e-6), Layer(2, "relu", "map", 0, 64, 0.0))
    models = tuple(
        ModelResult(
            f"m{i}", 10**i, 8, (timing("dlc", scale * 10**-i), timing("peer", 10**-i)), layers
        )
        for i in range(1, 5)
    )
    made = Report(Machine(cpu, 4, "Linux"), "gcc 12", "O2", 1, 9, Peak(100.0, 10.0, 1), models)
    return dataclasses.replace(made, **changed)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """x[1,8] -> Gemm -> Relu -> y[1,4]."""
    weight = RNG.standard_normal((8, 4)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["t"], "fc"),
            helper.make_node("Relu", ["t"], ["y"], "act"),
        ],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    path = tmp_path / "tiny.onnx"
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path
    )
    return path


def command(capfd: pytest.CaptureFixture[str], *args: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["bench", *map(str, args)])
    out, err = capfd.readouterr()
    return int(stop.value.code or 0), out, err


# ---- statistics ---------------------------------------------------------------------------


def test_statistics_are_those_of_numpy() -> None:
    found = timing("dlc", 1.0, 30)
    seconds = np.array(found.seconds)
    assert found.median == pytest.approx(np.median(seconds))
    assert found.mean == pytest.approx(seconds.mean())
    assert found.deviation == pytest.approx(seconds.std(ddof=1))
    assert found.least == seconds.min()
    assert timing("dlc", 1.0, 1).deviation == 0.0


def test_pearson_is_that_of_numpy_and_none_where_it_means_nothing() -> None:
    pairs = [(float(a), float(b)) for a, b in RNG.standard_normal((12, 2))]
    assert pearson(pairs) == pytest.approx(np.corrcoef(np.array(pairs).T)[0, 1])
    assert pearson(pairs[:2]) is None
    assert pearson([(1.0, a) for a, _ in pairs]) is None


def test_ratio_is_to_the_fastest_peer() -> None:
    slow, fast = Timing("a", "1", (4.0,)), Timing("b", "1", (2.0,))
    result = ModelResult("m", 10**9, 1, (Timing("dlc", "1", (1.0,)), slow, fast))
    assert result.ratio == 0.5
    assert result.gflops(result.ours) == 2.0
    assert ModelResult("m", 1, 1, (result.ours,)).ratio is None
    made = report("x")
    logs = [math.log(m.ours.median / m.peers[0].median) for m in made.models]
    assert made.geometric_mean == pytest.approx(math.exp(np.mean(logs)))


def test_roofline() -> None:
    peak = Peak(100.0, 10.0, 1)
    assert peak.bound(10**9, 8) == pytest.approx(0.02)
    assert peak.bound(1, 10**9) == pytest.approx(0.1)
    assert (peak.bound_by(10**9, 8), peak.bound_by(1, 10**9)) == ("compute", "memory")


# ---- measuring ----------------------------------------------------------------------------


def test_calls_take_turns() -> None:
    heard: list[str] = []

    def call(name: str, seconds: float) -> None:
        import time

        heard.append(name)
        time.sleep(seconds)

    found = interleave({"a": lambda: call("a", 0.002), "b": lambda: call("b", 0.004)}, 4)
    assert {n: len(s) for n, s in found.items()} == {"a": 4, "b": 4}
    assert heard[-8:] == ["a", "b"] * 4
    assert min(found["b"]) > 0.004 > min(found["a"]) > 0.002


def test_pinned_cores_are_given_back() -> None:
    before = usable_cores()
    with pinned(1):
        if hasattr(os, "sched_setaffinity"):
            assert usable_cores() == before[-1:]
    assert usable_cores() == before
    with pytest.raises(DlcError, match="need as many cores"), pinned(len(before) + 1):
        pass


def test_a_model_its_peer_and_its_layers(model: Path) -> None:
    result = bench_model(model, [find_peer("onnxruntime")], runs=3, layers=True)
    assert (result.model, result.macs) == ("tiny", 32)
    assert [t.name for t in result.timings] == ["dlc", "onnxruntime"]
    assert all(len(t.seconds) == 3 and min(t.seconds) > 0 for t in result.timings)
    assert sum(layer.macs for layer in result.layers) == 32
    assert 0 < sum(layer.seconds for layer in result.layers) < 1e-3
    graph = dlc.load(model)
    assert bench_model(graph, runs=1).macs == 32


def test_a_peer_that_fails_is_left_out_with_a_remark(model: Path) -> None:
    class Failing:
        name, version = "failing", "1"

        def prepare(self, model: Any, inputs: Any, threads: int) -> Any:
            raise DlcError("failing cannot run the model: no")

    heard: list[str] = []
    result = bench_model(model, [Failing()], runs=1, notify=heard.append)  # type: ignore[list-item]
    assert [t.name for t in result.timings] == ["dlc"]
    assert heard == ["tiny: failing cannot run the model: no"]


def test_clock_calls_are_strict_c_and_absent_from_normal_builds(
    model: Path, tmp_path: Path
) -> None:
    for memory in ("arena", "heap"):
        folder, program = dlc.api.emit(model, tmp_path / memory, memory=memory)
        source = folder / "model.c"
        for flags in (["-DDLC_PROFILE"], []):
            made = tmp_path / "model.o"
            compile_with(
                find_compiler(), [*STRICT_FLAGS, *flags, "-c", str(source), "-o", str(made)]
            )
            assert (b"dlc_profile" in made.read_bytes()) == bool(flags)
        marks = [
            line.strip() for line in source.read_text().splitlines() if "    DLC_STEP(" in line
        ]
        assert marks == [f"DLC_STEP({i});" for i in range(len(program.steps) + 1)]


def test_the_peak_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLC_CACHE", str(tmp_path))
    monkeypatch.setattr("dlc.bench.peak._REPEATS", 1)
    monkeypatch.setattr("dlc.bench.peak._TRIAD_FLOATS", 1 << 16)
    monkeypatch.setattr("dlc.bench.peak._ROUNDS", 1000)
    first = measured_peak()
    assert first.gflops > 0.01
    assert first.gbytes > 0.01
    assert measured_peak() == first
    (kept,) = tmp_path.glob("peak-*.json")
    kept.write_text("{}")  # as another version might have left it
    assert measured_peak().threads == 1
    assert json.loads(kept.read_text())["threads"] == 1


def test_peers_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnsupportedError, match="no peer 'tvm'; there are onnxruntime, openvino"):
        find_peer("tvm")
    monkeypatch.setattr(Peer.__subclasses__()[0], "package", "no_such_runtime")
    with pytest.raises(UnsupportedError, match="not installed; run: pip install no_such_runtime"):
        find_peer("onnxruntime")


# ---- files --------------------------------------------------------------------------------


def test_json_round_trip(tmp_path: Path) -> None:
    made = report("x")
    made.write(tmp_path / "r.json")
    assert read_report(tmp_path / "r.json") == made


@pytest.mark.parametrize("damage", [
    {"format": "other"}, {"models": 3}, {"machine": {}}, {"peak": {"gflops": 0, "gbytes": 1, "threads": 1}},
    {"models": [{"model": "m", "macs": 1, "bytes": 1, "timings": [], "layers": []}]}, {"runs": "many"},
])  # fmt: skip
def test_what_is_no_report_is_refused(damage: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    report("x").write(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | damage))
    with pytest.raises(InputError, match="was not written by dlc bench --json"):
        read_report(path)


def test_tables_and_csv_hold_the_figures(tmp_path: Path) -> None:
    made = report("x")
    headings, rows = model_table(made)
    assert len(rows) == 8
    assert {len(row) for row in rows} == {len(headings)}
    assert markdown((headings, rows)).count("\n") == 9
    headings, rows = layer_table(made.models[0], made)
    assert [len(row) for row in rows] == [len(headings)] * 2
    assert "geometric mean" in "\n".join(summary_lines(made))
    write_csv(made, tmp_path / "r.csv")
    with (tmp_path / "r.csv").open(newline="") as file:
        first = next(csv.DictReader(file))
    assert float(first["median_s"]) == made.models[0].ours.median
    assert float(first["stdev_s"]) == made.models[0].ours.deviation


# ---- devices ------------------------------------------------------------------------------


def test_devices_side_by_side(tmp_path: Path) -> None:
    reports = [report("laptop"), report("board", 20.0), report("phone", 5.0)]
    paths = [tmp_path / f"{r.machine.cpu}.json" for r in reports]
    for made, path in zip(reports, paths, strict=True):
        made.write(path)
    found = compare(paths)
    assert found.devices == ("laptop", "board", "phone")
    assert len(found.timings) == 8
    assert found.timings["m1", "dlc"][1] == reports[1].models[0].ours
    headings, rows = found.table()
    assert {len(row) for row in rows} == {len(headings)}
    pairs = list(itertools.combinations(range(3), 2))
    means = np.array([[t.mean for m in r.models for t in m.timings] for r in reports])
    for (i, j), correlation in zip(pairs, found.correlations(), strict=True):
        assert correlation.count == 8
        assert correlation.linear == pytest.approx(np.corrcoef(means[[i, j]])[0, 1])
        assert correlation.logarithmic == pytest.approx(np.corrcoef(np.log(means[[i, j]]))[0, 1])
    found.write_csv(tmp_path / "c.csv")
    assert len((tmp_path / "c.csv").read_text().splitlines()) == 25


def test_reports_that_cannot_be_compared(tmp_path: Path) -> None:
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    report("x").write(a)
    with pytest.raises(InputError, match="two or more"):
        compare([a])
    report("y", threads=2).write(b)
    with pytest.raises(InputError, match=r"threads 1 and .* with 2; measure both alike"):
        compare([a, b])
    report("y", models=()).write(b)
    with pytest.raises(InputError, match="no model in common"):
        compare([a, b])
    report("x").write(b)
    assert compare([a, b]).devices == ("a", "b")


# ---- plots and the command ----------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_plots(suffix: str, tmp_path: Path) -> None:
    made, magic = report("x"), {"png": b"\x89PNG", "svg": b"<?xml"}[suffix]
    made.write(tmp_path / "a.json")
    report("y").write(tmp_path / "b.json")
    whole, devices = tmp_path / f"r.{suffix}", tmp_path / f"d.{suffix}"
    plot_report(made, whole)
    plot_comparison(compare([tmp_path / "a.json", tmp_path / "b.json"]), devices)
    assert whole.read_bytes().startswith(magic)
    assert devices.read_bytes().startswith(magic)


def test_the_command(model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    code, out, _ = command(
        capfd, model, "--runs", 2, "--layers", "--vs", "onnxruntime", "--json", a,
        "--csv", tmp_path / "a.csv",
    )  # fmt: skip
    assert code == 0
    assert "tiny, step by step" in out
    assert "onnxruntime" in out
    assert "measured peak" in out
    b.write_bytes(a.read_bytes())
    code, out, _ = command(capfd, "--compare", a, b, "--csv", tmp_path / "c.csv")
    assert code == 0
    assert "too few, or all alike, to correlate" in out
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no")
    code, out, err = command(capfd, broken, model, "--runs", 1, "--vs", "none")
    assert code == 1
    assert "broken.onnx is left out" in err
    assert "tiny" in out


@pytest.mark.parametrize(("args", "sentence"), [
    ((), "Missing argument 'MODEL...'"),
    (("nope.onnx", "--vs", "none"), "cannot read nope.onnx"),
    (("x.onnx", "--vs", "tvm"), "no peer 'tvm'"),
    (("x.onnx", "--plot", "x.pdf"), "a plot is a .png or .svg file"),
    (("x.onnx", "--json", "absent/x.json"), "there is no folder absent"),
    (("a.json", "--compare"), "two or more devices"),
    (("a.json", "b.json", "--compare", "--json", "c.json"), "--compare reads --json files"),
    (("x.onnx", "--threads", "100000"), "need as many cores"),
])  # fmt: skip
def test_mistakes_end_in_one_sentence(args: tuple[str, ...], sentence: str, tmp_path: Path,
                                      monkeypatch: pytest.MonkeyPatch,
                                      capfd: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    code, _, err = command(capfd, *args)
    assert code == 2
    assert err.startswith("dlc: error: ")
    assert sentence in err
    assert len(err.splitlines()) == 1


def test_plots_without_matplotlib(monkeypatch: pytest.MonkeyPatch,
                                  capfd: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    code, _, err = command(capfd, "x.onnx", "--plot", "x.png")
    assert code == 2
    assert "pip install 'dlc[bench]'" in err
