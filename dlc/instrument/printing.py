"""The textual IR before, after and between passes, and how it differs."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from dlc.errors import DlcError
from dlc.ir.graph import Graph, Value
from dlc.ir.text import print_graph
from dlc.ir.text.printer import INLINE_LIMIT, Printer
from dlc.passmanager import Instrument, PassRecord
from dlc.rewrite.base import Pass

Write = Callable[[str], None]
EVERY = "*"
"""Stands for all passes where names of passes are asked for."""
_COLOURS = {"+": "\x1b[32m", "-": "\x1b[31m", "@": "\x1b[36m"}
_RESET = "\x1b[0m"


@dataclass
class PrintIR(Instrument):
    """Writes the graph around passes, each under a comment that says where.

    ``before_passes`` and ``after_passes`` are names of passes, or ``EVERY``.
    """

    write: Write
    before_passes: Collection[str] = ()
    after_passes: Collection[str] = ()
    after_change: bool = False
    after_failure: bool = False

    def before(self, step: Pass, graph: Graph) -> None:
        if {step.name, EVERY} & set(self.before_passes):
            self._print(f"before {step.name}", graph)

    def after(self, record: PassRecord, graph: Graph) -> None:
        asked = {record.name.partition("{")[0], EVERY} & set(self.after_passes)
        if asked or (self.after_change and record.changed):
            unchanged = "" if record.changed else " (unchanged)"
            self._print(f"after {record.name}{unchanged}", graph)

    def failed(self, step: Pass, graph: Graph, error: DlcError) -> None:
        if self.after_failure:
            self._print(f"after {step.name} failed", graph)

    def _print(self, when: str, graph: Graph) -> None:
        try:
            text = print_graph(graph)
        except Exception as error:  # a pass may leave what no printer can follow
            text = f"// cannot be printed: {type(error).__name__}: {error}\n"
        self.write(f"// ----- IR {when} -----\n{text}")


@dataclass
class Difference(Instrument):
    """Writes a unified diff of the textual IR for each pass that changed it.

    Values are named by the ids of their ops, which a rewrite keeps, and not in order: otherwise one
    op fewer would change every line after it. ``colour`` marks lines with ANSI escapes.
    """

    write: Write
    colour: bool = False
    context: int = 2
    _lines: list[str] = field(default_factory=list, repr=False)

    def before(self, step: Pass, graph: Graph) -> None:
        self._lines = stable_lines(graph)

    def after(self, record: PassRecord, graph: Graph) -> None:
        if not record.changed:
            return
        lines = stable_lines(graph)
        found = difflib.unified_diff(self._lines, lines, f"before {record.name}",
                                     f"after {record.name}", n=self.context, lineterm="")  # fmt: skip
        text = "\n".join(map(self._coloured, found))
        if text:
            self.write(f"{text}\n")

    def _coloured(self, line: str) -> str:
        colour = _COLOURS.get(line[:1]) if self.colour else None
        return f"{colour}{line}{_RESET}" if colour else line


class _StablePrinter(Printer):
    def name(self, value: Value, number: int) -> str:
        return f"%{value.op.id}" + (f".{value.index}" if len(value.op.results) > 1 else "")


def stable_lines(graph: Graph) -> list[str]:
    """The lines of a graph's text with values named by the ids of their ops."""
    return _StablePrinter(INLINE_LIMIT).print(graph).splitlines()
