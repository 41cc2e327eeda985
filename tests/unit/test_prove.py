"""Passes are held to their contracts: by running the graph before and after."""

from __future__ import annotations

import numpy as np
import pytest
from planted import wrong_passes

from dlc import api, demo
from dlc.errors import InputError, MeaningError, PassError
from dlc.ir.graph import Graph
from dlc.ir.text import parse_graph
from dlc.ir.types import DType, Symbol, TensorType
from dlc.passmanager import PassManager
from dlc.prove import Checker, run_proved
from dlc.prove.engines import Engine, engines
from dlc.prove.inputs import KINDS, random_inputs
from dlc.prove.tolerance import deviation
from dlc.rewrite.base import Pass
from dlc.rewrite.discovery import known_passes

__all__ = ["wrong_passes"]

RESIDUAL = """
graph "g" {opsets = {"" = 17}} {
  %0 = input() "x" : f32[2,3]
  %1 = input() "z" : f32[2,3]
  %2 = constant() {value = dense<f32[3] 0.5 1.5 -2.0>} : f32[3]
  %3 = onnx.Mul(%0, %2) : f32[2,3]
  %4 = onnx.Add(%3, %1) : f32[2,3]
  %5 = onnx.Relu(%4) "act" : f32[2,3]
  output(%5) {names = ["y"]}
}
"""


def prove(text: str, pipeline: str, checker: Checker | None = None) -> Graph:
    graph = parse_graph(text)
    return run_proved(PassManager.parse(pipeline), graph, checker or Checker(), reproducer=None)


def test_the_first_pass_that_changes_the_meaning_is_named_with_the_worst_element() -> None:
    with pytest.raises(MeaningError) as caught:
        prove(RESIDUAL, "fold-bn,wrong-forget-addend,dce,nudge-exact")
    sentence = str(caught.value)
    assert sentence.startswith("pass wrong-forget-addend changes the meaning: output 'y' at [")
    assert "contract exact" in sentence
    assert "normal random inputs, run 0" in sentence


def test_the_worst_element_is_the_one_furthest_out() -> None:
    x = np.zeros((2, 3), np.float32)
    z = np.array([[1, 2, 3], [4, 50, 6]], np.float32)
    with pytest.raises(
        MeaningError, match=r"'y' at \[1, 1\] is 0.0 after it and 50.0 before.*given"
    ):
        prove(RESIDUAL, "wrong-forget-addend", Checker(0, [{"x": x, "z": z}]))


def test_given_inputs_must_fit() -> None:
    with pytest.raises(InputError, match="'z' is missing"):
        prove(RESIDUAL, "nudge-exact", Checker(1, [{"x": np.zeros((2, 3), np.float32)}]))


@pytest.mark.parametrize(
    ("pipeline", "kept"),
    [
        ("nudge-exact", False),
        ("nudge-reassociates", True),
        ("nudge-reassociates{factor=1.01}", False),
        ("nudge-approximate{factor=1.005}", True),
        ("nudge-approximate{factor=1.05}", False),
        ("nudge-largest{factor=1.001}", True),
        ("nudge-largest{factor=1.05}", False),
    ],
)
def test_each_contract_has_its_tolerance(pipeline: str, kept: bool) -> None:
    if kept:
        prove(RESIDUAL, pipeline)
    else:
        with pytest.raises(MeaningError, match="contract"):
            prove(RESIDUAL, pipeline)


def test_an_unknown_contract_is_refused() -> None:
    with pytest.raises(PassError, match="'roughly', which is none of exact, reassociates, approx"):
        prove(RESIDUAL, "wrong-contract")


def test_every_pass_states_a_contract() -> None:
    for name, cls in known_passes().items():
        if cls.__module__.startswith("dlc.passes."):
            assert cls.contract in ("exact", "reassociates", "approximate"), name


def test_renamed_outputs_are_a_change() -> None:
    with pytest.raises(MeaningError, match="wrong-rename changes the outputs from y to y_"):
        prove(RESIDUAL, "wrong-rename")


def test_a_number_that_becomes_nan_is_a_change() -> None:
    text = 'graph "g" {opsets = {"" = 13}} {%0 = input() "x" : f32[4]\n%1 = onnx.Exp(%0) : f32[4]\n'
    with pytest.raises(MeaningError, match="nan"):
        prove(text + 'output(%1) {names = ["y"]}}', "wrong-domain")


def test_the_demo_keeps_its_meaning_in_every_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    remarks: list[str] = []
    graph = api.load(demo.model_path(), notify=lambda _: None)
    manager = PassManager.parse("O2")
    run_proved(manager, graph, Checker(2, notify=remarks.append))
    assert remarks == []
    assert len(engines()) == 2
    assert manager.before is None
    assert manager.after is None


