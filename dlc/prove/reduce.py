"""Reduction: the smallest graph and pipeline that still show a failure.

Delta debugging over the ops first (any set of ops is a graph: what is missing becomes inputs), then
single steps: ops bypassed, outputs dropped, inputs and constants made plain, dims cut; again until
nothing helps. The same input always gives the same result.
"""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dlc.errors import DlcError, InputError, ParseError, PassError, VerifyError
from dlc.interp import run
from dlc.ir.graph import Graph, Op
from dlc.ir.verify import verify
from dlc.passmanager import Group, PassManager
from dlc.prove import shrink
from dlc.prove.check import Checker
from dlc.prove.ddmin import ddmin
from dlc.prove.inputs import random_inputs
from dlc.prove.reproducer import with_seeded_constants
from dlc.prove.running import Failure, Steps, attempt
from dlc.prove.subgraph import computing, extract, shape_values
from dlc.rewrite.base import Pass

Interesting = Callable[[Graph, str], bool]
"""Whether a graph and the text of a pipeline still show what is looked for."""
Progress = Callable[[int, int], None]
"""Hears how many ops are left and how many tests have been made."""

_SHRINKERS: tuple[shrink.Shrinker, ...] = (
    shrink.bypass, shrink.outputs, shrink.inputs, shrink.shapes, shrink.constants,
)  # fmt: skip
_MAX_ROUNDS = 8
#: graphs of more elements are shrunk by the test alone: running each to see whether it runs is slow
_MAX_ELEMENTS = 1 << 26


@dataclass(frozen=True, slots=True)
class Reduction:
    """What is left of a graph and a pipeline, and how many tests it took."""

    graph: Graph
    pipeline: str
    tests: int

    @property
    def ops(self) -> int:
        """Ops without inputs, outputs and constants."""
        return len(computing(self.graph))


class FailsAlike:
    """The test that a pipeline fails as it did at first: the same pass in the same way."""

    def __init__(self, failure: Failure, checker: Checker | None, *, verify: bool = True) -> None:
        self.failure = failure
        self.checker = checker if failure.kind == "meaning" else None
        self.verify = verify

    def __call__(self, graph: Graph, pipeline: str) -> bool:
        try:
            steps = PassManager.parse(pipeline).steps
            return self.failure.is_like(attempt(steps, graph, self.checker, verify=self.verify))
        except DlcError:  # another failure, or inputs that do not fit the smaller graph
            return False


