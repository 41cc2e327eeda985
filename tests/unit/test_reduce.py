"""Reduction: small, sound, deterministic, and at least as small as what onnx's extraction reaches."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnx.utils
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from planted import FILE, wrong_passes

from dlc import api, demo
from dlc.cli import main
from dlc.errors import InputError, ParseError, PassError
from dlc.ir.graph import Graph
from dlc.ir.text import load, parse_graph, print_graph
from dlc.ir.verify import verify
from dlc.passmanager import PassManager
from dlc.prove import (
    Checker,
    Failure,
    TestCommand,
    attempt,
    ddmin,
    read_recipe,
    reduce_failure,
    reduce_model,
)
from dlc.prove.subgraph import computing, extract

__all__ = ["wrong_passes"]


# ---- delta debugging ----------------------------------------------------------------------------


@given(st.sets(st.integers(0, 29), max_size=6))
def test_ddmin_finds_exactly_what_is_needed(needed: set[int]) -> None:
    calls: list[tuple[int, ...]] = []

    def interesting(part: Sequence[int]) -> bool:
        calls.append(tuple(part))
        return needed <= set(part)

    assert ddmin(range(30), interesting) == sorted(needed)
    assert len(calls) == len(set(calls))


@given(st.lists(st.frozensets(st.integers(0, 11), min_size=1, max_size=4), min_size=1, max_size=4))
def test_of_several_causes_ddmin_keeps_one_that_cannot_be_smaller(
    causes: list[frozenset[int]],
) -> None:
    def interesting(part: Sequence[int]) -> bool:
        return any(cause <= set(part) for cause in causes)

    found = ddmin(range(12), interesting)
    assert interesting(found)
    for item in found:
        assert not interesting([other for other in found if other != item])


def test_ddmin_tries_few_parts_of_many_items() -> None:
    calls = 0

    def interesting(part: Sequence[int]) -> bool:
        nonlocal calls
        calls += 1
        return 777 in part

    assert ddmin(range(1000), interesting) == [777]
    assert calls < 40


# ---- models with a planted bug ------------------------------------------------------------------


def resnet(blocks: int = 8, channels: int = 8) -> onnx.ModelProto:
    """A residual network of 4 * blocks + 4 nodes, as exporters write it."""
    rng = np.random.default_rng(0)
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []

    def conv(x: str, y: str, inputs: int, size: int = 3) -> None:
        array = rng.standard_normal((channels, inputs, size, size)).astype(np.float32) / 9
        weights.append(numpy_helper.from_array(array, f"{y}.weight"))
        nodes.append(helper.make_node("Conv", [x, f"{y}.weight"], [y], y, pads=[size // 2] * 4))

    conv("image", "stem", 3)
    x = "stem"
    for i in range(blocks):
        conv(x, f"b{i}.conv1", channels)
        nodes.append(helper.make_node("Relu", [f"b{i}.conv1"], [f"b{i}.relu1"], f"b{i}.relu1"))
        conv(f"b{i}.relu1", f"b{i}.conv2", channels)
        nodes.append(helper.make_node("Add", [f"b{i}.conv2", x], [f"b{i}.add"], f"b{i}.add"))
        # all but one block end in a Sigmoid, so that one Add feeds a Relu
        kind = "Relu" if i == blocks // 2 else "Sigmoid"
        nodes.append(helper.make_node(kind, [f"b{i}.add"], [f"b{i}.out"], f"b{i}.out"))
        x = f"b{i}.out"
    nodes.append(helper.make_node("GlobalAveragePool", [x], ["pooled"], "pool"))
    nodes.append(helper.make_node("Flatten", ["pooled"], ["flat"], "flatten"))
    fc = rng.standard_normal((channels, 10)).astype(np.float32)
    weights.append(numpy_helper.from_array(fc, "fc"))
    nodes.append(helper.make_node("MatMul", ["flat", "fc"], ["logits"], "fc"))
    nodes.append(helper.make_node("Softmax", ["logits"], ["probs"], "softmax", axis=1))
    graph = helper.make_graph(
        nodes, "resnet",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [2, 3, 12, 12])],
        [helper.make_tensor_value_info("probs", TensorProto.FLOAT, [2, 10])], weights,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_a_wrong_pass_on_a_residual_network_is_reduced_to_the_ops_it_gets_wrong(
    tmp_path: Path,
) -> None:
    model = resnet()
    graph = api.load(model)
    assert len(computing(graph)) > 40
    steps = PassManager.parse("fold-bn,drop-identity,wrong-forget-addend,cse,dce").steps
    checker = Checker(1)
    reduction, failure = reduce_failure(graph, steps, checker)
    assert reduction.pipeline == "wrong-forget-addend"
    assert [op.operator.label for op in computing(reduction.graph)] == ["onnx.Add", "onnx.Relu"]
    assert all(v.type.capacity == 1 for op in reduction.graph.ops for v in op.results)
    verify(reduction.graph)
    assert failure.kind == "meaning"
    # onnx's own extraction, told where the bug is
    onnx.save(onnx.shape_inference.infer_shapes(model), tmp_path / "m.onnx")
    middle = len([n for n in model.graph.node if n.op_type == "Add"]) // 2
    onnx.utils.extract_model(
        str(tmp_path / "m.onnx"), str(tmp_path / "part.onnx"),
        [f"b{middle}.conv2", f"b{middle - 1}.out"], [f"b{middle}.out"],
    )  # fmt: skip
    assert reduction.ops <= len(onnx.load(tmp_path / "part.onnx").graph.node)


def test_reduction_is_deterministic() -> None:
    def once() -> tuple[str, int]:
        steps = PassManager.parse("wrong-forget-addend").steps
        reduction, _ = reduce_failure(api.load(resnet(3)), steps, Checker(1))
        return print_graph(reduction.graph), reduction.tests

    assert once() == once()


def test_a_crash_is_reduced_without_any_check() -> None:
    graph = api.load(demo.model_path(), notify=lambda _: None)
    reduction, failure = reduce_failure(graph, PassManager.parse("dce,wrong-crash").steps, None)
    assert failure.kind == "KeyError"
    assert reduction.pipeline == "wrong-crash"
    (op,) = computing(reduction.graph)
    assert op.operator.label in ("onnx.MaxPool", "onnx.AveragePool")


def test_a_failure_at_a_lower_level_keeps_the_graph_of_that_level() -> None:
    graph = api.load(demo.model_path(), notify=lambda _: None)
    steps = PassManager.parse("expand-ops,dce,wrong-types").steps
    reduction, failure = reduce_failure(graph, steps, None)
    assert failure.kind == "broken graph"
    assert reduction.pipeline == "wrong-types"
    assert [op.operator.label for op in computing(reduction.graph)] == ["map"]


def test_nothing_fails() -> None:
    with pytest.raises(PassError, match=r"dce succeeds.*nothing to reduce; --check"):
        reduce_failure(api.load(resnet(1)), PassManager.parse("dce").steps, None)


def test_another_failure_is_not_the_same_failure() -> None:
    graph = api.load(demo.model_path(), notify=lambda _: None)
    crash = attempt(PassManager.parse("wrong-crash").steps, graph)
    nudged = attempt(PassManager.parse("nudge-exact").steps, graph, Checker(1))
    assert isinstance(crash, Failure)
    assert isinstance(nudged, Failure)
    assert not crash.is_like(nudged)
    assert not crash.is_like(None)
    assert nudged.kind == "meaning"


def test_rules_that_never_end_are_reduced_too() -> None:
    steps = PassManager.parse("dce,wrong-forever").steps
    reduction, failure = reduce_failure(api.load(resnet(2)), steps, None)
    assert failure.kind == "rule"
    assert [op.operator.label for op in computing(reduction.graph)] == ["onnx.Relu"]


# ---- parts and steps ----------------------------------------------------------------------------

DIAMOND = """
graph "g" {opsets = {"" = 17}} {
  %0 = input() "x" : f32[4,6]
  %1 = input() "unused" : f32[4,6]
  %2 = constant() {value = dense<f32[6] 1.0 2.0 3.0 4.0 5.0 6.0>} : f32[6]
  %3 = onnx.Exp(%0) "a" : f32[4,6]
  %4 = onnx.Mul(%3, %2) "b" : f32[4,6]
  %5 = onnx.Tanh(%3) "c" : f32[4,6]
  %6 = onnx.Add(%4, %5) "d" : f32[4,6]
  %7 = onnx.Sigmoid(%6) "e" : f32[4,6]
  output(%7, %5) {names = ["y", "z"]}
}
"""


def test_any_part_is_a_graph() -> None:
    graph = parse_graph(DIAMOND)
    ops = computing(graph)
    for mask in range(1, 1 << len(ops)):
        part = extract(graph, [op for i, op in enumerate(ops) if mask >> i & 1])
        assert part is not None
        verify(part)
        assert len(computing(part)) == mask.bit_count()
    assert extract(graph, []) is None


def test_a_part_has_what_it_reads_as_inputs_and_what_others_read_as_outputs() -> None:
    graph = parse_graph(DIAMOND)
    part = extract(graph, [op for op in graph.ops if op.label in ("b", "c")])
    assert part is not None
    assert print_graph(part) == (
        'graph "g" {opsets = {"" = 17}} {\n'
        '  %0 = input() "x0" : f32[4,6]\n'
        "  %1 = constant() {value = dense<f32[6] 1.0 2.0 3.0 4.0 5.0 6.0>} : f32[6]\n"
        '  %2 = onnx.Mul(%0, %1) "b" : f32[4,6]\n'
        '  %3 = onnx.Tanh(%0) "c" : f32[4,6]\n'
        '  output(%2, %3) {names = ["y0", "z"]}\n}\n'
    )


def has(*labels: str) -> object:
    return lambda graph, pipeline: {op.operator.label for op in graph.ops} >= set(labels)


@pytest.mark.parametrize("constant", [
    "f32[] 2.5", "f32[3] 2.5 nan 1e30", "bf16[2] 1.0 2.0", "bool[2] true false", "i4[2] 3 -8",
    "c64[1] 1.0 2.0", 'string[1] "a"', "i64[] 7", "f16[0]",
])  # fmt: skip
def test_constants_of_every_type_become_zeros(constant: str) -> None:
    text = (
        f'graph "g" {{%0 = constant() {{value = dense<{constant}>}}\noutput(%0) {{names = ["y"]}}}}'
    )
    reduction = reduce_model(parse_graph(text), "", lambda graph, pipeline: True)
    (value,) = reduction.graph.outputs
    assert value.constant is not None
    assert value.type == parse_graph(text).outputs[0].type or value.type.capacity <= 1
    assert constant.startswith("string") or not value.constant.astype(np.complex128).any()


def test_everything_shrinks() -> None:
    reduction = reduce_model(parse_graph(DIAMOND), "", has("onnx.Mul", "onnx.Sigmoid"))  # type: ignore[arg-type]
    labels = [op.operator.label for op in computing(reduction.graph)]
    assert labels == ["onnx.Mul", "onnx.Sigmoid"]
    assert len(reduction.graph.outputs) <= 2
    for op in reduction.graph.ops:
        assert all(v.type.capacity == 1 for v in op.results)
        assert all(not v.constant.any() for v in op.results if v.constant is not None)


def test_shapes_that_were_computed_stay_what_they_were() -> None:
    """A Reshape whose target shape is computed goes on without the ops that compute it."""
    text = """graph "g" {opsets = {"" = 17}} {
      %0 = input() "x" : f32[2,3,4]
      %1 = onnx.Shape(%0) : i64[3]
      %2 = constant() {value = dense<i64[3] 1 2 1>} : i64[3]
      %3 = onnx.Mul(%1, %2) : i64[3]
      %4 = constant() {value = dense<i64[3] 2 6 4>} : i64[3]
      %5 = onnx.Min(%3, %4) : i64[3]
      %6 = onnx.Tile(%0, %2) : f32[2,6,4]
      %7 = onnx.Reshape(%6, %5) : f32[2,6,4]
      output(%7) {names = ["y"]}
    }"""

    def interesting(graph: Graph, pipeline: str) -> bool:
        from dlc.interp import run

        if "onnx.Reshape" not in {op.operator.label for op in graph.ops}:
            return False
        pairs = zip(graph.input_names, graph.inputs, strict=True)
        inputs = {name: np.ones(v.shape, v.type.dtype.numpy) for name, v in pairs}
        try:
            run(graph, inputs)
        except Exception:
            return False
        return True

    reduction = reduce_model(parse_graph(text), "", interesting)
    assert [op.operator.label for op in computing(reduction.graph)] == ["onnx.Reshape"]


def test_passes_shrink_out_of_their_groups() -> None:
    def interesting(graph: Graph, pipeline: str) -> bool:
        return "cse" in pipeline and "dce" in pipeline

    reduction = reduce_model(
        parse_graph(DIAMOND), "fold-bn,clean(cse,drop-identity),dce", interesting
    )
    assert reduction.pipeline == "cse,dce"


def test_a_model_that_is_not_interesting_is_refused() -> None:
    with pytest.raises(InputError, match="does not pass the test"):
        reduce_model(parse_graph(DIAMOND), "", lambda graph, pipeline: False)


# ---- the command --------------------------------------------------------------------------------


def dlc(capfd: pytest.CaptureFixture[str], *args: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in args])
    out, err = capfd.readouterr()
    return int(stop.value.code or 0), out, err


def test_from_a_failed_check_to_a_minimal_pair(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    onnx.save(resnet(3), "model.onnx")
    pipeline = "--pass=fold-bn,wrong-forget-addend,dce"
    assert dlc(capfd, "opt", "model.onnx", "--load", FILE, pipeline, "--check=1")[0] == 2
    code, out, err = dlc(capfd, "reduce", "dlc-reproducer.dlc", "--load", FILE)
    assert code == 0, err
    assert out.startswith("reduced.dlc: 2 ops, --pass=wrong-forget-addend (")
    assert "changes the meaning" in out
    assert read_recipe("reduced.dlc").pipeline == "wrong-forget-addend"
    assert len(computing(load("reduced.dlc"))) == 2
    assert dlc(capfd, "opt", "--run-reproducer", "reduced.dlc", "--load", FILE)[0] == 2

    code, out, err = dlc(capfd, "reduce", "model.onnx", "--load", FILE, "--test-pass=dce,wrong-forget-addend",
                         "--check=1", "-o", "small.onnx")  # fmt: skip
    assert code == 0, err
    small = onnx.load("small.onnx")
    onnx.checker.check_model(small, full_check=True)
    assert [node.op_type for node in small.graph.node] == ["Add", "Relu"]
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "dlc-reproducer.dlc", "model.onnx", "reduced.dlc", "small.onnx",
    ]  # fmt: skip


def test_a_command_of_your_own_is_the_test(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "g.dlc").write_text(DIAMOND)
    script = tmp_path / "is it.py"
    script.write_text(
        "import sys\ntext = open(sys.argv[1]).read()\n"
        "sys.exit(not ('onnx.Tanh' in text and 'cse' in sys.argv[2]))\n"
    )
    test = shlex.join([sys.executable, str(script)]) + " {} {pipeline}"
    target = tmp_path / "out.dlc"
    code, out, err = dlc(
        capfd, "reduce", tmp_path / "g.dlc", "--test", test, "--pass=dce,cse", "-o", target
    )
    assert code == 0, err
    assert "1 op, --pass=cse" in out
    assert [op.operator.label for op in computing(load(target))] == ["onnx.Tanh"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--test", "true"], "has no {}"),
        (["--test", "false {}"], "does not pass the test"),
        (["--test", "no-such-command-here {}"], "cannot run no-such-command-here"),
        (["--test", "sh 'quote {}"], "No closing quotation"),
        (["--test", "true {}", "--test-pass", "dce"], "not both"),
        (["--test-pass", "dce"], "nothing to reduce"),
        (["--test-pass", "dcee"], "there is no pass"),
        (["--test", "true {}", "-o", "out.txt"], "use .onnx or .dlc"),
        ([], "has no line '// RUN"),
    ],
)
def test_mistakes(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str], words: str
) -> None:
    (tmp_path / "g.dlc").write_text(DIAMOND)
    code, _, err = dlc(capfd, "reduce", tmp_path / "g.dlc", *arguments)
    assert code == 2
    assert words in err
    assert err.startswith("dlc: error: ")
    assert err.count("\n") == 1


def test_a_command_that_hangs_is_not_interesting() -> None:
    test = TestCommand(f"{sys.executable} -c 'import time; time.sleep(60)' {{}}", timeout=0.2)
    assert not test(parse_graph(DIAMOND), "")
    with pytest.raises(ParseError, match="has no"):
        TestCommand("true")
