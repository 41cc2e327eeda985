"""The pipeline from ONNX to ONNX: rules it needs of passes that others use as well."""

from __future__ import annotations

import pytest
from pass_checks import graph_of, ir_sections, kinds, proved, refusals

from dlc.ir.graph import Graph
from dlc.passmanager import for_onnx

KEEP = "fold-constants{keep_quantised=true}"
SECTIONS = {"drop-identity": "drop-identity-transposes", KEEP: "fold-constants-quantised"}


@pytest.mark.parametrize(
    ("pipeline", "graph"),
    [(pipeline, graph) for pipeline, name in SECTIONS.items() for graph in ir_sections(name)],
)
def test_examples_keep_their_meaning(pipeline: str, graph: Graph) -> None:
    proved(pipeline, graph)


def test_kept_quantisation_says_why() -> None:
    graph = ir_sections("fold-constants-quantised")[0]
    assert "activations are quantised as well" in refusals(KEEP, graph)
    assert "onnx.DequantizeLinear" not in kinds(ir_sections("fold-constants-quantised")[1])[2:]


@pytest.mark.parametrize(
    ("perm", "reason"),
    [("[1, 0, 2]", "no reshape is beside it"), ("[0, 2, 1]", "it changes the order")],
)
def test_a_transpose_stays_with_a_reason(perm: str, reason: str) -> None:
    graph = graph_of(
        f'%x = input() "x" : f32[1,2,3]\n%y = onnx.Transpose(%x) {{perm = {perm}}}\n'
        'output(%y) {names = ["y"]}'
    )
    assert reason in refusals("drop-identity", graph)


def test_what_the_pipeline_leaves_it_leaves_again() -> None:
    graph = graph_of(
        '%x = input() "x" : f32[1,2,4,1]\n'
        "%w = constant() {value = dense<f32[2,2,1,1] 1.0 2.0 3.0 4.0>}\n%c = onnx.Conv(%x, %w)\n"
        "%b = constant() {value = dense<f32[2,1,1] 0.5 1.5>}\n%d = onnx.Add(%c, %b)\n"
        "%t = onnx.Transpose(%d) {perm = [0, 1, 3, 2]}\n%s = constant() {value = dense<i64[2] 2 4>}\n"
        "%r = onnx.Reshape(%t, %s)\n%z = constant() {value = dense<f32[] 0.0>}\n"
        '%y = onnx.Add(%r, %z)\noutput(%y) {names = ["y"]}'
    )
    assert kinds(proved(for_onnx("O2"), graph)) == ["onnx.Conv", "onnx.Reshape"]
