"""What watches a pipeline: printing, differences, timing, statistics, explanations."""

from __future__ import annotations

from dlc.instrument.explain import Explain
from dlc.instrument.printing import Difference, PrintIR
from dlc.instrument.statistics import Measure, Statistics, measure
from dlc.instrument.timing import Timing

__all__ = ["Difference", "Explain", "Measure", "PrintIR", "Statistics", "Timing", "measure"]
