"""Checking passes by running: the graph before and the graph after, on the same inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from dlc.errors import MeaningError
from dlc.interp import check_inputs
from dlc.ir.graph import Graph
from dlc.ir.types import TensorType
from dlc.ops.purity import is_pure
from dlc.prove.engines import Arrays, Engine, engines
from dlc.prove.inputs import Inputs, random_inputs
from dlc.prove.tolerance import deviation
from dlc.rewrite.base import Pass

T = TypeVar("T")

#: runs on random inputs where nobody says how many
DEFAULT_RUNS = 3


class Checker:
    """Holds passes to their contracts on ``runs`` random inputs and on the ``given`` ones.

    ``notify`` hears what could not be checked, and why.
    """

    def __init__(self, runs: int = DEFAULT_RUNS, given: Sequence[Arrays] = (), *, seed: int = 0,
                 notify: Callable[[str], None] | None = None,
                 using: Sequence[Engine] | None = None) -> None:  # fmt: skip
        self.runs = runs
        self.given = tuple(given)
        self.seed = seed
        self.notify = notify or (lambda _: None)
        self.using = engines() if using is None else list(using)
        self._latest: _Subject | None = None

    def check(self, step: Pass, before: Graph, after: Graph) -> None:
        """Raise MeaningError, naming the pass and the worst element, if it broke its contract.

        Neither graph may change later. InputError when the given inputs do not fit the graph.
        """
        self._check_interface(step, before, after)
        if _is_random(before):
            self.notify(f"pass {step.name} is not checked: the graph draws random numbers")
            return
        types = dict(zip(after.input_names, (v.type for v in after.inputs), strict=True))
        known = self._latest
        if known is None or known.graph is not before or known.types != types:
            known = _Subject(before, types, self._inputs(types))
        changed = _Subject(after, types, known.inputs)
        self._latest = changed
        for engine in self.using:
            self._compare(step, engine, known, changed)

    def _compare(self, step: Pass, engine: Engine, before: _Subject, after: _Subject) -> None:
        ran = 0
        for number, inputs in enumerate(before.inputs):
            if inputs.wild and (engine.rounding or step.contract != "exact"):
                continue
            expected = before.outputs(engine, number)
            if isinstance(expected, Exception):
                continue
            got = after.outputs(engine, number)
            if isinstance(got, Exception):
                if engine.rounding:  # it lacks kernels of some types; the interpreter lacks none
                    continue
                raise MeaningError(
                    f"pass {step.name} changes the meaning: on {inputs.origin} {engine.name} ran the "
                    f"graph before it, and fails after it with {_sentence(got)}"
                )
            ran += 1
            for name, array in expected.items():
                found = deviation(step, name, got[name], array, rounding=engine.rounding)
                if found is not None:
                    raise MeaningError(
                        f"pass {step.name} changes the meaning: {found}; {engine.name}, {inputs.origin}"
                    )
        if not ran and before.inputs:
            problem = before.problem(engine) or after.problem(engine)
            reason = f": {_sentence(problem)}" if problem else ""
            self.notify(
                f"pass {step.name} is not checked with {engine.name}, which cannot run it{reason}"
            )

    def _inputs(self, types: dict[str, TensorType]) -> list[Inputs]:
        given = [Inputs(arrays, "the given inputs") for arrays in self.given]
        for inputs in given:
            check_inputs(list(types), list(types.values()), inputs.arrays)
        return given + [random_inputs(types, run, self.seed) for run in range(self.runs)]

    def _check_interface(self, step: Pass, before: Graph, after: Graph) -> None:
        for kind, old, new in (
            ("inputs", before.input_names, after.input_names),
            ("outputs", before.output_names, after.output_names),
        ):
            if old != new:
                raise MeaningError(
                    f"pass {step.name} changes the {kind} from {', '.join(old) or 'none'} "
                    f"to {', '.join(new) or 'none'}"
                )


class _Subject:
    """A graph with its inputs, and its outputs once they have been asked for."""

    def __init__(self, graph: Graph, types: dict[str, TensorType], inputs: list[Inputs]) -> None:
        self.graph = graph
        self.types = types
        self.inputs = inputs
        self._ready: dict[str, Callable[[Arrays], Arrays] | Exception] = {}
        self._outputs: dict[tuple[str, int], Arrays | Exception] = {}

    def outputs(self, engine: Engine, number: int) -> Arrays | Exception:
        """The outputs for inputs ``number``, or why there are none."""
        if engine.name not in self._ready:
            self._ready[engine.name] = _attempt(lambda: engine.prepare(self.graph))
        ready = self._ready[engine.name]
        if isinstance(ready, Exception):
            return ready
        key = engine.name, number
        if key not in self._outputs:
            self._outputs[key] = _attempt(lambda: ready(self.inputs[number].arrays))
        return self._outputs[key]

    def problem(self, engine: Engine) -> Exception | None:
        found = (self.outputs(engine, n) for n, each in enumerate(self.inputs) if not each.wild)
        return next((result for result in found if isinstance(result, Exception)), None)


def _attempt(call: Callable[[], T]) -> T | Exception:
    try:
        return call()
    except Exception as error:  # whatever a runtime raises about a graph it cannot run
        return error


def _is_random(graph: Graph) -> bool:
    return any(
        any(map(_is_random, bodies)) if bodies
        else not is_pure(op.operator) and op.operator.label != "onnx.Dropout"
        for op in graph.ops for bodies in [list(op.operator.regions())]
    )  # fmt: skip


def _sentence(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}"