class TestCommand:
    """The test that a command exits with 0 on the model written to a file.

    In the command ``{}`` is the file (of the given suffix), ``{pipeline}`` the text of the pipeline.
    It runs without a shell; one that takes longer than ``timeout`` seconds has failed.
    """

    __test__ = False  # for pytest: no test class

    def __init__(self, command: str, *, suffix: str = ".dlc", timeout: float = 60.0) -> None:
        try:
            self.words = shlex.split(command)
        except ValueError as error:
            raise ParseError(f"--test {command!r}: {error}") from None
        if not any("{}" in word for word in self.words):
            raise ParseError(f"--test {command!r} has no {{}}, the place of the model's file")
        self.suffix = suffix
        self.timeout = timeout

    def __call__(self, graph: Graph, pipeline: str) -> bool:
        from dlc.api import save

        with tempfile.TemporaryDirectory(prefix="dlc-reduce-") as folder:
            path = Path(folder, f"model{self.suffix}")
            try:
                save(graph, path, inline=True)
            except DlcError:  # a candidate that the format cannot hold
                return False
            words = [w.replace("{pipeline}", pipeline).replace("{}", str(path)) for w in self.words]
            try:
                done = subprocess.run(
                    words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL, timeout=self.timeout, check=False,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                return False
            except OSError as error:
                raise InputError(f"--test: cannot run {words[0]}: {error.strerror}") from None
        return done.returncode == 0


def reduce_failure(graph: Graph, steps: Steps, checker: Checker | None, *, verify: bool = True,
                   progress: Progress | None = None) -> tuple[Reduction, Failure]:  # fmt: skip
    """The smallest graph and pipeline with which the first pass that fails here fails alike.

    Raises PassError when no pass fails.
    """
    failure = attempt(steps, graph, checker, verify=verify)
    if failure is None:
        raise PassError(
            f"every pass of {str(PassManager(tuple(steps))) or 'the empty pipeline'} succeeds on the "
            f"model, so there is nothing to reduce" + ("" if checker else "; --check also runs it")
        )
    alone = str(PassManager((failure.step,)))
    test = FailsAlike(failure, checker, verify=verify)
    # as the model has it where that does, else as the passes before left it
    start = graph if test(graph, alone) else failure.graph
    reduction = reduce_model(start, alone, test, progress=progress)
    last = attempt(PassManager.parse(alone).steps, reduction.graph, test.checker, verify=verify)
    return reduction, last or failure


def reduce_model(graph: Graph, pipeline: str, interesting: Interesting, *,
                 progress: Progress | None = None) -> Reduction:  # fmt: skip
    """The smallest graph and pipeline found that are interesting.

    Raises InputError when they are not so to begin with.
    """
    search = _Search(interesting, progress or (lambda *_: None))
    if not search.test(graph, pipeline):
        raise InputError("the model as given does not pass the test, so there is nothing to reduce")
    pipeline = search.passes(graph, pipeline)
    graph = search.graph(graph, pipeline)
    return Reduction(graph, search.passes(graph, pipeline), search.tests)


class _Search:
    def __init__(self, interesting: Interesting, progress: Progress) -> None:
        self.interesting = interesting
        self.progress = progress
        self.tests = 0

    def test(self, graph: Graph | None, pipeline: str) -> bool:
        if graph is None:
            return False
        self.tests += 1
        return self.interesting(graph, pipeline)

    def passes(self, graph: Graph, pipeline: str) -> str:
        """Fewest passes, those of groups on their own where that does."""
        steps: Sequence[Pass | Group] = PassManager.parse(pipeline).steps
        flat = _flat(steps)
        if len(flat) != len(steps) and self.test(graph, _text(flat)):
            steps = flat
        if not steps:
            return pipeline
        return _text(ddmin(steps, lambda part: self.test(graph, _text(part))))

    def graph(self, graph: Graph, pipeline: str) -> Graph:
        for _ in range(_MAX_ROUNDS):
            before = graph
            graph = self.ops(graph, pipeline)
            for shrinker in _SHRINKERS:
                graph = self.steps(graph, pipeline, shrinker)
            if graph is before:
                break
        seeded = with_seeded_constants(graph)
        return seeded if self.test(seeded, pipeline) else graph

    def ops(self, graph: Graph, pipeline: str) -> Graph:
        """Fewest ops."""
        known = shape_values(graph, _sample(graph))
        source = graph

        def test(part: Sequence[Op]) -> bool:
            found = self.test(extract(source, part, known), pipeline) if part else False
            if found:
                self.progress(len(part), self.tests)
            return found

        ops = computing(graph)
        kept = ddmin(ops, test)
        self.progress(len(kept), self.tests)
        # the whole may be interesting where its extract is not: an output that is a constant
        if len(kept) == len(ops):
            return graph
        return extract(graph, kept, known) or graph

    def steps(self, graph: Graph, pipeline: str, shrinker: shrink.Shrinker) -> Graph:
        """The graph after every step of a kind that stays interesting."""
        index = 0
        while (candidates := shrinker(graph, index)) is not None:
            for candidate in candidates:
                if _is_sound(candidate) and self.test(candidate, pipeline):
                    graph = candidate
                    self.progress(len(computing(graph)), self.tests)
                    break
            else:
                index += 1
        return graph


def _is_sound(graph: Graph) -> bool:
    """Whether the graph is one that a model could hold: a step must not trade one failure for another."""
    try:
        verify(graph)
        if sum(v.type.capacity for op in graph.ops for v in op.results) <= _MAX_ELEMENTS:
            with np.errstate(all="ignore"):
                arrays = run(graph, _sample(graph))
            for name, value in zip(graph.output_names, graph.outputs, strict=True):
                if value.type.is_static and arrays[name].shape != value.shape:
                    return False
    except (VerifyError, DlcError):
        return False
    except Exception:  # what numpy raises where shapes do not fit
        return False
    return True


def _sample(graph: Graph) -> dict[str, np.ndarray]:
    types = {name: v.type for name, v in zip(graph.input_names, graph.inputs, strict=True)}
    return random_inputs(types, 0).arrays


def _flat(steps: Steps) -> list[Pass | Group]:
    return [
        inner
        for step in steps
        for inner in (_flat(step.steps) if isinstance(step, Group) else [step])
    ]


def _text(steps: Steps) -> str:
    return str(PassManager(tuple(steps)))
