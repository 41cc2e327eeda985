"""``dlc reduce``: the smallest model and pipeline that still fail."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dlc.cli.options import model_options, notice
from dlc.cli.proving import Proof, checking_options

if TYPE_CHECKING:
    from dlc.ir.graph import Graph
    from dlc.prove import Recipe, Reduction


@click.command(
    short_help="Shrink a model and a pipeline that fail.",
    epilog="""\b
Examples:
  dlc reduce dlc-reproducer.dlc -o small.dlc             (what dlc opt wrote when a pass failed)
  dlc reduce model.onnx --test-pass=fold-bn,my-pass --load=my_pass.py --check
  dlc reduce model.onnx --test 'python still_wrong.py {}' -o small.onnx
  dlc reduce model.onnx --pass=O2 --test 'sh crashes.sh {} {pipeline}'""",
)
@model_options
@click.option(
    "--test",
    "command",
    metavar="CMD",
    help="A command; exit code 0 says that the model in the file {} is of interest. "
    "{pipeline} stands for the pipeline.",
)
@click.option(
    "--pass", "--passes", "pipeline", metavar="PIPELINE", help="The pipeline to shrink with --test."
)
@click.option(
    "--test-pass",
    metavar="PIPELINE",
    help="Keep what makes the same pass of this pipeline fail in the same way.",
)
@click.option(
    "--load",
    "plugins",
    multiple=True,
    type=click.Path(),
    metavar="FILE.py",
    help="Load passes and operators of your own first.",
)
@click.option(
    "--timeout", default=60.0, show_default=True, help="Seconds a --test command may take."
)
@click.option(
    "-o",
    "--output",
    metavar="OUT",
    help="Where to write: .onnx or .dlc (default: reduced, of MODEL's kind).",
)
@checking_options
def command(model: str, dims: dict[str, int], shapes: dict[str, tuple[int, ...]], command: str | None,
            pipeline: str | None, test_pass: str | None, plugins: tuple[str, ...], timeout: float,
            output: str | None, proof: Proof) -> None:  # fmt: skip
    """Shrink MODEL (.onnx or .dlc) by delta debugging, as long as it still fails.

    Ops, outputs, inputs, constants, dims and passes go one after another. Without --test and
    --test-pass MODEL is a reproducer, whose header says what to run.
    """
    from dlc import api
    from dlc.passmanager import PassManager, load_file
    from dlc.prove import Recipe, TestCommand, read_recipe, reduce_failure, reduce_model

    if command is not None and test_pass is not None:
        raise click.UsageError("give either --test or --test-pass, not both")
    suffix = Path(model).suffix if Path(model).suffix in (".onnx", ".dlc") else ".dlc"
    target = Path(output or f"reduced{suffix}")
    if target.suffix not in (".onnx", ".dlc"):
        raise click.UsageError(f"-o {target}: the suffix says the format; use .onnx or .dlc")
    for plugin in plugins:
        load_file(plugin)
    recipe = Recipe(test_pass or pipeline or "", proof.runs, proof.seed, proof.inputs, proof.verify)
    if command is None and test_pass is None:
        found = read_recipe(model)
        recipe = Recipe(
            pipeline or found.pipeline, proof.runs or found.check, proof.seed or found.seed,
            proof.inputs or found.inputs, proof.verify and found.verify,
        )  # fmt: skip
    needs = " ".join(f"--load={plugin}" for plugin in plugins)
    graph = api.load(model, dims=dims, shapes=shapes, notify=notice)
    with reducing() as progress:
        if command is not None:
            test = TestCommand(command, suffix=suffix, timeout=timeout)
            reduction, reason = reduce_model(graph, recipe.pipeline, test, progress=progress), ""
            recipe = Recipe(reduction.pipeline, needs=needs)
        else:
            checker = Proof(recipe.verify, recipe.check, recipe.inputs, recipe.seed).checker()
            reduction, failure = reduce_failure(
                graph, PassManager.parse(recipe.pipeline).steps, checker, verify=recipe.verify, progress=progress
            )  # fmt: skip
            reason = str(failure.error)
            check = recipe.check if failure.kind == "meaning" else 0
            recipe = Recipe(reduction.pipeline, check, recipe.seed, recipe.inputs if check else None,
                            recipe.verify, needs)  # fmt: skip
    _write(reduction.graph, target, recipe, reason)
    _report(reduction, target, reason)


def _write(graph: Graph, target: Path, recipe: Recipe, reason: str) -> None:
    from dlc import api

    if target.suffix == ".dlc":
        from dlc.ir.text import save

        save(graph, target, inline=True, header=recipe.header(reason) if recipe.pipeline else "")
    else:
        api.save(graph, target)


def _report(reduction: Reduction, target: Path, reason: str) -> None:
    plural = "" if reduction.ops == 1 else "s"
    shown = f", --pass={reduction.pipeline}" if reduction.pipeline else ""
    click.echo(f"{target}: {reduction.ops} op{plural}{shown} ({reduction.tests} tests)")
    if reason:
        click.echo(reason)


@contextlib.contextmanager
def reducing() -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr of the ops that have gone; silent when stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda *_: None
        return
    columns = TextColumn("reducing"), BarColumn(), TextColumn("{task.description}")
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        largest = 0

        def show(ops: int, tests: int) -> None:
            nonlocal largest
            largest = max(largest, ops)
            bar.update(task, total=largest, completed=largest - ops,
                       description=f"{ops} ops left, {tests} tests")  # fmt: skip

        yield show
