"""``dlc ops``: what operators there are."""

from __future__ import annotations

import click


@click.command(short_help="List core operators and supported ONNX operators.",
               epilog="Examples: dlc ops; dlc ops --missing")  # fmt: skip
@click.option(
    "--missing", is_flag=True, help="List the ONNX operators that cannot be compiled yet."
)
def command(missing: bool) -> None:
    """List the core operators, and how each ONNX operator is brought down to them."""
    from dlc.ops.table import core_table, onnx_table

    rows = onnx_table()
    if missing:
        for row in rows:
            if row.how == "-":
                click.echo(row.name)
        return
    click.echo("Core operators:")
    for name, summary in core_table():
        click.echo(f"  {name:16} {summary}")
    click.echo("\nONNX operators (e: expansion, b: through onnx's function body, -: not yet):")
    for row in rows:
        click.echo(f"  {row.how} {row.name}")
    click.echo(f"\n{sum(r.how != '-' for r in rows)} of {len(rows)} ONNX operators")
