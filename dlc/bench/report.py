"""Results as rows of text: tables of the terminal, and CSV."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence

from dlc.bench.results import ModelResult, Report

Table = tuple[Sequence[str], list[Sequence[str]]]

CSV_HEADINGS = (
    "model", "runtime", "version", "threads", "runs", "median_s", "mean_s", "stdev_s", "min_s",
    "ratio", "macs", "gflops", "share_of_peak",
)  # fmt: skip


def model_table(report: Report) -> Table:
    """A row for each model and runtime; the ratio is dlc's median over the runtime's."""
    headings = ["model", "runtime", "median ms", "mean ms", "± ms", "min ms", "dlc / it", "GFLOP/s",
                "of peak"]  # fmt: skip
    rows: list[Sequence[str]] = []
    for model in report.models:
        for timing in model.timings:
            ratio = "" if timing is model.ours else f"{model.ours.median / timing.median:.2f}"
            speed = model.gflops(timing)
            rows.append([
                model.model if timing is model.ours else "", timing.name,
                *(_ms(s) for s in (timing.median, timing.mean, timing.deviation, timing.least)),
                ratio, f"{speed:.1f}", f"{speed / report.peak.gflops:.0%}",
            ])  # fmt: skip
    return headings, rows


def layer_table(model: ModelResult, report: Report) -> Table:
    """A row for each step: its work, its speed, and how near the roofline it comes."""
    headings = ["step", "layer,", "operator,", "ms", "of all", "MACs", "GFLOP/s", "bound ms", "reached",
                "bound by,"]  # fmt: skip
    total = sum(layer.seconds for layer in model.layers) or 1.0
    rows: list[Sequence[str]] = []
    for layer in model.layers:
        bound = report.peak.bound(layer.macs, layer.bytes)
        seconds = layer.seconds or 1e-12  # a clock may not tick within a tiny step
        rows.append([
            str(layer.step), layer.name, layer.operator, _ms(layer.seconds),
            f"{layer.seconds / total:.0%}", str(layer.macs) if layer.macs else "",
            f"{2e-9 * layer.macs / seconds:.1f}" if layer.macs else "", _ms(bound),
            f"{bound / seconds:.0%}", report.peak.bound_by(layer.macs, layer.bytes),
        ])  # fmt: skip
    return headings, rows


def summary_lines(report: Report) -> Iterator[str]:
    """Where and how it was measured, and the geometric mean."""
    machine, peak = report.machine, report.peak
    threads = f"{report.threads} thread{'s' if report.threads > 1 else ''}"
    yield f"{machine.cpu}, {threads} of {machine.cores} cores, {machine.system}"
    yield f"{report.compiler}; passes {report.pipeline}; {report.runs} runs in turns"
    yield f"measured peak {peak.gflops:.0f} GFLOP/s (f32 multiply-add), {peak.gbytes:.1f} GB/s (triad)"
    if report.geometric_mean is not None:
        yield (
            f"geometric mean of dlc / fastest peer over {sum(bool(m.peers) for m in report.models)} "
            f"models: {report.geometric_mean:.2f}"
        )


def markdown(table: Table) -> str:
    """A table of a Markdown page."""
    headings, rows = table
    lines = [list(headings), ["---"] * len(headings), *map(list, rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def write_csv(report: Report, path: str | os.PathLike[str]) -> None:
    """A row for each model and runtime, then (under headings of their own) one for each layer."""
    with open(path, "w", newline="", encoding="utf-8") as file:  # noqa: PTH123  # newline is for csv
        writer = csv.writer(file)
        writer.writerow(CSV_HEADINGS)
        for model in report.models:
            for t in model.timings:
                speed = model.gflops(t)
                writer.writerow([
                    model.model, t.name, t.version, report.threads, report.runs, t.median, t.mean,
                    t.deviation, t.least, model.ours.median / t.median, model.macs, speed,
                    speed / report.peak.gflops,
                ])  # fmt: skip
        layers = [(m.model, layer) for m in report.models for layer in m.layers]
        if layers:
            writer.writerow([])
            writer.writerow(
                ["model", "step", "layer", "operator", "median_s", "macs", "bytes", "bound_s"]
            )
        for name, x in layers:
            bound = report.peak.bound(x.macs, x.bytes)
            writer.writerow([name, x.step, x.name, x.operator, x.seconds, x.macs, x.bytes, bound])


def _ms(seconds: float) -> str:
    """Milliseconds with three or more digits that tell something."""
    ms = 1e3 * seconds
    return f"{ms:.1f}" if ms >= 100 else f"{ms:.3f}" if ms >= 0.1 else f"{ms:.5f}"
