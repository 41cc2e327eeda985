"""``dlc opt``: rewrite a graph with passes."""

from __future__ import annotations

import click

from dlc.cli.options import model_options, notice, pipeline_options
from dlc.cli.proving import Proof, proving_options
from dlc.cli.watch import Watch, WatchCommand, watch_options


@click.command(
    cls=WatchCommand,
    short_help="Rewrite a model with passes.",
    epilog="""\b
Examples:
  dlc opt model.onnx --pass=fold-bn,fuse-conv-relu -o smaller.onnx
  dlc opt model.onnx --pass=fold-constants,expand-ops     (textual IR on standard output)
  dlc opt model.onnx -O2 -o planned.dlc
  dlc opt model.onnx --pass=fold-bn,cse --check=5 -o checked.onnx
  dlc opt --run-reproducer dlc-reproducer.dlc
  cat graph.dlc | dlc opt - --pass=cse,dce -o -""",
)
@model_options
@pipeline_options(default="")
@proving_options
@watch_options
@click.option(
    "-o",
    "--output",
    default="-",
    metavar="OUT",
    help="Where to write: .onnx, .dlc or - (textual IR on standard output, the default).",
)
@click.option("--inline", is_flag=True, help="Write every constant into the text.")
@click.option("--report", is_flag=True, help="Print what each pass did on standard error.")
def command(model: str, dims: dict[str, int], shapes: dict[str, tuple[int, ...]], pipeline: str,
            proof: Proof, output: str, inline: bool, report: bool, watch: Watch) -> None:  # fmt: skip
    """Read MODEL (.onnx, .dlc, or - for text on standard input), run passes, write the result."""
    from dlc import api
    from dlc.passmanager import PassManager

    graph = api.load(model, dims=dims, shapes=shapes, notify=notice)
    manager = PassManager.parse(pipeline)
    with watch.watching(manager):
        graph = proof.run(manager, graph)
    if report:
        from dlc.cli.report import print_passes

        print_passes(manager)
    if output == "-":
        from dlc.ir.text import print_graph

        click.echo(
            print_graph(graph, inline_limit=None) if inline else print_graph(graph), nl=False
        )
    else:
        api.save(graph, output, inline=inline)
