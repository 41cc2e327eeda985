"""Running a pipeline with every pass checked, and finding the pass that fails."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from dlc.errors import MeaningError, PassError, RuleError, VerifyError
from dlc.ir.graph import Graph
from dlc.passmanager import Group, PassManager, PassRecord
from dlc.prove.check import Checker
from dlc.rewrite.base import Pass

Steps = Sequence[Pass | Group]


@dataclass(frozen=True, slots=True)
class Failure:
    """A pass that crashed, left a broken graph or changed the meaning, and the graph it was given."""

    step: Pass
    graph: Graph
    error: PassError

    @property
    def kind(self) -> str:
        """What went wrong, the same for the same mistake in a smaller graph."""
        if isinstance(self.error, MeaningError):
            return "meaning"
        if isinstance(self.error, RuleError):
            return "rule"
        cause = self.error.__cause__
        return "broken graph" if isinstance(cause, VerifyError) else type(cause).__name__

    def is_like(self, other: Failure | None) -> bool:
        """Whether ``other`` is the same mistake of the same pass."""
        return other is not None and (self.step.name, self.kind) == (other.step.name, other.kind)


def attempt(
    steps: Steps, graph: Graph, checker: Checker | None = None, *, verify: bool = True
) -> Failure | None:
    """Run passes on a copy of the graph; what failed, if anything did.

    Errors of whoever wrote the pipeline or the model (a pass too early, an option that does not fit,
    an operator unknown) are raised.
    """
    manager = PassManager(tuple(steps), verify)
    running: list[tuple[Pass, Graph]] = []

    def before(step: Pass, current: Graph) -> None:
        running[:] = [(step, current.copy())]

    def after(record: PassRecord, current: Graph) -> None:
        running.clear()

    manager.before, manager.after = before, after
    try:
        with checking(manager, checker):
            manager.run(graph)
    except PassError as error:
        bug = isinstance(error, MeaningError | RuleError) or error.__cause__ is not None
        if not running or not bug:
            raise
        step, given = running[0]
        return Failure(step, given, error)
    return None


@contextmanager
def checking(manager: PassManager, checker: Checker | None) -> Iterator[PassManager]:
    """Inside, every pass that the manager runs is checked, before its other hooks hear of it."""
    if checker is None:
        yield manager
        return
    before, after = manager.before, manager.after
    running: list[Pass] = []
    current: list[Graph] = []

    def check_before(step: Pass, graph: Graph) -> None:
        running[:] = [step]
        if not current:
            current.append(graph.copy())
        if before is not None:
            before(step, graph)

    def check_after(record: PassRecord, graph: Graph) -> None:
        if record.changed:
            changed = graph.copy()
            checker.check(running[0], current[0], changed)
            current[:] = [changed]
        if after is not None:
            after(record, graph)

    manager.before, manager.after = check_before, check_after
    try:
        yield manager
    finally:
        manager.before, manager.after = before, after