def test_each_engine_finds_what_is_wrong() -> None:
    for engine in engines():
        with pytest.raises(MeaningError, match=engine.name):
            prove(RESIDUAL, "wrong-forget-addend", Checker(1, using=[engine]))


def test_an_engine_that_cannot_run_the_graph_is_reported() -> None:
    def broken(graph: Graph) -> object:
        raise RuntimeError("no such kernel")

    remarks: list[str] = []
    engine = Engine("a runtime", broken, rounding=True)  # type: ignore[arg-type]
    prove(RESIDUAL, "wrong-forget-addend", Checker(1, using=[engine], notify=remarks.append))
    (remark,) = remarks
    assert remark == (
        "pass wrong-forget-addend is not checked with a runtime, which cannot run it: "
        "RuntimeError: no such kernel"
    )


def test_random_graphs_are_not_compared() -> None:
    remarks: list[str] = []
    text = """graph "g" {opsets = {"" = 17}} {
      %0 = onnx.RandomNormal() {shape = [2]} : f32[2]
      %1 = onnx.Relu(%0) : f32[2]
      %2 = onnx.Exp(%0) : f32[2]
      output(%1) {names = ["y"]}
    }"""
    prove(text, "dce", Checker(notify=remarks.append))
    assert "draws random numbers" in remarks[0]


def test_symbolic_dims_have_one_size_each_within_their_bounds() -> None:
    n = Symbol("N", 8)
    types = {"a": TensorType(DType.F32, (n, 2)), "b": TensorType(DType.I32, (n,))}
    sizes = set()
    for run in range(12):
        arrays = random_inputs(types, run).arrays
        assert arrays["a"].shape[0] == arrays["b"].shape[0] <= 8
        assert arrays["a"].dtype == np.float32
        sizes.add(arrays["b"].shape[0])
    assert 8 in sizes
    assert len(sizes) > 1


def test_inputs_are_the_same_for_the_same_run_and_seed() -> None:
    types = {name: TensorType(dtype, (40,)) for name, dtype in [
        ("f", DType.F32), ("h", DType.F16), ("w", DType.BF16), ("b", DType.BOOL), ("i", DType.I64),
        ("s", DType.STRING), ("u", DType.U8), ("q", DType.I4),
    ]}  # fmt: skip
    for run in range(len(KINDS)):
        first, again = random_inputs(types, run), random_inputs(types, run)
        for name, type in types.items():
            array = first.arrays[name]
            assert DType.of(array) is type.dtype
            assert array.tobytes() == again.arrays[name].tobytes() or type.dtype is DType.STRING
    wild = random_inputs({"f": TensorType(DType.F32, (400,))}, KINDS.index("wild")).arrays["f"]
    assert not np.isfinite(wild).all()


class _Step(Pass):
    pass


class _Loose(Pass):
    contract = "reassociates"


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("step", "got", "expected", "same"),
    [
        (_Step(), [0.0, NAN], [-0.0, NAN], True),
        (_Step(), [1.0], [np.nextafter(np.float32(1), np.float32(2))], False),
        (_Loose(), [1.0], [np.nextafter(np.float32(1), np.float32(2))], True),
        (_Loose(), [100.0, 0.0], [100.0, 0.01], True),
        (_Loose(), [100.0, 0.0], [100.0, 0.1], False),
        (_Loose(), [INF], [3e38], False),
        (_Loose(), [NAN], [1.0], False),
        (_Loose(), [INF, NAN], [INF, NAN], True),
        (_Loose(), [0.0], [1e-8], True),
        (_Loose(), [0.0], [1e-5], False),
    ],
)
def test_tolerances_of_floats(step: Pass, got: list, expected: list, same: bool) -> None:
    found = deviation(step, "y", np.array(got, np.float32), np.array(expected, np.float32))
    assert (found is None) is same


def test_types_and_integers_stay() -> None:
    ones = np.ones(2, np.int32)
    assert deviation(_Loose(), "y", ones, ones) is None
    found = deviation(_Loose(), "y", ones, np.array([1, 2], np.int32))
    assert found is not None
    assert (found.index, found.got, found.expected) == ((1,), 1, 2)
    assert "types stay" in str(deviation(_Step(), "y", ones, ones.astype(np.int64)))
    assert "types stay" in str(deviation(_Step(), "y", ones, ones[:1]))


def test_a_pass_may_fix_the_shapes_of_inputs() -> None:
    text = """graph "g" {opsets = {"" = 17}} {
      %0 = input() "x" : f32[N<=8,3]
      %1 = onnx.Exp(%0) : f32[N<=8,3]
      output(%1) {names = ["y"]}
    }"""
    remarks: list[str] = []
    graph = prove(text, "freeze-shapes{dims=(N=2)},expand-ops", Checker(notify=remarks.append))
    assert graph.inputs[0].shape == (2, 3)
    assert remarks == []
