"""Pictures: what they show, DOT and plain SVG that parse, and how ``dlc viz`` chooses."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from dlc.cli import main
from dlc.errors import BuildError
from dlc.ir.graph import Graph
from dlc.ir.text import parse_graph
from dlc.passmanager import PassManager
from dlc.viz import pictures, render
from dlc.viz.dot import dot_text
from dlc.viz.plain import svg_text

SVG = "{http://www.w3.org/2000/svg}"
TEXT = """graph "g<&>" {opsets = {"" = 17}} {
  %0 = input() "x" : f32[2,3]
  %1 = constant() {value = dense<f32[3] 1.0 2.0 3.0>} "w" : f32[3]
  %2 = constant() {value = dense<f32[] 0.5>} "half" : f32[]
  %3 = onnx.Add(%0, %1) "add \\"quoted\\" <b>" : f32[2,3]
  %4 = onnx.Identity(%3) "same" : f32[2,3]
  %5 = onnx.Mul(%4, %2) "halve" : f32[2,3]
  %6 = onnx.Add(%5, %3) "skip" : f32[2,3]
  output(%6) {names = ["y"]}
}
"""


@pytest.fixture
def graph() -> Graph:
    return parse_graph(TEXT)


def before_and_after(graph: Graph) -> list[tuple[str, Graph]]:
    return [("before", graph), ("after", PassManager.parse("drop-identity").run(graph))]


def test_a_picture_shows_ops_and_their_constants(graph: Graph) -> None:
    (picture,) = pictures([("g", graph)])
    shown = [box.lines for box in picture.boxes]
    assert shown == [
        ("input", "x", "f32[2,3]"),
        ("onnx.Add", 'add "quoted" <b>', "w f32[3]"),
        ("onnx.Identity", "same"),
        ("onnx.Mul", "halve", "half = 0.5"),
        ("onnx.Add", "skip"),
        ("output", "y"),
    ]
    assert [box.role for box in picture.boxes] == ["input", "op", "op", "op", "op", "output"]
    assert len(picture.arrows) == 6
    assert {arrow.text for arrow in picture.arrows} == {"f32[2,3]"}


def test_what_has_gone_and_what_is_new_is_marked(graph: Graph) -> None:
    before, after = pictures(before_and_after(graph))
    assert [b.lines[0] for b in before.boxes if b.state == "gone"] == ["onnx.Identity"]
    assert {b.state for b in after.boxes} == {"kept"}
    fused = PassManager.parse("expand-ops,fuse-maps").run(graph)
    before, after = pictures([("before", graph), ("after", fused)])
    assert {b.lines[0] for b in after.boxes if b.state == "new"} == {"map"}
    assert {b.role for b in after.boxes if b.state == "kept"} == {"input", "output"}


def test_plain_svg(graph: Graph) -> None:
    root = ET.fromstring(svg_text(pictures(before_and_after(graph))))
    groups = root.findall(f"{SVG}g")
    assert [len(g.findall(f"{SVG}rect")) for g in groups] == [6, 5]
    assert [len(g.findall(f"{SVG}path")) for g in groups] == [6, 5]
    texts = [t.text for t in root.iter(f"{SVG}text")]
    assert 'add "quoted" <b>' in texts
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    right = 0.0
    for group in groups:
        left = float(group.attrib["transform"].removeprefix("translate(").split(",")[0])
        assert left > right  # side by side
        boxes = [
            [float(r.attrib[k]) for k in ("x", "y", "width", "height")]
            for r in group.iter(f"{SVG}rect")
        ]
        right = max(left + x + w for x, _, w, _ in boxes)
        assert right <= width
        assert max(y + h for _, y, _, h in boxes) <= height
        for i, (x, y, w, h) in enumerate(boxes):  # no two boxes overlap
            for u, v, p, q in boxes[:i]:
                assert x + w <= u or u + p <= x or y + h <= v or v + q <= y


def test_a_big_graph_is_drawn_plainly_in_no_time() -> None:
    import time

    from dlc.ir.types import DType, TensorType
    from dlc.ops.build import map_

    graph = Graph("long")
    value = graph.add_input("x", TensorType(DType.F32, (4,)))
    for _ in range(3000):
        value = map_("exp(a0)", value)
    graph.set_outputs([("y", value)])
    start = time.perf_counter()
    ET.fromstring(svg_text(pictures([("long", graph)])))
    assert time.perf_counter() - start < 3


def test_dot(graph: Graph, tmp_path: Path) -> None:
    text = dot_text(pictures(before_and_after(graph)))
    assert text.count("subgraph cluster_") == 2
    assert 'add \\"quoted\\" <b>\\nw f32[3]' in text
    program = shutil.which("dot")
    if program is not None:  # the text is what graphviz reads
        done = subprocess.run(
            [program, "-Tsvg"], input=text, capture_output=True, text=True, check=True
        )
        assert len(ET.fromstring(done.stdout).findall(f".//{SVG}g[@class='node']")) == 11
    render([("g", graph)], tmp_path / "g.dot")
    assert (tmp_path / "g.dot").read_text().startswith("digraph")


@pytest.mark.parametrize("problem", ["absent", "fails", "slow"])
def test_without_graphviz_the_picture_is_plain(
    graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: str
) -> None:
    module = importlib.import_module("dlc.viz.render")
    script = {
        "absent": None,
        "fails": "#!/bin/sh\necho broken >&2\nexit 1\n",
        "slow": "#!/bin/sh\nexec sleep 9\n",
    }[problem]
    path = None
    if script is not None:
        path = tmp_path / "dot"
        path.write_text(script)
        path.chmod(0o755)
    monkeypatch.setattr(module.shutil, "which", lambda name: path and str(path))
    monkeypatch.setattr(module, "_SECONDS", 0.2)
    heard: list[str] = []
    render([("g", graph)], tmp_path / "g.svg", notify=heard.append)
    ET.parse(tmp_path / "g.svg")
    words = {
        "absent": "not installed",
        "fails": "graphviz failed: broken",
        "slow": "needs more than",
    }
    assert words[problem] in heard[0]
    with pytest.raises(BuildError, match=r"write an \.svg instead"):
        render([("g", graph)], tmp_path / "g.png")


def test_the_command(graph: Graph, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "g.dlc").write_text(TEXT)
    for args, boxes in (([], 6), (["--pass=drop-identity"], 11)):
        with pytest.raises(SystemExit) as stop:
            main(["viz", str(tmp_path / "g.dlc"), "-o", str(tmp_path / "g.svg"), "--plain", *args])
        assert not stop.value.code
        rects = ET.parse(tmp_path / "g.svg").getroot().findall(f"{SVG}g/{SVG}rect")
        assert len(rects) == boxes
    with pytest.raises(SystemExit) as stop:
        main(["viz", str(tmp_path / "g.dlc"), "-o", str(tmp_path / "g.jpg")])
    assert stop.value.code == 2
    assert "use .svg, .dot, .png, .pdf" in capfd.readouterr().err
