"""``dlc compile``: a model to a folder of C."""

from __future__ import annotations

import click

from dlc.cli.options import model_options, notice, pipeline_options, progress


@click.command(
    short_help="Compile a model to a folder of C99.",
    epilog="""\b
Examples:
  dlc compile lenet.onnx -o lenet_c
  dlc compile model.onnx -o out --dim N=1 --name detector
  dlc compile resnet50.onnx -o out --weights=file
  dlc compile model.onnx -o out --shape input=1x3x224x224 --memory=heap""",
)
@model_options
@pipeline_options(default="O2")
@click.option("-o", "--output", required=True, metavar="DIR", help="The folder to write.")
@click.option("--name", help="Prefix of every C name (default: the model file's name).")
@click.option(
    "--weights",
    type=click.Choice(["auto", "c", "file"]),
    default="auto",
    help="Weights as C arrays, as one binary file, or (auto) by their size.",
)
@click.option(
    "--memory",
    type=click.Choice(["arena", "heap"]),
    default="arena",
    help="One static arena, or malloc with free after last use.",
)
@click.option(
    "--backend",
    default="c99",
    show_default=True,
    metavar="NAME",
    help="What writes the folder: c99, a plugin's, or one of a file given to --load.",
)
def command(model: str, dims: dict[str, int], shapes: dict[str, tuple[int, ...]], pipeline: str,
            output: str, name: str | None, weights: str, memory: str, backend: str) -> None:  # fmt: skip
    """Write MODEL as a self-contained folder: model.c, model.h, weights, kernels, a self-test."""
    from dlc import api
    from dlc.cli.report import kib

    with progress("compiling") as stage:
        folder, program = api.emit(
            model, output, dims=dims, shapes=shapes, passes=pipeline, name=name,
            weights=weights, memory=memory, backend=backend, notify=notice, stage=stage,
        )  # fmt: skip
    click.echo(
        f"{folder}: {len(program.steps)} steps, arena {kib(program.arena_bytes)} "
        f"(lower bound {kib(program.lower_bound)}; {kib(program.peak_bytes_with_io)} with the "
        f"caller's inputs and outputs)"
    )
