"""The emitted folder: whole or absent, strict under every compiler, free of libc, deterministic."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backend_support import STRICT, emitted, same

from dlc.backends import backend_names, find_backend
from dlc.backends.c99 import build, emit
from dlc.backends.c99.toolchain import (
    Compiler,
    available_compilers,
    build_executable,
    build_shared,
    compile_with,
)
from dlc.errors import BuildError, DlcError, InputError, UnsupportedError
from dlc.interp import run
from dlc.ir.graph import Graph
from dlc.ir.types import DType, TensorType
from dlc.ops.build import concat, contract, map_, transpose

GOLDEN = Path(__file__).parent.parent / "golden"


def small_graph() -> Graph:
    """A layer, an in-place add, a move, an input handed through."""
    graph = Graph("small")
    x = graph.add_input("x", TensorType(DType.F32, (2, 3)))
    w = graph.add_constant(np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4), "fc.weight")
    with graph.labelled("fc+relu"):
        y = contract(x, w)
    y = map_("max(a0, 0.0)", y)
    with graph.labelled("add"):
        y = map_("a0 + a1", y, map_("a0 * 0.5", y))
    graph.set_outputs({"y": transpose(y, (1, 0)), "x again": x})
    return graph


X = {"x": np.array([[1, 2, 3], [-4, 5, 6]], np.float32)}
OPTIONS: list[dict[str, Any]] = [
    {"weights": "c"}, {"weights": "file"}, {"memory": "heap"}, {"memory": "heap", "weights": "file"},
]  # fmt: skip


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_folder_holds_what_it_says(tmp_path: Path) -> None:
    files = content(emitted(small_graph(), tmp_path / "c"))
    assert {"model.c", "model.h", "weights.c", "weights.h", "selftest.c", "CMakeLists.txt",
            "metadata.json", "kernels/dlc_gemm_tile_f32.h"} <= set(files)  # fmt: skip
    assert not any("exp" in name for name in files)  # only kernels that are used
    filed = content(emitted(small_graph(), tmp_path / "f", weights="file"))
    assert "small.weights" in filed
    assert "weights.c" not in filed


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("compiler", available_compilers(), ids=lambda c: c.family)
def test_every_compiler_takes_it_strictly_and_the_self_test_passes(
    compiler: Compiler, options: dict[str, Any], tmp_path: Path
) -> None:
    vectors = (X, run(small_graph(), X))
    folder = emitted(small_graph(), tmp_path / "c", vectors=vectors, **options)
    flags = ("-std=c99", "-Wall", "-Werror") if compiler.family == "tcc" else STRICT
    program = build_executable(list(folder.glob("*.c")), compiler=compiler, flags=flags)
    done = subprocess.run([program], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "ok\n")


def test_the_self_test_notices_a_wrong_output(tmp_path: Path) -> None:
    wrong = {name: a + 1 for name, a in run(small_graph(), X).items()}
    folder = emitted(small_graph(), tmp_path / "c", vectors=(X, wrong))
    program = build_executable(list(folder.glob("*.c")), flags=STRICT)
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "outputs differ\n")
    with pytest.raises(InputError, match="no 'y'"):
        emitted(small_graph(), tmp_path / "c", vectors=(X, {}))


def undefined(folder: Path, flags: tuple[str, ...]) -> set[str]:
    """What the folder's objects, linked together, still need."""
    made = folder / "all.o"
    sources = [str(folder / f) for f in ("model.c", "weights.c")]
    compiler = available_compilers()[0]
    compile_with(compiler, [*flags, "-r", "-nostdlib", *sources, "-o", str(made)])
    listed = subprocess.run(["nm", "-u", made], capture_output=True, text=True, check=True).stdout
    return set(listed.replace(" U ", " ").split())


def test_only_memcpy_and_memset_are_called(tmp_path: Path) -> None:
    assert undefined(emitted(small_graph(), tmp_path / "a"), STRICT) <= {"memcpy", "memset"}
    heap = undefined(emitted(small_graph(), tmp_path / "h", memory="heap"), STRICT)
    assert heap <= {"memcpy", "memset", "malloc", "free"}
    assert {"malloc", "free"} <= heap


