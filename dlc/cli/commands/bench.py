"""``dlc bench``: how fast is the C, beside others and beside what the machine can do."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dlc.cli.options import dim_options, notice, pipeline_options, progress
from dlc.errors import DlcError, InputError

if TYPE_CHECKING:
    from dlc.bench import Report


@click.command(
    short_help="Time the C beside onnxruntime and OpenVINO, or compare devices.",
    epilog="""\b
Examples:
  dlc bench model.onnx
  dlc bench *.onnx --vs onnxruntime,openvino --json here.json --plot here.png
  dlc bench model.onnx --layers --vs none
  dlc bench --compare laptop.json board.json

Exit code 0: all measured; 1: some models were left out; 2: an error.""",
)
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@dim_options
@pipeline_options(default="O2")
@click.option(
    "--vs",
    metavar="NAME,...",
    help="Peers: onnxruntime, openvino, or none (default: those that are installed).",
)
@click.option(
    "--threads",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="Threads of the peers, and cores all are pinned to.",
)
@click.option(
    "--runs", default=30, show_default=True, type=click.IntRange(1), help="Runs of each, in turns."
)
@click.option("--layers", is_flag=True, help="Time every step of the C, too.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Write all figures, raw seconds included.",
)
@click.option(
    "--csv", "csv_file", type=click.Path(dir_okay=False), metavar="FILE", help="Write the tables."
)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False),
    metavar="FILE.png|svg",
    help="Draw bars, roofline and layers (pip install 'dlc[bench]').",
)
@click.option(
    "--measure-peak",
    "again",
    is_flag=True,
    help="Measure this machine's peak again (it is kept once measured).",
)
@click.option(
    "--compare",
    "comparing",
    is_flag=True,
    help="MODEL... are --json files of several devices: put them side by side.",
)
def command(models: tuple[str, ...], dims: dict[str, int], shapes: dict[str, tuple[int, ...]],
            pipeline: str, vs: str | None, threads: int, runs: int, layers: bool,
            json_file: str | None, csv_file: str | None, plot: str | None, again: bool,
            comparing: bool) -> None:  # fmt: skip
    """Compile each MODEL and time it beside its peers, in turns, in one process on pinned cores."""
    for path in (json_file, csv_file, plot):
        if path is not None and not Path(path).absolute().parent.is_dir():
            raise InputError(f"{path}: there is no folder {Path(path).parent}")
    if plot is not None:
        from dlc.bench.plots import check_plot

        check_plot(plot)
    if comparing:
        if json_file is not None:
            raise click.UsageError("--compare reads --json files; it writes --csv and --plot")
        _compare(models, csv_file, plot)
        return
    from dlc.backends.c99.toolchain import find_compiler
    from dlc.bench import Report, bench_model, find_peer, installed_peers, measured_peak
    from dlc.bench.peak import this_machine

    names = installed_peers() if vs is None else [n for n in vs.split(",") if n and n != "none"]
    peers = [find_peer(name) for name in dict.fromkeys(names)]
    compiler, machine, results = find_compiler(), this_machine(), []
    with progress("benchmark") as stage:
        stage("measuring this machine's peak")
        peak = measured_peak(threads, compiler, fresh=again)
        for model in models:
            try:
                results.append(bench_model(
                    model, peers, threads=threads, runs=runs, passes=pipeline, dims=dims, shapes=shapes,
                    compiler=compiler, layers=layers, notify=notice, stage=stage,
                ))  # fmt: skip
            except DlcError as error:
                if len(models) == 1:
                    raise
                notice(f"{model} is left out: {error}")
    if not results:
        raise InputError("none of the models could be measured")
    report = Report(machine, str(compiler), pipeline, threads, runs, peak, tuple(results))
    _show(report)
    if json_file is not None:
        report.write(json_file)
    if csv_file is not None:
        from dlc.bench.report import write_csv

        write_csv(report, csv_file)
    if plot is not None:
        from dlc.bench.plots import plot_report

        plot_report(report, plot)
    sys.exit(0 if len(results) == len(models) else 1)


def _show(report: Report) -> None:
    from dlc.bench.report import layer_table, model_table, summary_lines
    from dlc.cli.report import print_table

    for model in report.models:
        if model.layers:
            print_table(f"{model.model}, step by step", *layer_table(model, report), stderr=False)
            click.echo()
    print_table("models", *model_table(report), stderr=False)
    click.echo()
    for line in summary_lines(report):
        click.echo(line)


def _compare(files: tuple[str, ...], csv_file: str | None, plot: str | None) -> None:
    from dlc.bench import compare
    from dlc.cli.report import print_table

    comparison = compare(files)
    print_table("devices (means)", *comparison.table(), stderr=False)
    click.echo()
    for found in comparison.correlations():
        click.echo(str(found))
    if csv_file is not None:
        comparison.write_csv(csv_file)
    if plot is not None:
        from dlc.bench.plots import plot_comparison

        plot_comparison(comparison, plot)
