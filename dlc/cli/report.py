"""How results are shown: sizes and tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlc.passmanager import PassManager


def kib(size: int) -> str:
    """Bytes as people read them, the exact count where it is short."""
    return f"{size} B" if size < 1024 else f"{size / 1024:.1f} KiB"


def print_table(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]], *,
                stderr: bool = True) -> None:  # fmt: skip
    """A table whose first column and texts are on the left, numbers on the right.

    As wide as it needs where nobody watches: a file has no edge.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, box=None, title_justify="left")
    for number, heading in enumerate(headings):
        left = not number or "," in heading
        table.add_column(heading, justify="left" if left else "right")
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console(stderr=stderr)
    if not console.is_terminal:
        console = Console(stderr=stderr, width=400)
    console.print(table)


def print_passes(manager: PassManager, stderr: bool = True) -> None:
    """A table of what each pass did."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="passes", box=None, title_justify="left")
    table.add_column("pass")
    for heading in ("ops before", "ops after", "ms"):
        table.add_column(heading, justify="right")
    for row in manager.report:
        table.add_row(
            row.name if row.changed else f"[dim]{row.name}[/dim]",
            str(row.ops_before), str(row.ops_after), f"{row.seconds * 1e3:.1f}",
        )  # fmt: skip
    Console(stderr=stderr).print(table)
