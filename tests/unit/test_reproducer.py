"""What fails is written as a file that fails alike."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from planted import FILE, wrong_passes

from dlc import api, demo
from dlc.cli import main
from dlc.errors import DlcError, MeaningError, ModelError, ParseError, PassError, VerifyError
from dlc.ir.graph import Graph
from dlc.ir.text import load, parse_graph, print_graph
from dlc.ir.text.seeded import Seeded
from dlc.ir.types import DType
from dlc.passmanager import PassManager
from dlc.prove import Checker, Recipe, attempt, read_recipe, reproducer_text, run_proved
from dlc.prove.reproducer import with_seeded_constants
from dlc.testing import reproducer

__all__ = ["wrong_passes"]

RESIDUAL = """
graph "g" {opsets = {"" = 17}} {
  %0 = input() "x" : f32[2,3]
  %1 = input() "z" : f32[2,3]
  %2 = onnx.Add(%0, %1) : f32[2,3]
  %3 = onnx.Relu(%2) "act" : f32[2,3]
  output(%3) {names = ["y"]}
}
"""


@pytest.fixture
def digits() -> Graph:
    return api.load(demo.model_path(), notify=lambda _: None)


def failing(graph: Graph, pipeline: str, path: Path, checker: Checker | None = None) -> str:
    with pytest.raises(PassError) as caught:
        run_proved(PassManager.parse(pipeline), graph, checker, reproducer=path)
    return str(caught.value)


def test_a_crash_writes_the_graph_as_it_stood_and_the_pass(tmp_path: Path, digits: Graph) -> None:
    path = tmp_path / "r.dlc"
    sentence = failing(digits, "fold-bn,wrong-crash,dce", path)
    assert sentence.startswith("pass wrong-crash failed: KeyError: 'strides'. Reproducer: ")
    assert str(path) in sentence
    assert read_recipe(path).pipeline == "wrong-crash"
    graph = load(path)
    again = attempt(PassManager.parse("wrong-crash").steps, graph)
    assert again is not None
    assert again.kind == "KeyError"
    assert "random:" in path.read_text()  # weights do not matter here
    assert path.stat().st_size < 10_000
    assert [p.name for p in tmp_path.iterdir()] == ["r.dlc"]


def test_a_broken_graph_is_a_failure_of_the_pass_that_left_it(
    tmp_path: Path, digits: Graph
) -> None:
    path = tmp_path / "r.dlc"
    assert "pass wrong-types left a broken graph" in failing(digits, "expand-ops,wrong-types", path)
    found = attempt(PassManager.parse("wrong-types").steps, load(path))
    assert found is not None
    assert isinstance(found.error.__cause__, VerifyError)


def test_a_changed_meaning_needs_the_check_to_show(tmp_path: Path) -> None:
    path = tmp_path / "r.dlc"
    sentence = failing(parse_graph(RESIDUAL), "dce,wrong-forget-addend", path, Checker(1, seed=7))
    assert "changes the meaning" in sentence
    assert read_recipe(path) == Recipe("wrong-forget-addend", check=1, seed=7)
    assert path.read_text().startswith("// reproducer: pass wrong-forget-addend changes")


def test_weights_that_matter_stay(tmp_path: Path) -> None:
    """Random numbers of the same range are used only where they fail alike."""
    graph = parse_graph(
        'graph "g" {opsets = {"" = 17}} {%0 = input() "x" : f32[2048]\n'
        f"%1 = constant() {{value = dense<f32[2048] {' '.join(['0.25'] * 2047)} 7.0>}} : f32[2048]\n"
        '%2 = onnx.Mul(%0, %1) : f32[2048]\noutput(%2) {names = ["y"]}}'
    )
    path = tmp_path / "r.dlc"
    failing(graph, "nudge-exact", path, Checker(1))
    assert "random:1:0.25:7.0" in path.read_text()
    assert not np.array_equal(load(path).ops[1].result.constant, graph.ops[1].result.constant)


def test_inputs_that_matter_are_kept_beside(tmp_path: Path) -> None:
    path = tmp_path / "r.dlc"
    arrays = {"x": np.ones((2, 3), np.float32), "z": np.ones((2, 3), np.float32)}
    failing(parse_graph(RESIDUAL), "wrong-forget-addend", path, Checker(0, [arrays]))
    recipe = read_recipe(path)
    assert recipe.inputs == tmp_path / "r.inputs.npz"
    np.testing.assert_array_equal(api.read_arrays(recipe.inputs)["z"], arrays["z"])


def test_given_inputs_that_do_not_matter_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "r.dlc"
    arrays = {"x": np.ones((2, 3), np.float32), "z": np.ones((2, 3), np.float32)}
    failing(parse_graph(RESIDUAL), "wrong-forget-addend", path, Checker(1, [arrays]))
    assert read_recipe(path) == Recipe("wrong-forget-addend", check=1)
    assert [p.name for p in tmp_path.iterdir()] == ["r.dlc"]


def test_no_failure_writes_nothing(tmp_path: Path, digits: Graph) -> None:
    run_proved(PassManager.parse("O2"), digits, None, reproducer=tmp_path / "r.dlc")
    assert list(tmp_path.iterdir()) == []


def test_mistakes_in_the_pipeline_or_the_model_are_no_failures_of_a_pass(
    tmp_path: Path, digits: Graph
) -> None:
    path = tmp_path / "r.dlc"
    assert "put expand-ops before it" in failing(digits, "liveness", path)
    assert "does not fit the graph" in failing(digits, "wrong-option", path)
    photo = 'graph "g" {opsets = {"" = 20}} {%0 = input() "x" : u8[2]\n'
    photo += '%1 = onnx.ImageDecoder(%0) : u8[1,1,3]\noutput(%1) {names = ["y"]}}'
    with pytest.raises(DlcError, match="ImageDecoder"):
        run_proved(PassManager.parse("expand-ops"), parse_graph(photo), None, reproducer=path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_does_not_hide_the_failure(
    tmp_path: Path, digits: Graph
) -> None:
    sentence = failing(digits, "wrong-crash", tmp_path / "none" / "r.dlc")
    assert "pass wrong-crash failed" in sentence
    assert "no reproducer: cannot write" in sentence


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe("dce"),
        Recipe("fold-constants{max_bytes=64},cleanup(dce,cse)", check=4, seed=2, verify=False),
        Recipe("a{b='c d, \"e\"'}", needs="--load=my pass.py"),
    ],
)
def test_recipes_round_trip(tmp_path: Path, recipe: Recipe) -> None:
    path = tmp_path / "r.dlc"
    path.write_text(reproducer_text(parse_graph(RESIDUAL), recipe, "something\nwent wrong"))
    assert read_recipe(path) == recipe
    assert print_graph(load(path)) == print_graph(parse_graph(RESIDUAL))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("graph", "has no line"),
        ("// RUN: dlc opt %s --pass=dce --load=/evil.py", "may have --pass"),
        ("// RUN: dlc opt %s --pass=dce -o /etc/passwd", "may have --pass"),
        ("// RUN: dlc opt %s --check=many", "may have --pass"),
        ("// RUN: dlc opt %s --pass='dce", "may have --pass"),
    ],
)
def test_headers_can_do_no_more_than_run_passes(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "r.dlc"
    path.write_text(text)
    with pytest.raises(ParseError, match=words):
        read_recipe(path)
    with pytest.raises(ModelError, match="cannot read"):
        read_recipe(tmp_path / "none.dlc")


def test_inputs_are_read_from_beside_the_reproducer_only(tmp_path: Path) -> None:
    path = tmp_path / "r.dlc"
    path.write_text("// RUN: dlc opt %s --check-inputs=../../secret.npz")
    assert read_recipe(path).inputs == tmp_path / "secret.npz"


# ---- seeded constants -----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [
    DType.F32, DType.F64, DType.F16, DType.BF16, DType.I8, DType.U8, DType.I64, DType.U64, DType.I4,
])  # fmt: skip
def test_seeded_constants_round_trip_and_keep_the_range(dtype: DType) -> None:
    array = np.array([1, 3, 2] * 700).astype(dtype.numpy)
    made = Seeded.like(array, 5)
    assert made is not None
    wide = made.array.astype(np.float64)
    assert made.array.dtype == array.dtype
    assert 1 <= wide.min() < wide.max() <= 3
    text = f'graph "g" {{%0 = constant() {{value = dense<{dtype.value}[2100] "{made.spec}">}}\noutput(%0) {{names = ["y"]}}}}'
    graph = parse_graph(text)
    assert graph.outputs[0].constant is not None
    assert graph.outputs[0].constant.tobytes() == made.array.tobytes()
    assert print_graph(parse_graph(print_graph(graph))) == print_graph(graph)
    assert made.spec in print_graph(graph)


def test_the_numbers_of_a_seed_never_change() -> None:
    made = Seeded.parse("random:1:0:255", DType.U8, (8,))
    assert made.array.tolist() == FIRST_BYTES
    floats = Seeded.parse("random:1:-1.0:1.0", DType.F32, (2,)).array
    np.testing.assert_array_equal(floats, np.array(FIRST_FLOATS, np.float32))


FIRST_BYTES = [255, 102, 205, 210, 169, 72, 36, 202]
FIRST_FLOATS = [0.0236432496458292, 0.9009273648262024]


def test_full_ranges_of_64_bit_integers() -> None:
    for dtype in (DType.I64, DType.U64):
        limits = np.iinfo(dtype.numpy)
        made = Seeded.parse(f"random:3:{limits.min}:{limits.max}", dtype, (100,))
        assert len(set(made.array.tolist())) == 100


@pytest.mark.parametrize(
    "constant",
    [
        'f32[4] "random:1:2.0:1.0"', 'f32[4] "random:1:2.0"', 'f32[4] "random:x:0.0:1.0"',
        'f32[4] "random:-1:0.0:1.0"', 'f32[4] "random:1:0.0:inf"', 'f32[4] "random:1:-1e308:1e309"',
        'bool[4] "random:1:0:1"', 'f32[4000000000] "random:1:0.0:1.0"', 'u8[2] "random:1:0.5:1"',
    ],
)  # fmt: skip
def test_bad_seeds_are_parse_errors(constant: str) -> None:
    text = (
        f'graph "g" {{%0 = constant() {{value = dense<{constant}>}}\noutput(%0) {{names = ["y"]}}}}'
    )
    with pytest.raises(ParseError, match="random"):
        parse_graph(text)


def test_what_has_no_range_stays_as_it_is() -> None:
    for array in (np.array([np.nan] * 3), np.zeros(0), np.array(["a", "b"]), np.ones(3, bool)):
        assert (
            Seeded.like(np.asarray(array, object if array.dtype.kind == "U" else array.dtype), 1)
            is None
        )


def test_only_large_constants_are_made_up(digits: Graph) -> None:
    made = with_seeded_constants(digits)
    for old, new in zip(digits.ops, made.ops, strict=True):
        if old.operator.label == "constant":
            large = old.result.type.capacity > 1024
            assert isinstance(new.operator.value, Seeded) is large  # type: ignore[attr-defined]


# ---- the command line and hypothesis ----------------------------------------------------------


def dlc(capfd: pytest.CaptureFixture[str], *args: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in args])
    out, err = capfd.readouterr()
    return int(stop.value.code or 0), out, err


def test_opt_check_names_the_pass_and_the_reproducer_runs(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("g.dlc").write_text(RESIDUAL)
    assert dlc(capfd, "opt", "g.dlc", "--load", FILE, "--pass=wrong-forget-addend")[0] == 0
    code, out, err = dlc(
        capfd, "opt", "g.dlc", "--load", FILE, "--pass=cse,wrong-forget-addend", "--check"
    )
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "pass wrong-forget-addend changes the meaning" in err
    assert "Reproducer: dlc-reproducer.dlc" in err

    code, _, err = dlc(capfd, "opt", "--run-reproducer", "dlc-reproducer.dlc", "--load", FILE)
    assert code == 2
    assert "pass wrong-forget-addend changes the meaning" in err
    assert "Reproducer" not in err  # it is one


def test_reproducer_option_and_given_inputs(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "g.dlc").write_text(RESIDUAL)
    ones = np.ones((2, 3), np.float32)
    np.savez(tmp_path / "in.npz", x=ones, z=ones)
    code, _, err = dlc(
        capfd, "opt", tmp_path / "g.dlc", "--load", FILE, "--pass=wrong-forget-addend",
        "--check-inputs", tmp_path / "in.npz", "--reproducer", tmp_path / "mine.dlc",
    )  # fmt: skip
    assert code == 2
    assert "the given inputs" in err
    assert str(tmp_path / "mine.dlc") in err
    code, _, err = dlc(capfd, "opt", "--run-reproducer", tmp_path / "mine.dlc", "--load", FILE)
    assert code == 2
    assert "the given inputs" in err


def test_a_reproducer_says_which_plugin_it_needs(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "r.dlc"
    recipe = Recipe("not-installed", needs="--load=mine.py")
    path.write_text(reproducer_text(parse_graph(RESIDUAL), recipe))
    code, _, err = dlc(capfd, "opt", "--run-reproducer", path)
    assert code == 2
    assert "note: the reproducer was made with --load=mine.py" in err
    assert "there is no pass 'not-installed'" in err


def test_no_verify_each(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    source = demo.model_path()
    args = [
        "opt",
        source,
        "--load",
        FILE,
        "--pass=expand-ops,wrong-types",
        "-o",
        tmp_path / "o.dlc",
    ]
    code, _, err = dlc(capfd, *args, "--reproducer", tmp_path / "r.dlc")
    assert code == 2
    assert "left a broken graph" in err
    assert dlc(capfd, *args, "--no-verify-each")[0] == 0


@pytest.mark.parametrize("value", ["0", "many", "model.onnx"])
def test_check_takes_a_number(capfd: pytest.CaptureFixture[str], value: str) -> None:
    code, _, err = dlc(capfd, "opt", demo.model_path(), f"--check={value}")
    assert code == 2
    assert "--check=3" in err


def test_failing_property_tests_print_a_reproducer(tmp_path: Path) -> None:
    test = tmp_path / "test_it.py"
    test.write_text(
        "from hypothesis import given, strategies as st, settings\n"
        "from dlc.ir.text import parse_graph\nfrom dlc.testing import reproducer\n"
        f"TEXT = '''{RESIDUAL}'''\n"
        "@settings(max_examples=3, database=None)\n@given(n=st.integers(1, 9))\n"
        "def test_it(n):\n    reproducer(parse_graph(TEXT), 'dce')\n    assert n > 9\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "// RUN: dlc opt %s --pass=dce --check=3" in done.stdout
    assert 'graph "g" {opsets = {"" = 17}} {' in done.stdout


def test_reproducer_outside_of_hypothesis_is_just_the_text() -> None:
    assert reproducer(parse_graph(RESIDUAL), "dce", check=0).startswith(
        "// RUN: dlc opt %s --pass=dce\n"
    )


def test_meaning_errors_are_pass_errors() -> None:
    assert issubclass(MeaningError, PassError)
