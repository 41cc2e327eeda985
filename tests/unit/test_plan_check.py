"""``verify_plan`` accepts what the planner makes and finds whatever is changed in it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlc.backends.c99.emit import emit
from dlc.errors import PlanError
from dlc.ir.graph import Graph
from dlc.ir.types import DType, TensorType
from dlc.ops.build import concat, map_, reduce, reshape, slice_
from dlc.plan import plan_offsets
from dlc.plan.check import verify_plan


def model() -> Graph:
    """Views, parts placed and copied, values in place, two outputs, one of them an input."""
    graph = Graph("model")
    x = graph.add_input("x", TensorType(DType.F32, (4, 4)))
    weights = graph.add_constant(np.ones((1, 4), np.float32), "weights")
    with graph.labelled("exp"):
        a = map_("exp(a0)", x)
    with graph.labelled("sin"):
        b = map_("sin(a0)", reshape(x, (4, 4)))
    with graph.labelled("join"):
        joined = concat([a, b, x], 0)
    with graph.labelled("scale"):
        scaled = map_("a0 * a1", joined, weights)
    with graph.labelled("rows"):
        rows = reduce("add", scaled, (1,))
    with graph.labelled("cut"):
        cut = slice_(scaled, (2, 0), (6, 4))
    with graph.labelled("last"):
        last = map_("a0 - a1", cut, slice_(rows, (2, 0), (6, 1)))
    graph.set_outputs([("y", reduce("max", last, (0,))), ("same", x)])
    plan_offsets(graph)
    return graph


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plan") / "c"
    emit(model(), folder)
    return folder


@pytest.fixture
def change(good: Path, tmp_path: Path) -> Callable[[Callable[[Any], None]], Path]:
    """A copy of the folder with changed metadata."""

    def write(mutate: Callable[[Any], None]) -> Path:
        data = copy.deepcopy(json.loads((good / "metadata.json").read_text()))
        mutate(data)
        (tmp_path / "metadata.json").write_text(json.dumps(data))
        (tmp_path / "model.c").write_text((good / "model.c").read_text())
        return tmp_path

    return write


def arena(data: Any) -> list[Any]:
    return [b for b in data["buffers"] if b["space"] == "arena"]


def tensor(data: Any, name: str) -> Any:
    return next(t for t in data["tensors"] if t["name"] == name)


def step(data: Any, label: str) -> Any:
    return next(s for s in data["steps"] if s["label"] == label)


def test_a_good_plan_is_sound(good: Path) -> None:
    report = verify_plan(good)
    assert report.arena_bytes == report.lower_bound
    assert report.addresses > 10
    assert "the plan is sound" in str(report)
    assert "the lower bound" in str(report)


def test_the_heap_form_is_checked_too(tmp_path: Path) -> None:
    emit(model(), tmp_path / "c", memory="heap")
    assert verify_plan(tmp_path / "c").steps == verify_plan(tmp_path / "c").steps > 0


def test_weights_in_a_file_are_found(tmp_path: Path) -> None:
    emit(model(), tmp_path / "c", weights="file")
    assert verify_plan(tmp_path / "c").addresses > 10


def shift_buffer(data: Any) -> None:
    arena(data)[-1]["offset"] += 16


def shift_tensor(data: Any) -> None:
    tensor(data, "sin")["offset"] += 4


def overlap_two(data: Any) -> None:
    small = min(arena(data), key=lambda b: b["size"])
    assert small["offset"]
    small["offset"] = 0
    data["arena_bytes"] = max(b["offset"] + b["size"] for b in arena(data))


def swap_parts(data: Any) -> None:
    a, b = tensor(data, "exp"), tensor(data, "sin")
    a["offset"], b["offset"] = b["offset"], a["offset"]


def shorten_tensor(data: Any) -> None:
    tensor(data, "scale")["last"] -= 1


def shorten_buffer(data: Any) -> None:
    arena(data)[0]["last"] -= 1


def free_early(data: Any) -> None:
    late = next(s for s in data["steps"] if s["frees"])
    data["steps"][late["index"] - 1]["frees"] += late["frees"]
    late["frees"] = []


def forget_in_place(data: Any) -> None:
    step(data, "scale")["in_place"] = []


def claim_a_view(data: Any) -> None:
    late = step(data, "scale")
    late["elided"] = [{"part": 0, "operand": 0, "result": 0, "source": 0, "target": 16, "size": 16}]


def read_something_else(data: Any) -> None:
    step(data, "last")["reads"][0] = step(data, "exp")["writes"][0]


def reorder(data: Any) -> None:
    steps = data["steps"]
    a, b = step(data, "join")["index"], step(data, "exp")["index"]
    steps[a], steps[b] = steps[b], steps[a]
    steps[a]["index"], steps[b]["index"] = a, b


def write_to_input(data: Any) -> None:
    tensor(data, "exp")["buffer"] = 0


def smaller_arena(data: Any) -> None:
    data["arena_bytes"] -= 4


def other_bound(data: Any) -> None:
    data["lower_bound"] -= 4


def other_step(data: Any) -> None:
    data["peak_step"] += 1


def other_total(data: Any) -> None:
    data["peak_bytes_with_io"] += 4


def no_copy(data: Any) -> None:
    data["copies"] = []


def other_copy(data: Any) -> None:
    data["copies"][0]["size"] -= 4


def misalign(data: Any) -> None:
    for buffer in arena(data):
        buffer["offset"] += 2
    data["arena_bytes"] += 2


@pytest.mark.parametrize(
    ("mutate", "message"),
    [
        (shift_buffer, "."),
        (shift_tensor, "."),
        (overlap_two, r"overlap in the arena at step \d"),
        (swap_parts, r"step \d \(concat 'join'\) leaves out the copy of 'exp'"),
        (shorten_tensor, r"tensor 'scale' lives from step \d to \d, not"),
        (shorten_buffer, r"buffer \d+ lives from step"),
        (free_early, r"step \d .* frees other buffers than die there"),
        (
            forget_in_place,
            r"step \d \(map 'scale'\) stores 'scale' over 'join', which it still reads",
        ),
        (claim_a_view, r"step \d \(map 'scale'\) leaves out the copy"),
        (read_something_else, "lives from step"),
        (reorder, "lives from step|before anything stores it"),
        (write_to_input, "."),
        (smaller_arena, r"the arena has \d+ bytes, its buffers reach byte"),
        (other_bound, "states lower_bound"),
        (other_step, "states peak_step"),
        (other_total, "states peak_bytes_with_io"),
        (no_copy, "nothing stores output 1"),
        (other_copy, "final copy of output 1 is not of 'x'|is not of 'same'"),
        (misalign, "is not aligned to 4"),
    ],
)
def test_a_changed_plan_is_found_out(
    change: Callable[[Callable[[Any], None]], Path], mutate: Callable[[Any], None], message: str
) -> None:
    with pytest.raises(PlanError, match=message):
        verify_plan(change(mutate))


@pytest.mark.parametrize(
    ("mutate", "message"),
    [
        (lambda d: d.pop("steps"), "lacks the key 'steps'"),
        (lambda d: d.update(format=2), "has format 2"),
        (lambda d: d.update(arena_bytes=-1), "where a count is needed"),
        (lambda d: d["steps"][0].update(reads=[10**6]), "names a tensor, buffer or operand"),
        (lambda d: d["tensors"][0].update(buffer=10**6), "names a buffer, tensor or output"),
        (lambda d: d["tensors"][0].update(dtype="f33"), "no element type 'f33'"),
        (lambda d: d["tensors"][1].update(id=0), "tensor 1 calls itself 0"),
        (lambda d: d["buffers"][0].update(index=5), "which there is not"),
        (lambda d: d["buffers"][0].update(space="moon"), "which there is not"),
        (lambda d: d.update(steps={}), "'steps' is {} where a list is needed"),
    ],
)
def test_metadata_of_another_form_is_refused(
    change: Callable[[Callable[[Any], None]], Path], mutate: Callable[[Any], None], message: str
) -> None:
    with pytest.raises(PlanError, match=message):
        verify_plan(change(mutate))


def edit(folder: Path, target: Path, old: str, new: str) -> Path:
    text = (folder / "model.c").read_text()
    assert old in text
    (target / "model.c").write_text(text.replace(old, new, 1))
    (target / "metadata.json").write_text((folder / "metadata.json").read_text())
    return target


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("(float *)(mem + 64)", "(float *)(mem + 80)", r"step \d .* passes arena \+ 80"),
        ("memcpy(out->same", "memcpy(out->y", "does not end with the final copies"),
        ("/* 1:", "/* 2:", "runs step 2 where step 1 is due"),
        ("DLC_DEAD(", "DLC_DEAD(4 + ", "."),
        ("int model_run(", "int model_go(", "has no function model_run"),
    ],
)
def test_changed_code_is_found_out(
    good: Path, tmp_path: Path, old: str, new: str, message: str
) -> None:
    body = (good / "model.c").read_text()
    if old == "DLC_DEAD(":  # one in the body of the run, not the macro
        old = next(line.strip() for line in reversed(body.splitlines()) if "DLC_DEAD(" in line)
        new = ""
    with pytest.raises(PlanError, match=message):
        verify_plan(edit(good, tmp_path, old, new))


def test_a_folder_without_a_plan_is_named(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="name a compiled folder"):
        verify_plan(tmp_path)
    (tmp_path / "metadata.json").write_text("{")
    with pytest.raises(PlanError, match="is not JSON"):
        verify_plan(tmp_path)
