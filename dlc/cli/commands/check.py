"""``dlc check``: whether the C agrees with onnxruntime."""

from __future__ import annotations

import sys

import click

from dlc.cli.options import model_options, notice, pipeline_options, progress


@click.command(
    short_help="Compare the C with onnxruntime (or the interpreter).",
    epilog="""\b
Examples:
  dlc check model.onnx
  dlc check model.onnx --inputs x.npz --rtol 1e-4
  dlc check model.onnx --runs 5 --dim N=4

Exit code 0: they agree; 1: they differ (the worst element is printed); 2: an error.""",
)
@model_options
@pipeline_options(default="O2")
@click.option("--inputs", metavar="X.npz", help="Arrays by input name (default: random, seeded).")
@click.option("--rtol", default=1e-3, show_default=True, help="Relative tolerance.")
@click.option("--atol", default=1e-5, show_default=True, help="Absolute tolerance.")
@click.option(
    "--rtol-max",
    default=1e-4,
    show_default=True,
    help="Tolerance relative to the tensor's largest magnitude; 0: element by element only.",
)
@click.option(
    "--runs", default=1, show_default=True, type=click.IntRange(1), help="Random inputs to try."
)
@click.option("--seed", default=0, show_default=True, help="Seed of the random inputs.")
def command(model: str, dims: dict[str, int], shapes: dict[str, tuple[int, ...]], pipeline: str,
            inputs: str | None, rtol: float, atol: float,
            rtol_max: float, runs: int, seed: int) -> None:  # fmt: skip
    """Compile MODEL and compare every output with onnxruntime, or with dlc's interpreter."""
    from dlc import api
    from dlc.cli.report import kib

    with progress("checking") as stage:
        report = api.check(
            model, inputs=api.read_arrays(inputs) if inputs else None, dims=dims, shapes=shapes,
            passes=pipeline, rtol=rtol, atol=atol, rtol_max=rtol_max, runs=runs, seed=seed, notify=notice, stage=stage,
        )  # fmt: skip
    for line in report.lines():
        click.echo(line)
    click.echo(
        f"arena {kib(report.arena_bytes)}, lower bound {kib(report.lower_bound)}, "
        f"{kib(report.peak_bytes_with_io)} with the caller's inputs and outputs"
    )
    sys.exit(0 if report.ok else 1)
