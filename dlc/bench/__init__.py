"""Benchmarks: a model's C against other runtimes, this machine's peak, and devices side by side."""

from __future__ import annotations

from dlc.bench.compare import Comparison, compare
from dlc.bench.measure import bench_model
from dlc.bench.peak import measured_peak
from dlc.bench.peers import find_peer, installed_peers
from dlc.bench.results import Layer, Machine, ModelResult, Peak, Report, Timing, read_report

__all__ = [
    "Comparison", "Layer", "Machine", "ModelResult", "Peak", "Report", "Timing", "bench_model",
    "compare", "find_peer", "installed_peers", "measured_peak", "read_report",
]  # fmt: skip
