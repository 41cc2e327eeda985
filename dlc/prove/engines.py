"""What graphs are run with when a pass is checked: the interpreter, and onnxruntime if installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dlc.ir.graph import Graph
from dlc.ir.operator import Array

Arrays = dict[str, Array]
Runnable = Callable[[Arrays], Arrays]


@dataclass(frozen=True, slots=True)
class Engine:
    """A way to run graphs. ``prepare`` raises when it cannot run that graph."""

    name: str
    prepare: Callable[[Graph], Runnable]
    rounding: bool
    """Whether equal computations may round otherwise in different places of a graph."""


def engines() -> list[Engine]:
    """Those installed, the quickest first."""
    found = [Engine("the interpreter", _interpreter, rounding=False)]
    if importlib.util.find_spec("onnxruntime") is not None:
        found.append(Engine("onnxruntime", _onnxruntime, rounding=True))
    return found


def _interpreter(graph: Graph) -> Runnable:
    from dlc.interp import run

    def call(arrays: Arrays) -> Arrays:
        with np.errstate(all="ignore"):  # overflow is what wild inputs are for
            return run(graph, arrays)

    return call


def _onnxruntime(graph: Graph) -> Runnable:
    import onnxruntime

    from dlc.exporter import to_onnx

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # its own rewrites would differ before and after the pass, and hide or add differences
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        to_onnx(graph, tensors=True).SerializeToString(),
        options,
        providers=["CPUExecutionProvider"],
    )
    names = [output.name for output in session.get_outputs()]
    return lambda arrays: dict(zip(names, map(np.asarray, session.run(names, arrays)), strict=True))
