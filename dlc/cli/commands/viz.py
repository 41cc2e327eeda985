"""``dlc viz``: a picture of a graph."""

from __future__ import annotations

import click

from dlc.cli.options import model_options, notice, pipeline_options


@click.command(
    short_help="Draw a model's graph, before and after passes.",
    epilog="""\b
Examples:
  dlc viz model.onnx -o model.svg
  dlc viz model.onnx -o fused.svg --pass=expand-ops,fuse-conv-relu   (before and after)
  dlc viz model.onnx -o model.dot""",
)
@model_options
@pipeline_options(default="")
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="G.svg",
    help="The picture to write: .svg, .dot, or (with graphviz) .png, .pdf.",
)
@click.option("--plain", is_flag=True, help="Draw without graphviz even if it is installed.")
def command(model: str, dims: dict[str, int], shapes: dict[str, tuple[int, ...]], pipeline: str,
            output: str, plain: bool) -> None:  # fmt: skip
    """Draw MODEL; with passes, the graphs before (gone ops red) and after them (new ops green)."""
    from dlc import api, viz
    from dlc.passmanager import PassManager

    graph = api.load(model, dims=dims, shapes=shapes, notify=notice)
    graphs = [(graph.name, graph)]
    if pipeline:
        manager = PassManager.parse(pipeline)
        graphs = [("before", graph), (f"after {pipeline}", manager.run(graph))]
    viz.render(graphs, output, plain=plain, notify=notice)
