"""The plans of bodies are checked as the model's own is."""

from __future__ import annotations

import json
from pathlib import Path

import onnx.parser
import pytest

from dlc import api
from dlc.errors import PlanError
from dlc.plan.check import verify_plan

MODEL = """<ir_version: 8, opset_import: ["" : 17]>
g (float[4] x, int64 m) => (float[4] y) {
  y = Loop (m, , x) <body = b (int64 i, bool k, float[4] s) => (bool k2, float[4] s2) {
    k2 = Identity(k)
    e = Softmax(s)
    f = Softmax(x)
    s2 = Add(e, f) }>
}"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path, _ = api.emit(onnx.parser.parse_model(MODEL), tmp_path / "c")
    return path


def test_bodies_count(folder: Path) -> None:
    metadata = json.loads((folder / "metadata.json").read_text())
    (body,) = metadata["bodies"]
    (step,) = metadata["steps"]
    assert step["bodies"] == [body["c_name"]]
    own = sum(len(s["reads"]) + len(s["writes"]) for s in metadata["steps"])
    assert verify_plan(folder).addresses > own


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("(float *)mem", "(float *)(mem + 4)", "body 'body_b': step 0 .* passes arena"),
        ("memcpy(out0, in1, 1)", "memcpy(out0, in0, 1)", "final copies"),
        ("body_b(", "body_c(", "has no function body_b"),
    ],
)
def test_changed_code_is_found_out(folder: Path, old: str, new: str, message: str) -> None:
    text = (folder / "model.c").read_text()
    assert old in text
    (folder / "model.c").write_text(text.replace(old, new))
    with pytest.raises(PlanError, match=message):
        verify_plan(folder)


def test_a_body_fits_its_scratch(folder: Path) -> None:
    path = folder / "metadata.json"
    metadata = json.loads(path.read_text())
    metadata["bodies"][0]["arena_bytes"] += 4096
    path.write_text(json.dumps(metadata))
    with pytest.raises(PlanError, match="but the body 'body_b' needs"):
        verify_plan(folder)
    metadata["steps"][0]["bodies"] = ["nobody"]
    path.write_text(json.dumps(metadata))
    with pytest.raises(PlanError, match="runs a body 'nobody' there is not"):
        verify_plan(folder)
