"""What a benchmark found, and its JSON form: raw seconds are kept, statistics are derived."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlc.errors import InputError

FORMAT = "dlc-bench-1"
OURS = "dlc"


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of a call, one for each run, of dlc or of a peer."""

    name: str
    version: str
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def mean(self) -> float:
        return statistics.fmean(self.seconds)

    @property
    def deviation(self) -> float:
        """The sample standard deviation; 0 of a single run."""
        return statistics.stdev(self.seconds) if len(self.seconds) > 1 else 0.0

    @property
    def least(self) -> float:
        return min(self.seconds)


@dataclass(frozen=True, slots=True)
class Layer:
    """One step of the C: its work, and the median of its seconds."""

    step: int
    name: str
    operator: str
    macs: int
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ModelResult:
    """One model: its multiply-accumulates, the bytes its steps touch, and who took how long."""

    model: str
    macs: int
    bytes: int
    timings: tuple[Timing, ...]
    layers: tuple[Layer, ...] = ()

    @property
    def ours(self) -> Timing:
        """The timing of dlc itself."""
        return next(t for t in self.timings if t.name == OURS)

    @property
    def peers(self) -> tuple[Timing, ...]:
        return tuple(t for t in self.timings if t.name != OURS)

    @property
    def ratio(self) -> float | None:
        """Our median over that of the fastest peer; below 1 we are ahead. None without a peer."""
        return self.ours.median / min(t.median for t in self.peers) if self.peers else None

    def gflops(self, timing: Timing) -> float:
        """GFLOP/s, two for a multiply-accumulate of the graph."""
        return 2e-9 * self.macs / timing.median


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it was measured."""

    cpu: str
    cores: int
    system: str


@dataclass(frozen=True, slots=True)
class Peak:
    """What ``threads`` cores of a machine reach: f32 multiply-add GFLOP/s, GB/s of memory."""

    gflops: float
    gbytes: float
    threads: int

    def bound(self, macs: int, bytes: int) -> float:
        """The roofline: the least seconds for this work (Williams et al., CACM 52(4), 2009)."""
        return max(2e-9 * macs / self.gflops, 1e-9 * bytes / self.gbytes)

    def bound_by(self, macs: int, bytes: int) -> str:
        """Which of the two the work is bound by: ``compute`` or ``memory``."""
        return "compute" if 2 * macs * self.gbytes > bytes * self.gflops else "memory"


@dataclass(frozen=True, slots=True)
class Report:
    """All models measured in one go on one machine."""

    machine: Machine
    compiler: str
    pipeline: str
    threads: int
    runs: int
    peak: Peak
    models: tuple[ModelResult, ...]

    @property
    def geometric_mean(self) -> float | None:
        """Of the models' ratios to their fastest peers."""
        ratios = [m.ratio for m in self.models if m.ratio is not None]
        return statistics.geometric_mean(ratios) if ratios else None

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write as JSON, which ``read_report`` reads."""
        data = {"format": FORMAT, **dataclasses.asdict(self)}
        Path(path).write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def read_report(path: str | os.PathLike[str]) -> Report:
    """The report of a file ``Report.write`` wrote; InputError when it is none."""
    try:
        data: Any = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        data = None
    try:
        if data.pop("format") != FORMAT:
            raise ValueError
        report = _report(data)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise InputError(f"{path} was not written by dlc bench --json") from None
    return report


def _report(data: Mapping[str, Any]) -> Report:
    models = tuple(
        ModelResult(
            str(m["model"]), _count(m["macs"]), _count(m["bytes"]),
            tuple(Timing(str(t["name"]), str(t["version"]), _seconds(t["seconds"]))
                  for t in m["timings"]),
            tuple(Layer(_count(x["step"]), str(x["name"]), str(x["operator"]), _count(x["macs"]),
                        _count(x["bytes"]), _least(x["seconds"])) for x in m["layers"]),
        )
        for m in data["models"]
    )  # fmt: skip
    if not all(any(t.name == OURS for t in m.timings) for m in models):
        raise ValueError("a model that dlc did not run")
    machine, peak = data["machine"], data["peak"]
    return Report(
        Machine(str(machine["cpu"]), _count(machine["cores"]), str(machine["system"])),
        str(data["compiler"]), str(data["pipeline"]), _count(data["threads"]), _count(data["runs"]),
        Peak(_positive(peak["gflops"]), _positive(peak["gbytes"]), _count(peak["threads"])), models,
    )  # fmt: skip


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(value)
    return value


def _least(value: Any) -> float:
    return 0.0 if value == 0 else _positive(value)  # a step may take less than a clock's tick


def _positive(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ValueError(value)
    return float(value)


def _seconds(values: Sequence[Any]) -> tuple[float, ...]:
    if not values:
        raise ValueError(values)
    return tuple(map(_positive, values))
