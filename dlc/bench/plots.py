"""Figures (matplotlib, the extra ``bench``): bars, roofline, shares of layers, devices."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlc.bench.compare import Comparison
from dlc.bench.results import ModelResult, Report, Timing
from dlc.errors import InputError, UnsupportedError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMATS = (".png", ".svg")


def check_plot(path: str | os.PathLike[str]) -> None:
    """Complain before a long measurement rather than after it: wrong suffix, no matplotlib."""
    if Path(path).suffix not in FORMATS:
        raise InputError(f"{path}: a plot is a {' or '.join(FORMATS)} file")
    if importlib.util.find_spec("matplotlib") is None:
        raise UnsupportedError("plots need matplotlib; run: pip install 'dlc[bench]'") from None


def plot_report(report: Report, path: str | os.PathLike[str]) -> None:
    """Bars with error bars of each model and runtime, the roofline, and shares of layers if timed."""
    layered = [model for model in report.models if model.layers]
    figure, axes = _figure(3 if layered else 2, len(report.models))
    runtimes = list(dict.fromkeys(t.name for m in report.models for t in m.timings))
    rows = [
        [next((t for t in m.timings if t.name == r), None) for m in report.models] for r in runtimes
    ]
    _bars(axes[0], [m.model for m in report.models], runtimes, rows)
    axes[0].set_title(f"{report.machine.cpu}, threads: {report.threads}", fontsize=9)
    _roofline(axes[1], report)
    if layered:
        _shares(axes[2], layered)
    _save(figure, path)


def plot_comparison(comparison: Comparison, path: str | os.PathLike[str]) -> None:
    """Bars with error bars of each model, runtime and device."""
    figure, (axes,) = _figure(1, len(comparison.timings))
    labels = [f"{model}\n{runtime}" for model, runtime in comparison.timings]
    rows = [[row[i] for row in comparison.timings.values()] for i in range(len(comparison.devices))]
    _bars(axes, labels, comparison.devices, rows)
    _save(figure, path)


def _figure(panels: int, groups: int) -> tuple[Any, list[Axes]]:
    from matplotlib.figure import Figure  # not pyplot: no window system, no global state

    figure = Figure(figsize=(max(7.0, 0.9 * groups), 4.2 * panels), layout="constrained")
    return figure, list(figure.subplots(panels, 1, squeeze=False)[:, 0])


def _save(figure: Any, path: str | os.PathLike[str]) -> None:
    figure.savefig(path, dpi=120)


def _bars(axes: Axes, groups: Sequence[str], series: Sequence[str],
          rows: Sequence[Sequence[Timing | None]]) -> None:  # fmt: skip
    width = 0.8 / len(series)
    for number, (name, timings) in enumerate(zip(series, rows, strict=True)):
        present = [(i, t) for i, t in enumerate(timings) if t is not None]
        axes.bar(
            [i + (number - (len(series) - 1) / 2) * width for i, _ in present],
            [1e3 * t.median for _, t in present], width, label=name, capsize=2,
            yerr=[1e3 * t.deviation for _, t in present],
        )  # fmt: skip
    axes.set_yscale("log", nonpositive="clip")
    axes.set_ylim(bottom=0.5e3 * min(t.least for row in rows for t in row if t is not None))
    axes.set_ylabel("ms (median, ± standard deviation)")
    axes.set_xticks(range(len(groups)), groups, rotation=30 if len(groups) > 4 else 0, fontsize=8)
    _legend(axes)


def _roofline(axes: Axes, report: Report) -> None:
    """Speed over arithmetic intensity: a point a layer where they were timed, else one a model."""
    peak = report.peak
    low, high = 1 / 16, max(1024.0, 4 * peak.gflops / peak.gbytes)
    knee = peak.gflops / peak.gbytes
    axes.plot([low, knee, high], [low * peak.gbytes, peak.gflops, peak.gflops], color="black")
    for model in report.models:
        work = [(x.macs, x.bytes, x.seconds) for x in model.layers if x.seconds] or [
            (model.macs, model.bytes, model.ours.median)
        ]
        points = [(2 * m / b, 2e-9 * m / s) for m, b, s in work if m and b]
        if points:
            intensity, speed = zip(*points, strict=True)
            axes.scatter(intensity, speed, s=12, label=model.model)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("FLOP per byte")
    axes.set_ylabel("GFLOP/s")
    axes.set_title(f"roofline: {peak.gflops:.0f} GFLOP/s, {peak.gbytes:.1f} GB/s", fontsize=9)
    _legend(axes)


def _shares(axes: Axes, models: Sequence[ModelResult]) -> None:
    """A bar a model, stacked from the shares of its layers in order; one colour an operator."""
    from matplotlib import colormaps

    operators = list(dict.fromkeys(x.operator for model in models for x in model.layers))
    colours = {name: colormaps["tab20"](i % 20) for i, name in enumerate(operators)}
    labels = []
    for row, model in enumerate(models):
        total, start = sum(layer.seconds for layer in model.layers) or 1.0, 0.0
        for layer in model.layers:
            share = 100 * layer.seconds / total
            axes.barh(
                row, share, left=start, color=colours[layer.operator], edgecolor="white", lw=0.3
            )
            start += share
        labels.append(f"{model.model}\n{1e3 * total:.3g} ms")
    axes.set_yticks(range(len(models)), labels, fontsize=8)
    axes.set_xlabel("% of the time, layer by layer")
    for name, colour in colours.items():
        axes.barh(0, 0, color=colour, label=name)
    _legend(axes)


def _legend(axes: Axes) -> None:
    """Beside the panel, where it hides nothing."""
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.01, 1.0))
