"""How results are shown: sizes and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlc.passmanager import PassManager


def kib(size: int) -> str:
    """Bytes as people read them, the exact count where it is short."""
    return f"{size} B" if size < 1024 else f"{size / 1024:.1f} KiB"


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