def test_equal_graphs_give_equal_bytes(tmp_path: Path) -> None:
    first = content(emitted(small_graph(), tmp_path / "one" / "a"))
    assert first == content(emitted(small_graph(), tmp_path / "two" / "b"))


def test_steps_of_equal_text_share_a_function(tmp_path: Path) -> None:
    graph = Graph("shared")
    x = graph.add_input("x", TensorType(DType.F32, (8,)))
    weights = [graph.add_constant(np.full(8, i, np.float32), f"w{i}") for i in range(3)]
    for weight in weights:
        x = map_("a0 * a1 + a0", x, weight)
    graph.set_outputs({"y": x})
    text = (emitted(graph, tmp_path / "c") / "model.c").read_text()
    # from the input, into the output or in place: at most three ways to pass the same pointers
    assert 1 <= text.count("static void") <= 2


@pytest.mark.parametrize("options", [{}, {"memory": "heap"}], ids=["arena", "heap"])
def test_golden_model(options: dict[str, str], tmp_path: Path) -> None:
    """The C of the small model, kept to be read and reviewed."""
    text = (emitted(small_graph(), tmp_path / "c", **options) / "model.c").read_text()
    kept = GOLDEN / f"small_{options.get('memory', 'arena')}.c"
    assert kept.exists(), f"write {kept} with this text after review:\n{text}"
    assert text == kept.read_text()


# ---- writing ------------------------------------------------------------------------------


