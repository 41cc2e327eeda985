"""``dlc run``: run a model in C on arrays from a file."""

from __future__ import annotations

import click

from dlc.cli.options import model_options, notice, pipeline_options, progress


@click.command(
    short_help="Run a model in C on given inputs.",
    epilog="""\b
Examples:
  dlc run model.onnx --inputs x.npz --outputs y.npz
  dlc run model.onnx --inputs x.npz --dim N=1""",
)
@model_options
@pipeline_options(default="O2")
@click.option("--inputs", required=True, metavar="X.npz", help="Arrays by input name.")
@click.option("--outputs", metavar="Y.npz", help="Where to write the outputs, by name.")
def command(model: str, dims: dict[str, int], shapes: dict[str, tuple[int, ...]], pipeline: str,
            inputs: str, outputs: str | None) -> None:  # fmt: skip
    """Compile MODEL, run it on the arrays in --inputs, print a summary or write the outputs."""
    from dlc import api

    arrays = api.read_arrays(inputs)
    with progress("running") as stage:
        module = api.compile(
            model, dims=dims, shapes=shapes, passes=pipeline, notify=notice, stage=stage
        )
        results = module.tensors(arrays)
    if outputs is not None:
        api.write_arrays(outputs, results)
    for name, array in results.items():
        flat = array.ravel()
        shown = " ".join(
            f"{value:.6g}" if array.dtype.kind == "f" else str(value) for value in flat[:8]
        )
        more = " ..." if flat.size > 8 else ""
        click.echo(f"{name}: {array.dtype}[{','.join(map(str, array.shape))}] {shown}{more}")
