"""Names from hostile models become harmless C."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from backend_support import STRICT, compiled, emitted
from hypothesis import given
from hypothesis import strategies as st

from dlc.backends.c99 import build
from dlc.backends.c99.names import Names, comment, identifier
from dlc.backends.c99.toolchain import available_compilers
from dlc.ir.graph import Graph
from dlc.ir.types import DType, TensorType
from dlc.ops.build import map_

HOSTILE = [
    "*/ int main(void){return 1;} /*", "a\nb", "a\r\n#error x", "??/", "x\\", "x\\\n", "\u00e9\u2028",
    "int", "class", "_Bool", "__x", "_X", "123", "", "  ", "a" * 500, "x.1", "x/1", "x:1", '"', "'",
    "in", "out", "arena", "mem", "acc", "weights", "memcpy", "errno", "linux", "NULL", "INT32_MAX",
    "\0", "%s", "${X}", "$(x)", "dlc_exp_f32", "uint8_t", "t0", "i", "\ud800", "x", "X",
]  # fmt: skip


@given(st.text() | st.sampled_from(HOSTILE))
def test_an_identifier_is_short_lower_case_and_no_keyword(text: str) -> None:
    name = identifier(text)
    assert re.fullmatch(r"[a-z][a-z0-9_]{0,57}", name)
    assert name not in ("int", "class", "errno", "linux", "main")
    assert "__" not in name


@given(st.lists(st.text(max_size=4) | st.sampled_from(HOSTILE), max_size=60))
def test_names_do_not_collide(texts: list[str]) -> None:
    names = Names(["x", "in"])
    given = [names.new(text) for text in texts]
    assert len({*given, "x", "in"}) == len(given) + 2
    assert all(re.fullmatch(r"[a-z]\w*", name, re.ASCII) for name in given)


@given(st.text() | st.sampled_from(HOSTILE) | st.text(alphabet="*/?\\\n", max_size=30))
def test_a_comment_stays_one(text: str) -> None:
    safe = comment(text)
    assert all(" " <= c <= "~" for c in safe)
    for bad in ("*/", "/*", "??", "\\"):
        assert bad not in safe


def hostile_graph(names: list[str]) -> Graph:
    """Every name as the name of the model, of inputs, outputs, labels and constants."""
    graph = Graph("".join(names)[:60])
    outputs = []
    for index, name in enumerate(names):
        x = graph.add_input(name, TensorType(DType.F32, (2,)))
        weight = graph.add_constant(np.array([index, 1], np.float32), name)
        with graph.labelled(name):
            outputs.append((name, map_("exp(a0 * a1)", x, weight)))
    graph.set_outputs(outputs)
    return graph


@pytest.mark.parametrize("compiler", available_compilers(), ids=lambda c: c.family)
def test_hostile_names_compile_and_run(compiler: object, tmp_path: Path) -> None:
    flags = (
        ("-std=c99", "-Wall", "-Werror") if compiler.family == "tcc" else (*STRICT, "-Wtrigraphs")
    )  # type: ignore[attr-defined]
    module = compiled(hostile_graph(HOSTILE), tmp_path / "c", flags, compiler)
    given = {name: np.zeros(2, np.float32) for name in HOSTILE}
    got = module.run(given)
    assert all(got[name].tolist() == [1, 1] for name in HOSTILE)


def test_emitted_text_is_ascii_without_splices_and_trigraphs(tmp_path: Path) -> None:
    folder = emitted(hostile_graph(HOSTILE), tmp_path / "c")
    for file in ("model.c", "model.h", "weights.c", "weights.h", "selftest.c", "CMakeLists.txt"):
        text = (folder / file).read_bytes().decode("ascii")
        assert "??" not in text
        assert "\r" not in text
        assert not re.search(r"\\$", text, re.MULTILINE)


def test_a_model_may_be_called_anything(tmp_path: Path) -> None:
    for index, name in enumerate(HOSTILE[:20]):
        graph = Graph(name)
        x = graph.add_input("x", TensorType(DType.F32, (1,)))
        graph.set_outputs({"y": map_("a0 + 1.0", x)})
        module = build(emitted(graph, tmp_path / str(index)), flags=STRICT)
        assert module.run({"x": np.ones(1, np.float32)})["y"].tolist() == [2]
