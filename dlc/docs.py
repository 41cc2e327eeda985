"""Pages generated from the code: ``python -m dlc.docs`` writes docs/passes.md and docs/ops.md."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from dlc.importer.sequences import TAKEN_APART
from dlc.ir.attributes import field_names
from dlc.ir.operator import Operator, registered_operators
from dlc.ops.core.operator import CoreOperator
from dlc.ops.table import BODY, EXPANSION, IMPORTER, MISSING, onnx_table
from dlc.passmanager import PIPELINES, known_passes
from dlc.rewrite.documentation import Page

_NOTICE = "<!-- written by python -m dlc.docs from the code; change the docstrings there -->"
_HOW = {EXPANSION: "expansion", BODY: "function body of ONNX", IMPORTER: "taken apart while reading",
        MISSING: "not yet"}  # fmt: skip


def pages() -> dict[str, str]:
    """The text of each generated page, by file name."""
    return {"passes.md": passes_page(), "ops.md": ops_page()}


def passes_page() -> str:
    """All passes of dlc itself, with their options, contracts and examples."""
    found = [
        Page.of(cls) for cls in known_passes().values() if cls.__module__.startswith("dlc.passes.")
    ]
    lines = ["# Passes", "", _NOTICE, "",
             "How to write one: [writing_a_pass.md](writing_a_pass.md). The same pages: `dlc passes NAME`.", "",
             "| pass | what it does |", "|---|---|"]  # fmt: skip
    lines += [f"| [{page.name}](#{page.name}) | {_cell(page.summary)} |" for page in found]
    lines += ["", "## Pipelines", "", "| name | passes |", "|---|---|"]
    lines += [f"| `{name}` | `{text}` |" for name, text in PIPELINES.items()]
    for page in found:
        lines += ["", *_pass_section(page)]
    return "\n".join(lines) + "\n"


def _pass_section(page: Page) -> Iterator[str]:
    yield from (f"## {page.name}", "", page.summary)
    if page.text:
        yield from ("", page.text.replace("``", "`"))
    yield ""
    yield from (f"- {name}: {text}" for name, text in page.facts)
    if page.options:
        yield from ("", "| option | type | default |", "|---|---|---|")
        yield from (f"| `{o.name}` | `{_cell(o.type)}` | `{o.default}` |" for o in page.options)
    for example in page.examples:
        for when in ("before", "after"):
            yield from (
                "",
                f"{when.capitalize()}:",
                "",
                "```mlir",
                getattr(example, when).rstrip(),
                "```",
            )


def ops_page() -> str:
    """The core operators, and how each ONNX operator is brought down to them."""
    rows = onnx_table(TAKEN_APART)  # imports every operator
    lines = ["# Operators", "", _NOTICE, "", "## Core operators", ""]
    for name, cls in registered_operators().items():
        if issubclass(cls, CoreOperator) and cls.__module__.startswith("dlc."):
            lines += [f"### {name}", "", *_operator_section(cls), ""]
    reached = sum(row.how != MISSING for row in rows)
    lines += ["## ONNX operators", "", f"{reached} of {len(rows)} can be compiled.", "",
              "| operator | by |", "|---|---|"]  # fmt: skip
    lines += [f"| {row.label} | {_HOW[row.how]} |" for row in rows]
    return "\n".join(lines) + "\n"


def _operator_section(cls: type[Operator]) -> Iterator[str]:
    text = (inspect.getdoc(cls) or "").replace("``", "`")
    yield re.sub(r"^(C\d+): ", r"- \1: ", text, flags=re.MULTILINE)  # constraints: one a line
    names = field_names(cls)
    if names:
        yield ""
        yield "Attributes: " + ", ".join(f"`{name}`" for name in names) + "."


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main(folder: str = "docs") -> None:
    """Write the pages into a folder."""
    for name, text in pages().items():
        Path(folder, name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
