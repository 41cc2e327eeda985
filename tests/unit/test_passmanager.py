"""Pipelines: parsing, options, discovery, and running them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pytest

from dlc.errors import ParseError, PassError, PluginError
from dlc.interp import run
from dlc.ir.graph import Graph
from dlc.ir.text import parse_graph, print_graph
from dlc.ir.types import DType, TensorType
from dlc.ops.build import map_
from dlc.passmanager import PIPELINES, PassManager, known_passes, load_file
from dlc.rewrite.base import Pass
from dlc.rewrite.options import build, describe


def named_graph() -> Graph:
    return parse_graph("""graph "g" {opsets = {"" = 17}} {
  %x = input() "x" : f32[1,1,3,3]
  %w = constant() {value = dense<f32[1,1,1,1] 2.0>}
  %c = onnx.Conv(%x, %w) "conv"
  %r = onnx.Relu(%c) "relu"
  %i = onnx.Identity(%r) "identity"
  %d = onnx.Exp(%x) "dead"
  output(%i) {names = ["y"]}
}""")


@dataclass(frozen=True)
class Sample(Pass):
    """Takes every kind of option and does nothing."""

    name: ClassVar[str] = "test-sample"
    count: int = 1
    rate: float = 0.5
    flag: bool = False
    text: str = "a"
    axes: tuple[int, ...] = ()
    pair: tuple[int, str] = (0, "")
    limit: int | None = None
    mode: Literal["fast", "small"] = "fast"
    hidden: int = field(default=0, init=False)

    def run(self, graph: Graph) -> tuple[Graph, bool]:
        return graph, False


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("count=3", Sample(count=3)),
        ("count = -3 , rate=1e-3", Sample(count=-3, rate=1e-3)),
        ("flag", Sample(flag=True)),
        ("flag=false", Sample()),
        ("text='x,y}'", Sample(text="x,y}")),
        ("text=''", Sample(text="")),
        ("axes=(1,2)", Sample(axes=(1, 2))),
        ("pair=(1,b)", Sample(pair=(1, "b"))),
        ("limit=4", Sample(limit=4)),
        ("limit=none", Sample()),
        ("mode=small", Sample(mode="small")),
    ],
)
def test_options_by_type(text: str, expected: Sample) -> None:
    (step,) = PassManager.parse(f"test-sample{{{text}}}").steps
    assert step == expected
    assert isinstance(step, Pass)
    (again,) = PassManager.parse(describe(step)).steps
    assert again == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("count=many", "option count of pass test-sample is of type int, which 'many' is not"),
        ("rate=", "option rate of pass test-sample is of type float"),
        ("flag=perhaps", "is of type bool"),
        ("pair=(1,b,c)", "is of type tuple[int, str]"),
        ("mode=slow", "is of type fast/small"),
        ("hidden=1", "has no option 'hidden'; its options are count: int, rate: float"),
    ],
)
def test_bad_options_name_the_type(text: str, message: str) -> None:
    with pytest.raises(PassError) as error:
        PassManager.parse(f"test-sample{{{text}}}")
    assert message in str(error.value)


def test_kebab_case_options() -> None:
    assert str(PassManager.parse("fuse-maps{max-size=8}")) == "fuse-maps{max_size=8}"
    assert build(Sample, {}) == Sample()


@pytest.mark.parametrize(
    ("pipeline", "message"),
    [
        ("fold-bnn", "there is no pass 'fold-bnn'; did you mean fold-bn"),
        ("qqqq", "there is no pass 'qqqq'; `dlc passes` lists them all"),
        ("dce{x=1}", "pass dce has no option 'x'; it has none"),
    ],
)
def test_unknown_passes_and_options(pipeline: str, message: str) -> None:
    with pytest.raises(PassError, match=message):
        PassManager.parse(pipeline)


@pytest.mark.parametrize(
    "text", ["dce,", ",dce", "dce cse", "dce{", "g(dce", "g(dce))", "dce{=1}", "%"]
)
def test_broken_pipelines(text: str) -> None:
    with pytest.raises(ParseError, match="expected"):
        PassManager.parse(text)


def test_text_round_trip_and_named_pipelines() -> None:
    text = "fold-bn,fuse-conv-relu{max_size=32},cleanup(dce,inner(cse))"
    assert str(PassManager.parse(f" {text.replace(',', ' , ')} ")) == text
    assert str(PassManager.parse("")) == ""
    for name, pipeline in PIPELINES.items():
        assert str(PassManager.parse(name)) == pipeline
    assert str(PassManager.parse("-O0,dce")) == PIPELINES["O0"] + ",dce"


def test_run_works_on_a_copy_and_reports() -> None:
    graph = named_graph()
    before = print_graph(graph)
    manager = PassManager.parse("drop-identity,dce,expand-ops,fuse-conv-relu,dce")
    result = manager.run(graph)
    assert print_graph(graph) == before
    assert [(r.name, r.changed, r.ops_before, r.ops_after) for r in manager.report] == [
        ("drop-identity", True, 4, 3),
        ("dce", True, 3, 2),
        ("expand-ops", True, 2, 2),
        ("fuse-conv-relu", True, 2, 1),
        ("dce", False, 1, 1),
    ]
    assert all(r.seconds >= 0 for r in manager.report)
    x = np.linspace(-1, 1, 9, dtype=np.float32).reshape(1, 1, 3, 3)
    np.testing.assert_allclose(run(result, {"x": x})["y"], run(graph, {"x": x})["y"])


def test_the_input_graph_keeps_its_bodies() -> None:
    body = named_graph()
    graph = Graph("outer", {"": 17})
    condition = graph.add_input("c", TensorType(DType.BOOL, ()))
    x = graph.add_input("x", TensorType(DType.F32, (1, 1, 3, 3)))
    from dlc.ops.onnx.operator import OnnxOperator

    attrs = (("captures", 1), ("else_branch", body), ("then_branch", body.copy()))
    branch = graph.add(OnnxOperator("If", 17, attrs), [condition, x])
    graph.set_outputs([("y", branch.results[0])])
    before = print_graph(graph)
    result = PassManager.parse("drop-identity,dce").run(graph)
    assert print_graph(graph) == before
    assert "onnx.Identity" not in print_graph(result)
    assert "onnx.Exp" not in print_graph(result)


def test_explain_collects_refusals() -> None:
    manager = PassManager.parse("drop-identity", explain=True)
    graph = parse_graph("""graph "g" {opsets = {"" = 17}} {
  %x = input() "x" : f32[2,2]
  %y = onnx.Transpose(%x) "t"
  output(%y) {names = ["y"]}
}""")
    manager.run(graph)
    refusals = {r.rule: r.reason for r in manager.report[0].refusals}
    assert refusals["drop-no-op"] == "it changes the order"
    assert refusals["merge-transposes"] == "input 'x' is not onnx.Transpose or transpose"


def test_a_missing_level_names_the_missing_pass() -> None:
    with pytest.raises(PassError) as error:
        PassManager.parse("fuse-maps").run(named_graph())
    assert str(error.value) == (
        "pass fuse-maps works on core ops, but the graph still has onnx.Conv 'conv'; "
        "put expand-ops before it"
    )


@dataclass(frozen=True)
class Broken(Pass):
    name: ClassVar[str] = "test-broken"
    how: str = "raise"

    def run(self, graph: Graph) -> tuple[Graph, bool]:
        if self.how == "raise":
            raise RuntimeError("by design")
        op = graph.outputs[0].op
        op.types = (TensorType(DType.F64, (3,)),)
        return graph, True


def test_a_failing_pass_is_named() -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.F32, (3,)))
    graph.set_outputs([("y", map_("exp(a0)", x))])
    with pytest.raises(PassError, match="pass test-broken failed: RuntimeError: by design"):
        PassManager.parse("test-broken").run(graph)
    with pytest.raises(PassError, match="pass test-broken left a broken graph"):
        PassManager.parse("test-broken{how=types}").run(graph)
    PassManager.parse("test-broken{how=types}", verify=False).run(graph)


@dataclass(frozen=True)
class Countdown(Pass):
    name: ClassVar[str] = "test-countdown"
    runs: ClassVar[list[int]] = []
    changes: int = 3

    def run(self, graph: Graph) -> tuple[Graph, bool]:
        self.runs.append(1)
        return graph, len(self.runs) <= self.changes


@pytest.mark.parametrize(("changes", "runs"), [(3, 4), (100, 10)])
def test_a_group_repeats_until_nothing_changes(changes: int, runs: int) -> None:
    Countdown.runs.clear()
    manager = PassManager.parse(f"again(dce,test-countdown{{changes={changes}}})")
    manager.run(named_graph())
    assert len(Countdown.runs) == runs
    assert [r.name.partition("{")[0] for r in manager.report] == ["dce", "test-countdown"] * runs


def test_hooks_see_every_pass() -> None:
    seen: list[str] = []
    manager = PassManager.parse("dce,cse")
    manager.before = lambda step, graph: seen.append(f"before {step.name}")
    manager.after = lambda record, graph: seen.append(f"after {record.name}")
    manager.run(named_graph())
    assert seen == ["before dce", "after dce", "before cse", "after cse"]


def test_every_pass_file_is_found_and_documented() -> None:
    folder = Path(__file__).parents[2] / "passes"
    passes = known_passes()
    for path in folder.glob("[a-z]*.py"):
        cls = passes[path.stem.replace("_", "-")]
        assert cls.__doc__
        assert cls.__module__ == f"dlc.passes.{path.stem}"


def test_load_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text('''
from dataclasses import dataclass
from dlc.rewrite.base import Pass

@dataclass(frozen=True)
class Mine(Pass):
    """Does nothing, loudly."""
    name = "test-mine"
    loud: bool = True

    def run(self, graph):
        return graph, False
''')
    assert load_file(path) == ("test-mine",)
    assert load_file(path) == ("test-mine",)
    assert str(PassManager.parse("test-mine{loud=false}")) == "test-mine{loud=false}"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("missing.py", None, "is no Python file"),
        (
            "broken.py",
            "import nothing_of_this_name",
            "broken.py, line 1, fails to load: ModuleNotFoundError",
        ),
        (
            "twice.py",
            "from dlc.rewrite.base import Pass\nclass D(Pass):\n    name = 'dce'",
            "is defined in",
        ),
    ],
)
def test_load_file_errors(tmp_path: Path, name: str, text: str | None, message: str) -> None:
    from dlc.errors import DlcError

    known_passes()
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(DlcError, match=message):
        load_file(tmp_path / name)


def test_importing_is_light() -> None:
    script = (
        "import sys, dlc.passmanager\n"
        "dlc.passmanager.PIPELINES\n"
        "heavy = [m for m in ('onnx', 'onnxruntime', 'hypothesis', 'rich') if m in sys.modules]\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_plugin_that_does_not_import_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    entry = metadata.EntryPoint("theirs", "no_such_module:Their", "dlc.passes")
    monkeypatch.setattr(metadata, "entry_points", lambda **_: [entry])
    with pytest.raises(
        PluginError, match=r"plugin 'theirs' \(no_such_module:Their\) does not import"
    ):
        known_passes()
