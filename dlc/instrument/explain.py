"""Why rules left ops alone: the refusals of a run as text."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dlc.errors import PassError
from dlc.passmanager import Group, PassManager, PassRecord
from dlc.rewrite.base import Pass
from dlc.rewrite.driver import RulePass


@dataclass(frozen=True, slots=True)
class Explain:
    """Which refusals to show: those of ``rule`` (a rule's name or a pass's), or (None) all."""

    rule: str | None = None

    def check(self, manager: PassManager) -> None:
        """PassError, with the nearest names, when no rule of the pipeline is called so."""
        names = sorted(set(rule_names(manager.steps)))
        if self.rule is None or self.rule in names:
            return
        near = difflib.get_close_matches(self.rule, names, 3) or names
        raise PassError(
            f"no rule {self.rule!r} in this pipeline; "
            + (f"there is {', '.join(near)}" if names else "it has no passes")
        )

    def lines(self, report: Sequence[PassRecord]) -> Iterator[str]:
        """A line for each op a rule nearly matched, under a line for the pass and its rule."""
        shown = False
        for record in report:
            by_rule: dict[str, list[str]] = {}
            for refusal in record.refusals:
                if self.rule in (None, refusal.rule, record.name.partition("{")[0]):
                    by_rule.setdefault(refusal.rule, []).append(f"{refusal.op}: {refusal.reason}")
            for rule, reasons in by_rule.items():
                own = "" if rule == record.name else f", rule {rule}"
                yield f"pass {record.name}{own} did not match"
                yield from (f"  {reason}" for reason in reasons)
                shown = True
        if not shown:
            yield "no near misses: every rule matched or no op was of its kind"


def rule_names(steps: Sequence[Pass | Group]) -> Iterator[str]:
    """Names of all rules in a pipeline, and of its passes (whole-graph passes refuse by theirs)."""
    for step in steps:
        if isinstance(step, Group):
            yield from rule_names(step.steps)
            continue
        yield step.name
        if isinstance(step, RulePass):
            yield from (rule.name for rule in step.rules())
