"""``dlc ops``: what operators there are."""

from __future__ import annotations

import click


@click.command(short_help="List core operators and supported ONNX operators.",
               epilog="Examples: dlc ops; dlc ops --missing; dlc ops | grep Resize")  # fmt: skip
@click.option(
    "--missing", is_flag=True, help="List the ONNX operators that cannot be compiled yet."
)
def command(missing: bool) -> None:
    """List the core operators, and how each ONNX operator is brought down to them.

    Of each ONNX operator: the operator sets that introduced or changed it; how it is compiled: by an
    expansion into core operators, by the function body onnx gives, or by the importer; and the types
    of its first operand in onnx's own tests that pass (docs/coverage.md has those that do not).
    """
    from dlc.importer.sequences import TAKEN_APART
    from dlc.ops.table import MISSING, core_table, onnx_table

    rows = onnx_table(TAKEN_APART)
    reached = sum(row.how != MISSING for row in rows)
    if missing:
        rows = [row for row in rows if row.how == MISSING]
    else:
        click.echo("Core operators:")
        for name, summary in core_table():
            click.echo(f"  {name:16} {summary}")
        click.echo("\nONNX operators:")
    cells = [("operator", "versions", "by", "types tested")]
    cells += [(r.label, " ".join(map(str, r.versions)), r.how, " ".join(r.dtypes)) for r in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(3)]
    for row in cells:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True))
        click.echo(f"  {line.rstrip()}")
    if not missing:
        click.echo(f"\n{reached} of {len(rows)} ONNX operators")
