"""``dlc passes``: what passes there are."""

from __future__ import annotations

import click


@click.command(short_help="List the passes, or print one's page.",
               epilog="Examples: dlc passes; dlc passes fold-bn; dlc passes my-pass --load my_pass.py")  # fmt: skip
@click.argument("name", required=False)
@click.option(
    "--load",
    "plugins",
    multiple=True,
    type=click.Path(),
    metavar="FILE.py",
    help="Load passes of your own first.",
)
def command(name: str | None, plugins: tuple[str, ...]) -> None:
    """List every pass with its first line and the named pipelines, or print the page of NAME."""
    from dlc.passmanager import PIPELINES, find_pass, known_passes, load_file
    from dlc.rewrite.documentation import Page, first_line, page_text

    for plugin in plugins:
        load_file(plugin)
    if name is not None:
        click.echo(page_text(Page.of(find_pass(name))), nl=False)
        return
    passes = known_passes()
    width = max(map(len, passes))
    for known, cls in passes.items():
        click.echo(f"{known:{width}}  {first_line(cls)}")
    click.echo("\nPipelines:")
    for label, text in PIPELINES.items():
        click.echo(f"  {label:8} {text}")