def test_a_folder_of_dlc_is_replaced_and_foreign_files_in_it_stay(tmp_path: Path) -> None:
    folder = emitted(small_graph(), tmp_path / "c", weights="c")
    (folder / "build").mkdir()
    (folder / "build" / "mine").write_text("kept")
    assert emitted(small_graph(), tmp_path / "c", weights="file") == folder
    assert (folder / "build" / "mine").read_text() == "kept"
    assert not (folder / "weights.c").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["c"]


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "metadata.json").write_text("[1]")
    with pytest.raises(BuildError, match="was not written by dlc"):
        emitted(small_graph(), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["metadata.json"]
    with pytest.raises(BuildError, match="is not a folder"):
        emitted(small_graph(), tmp_path / "metadata.json")


def test_nothing_is_left_of_a_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BuildError, match="cannot write the folder"):
        emitted(small_graph(), tmp_path / "file" / "c")
    with pytest.raises(DlcError, match="weights='x' is not one of auto, c, file"):
        emitted(small_graph(), tmp_path / "c", weights="x")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_step_without_a_c_form_is_named(tmp_path: Path) -> None:
    graph = Graph("narrow")
    x = graph.add_input("x", TensorType(DType.F16, (2,)))
    with graph.labelled("half1"):
        graph.set_outputs({"y": map_("a0 + a0", x)})
    with pytest.raises(
        UnsupportedError, match="map 'half1': the scalar function add has no C form"
    ):
        emitted(graph, tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_backends_are_found_by_name() -> None:
    assert find_backend("c99").emit is emit
    assert "c99" in backend_names()
    with pytest.raises(UnsupportedError, match="no backend 'x'; there are c99"):
        find_backend("x")


# ---- weights ------------------------------------------------------------------------------


def arrays_of_every_kind() -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, 500, np.uint32).view(np.float32)
    wide = rng.integers(0, 2**64, 200, np.uint64).view(np.float64)
    edges = [0, -0.0, np.inf, -np.inf, np.nan, 1e-45, 3.4028235e38, 0.1, 1e10, 16777217]
    made = {
        "bits": bits, "wide": wide, "edges32": np.array(edges, np.float32),
        "edges64": np.array([*edges, 5e-324, 1.7976931348623157e308]),
        "bool": np.array([True, False]), "half": rng.standard_normal(5).astype(np.float16),
        "scalar": np.array(2.5, np.float32), "none": np.zeros((0, 3), np.float32),
    }  # fmt: skip
    for dtype in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"):
        info = np.iinfo(dtype)
        made[dtype] = np.array([info.min, info.max, 0, 1, info.max // 3], dtype)
    return made


@pytest.mark.parametrize("storage", ["c", "file"])
@pytest.mark.parametrize("compiler", available_compilers(), ids=lambda c: c.family)
def test_weights_come_back_bit_for_bit(compiler: Compiler, storage: str, tmp_path: Path) -> None:
    graph = Graph("kept")
    arrays = arrays_of_every_kind()
    if compiler.family == "tcc":  # has no NaN that can initialise an array
        arrays = {n: np.nan_to_num(a, nan=1, posinf=np.inf, neginf=-np.inf)
                  if a.dtype.kind == "f" else a for n, a in arrays.items()}  # fmt: skip
    graph.set_outputs({n: graph.add_constant(a, n) for n, a in arrays.items()})
    flags = ("-std=c99",) if compiler.family == "tcc" else STRICT
    module = build(emitted(graph, tmp_path / "c", weights=storage), compiler=compiler, flags=flags)
    got = module.run({})
    for name, array in arrays.items():
        assert same(got[name], array), name
        if array.dtype.kind == "f":
            assert (np.signbit(got[name]) == np.signbit(array))[~np.isnan(array)].all()


# ---- heap ---------------------------------------------------------------------------------


def test_the_heap_is_freed_also_when_malloc_fails(tmp_path: Path) -> None:
    graph = small_graph()
    folder = emitted(graph, tmp_path / "c", memory="heap")
    (folder / "fail.c").write_text(
        '#include "model.h"\n#include <stdio.h>\n#include <stdlib.h>\n'
        "static int left, live;\n"
        "static void *my_malloc(size_t n) {\n"
        "    if (left-- == 0) { return NULL; }\n    ++live;\n    return malloc(n);\n}\n"
        "static void my_free(void *p) {\n    live -= p != NULL;\n    free(p);\n}\n"
        '#define malloc my_malloc\n#define free my_free\n#include "model.c"\n'
        "int main(void) {\n    float x[6] = {0}, y[8], again[6];\n"
        "    small_inputs in = {x};\n    small_outputs out = {y, again};\n"
        "    for (int n = 0; n < 9; ++n) {\n        left = n;\n"
        '        printf("%d ", small_run(&in, &out, NULL));\n'
        "        if (live != 0) { return 1; }\n    }\n    return 0;\n}\n"
    )
    sources = [folder / "fail.c", folder / "weights.c"]
    done = subprocess.run(
        [build_executable(sources, flags=("-std=c99",), sanitize=True)], capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    statuses = done.stdout.split()
    assert done.returncode == 0, done.stderr
    assert statuses[0] == "4"
    assert statuses[-1] == "0"
    assert set(statuses) == {"0", "4"}


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
@pytest.mark.parametrize("memory", ["arena", "heap"])
def test_valgrind_finds_nothing(memory: str, tmp_path: Path) -> None:
    vectors = (X, run(small_graph(), X))
    folder = emitted(small_graph(), tmp_path / "c", memory=memory, vectors=vectors)
    program = build_executable(list(folder.glob("*.c")), flags=("-std=c99", "-g", "-O1"))
    done = subprocess.run(
        ["valgrind", "-q", "--error-exitcode=9", "--leak-check=full", program],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr


def test_a_concat_written_in_place_is_not_copied(tmp_path: Path) -> None:
    graph = Graph("joined")
    x = graph.add_input("x", TensorType(DType.F32, (2, 2)))
    graph.set_outputs({"y": concat([map_("a0 + 1.0", x), map_("a0 * 2.0", x)], 0)})
    folder = emitted(graph, tmp_path / "c")
    assert "nothing to do" in (folder / "model.c").read_text()
    assert "memcpy(" not in (folder / "model.c").read_text()
    assert build_shared([folder / "model.c"], flags=STRICT).exists()
