"""Pages of passes and operators: complete, true, and as the generated files say."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlc import docs
from dlc.ir.text import parse_graph, print_graph
from dlc.passmanager import PassManager, find_pass, known_passes
from dlc.rewrite.documentation import Page, page_text

DOCS = Path(__file__).parents[2] / "docs"
OURS = [name for name, cls in known_passes().items() if cls.__module__.startswith("dlc.passes.")]


@pytest.mark.parametrize("name", sorted(docs.pages()))
def test_generated_pages_are_fresh(name: str) -> None:
    written = (DOCS / name).read_text("utf-8")
    assert written == docs.pages()[name], f"docs/{name} is stale; renew it with: python -m dlc.docs"


@pytest.mark.parametrize("name", OURS)
def test_every_pass_has_an_example_that_holds(name: str) -> None:
    page = Page.of(find_pass(name))
    assert page.summary.endswith(".")
    assert page.examples, f"the docstring of {name} has no Before: and After:"
    for example in page.examples:
        manager = PassManager.parse(name)
        assert print_graph(manager.run(parse_graph(example.before))) == example.after
        assert manager.report[0].changed


def test_a_page_has_all_a_pass_states() -> None:
    text = page_text(Page.of(find_pass("fuse-maps")))
    for part in ("fuse-maps\n", "max_size: int = ", "requires: core ops only", "before:", "after:"):
        assert part in text
    assert "Before:" not in text  # the examples are not repeated in the prose
