"""Measuring: the C of a model and its peers in turns, on pinned cores, in one process."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cffi
import numpy as np

import dlc
from dlc import api
from dlc.backends.c99.module import DEFAULT_FLAGS, Module, build
from dlc.backends.c99.toolchain import Compiler
from dlc.bench.peers import Call, Peer
from dlc.bench.pinning import pinned
from dlc.bench.results import OURS, Layer, ModelResult, Timing
from dlc.errors import DlcError
from dlc.ir.graph import Graph
from dlc.ir.operator import Cost
from dlc.plan.program import Program, Step

if TYPE_CHECKING:
    from dlc.importer.aggregates import Dims

STEPS_SOURCE = Path(__file__).with_name("steps.c")
LEAST_SECONDS = 1e-3
"""Calls are repeated within a run until it takes this long, and the run counts their mean."""
_WARM_UPS = 3


def _silent(text: str) -> None:
    pass


def bench_model(model: Any, peers: Sequence[Peer] = (), *, threads: int = 1, runs: int = 30,
                passes: str = "O2", dims: Dims | None = None,
                shapes: Mapping[str, Sequence[int]] | None = None, compiler: Compiler | str | None = None,
                layers: bool = False, seed: int = 0, notify: api.Notify = _silent,
                stage: api.Notify = _silent) -> ModelResult:  # fmt: skip
    """Compile a model (anything ``dlc.load`` takes) and time it against ``peers``.

    All run on the same seeded random inputs, ``threads`` threads on as many pinned cores. A peer that cannot
    run the model is left out, and ``notify`` hears why. ``layers`` times each step as well, in a
    second build with clock calls between the steps. Raises what ``dlc.compile`` raises.
    """
    graph = api.load(model, dims=dims, shapes=shapes, notify=notify)
    name = Path(model).stem if isinstance(model, str | os.PathLike) else graph.name
    types = {n: v.type for n, v in zip(graph.input_names, graph.inputs, strict=True)}
    inputs = api.random_inputs(types, np.random.default_rng(seed))
    with tempfile.TemporaryDirectory(prefix="dlc-") as holder, pinned(threads):
        folder, program = api.emit(
            graph, Path(holder) / "model", passes=passes, name=name, stage=stage
        )
        stage("building")
        calls: dict[str, Call] = {OURS: build(folder, compiler=compiler).prepare(inputs)}
        versions = {OURS: dlc.__version__}
        for peer in peers:
            stage(f"starting {peer.name}")
            try:
                calls[peer.name] = peer.prepare(_onnx(model, graph), inputs, threads)
                calls[peer.name]()
            except DlcError as error:
                calls.pop(peer.name, None)
                notify(f"{name}: {error}")
            versions[peer.name] = peer.version
        stage("running")
        seconds = interleave(calls, runs)
        found = _layers(folder, program, inputs, runs, compiler, stage) if layers else ()
    costs = [_cost(step) for step in program.steps]
    return ModelResult(
        name, sum(c.macs for c in costs), sum(c.bytes for c in costs),
        tuple(Timing(n, versions[n], s) for n, s in seconds.items()), found,
    )  # fmt: skip


def interleave(calls: Mapping[str, Call], runs: int) -> dict[str, tuple[float, ...]]:
    """Seconds of each call, ``runs`` times in turns A B A B, so that what disturbs hits all alike."""
    repeats = {name: _repeats(call) for name, call in calls.items()}
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(runs):
        for name, call in calls.items():
            seconds[name].append(_time(call, repeats[name]))
    return {name: tuple(found) for name, found in seconds.items()}


def _repeats(call: Call) -> int:
    """Warm up, and how many calls make a run of ``LEAST_SECONDS``."""
    once = min(_time(call, 1) for _ in range(_WARM_UPS))
    return max(1, round(LEAST_SECONDS / max(once, 1e-7)))


def _time(call: Call, repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats


def _onnx(model: Any, graph: Graph) -> str | bytes:
    """The model for a peer: the user's own file where there is one."""
    if isinstance(model, str | os.PathLike) and Path(model).suffix == ".onnx":
        return str(model)
    from dlc.exporter import to_onnx

    exported: bytes = to_onnx(graph, tensors=True).SerializeToString()
    return exported


def _layers(folder: Path, program: Program, inputs: api.Arrays, runs: int,
            compiler: Compiler | str | None, stage: api.Notify) -> tuple[Layer, ...]:  # fmt: skip
    """Medians of the seconds of each step that is a call, from a build with clock calls."""
    stage("building with clock calls")
    count = len(program.steps)
    flags = [*DEFAULT_FLAGS, "-DDLC_PROFILE", f"-DDLC_STEPS={count}"]
    module = build(folder, compiler=compiler, flags=flags, more_sources=[STEPS_SOURCE])
    stage("running layers")
    times = _step_seconds(module, module.prepare(inputs), count, runs)
    return tuple(
        Layer(step.index, step.op.label, step.op.operator.label, cost.macs, cost.bytes,
              statistics.median(row[step.index] for row in times))
        for step in program.steps
        if module.metadata["steps"][step.index]["function"] is not None
        for cost in [_cost(step)]
    )  # fmt: skip


def _step_seconds(
    module: Module, call: Callable[[], None], count: int, runs: int
) -> list[list[float]]:
    ffi = cffi.FFI()
    ffi.cdef(f"extern double dlc_step_seconds[{count + 1}];")
    library: Any = ffi.dlopen(str(module.library))
    sums = library.dlc_step_seconds
    times = []
    repeats = _repeats(call)
    for _ in range(runs):
        for index in range(count):
            sums[index] = 0.0
        for _ in range(repeats):
            call()
        times.append([sums[index] / repeats for index in range(count)])
    return times


def _cost(step: Step) -> Cost:
    return step.op.operator.cost(step.op.operand_types, step.op.types)
