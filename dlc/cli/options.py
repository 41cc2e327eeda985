"""Options several commands share, and the values they take."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click

_INTEGER = re.compile(r"-?[0-9]{1,18}")
Function = TypeVar("Function", bound=Callable[..., Any])


def _dims(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> dict[str, int | None]:
    dims: dict[str, int | None] = {}
    for value in values:
        name, equals, size = value.rpartition("=")
        if not equals or not (size == "none" or _INTEGER.fullmatch(size)):
            raise click.BadParameter(f"{value!r} is not NAME=SIZE, as in --dim N=1")
        dims[name] = None if size == "none" else int(size)
    return dims


def _maxima(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> dict[str, int | None]:
    found = _dims(ctx, param, values)
    for name, size in found.items():
        if size is None or size < 1:
            raise click.BadParameter(f"the most that {name!r} can be is a number from 1 on")
    return found


def _shapes(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> dict[str, tuple[int, ...]]:
    shapes = {}
    for value in values:
        name, equals, text = value.rpartition("=")
        parts = text.split("x") if text else []
        if not equals or not all(part.isdigit() for part in parts):
            raise click.BadParameter(f"{value!r} is not INPUT=SHAPE, as in --shape x=1x3x224x224")
        shapes[name] = tuple(map(int, parts))
    return shapes


def model_options(function: Function) -> Function:
    """``MODEL --dim --shape``: passed on as ``model, dims, shapes``."""
    return click.argument("model")(dim_options(function))


def dim_options(function: Function) -> Function:
    """``--dim --max --shape``: passed on as ``dims, shapes``."""

    @functools.wraps(function)
    def bounded(*args: Any, dims: dict[str, Any], maxima: dict[str, int], **kwargs: Any) -> Any:
        from dlc.ir.sizes import AtMost

        most = {name: AtMost(size) for name, size in maxima.items()}
        return function(*args, dims={**dims, **most}, **kwargs)

    decorated: Function = bounded  # type: ignore[assignment]
    for decorate in (
        click.option("--shape", "shapes", multiple=True, callback=_shapes, metavar="INPUT=1x3x224x224",
                     help="Fix the whole shape of an input."),
        click.option("--max", "maxima", multiple=True, callback=_maxima, metavar="NAME=SIZE",
                     help="Leave a symbolic dimension open up to a size; also what bounds a node's run-time "
                          "size (NODE=SIZE, or any=SIZE)."),
        click.option("--dim", "dims", multiple=True, callback=_dims, metavar="NAME=SIZE",
                     help="Fix a symbolic dimension of the inputs, the length of an input sequence, "
                          "or the value of an input of one integer (none: an optional without one)."),
    ):  # fmt: skip
        decorated = decorate(decorated)
    return decorated


def pipeline_options(default: str) -> Callable[[Function], Function]:
    """``--pass``, ``-O0 ... -Os``, ``--load``: passed on as one ``pipeline`` text.

    ``--dump-pipeline`` prints that, named pipelines written out, and ends the command.
    """

    def read_flag(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
        if value is not None and value not in ("0", "1", "2", "s"):
            raise click.BadParameter("the levels are -O0, -O1, -O2 and -Os")
        return value

    def decorate(function: Function) -> Function:
        import functools

        @functools.wraps(function)
        def call(*args: Any, passes: str | None, level: str | None, plugins: tuple[str, ...],
                 dump: bool, **kwargs: Any) -> Any:  # fmt: skip
            if passes is not None and level is not None:
                raise click.UsageError("give either --pass or a level -O0 -O1 -O2 -Os, not both")
            if plugins:
                from dlc.passmanager import load_file

                for plugin in plugins:
                    load_file(plugin)
            pipeline = passes if passes is not None else f"O{level}" if level else default
            if level and str(kwargs.get("output")).endswith(".onnx"):
                from dlc.passmanager import for_onnx

                pipeline = for_onnx(pipeline)  # other runtimes know the named ops, not ours
            if dump:
                from dlc.passmanager import PassManager

                click.echo(str(PassManager.parse(pipeline)))
                return None
            return function(*args, pipeline=pipeline, **kwargs)

        for option in (
            click.option("--dump-pipeline", "dump", is_flag=True,
                         help="Print the pipeline with named ones written out, and stop."),
            click.option("--load", "plugins", multiple=True, type=click.Path(), metavar="FILE.py",
                         help="Load passes and operators of your own first."),
            click.option("-O", "level", callback=read_flag, metavar="0|1|2|s",
                         help="A named pipeline: -O0, -O1, -O2 or -Os (into .onnx: onnx)."),
            click.option("--pass", "--passes", "--pass-pipeline", "passes",
                         metavar="A,B{option=1},C(D,E)",
                         help="Passes in order, named pipelines (mcu, server) and groups of them "
                              "repeated until nothing changes (see dlc passes)."),
        ):  # fmt: skip
            call = option(call)
        return call  # type: ignore[return-value]

    return decorate


def notice(text: str) -> None:
    """A remark for the user that is not part of the output."""
    click.echo(f"dlc: note: {text}", err=True)


@contextlib.contextmanager
def progress(title: str) -> Iterator[Callable[[str], None]]:
    """A spinner on stderr that names the stage under way; silent when stderr is no terminal."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status(title) as status:
        yield lambda stage: status.update(f"{title}: {stage}")
