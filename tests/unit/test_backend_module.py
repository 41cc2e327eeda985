"""Module: checks of inputs, status codes, threads; and the metadata beside the C."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cffi
import numpy as np
import pytest
from backend_support import STRICT, compiled, emitted

from dlc.backends.c99 import Module, build
from dlc.errors import BuildError, InputError
from dlc.interp import run
from dlc.ir.graph import Graph
from dlc.ir.types import DType, TensorType
from dlc.ops.build import concat, map_, reshape, transpose
from dlc.ops.core.gather import Gather

F32 = DType.F32


def graph_with_arena() -> Graph:
    """A model whose arena is not empty, with a shared buffer, a view and a weight."""
    graph = Graph("threads")
    x = graph.add_input("x", TensorType(F32, (40, 50)))
    w = graph.add_constant(np.linspace(0, 1, 50, dtype=np.float32), "w")
    y = transpose(map_("a0 * a1", x, w), (1, 0))
    graph.set_outputs({"y": transpose(map_("a0 + 1.0", reshape(y, (40, 50))), (1, 0))})
    return graph


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Module:
    return compiled(graph_with_arena(), tmp_path_factory.mktemp("module") / "c", weights="file")


def test_what_a_module_tells(module: Module) -> None:
    assert module.inputs == {"x": TensorType(F32, (40, 50))}
    assert module.outputs == {"y": TensorType(F32, (50, 40))}
    assert module.arena_bytes >= module.lower_bound > 0
    assert module.peak_bytes_with_io >= module.lower_bound
    assert module.weights_bytes == 200
    assert module.time(3) > 0


def test_wrong_inputs_are_named(module: Module) -> None:
    good = np.zeros((40, 50), np.float32)
    with pytest.raises(InputError, match="'x' is missing"):
        module.run({})
    with pytest.raises(InputError, match="no input 'z'"):
        module.run({"x": good, "z": good})
    with pytest.raises(InputError, match="float64 where float32 is needed"):
        module.run({"x": good.astype(np.float64)})
    with pytest.raises(InputError, match=r"shape \[50,40\] where"):
        module.run({"x": good.T})


def test_strided_inputs_are_taken(module: Module) -> None:
    x = np.random.default_rng(0).standard_normal((80, 100)).astype(np.float32)[::2, ::-2]
    expected = run(graph_with_arena(), {"x": x})["y"]
    np.testing.assert_allclose(module.run({"x": x})["y"], expected, rtol=1e-6)


def test_threads_do_not_disturb_one_another(module: Module) -> None:
    rng = np.random.default_rng(0)
    given = [rng.standard_normal((40, 50)).astype(np.float32) for _ in range(64)]
    alone = [module.run({"x": x})["y"] for x in given]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda x: module.run({"x": x})["y"], given))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_an_index_out_of_range_is_the_callers_mistake(tmp_path: Path) -> None:
    for memory in ("arena", "heap"):
        graph = Graph("picks")
        x = graph.add_input("x", TensorType(F32, (3, 2)))
        index = graph.add_input("index", TensorType(DType.I64, (2,)))
        row = graph.add(Gather(0), [map_("a0 + 1.0", x), index]).result
        graph.set_outputs({"y": map_("a0 - 1.0", row)})
        picks = compiled(graph, tmp_path / memory, memory=memory)
        arrays = {"x": np.arange(6, dtype=np.float32).reshape(3, 2), "index": np.array([2, -3])}
        assert picks.run(arrays)["y"].tolist() == [[4, 5], [0, 1]]
        with pytest.raises(InputError, match="out of range"):
            picks.run(arrays | {"index": np.array([0, 3])})


def test_scalars_empty_tensors_and_bools(tmp_path: Path) -> None:
    graph = Graph("corners")
    s = graph.add_input("s", TensorType(F32, ()))
    e = graph.add_input("e", TensorType(F32, (0, 3)))
    b = graph.add_input("b", TensorType(DType.BOOL, (2,)))
    graph.set_outputs({
        "t": map_("a0 * 2.0", s), "f": map_("a0 + a1", e, s), "g": concat([e, e], 1),
        "n": map_("not_(a0)", b), "s": s, "e": e,
    })  # fmt: skip
    arrays = {"s": np.float32(3), "e": np.zeros((0, 3), np.float32), "b": np.array([True, False])}
    got = compiled(graph, tmp_path / "c").run(arrays)
    assert got["t"] == 6
    assert got["t"].shape == ()
    assert got["f"].shape == (0, 3)
    assert got["g"].shape == (0, 6)
    assert got["n"].tolist() == [False, True]
    assert got["s"] == 3


def test_status_codes_of_the_c_function(module: Module) -> None:
    ffi = cffi.FFI()
    ffi.cdef("""typedef struct { void *x; void *weights; } in_t; typedef struct { void *y; } out_t;
                int threads_run(const in_t *, out_t *, void *);""")
    call = ffi.dlopen(str(module.library)).threads_run  # type: ignore[attr-defined]
    memory = [ffi.new("char[]", 1 << 16) for _ in range(4)]
    x, y, arena, weights = (
        ffi.cast("char *", (int(ffi.cast("size_t", m)) + 63) & ~63) for m in memory
    )
    null = ffi.NULL

    def status(x: object, weights: object, y: object, arena: object) -> int:
        return int(call(ffi.new("in_t *", [x, weights]), ffi.new("out_t *", [y]), arena))

    assert status(x, weights, y, arena) == 0
    for arguments in ((null, weights, y, arena), (x, null, y, arena), (x, weights, null, arena),
                      (x, weights, y, null)):  # fmt: skip
        assert status(*arguments) == 1
    assert call(null, ffi.new("out_t *", [y]), arena) == 1
    assert call(ffi.new("in_t *", [x, weights]), null, arena) == 1
    for arguments in ((x + 1, weights, y, arena), (x, weights + 16, y, arena), (x, weights, y + 2, arena),
                      (x, weights, y, arena + 2)):  # fmt: skip
        assert status(*arguments) == 3


def test_metadata_is_the_plan(tmp_path: Path) -> None:
    folder = emitted(graph_with_arena(), tmp_path / "c")
    data = json.loads((folder / "metadata.json").read_text())
    assert data["generator"] == "dlc"
    assert data["c_name"] == "threads"
    tensors, buffers, steps = data["tensors"], data["buffers"], data["steps"]
    assert [b["id"] for b in buffers] == list(range(len(buffers)))
    assert [t["id"] for t in tensors] == list(range(len(tensors)))
    for tensor in tensors:
        buffer = buffers[tensor["buffer"]]
        assert 0 <= tensor["offset"] <= tensor["offset"] + tensor["size"] <= buffer["size"]
        assert buffer["first"] <= tensor["first"] <= tensor["last"] <= buffer["last"]
    for buffer in buffers:
        if buffer["space"] == "arena":
            assert 0 <= buffer["offset"] <= buffer["offset"] + buffer["size"] <= data["arena_bytes"]
    for index, step in enumerate(steps):
        assert step["index"] == index
        assert all(tensors[t]["last"] >= index for t in step["reads"])
        assert all(tensors[t]["first"] == index for t in step["writes"])
    assert tensors[data["inputs"][0]["tensor"]]["kind"] == "input"
    assert tensors[data["outputs"][0]["tensor"]]["last"] == len(steps)
    assert set(data["files"]) == {
        str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()
    }
    header = (folder / "model.h").read_text()
    assert f"#define THREADS_ARENA_BYTES {data['arena_bytes']}\n" in header
    assert f"#define THREADS_ARENA_LOWER_BOUND {data['lower_bound']}\n" in header
    named = re.findall(r"static void (\w+)\(", (folder / "model.c").read_text())
    assert {s["function"] for s in steps if s["function"]} == set(named)


def test_a_folder_that_is_not_ours_does_not_load(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="is not a folder dlc compile wrote"):
        build(tmp_path)


def test_a_weights_file_of_another_size_does_not_load(tmp_path: Path) -> None:
    folder = emitted(graph_with_arena(), tmp_path / "c", weights="file")
    with (folder / "threads.weights").open("ab") as file:
        file.write(b"x")
    with pytest.raises(BuildError, match="has 201 bytes, not 200"):
        build(folder, flags=STRICT)
