"""Regular expressions as tables of bytes, against Python's own matching."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from backend_support import compiled as built
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dlc.errors import UnsupportedError
from dlc.interp import run
from dlc.ir.graph import Graph
from dlc.ir.types import DType, TensorType
from dlc.ops.automata import compiled
from dlc.ops.build import apply, constant
from dlc.ops.core.regex_match import RegexMatch

ATOMS = st.sampled_from([
    "a", "b", ".", "[ab]", "[^a]", "[^\\w]", r"\w", r"\W", r"\d", r"\s", "é", "[α-ω]", "日", "^", "$", r"\b",
    r"\B", "[-a.]", r"\.", "_", r"[\d-é]",
])  # fmt: skip
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"({'|'.join(parts)})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{2,}", "*?"])).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        ),
    ),
    max_leaves=6,
)
TEXTS = st.text(st.sampled_from("ab.-_ 1é\nλ日𝄞"), max_size=6)


@given(PATTERNS, st.lists(TEXTS, max_size=6))
@settings(deadline=None, max_examples=300)
def test_what_matches_is_what_python_matches(pattern: str, texts: list[str]) -> None:
    try:
        own = re.compile(pattern, re.ASCII)
    except re.error:
        assume(False)
    automaton = compiled(pattern)
    for text in texts:
        # Python's $ also stands before a last line end, and its \\B not in an empty string
        if ("$" in pattern and text.endswith("\n")) or ("\\B" in pattern and not text):
            continue
        assert automaton.matches(text.encode()) == bool(own.fullmatch(text)), (pattern, text)


@pytest.mark.parametrize("pattern", [
    r"(a)\1", "(?=a)b", "(?i)a", "(", "a" * 30_000, "(?:a|b)*a(?:a|b){14}", "(a{999}){999}", "(?P<n>a)(?P=n)", "[[:alpha:]]",
])  # fmt: skip
def test_what_has_no_table_is_refused(pattern: str) -> None:
    with pytest.raises(UnsupportedError):
        compiled(pattern)


def test_strings_match_in_c(tmp_path: Path) -> None:
    texts = np.array(
        [["account@gmail.com", "x@hotmail.com", ""], ["é@yahoo.com", "@yahoo.com", "é"]], object
    )
    graph = Graph("matches")
    x = graph.add_input("x", TensorType(DType.STRING, texts.shape))
    outputs = {}
    for name, pattern in (
        ("mail", r"(\W|^)[\w.\-]{0,25}@(yahoo|gmail)\.com(\W|$)"),
        ("one", "."),
        ("none", ""),
    ):
        table = compiled(pattern)
        parts = [constant(x, part) for part in (table.kind, table.next, table.accepts)]
        outputs[name] = apply(RegexMatch(pattern), x, *parts)
    graph.set_outputs(outputs)
    got, want = built(graph, tmp_path / "c").run({"x": texts}), run(graph, {"x": texts})
    for name in outputs:
        np.testing.assert_array_equal(got[name], want[name])
    assert got["mail"].tolist() == [[True, False, False], [True, True, False]]
    assert got["one"].tolist() == [[False, False, False], [False, False, True]]
    assert got["none"].tolist() == [[False, False, True], [False, False, False]]
