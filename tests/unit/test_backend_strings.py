"""Strings and complex numbers in emitted C: they are moved and compared, never computed."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backend_support import STRICT, compiled, emitted
from hypothesis import given
from hypothesis import strategies as st

from dlc import api
from dlc.backends.c99.strings import string_literal
from dlc.backends.c99.toolchain import build_shared, find_compiler
from dlc.errors import InputError, UnsupportedError
from dlc.interp import run
from dlc.ir.graph import Graph
from dlc.ir.types import DType, TensorType
from dlc.ops.build import apply, broadcast, concat, map_, reshape, slice_, transpose
from dlc.ops.core.bit_cast import BitCast
from dlc.ops.core.gather import Gather

WORDS = np.array(["zéro", 'o"ne\\', "two??=", "", "four\n7", "\udcff\udc80", "日本"], object)


def moving_graph(table: Any, dtype: DType) -> Graph:
    """A graph that moves elements of a constant table and of an input in every way there is."""
    graph = Graph("moving")
    i = graph.add_input("i", TensorType(DType.I64, (4,)))
    s = graph.add_input("s", TensorType(dtype, (4,)))
    c = graph.add_input("c", TensorType(DType.BOOL, (4,)))
    found = apply(Gather(0), graph.add_constant(table, "table"), i)
    both = concat([found, s], 0)
    one = graph.add_constant(table[1:2], "one")
    graph.set_outputs({
        "found": found, "both": both, "turned": transpose(reshape(both, (2, 4)), (1, 0)),
        "part": slice_(both, (1,), (3,), (2,)), "wide": broadcast(reshape(s, (4, 1)), (4, 3)),
        "picked": map_("select(a0, a1, a2)", c, found, s), "or": map_("select(a0, a1, a2)", c, s, one),
    })  # fmt: skip
    return graph


def feeds(table: Any) -> dict[str, Any]:
    return {"i": np.array([1, 4, -1, -2]), "s": table[[3, 4, 0, 6]],
            "c": np.array([True, False, False, True])}  # fmt: skip


@pytest.mark.parametrize("options", [{}, {"memory": "heap"}, {"weights": "file"}])
@pytest.mark.parametrize("kind", ["string", "c64", "c128"])
def test_elements_that_only_move(kind: str, options: dict[str, str], tmp_path: Path) -> None:
    table: Any = WORDS
    if kind != "string":
        real = np.array([0.5, -1, np.inf, -0.0, 3.25, 1e30, 7])
        parts = np.stack([real, real[::-1] * 1.5], -1)
        table = parts.astype(f"f{DType(kind).nbytes // 2}").view(DType(kind).numpy)[:, 0]
    table = np.asarray(table)
    graph = moving_graph(table, DType(kind))
    expected = run(graph, feeds(table))
    got = compiled(graph, tmp_path / "c", **options).run(feeds(table))
    for name, array in expected.items():
        np.testing.assert_array_equal(got[name], array)
        assert got[name].dtype == array.dtype


def test_strings_compare_by_their_bytes(tmp_path: Path) -> None:
    graph = Graph("equal")
    a = graph.add_input("a", TensorType(DType.STRING, (7,)))
    b = graph.add_input("b", TensorType(DType.STRING, (7, 1)))
    graph.set_outputs({"y": map_("eq(a0, a1)", a, b)})
    got = compiled(graph, tmp_path / "c").run({"a": WORDS, "b": WORDS.reshape(7, 1)})
    np.testing.assert_array_equal(got["y"], np.eye(7, dtype=bool))


def test_a_string_with_a_nul_is_refused(tmp_path: Path) -> None:
    graph = Graph("nul")
    x = graph.add_input("x", TensorType(DType.STRING, (1,)))
    graph.set_outputs({"y": reshape(x, (1, 1))})
    module = compiled(graph, tmp_path / "c")
    with pytest.raises(InputError, match="'x' holds a NUL"):
        module.run({"x": np.array(["a\0b"], object)})
    graph = Graph("nul")
    graph.set_outputs({"y": graph.add_constant(np.array(["a\0b"], object))})
    with pytest.raises(UnsupportedError, match="holds a NUL"):
        emitted(graph, tmp_path / "constant")


def test_a_string_longer_than_c_allows_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="4096 bytes"):
        string_literal("a" * 4096)
    with pytest.raises(UnsupportedError, match="no UTF-8"):
        string_literal("\ud800")


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
def test_literals_read_back(texts: list[str]) -> None:
    """What a C compiler reads, read here by the rules of C: escapes, then plain characters."""
    for text in texts:
        literal = string_literal(text)
        assert literal.isascii()
        assert "??" not in literal
        plain = literal[1:-1].replace("\\?", "?").encode().decode("unicode_escape")
        assert plain.encode("latin-1") == text.encode("utf-8", "surrogateescape")


def test_literals_are_what_a_compiler_reads(tmp_path: Path) -> None:
    texts = [*WORDS, "".join(map(chr, range(1, 256))), "??/", "a\x01" + "7", "%s"]
    table = ", ".join(map(string_literal, texts))
    source = tmp_path / "t.c"
    source.write_text(
        f"extern const char *const t[]; const char *const t[] = {{{table}}};", encoding="ascii"
    )
    library = ctypes.CDLL(
        str(
            build_shared(
                [source], compiler=find_compiler(None), flags=STRICT, out=tmp_path / "t.so"
            )
        )
    )
    found = (ctypes.c_char_p * len(texts)).in_dll(library, "t")
    assert list(found) == [text.encode("utf-8", "surrogateescape") for text in texts]


def test_strings_are_written_so_that_they_read_back(tmp_path: Path) -> None:
    api.write_arrays(tmp_path / "s.npz", {"x": WORDS})
    assert api.read_arrays(tmp_path / "s.npz")["x"].tolist() == WORDS.tolist()


def test_types_that_only_steps_use_are_defined(tmp_path: Path) -> None:
    graph = Graph("inside")
    i = graph.add_input("i", TensorType(DType.I64, (2,)))
    table = graph.add_constant(np.array([1 + 2j, 3 - 4j, 5j], np.complex64))
    bits = apply(BitCast(DType.I64), apply(Gather(0), table, i))
    graph.set_outputs({"bits": bits})
    got = compiled(graph, tmp_path / "c", weights="file").run({"i": np.array([2, 0])})["bits"]
    assert got.view(np.complex64).tolist() == [5j, 1 + 2j]
