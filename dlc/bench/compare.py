"""Devices side by side: reports of the same models, measured alike on several machines."""

from __future__ import annotations

import csv
import itertools
import math
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dlc.bench.report import Table, _ms
from dlc.bench.results import Report, Timing, read_report
from dlc.errors import InputError

Key = tuple[str, str]
"""A model and a runtime."""


@dataclass(frozen=True, slots=True)
class Correlation:
    """Pearson's r between two devices over what both ran: of mean seconds, and of their logarithms
    (times span decades, and the longest alone decides the first). None where r is undefined.
    """

    first: str
    second: str
    count: int
    linear: float | None
    logarithmic: float | None

    def __str__(self) -> str:
        between = f"{self.first} and {self.second}, {self.count} timings"
        if self.linear is None or self.logarithmic is None:
            return f"{between}: too few, or all alike, to correlate"
        return f"{between}: Pearson r {self.linear:.3f}, of logarithms {self.logarithmic:.3f}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Timings by device, for every model and runtime that at least two devices ran."""

    devices: tuple[str, ...]
    timings: dict[Key, tuple[Timing | None, ...]]

    def correlations(self) -> list[Correlation]:
        """Of each pair of devices."""
        found = []
        for i, j in itertools.combinations(range(len(self.devices)), 2):
            pairs = [(a.mean, b.mean) for row in self.timings.values()
                     for a, b in [(row[i], row[j])] if a is not None and b is not None]  # fmt: skip
            logs = [(math.log(a), math.log(b)) for a, b in pairs]
            found.append(Correlation(self.devices[i], self.devices[j], len(pairs),
                                     pearson(pairs), pearson(logs)))  # fmt: skip
        return found

    def table(self) -> Table:
        """Mean, deviation, and the mean over the first device's."""
        headings = ["model", "runtime"]
        for number, device in enumerate(self.devices):
            headings += [f"{device} ms", "±", *(["/ first"] if number else [])]
        rows: list[Sequence[str]] = []
        for (model, runtime), timings in self.timings.items():
            row, first = [model, runtime], timings[0]
            for number, t in enumerate(timings):
                row += ["", ""] if t is None else [_ms(t.mean), _ms(t.deviation)]
                if number:
                    row.append(f"{t.mean / first.mean:.2f}" if t and first else "")
            rows.append(row)
        return headings, rows

    def write_csv(self, path: str | os.PathLike[str]) -> None:
        """A row for each model, runtime and device."""
        with open(path, "w", newline="", encoding="utf-8") as file:  # noqa: PTH123  # as csv asks
            writer = csv.writer(file)
            writer.writerow(
                ["model", "runtime", "device", "median_s", "mean_s", "stdev_s", "min_s"]
            )
            for (model, runtime), timings in self.timings.items():
                for device, t in zip(self.devices, timings, strict=True):
                    if t is not None:
                        row = [model, runtime, device, t.median, t.mean, t.deviation, t.least]
                        writer.writerow(row)


def pearson(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Pearson's correlation; None for fewer than three pairs (two always lie on a line) or when
    one side does not vary.
    """
    if len(pairs) < 3:
        return None
    try:
        return statistics.correlation(*zip(*pairs, strict=True))
    except statistics.StatisticsError:
        return None


def compare(paths: Sequence[str | os.PathLike[str]]) -> Comparison:
    """The reports of files, one a device.

    InputError for a file that is no report, fewer than two, reports measured with other numbers of
    threads or other passes, or reports that share no model.
    """
    if len(paths) < 2:
        raise InputError("--compare needs the --json files of two or more devices")
    reports = [read_report(path) for path in paths]
    for what in ("threads", "pipeline"):
        values = [getattr(report, what) for report in reports]
        other = next((i for i, value in enumerate(values) if value != values[0]), None)
        if other is not None:
            raise InputError(
                f"{paths[0]} was measured with {what} {values[0]} and {paths[other]} with {values[other]}; "
                f"measure both alike to compare machines"
            )
    timings: dict[Key, list[Timing | None]] = {}
    for number, report in enumerate(reports):
        for model in report.models:
            for timing in model.timings:
                row = timings.setdefault((model.model, timing.name), [None] * len(reports))
                row[number] = timing
    shared = {k: tuple(row) for k, row in timings.items() if sum(t is not None for t in row) > 1}
    if not shared:
        raise InputError(f"{', '.join(map(str, paths))} have no model in common")
    return Comparison(
        _names(reports, paths), dict(sorted(shared.items(), key=lambda item: item[0][0]))
    )


def _names(reports: Sequence[Report], paths: Sequence[str | os.PathLike[str]]) -> tuple[str, ...]:
    """Processors' names where they differ, else the files' names."""
    cpus = [report.machine.cpu for report in reports]
    if len(set(cpus)) == len(cpus):
        return tuple(cpus)
    stems = [Path(path).stem for path in paths]
    return tuple(stems) if len(set(stems)) == len(stems) else tuple(map(str, paths))
