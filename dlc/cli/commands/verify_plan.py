"""``dlc verify-plan``: check the memory plan of an emitted folder."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Check the memory plan of a compiled folder.",
               epilog="Example: dlc verify-plan lenet_c")  # fmt: skip
@click.argument("folder", type=click.Path(path_type=Path))
def command(folder: Path) -> None:
    """Replay the steps of FOLDER byte range by byte range, independently of the planner."""
    from dlc.plan.check import verify_plan

    click.echo(str(verify_plan(folder)))
