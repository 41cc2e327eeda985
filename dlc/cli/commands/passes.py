"""``dlc passes``: what passes there are."""

from __future__ import annotations

import click


@click.command(short_help="List the passes, or print one's page.",
               epilog="Examples: dlc passes; dlc passes fold-bn")  # fmt: skip
@click.argument("name", required=False)
def command(name: str | None) -> None:
    """List every pass with its first line and the named pipelines, or print the page of NAME."""
    import dataclasses
    import inspect

    from dlc.passmanager import PIPELINES, find_pass, known_passes

    if name is not None:
        chosen = find_pass(name)
        click.echo(f"{name}\n\n{inspect.getdoc(chosen)}")
        options = [f for f in dataclasses.fields(chosen) if f.init]  # type: ignore[arg-type]
        if options:
            click.echo("\nOptions:")
        for option in options:
            click.echo(f"  {option.name}: {option.type} = {option.default}")
        return
    for known, cls in known_passes().items():
        click.echo(f"{known:16} {(inspect.getdoc(cls) or '').splitlines()[0]}")
    click.echo("\nPipelines:")
    for label, text in PIPELINES.items():
        click.echo(f"  {label:8} {text}")
