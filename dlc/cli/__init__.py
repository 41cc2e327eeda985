"""The command line: one file a command in ``dlc.cli.commands``, found by its name."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys

import click

import dlc
from dlc.cli import commands
from dlc.errors import DlcError


class Commands(click.Group):
    """Finds ``dlc NAME`` in the module ``dlc.cli.commands.NAME``, imported only when needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules(commands.__path__))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"{commands.__name__}.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            near = difflib.get_close_matches(args[0], self.list_commands(ctx), 3, 0.5)
            hint = f"; did you mean {' or '.join(near)}?" if near else "; see dlc --help"
            raise click.UsageError(error.message.rstrip(".") + hint, ctx) from None


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: dlc demo",
)
@click.version_option(dlc.__version__, prog_name="dlc")
def cli() -> None:
    """Trained neural networks (ONNX) to plain C99 with a static arena."""


def main(args: list[str] | None = None) -> None:
    """Entry point: mistakes end in one sentence on stderr and exit code 2."""
    try:
        code = cli.main(args=args, prog_name="dlc", standalone_mode=False)
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.ClickException as error:
        code = _complain(error.format_message())
    except DlcError as error:
        code = _complain(str(error))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        code = _complain(f"{where}{error.strerror or error}")
    except (KeyboardInterrupt, click.Abort):
        code = _complain("interrupted")
    sys.exit(code if isinstance(code, int) else 0)


def _complain(sentence: str) -> int:
    click.echo(f"dlc: error: {' '.join(sentence.split())}", err=True)
    return 2
