"""``freeze-shapes``: sizes that follow, regions, and mistakes in its options."""

from __future__ import annotations

import numpy as np
import pytest
from pass_checks import graph_of, proved, refusals

from dlc.errors import ModelError, PassError
from dlc.interp import run
from dlc.ir.graph import Graph
from dlc.passmanager import PassManager

BODY = """
  %x = input() "x" : f32[N<=8,3]
  %z = input() "z" : f32[M<=4,3]
  %c = onnx.Concat(%x, %z) {axis = 0}
  %t = onnx.Transpose(%c)
  %y = onnx.MatMul(%x, %t)
  output(%y) {names = ["y"]}
"""


def types(graph: Graph) -> list[str]:
    return [str(op.types[0]) for op in graph.ops if op.types]


def test_every_size_that_follows_is_fixed() -> None:
    graph = graph_of(BODY)
    frozen = PassManager.parse("freeze-shapes{dims=(N=2,M=3)}").run(graph)
    assert types(frozen) == ["f32[2,3]", "f32[3,3]", "f32[5,3]", "f32[3,5]", "f32[2,5]"]
    rng = np.random.default_rng(0)
    arrays = {"x": rng.random((2, 3), np.float32), "z": rng.random((3, 3), np.float32)}
    np.testing.assert_array_equal(run(frozen, arrays)["y"], run(graph, arrays)["y"])
    proved("freeze-shapes", graph)


def test_one_dim_leaves_the_others() -> None:
    frozen = PassManager.parse("freeze-shapes{shapes=(z=1x3)}").run(graph_of(BODY))
    assert types(frozen)[:2] == ["f32[N<=8,3]", "f32[1,3]"]
    again = PassManager.parse("freeze-shapes{shapes=(z=1x3)}")
    again.run(frozen)
    assert not again.report[0].changed


def test_dims_of_a_body_are_those_around_it() -> None:
    graph = graph_of("""
  %x = input() "x" : f32[N<=8]
  %b = input() "b" : bool[]
  %y = onnx.If(%b, %x) {captures = 1, else_branch = graph "else" {opsets = {"" = 17}} {
      %v = input() "x" : f32[N<=8]
      %w = onnx.Neg(%v)
      output(%w) {names = ["w"]}
    }, then_branch = graph "then" {opsets = {"" = 17}} {
      %v = input() "x" : f32[N<=8]
      %w = onnx.Exp(%v)
      output(%w) {names = ["w"]}
    }} : f32[N<=8]
  output(%y) {names = ["y"]}
""")
    frozen = PassManager.parse("freeze-shapes{dims=N=2}").run(graph)
    assert types(frozen) == ["f32[2]", "bool[]", "f32[2]"]
    for body in frozen.outputs[0].op.operator.regions():
        assert types(body) == ["f32[2]", "f32[2]"]
    x = np.array([1, 2], np.float32)
    for choice in (True, False):
        arrays = {"x": x, "b": np.array(choice)}
        np.testing.assert_array_equal(run(frozen, arrays)["y"], run(graph, arrays)["y"])


def test_a_graph_of_fixed_shapes_stays() -> None:
    graph = graph_of('%x = input() "x" : f32[2]\noutput(%x) {names = ["y"]}')
    assert refusals("freeze-shapes", graph) == ""
    proved("freeze-shapes", graph)


@pytest.mark.parametrize(
    ("options", "kind", "sentence"),
    [
        ("dims=(N)", PassError, "'N' is not NAME=SIZE"),
        ("dims=(N=two)", PassError, "'two' is not a size"),
        ("shapes=(x=2,3)", PassError, "'3' is not NAME=SIZE"),
        ("dims=(K=2)", ModelError, "the graph has no dim 'K' to fix; it has 'N', 'M'"),
        ("shapes=(w=2x3)", ModelError, "the graph has no input 'w' to fix; it has 'x', 'z'"),
        ("dims=(N=9)", ModelError, "dim 'N' cannot become 9: it is at most 8"),
        ("dims=(N=2,N=3)", ModelError, "dim 'N' cannot become 3: another option says 2"),
        ("shapes=(x=2x4)", ModelError, "input 'x' is f32[N<=8,3], which cannot become 2x4"),
        ("shapes=(x=2)", ModelError, "input 'x' is f32[N<=8,3], which cannot become 2"),
    ],
)
def test_mistakes(options: str, kind: type[Exception], sentence: str) -> None:
    with pytest.raises(kind) as caught:
        PassManager.parse(f"freeze-shapes{{{options}}}").run(graph_of(BODY))
    assert sentence in str(caught.value)


def test_sizes_that_do_not_suit_the_model() -> None:
    graph = graph_of("""
  %x = input() "x" : f32[N<=8]
  %z = input() "z" : f32[M<=8]
  %y = onnx.Add(%x, %z) : f32[K<=8]
  output(%y) {names = ["y"]}
""")
    with pytest.raises(ModelError, match="these sizes do not suit"):
        PassManager.parse("freeze-shapes{dims=(N=2,M=3)}").run(graph)
