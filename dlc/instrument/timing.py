"""How long each pass took."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from dlc.passmanager import PassRecord


@dataclass(frozen=True, slots=True)
class Timing:
    """The time of one pass: all its runs together."""

    name: str
    runs: int
    seconds: float
    share: float
    """Of the time of all passes, 0 to 1."""

    @classmethod
    def of(cls, report: list[PassRecord]) -> list[Timing]:
        """The passes of a report, slowest first."""
        seconds: Counter[str] = Counter()
        runs = Counter(record.name for record in report)
        for record in report:
            seconds[record.name] += record.seconds  # type: ignore[assignment]  # a Counter of floats
        total = sum(seconds.values()) or 1.0
        return [cls(name, runs[name], t, t / total) for name, t in seconds.most_common()]
