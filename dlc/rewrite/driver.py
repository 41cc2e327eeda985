"""Applying rewrite rules until none matches: a worklist, linear in the size of the graph.

After a rewrite only the ops whose surroundings it changed are looked at again, and an op whose
last reader has gone is erased at once, so that a rule may ask "does anything else read this?".
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import ClassVar

from dlc.errors import RuleError
from dlc.ir.graph import Graph, Op, Value
from dlc.ir.operator import Input
from dlc.rewrite.base import Pass
from dlc.rewrite.pattern import Match, OpPattern


class Rule:
    """A local rewrite: a pattern, a check that may refuse, and what takes the root's place."""

    #: what ``--explain`` calls the rule
    name: ClassVar[str] = ""
    pattern: ClassVar[OpPattern]

    def check(self, match: Match) -> str | None:
        """Why the rule must not be applied to what the pattern found; None when it may."""
        return None

    def rewrite(self, match: Match) -> Value | Sequence[Value | None] | None:
        """Build the replacement: the value(s) that take the place of the root's results.

        Results that nothing reads may be given as None. New ops are labelled as the root unless
        they say otherwise. To return None alone means that the graph was changed in place
        (``set_operator``, ``set_operands``) and the root stays.
        """
        raise NotImplementedError(f"rule {self.name} has no rewrite")


class RulePass(Pass):
    """A pass made of rules."""

    def rules(self) -> Sequence[Rule]:
        """The rules, tried in this order on each op."""
        raise NotImplementedError(f"pass {self.name} has no rules")

    def run(self, graph: Graph) -> tuple[Graph, bool]:
        return graph, apply_rules(graph, self.rules())


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a rule left an op alone."""

    rule: str
    op: str
    reason: str


_LOG: ContextVar[dict[tuple[str, Op], Refusal] | None] = ContextVar("refusals", default=None)


@contextlib.contextmanager
def recording() -> Iterator[dict[tuple[str, Op], Refusal]]:
    """Collect the refusals of everything run inside: the last one for each rule and op."""
    log: dict[tuple[str, Op], Refusal] = {}
    token = _LOG.set(log)
    try:
        yield log
    finally:
        _LOG.reset(token)


def refuse(rule: str, op: Op, reason: str) -> None:
    """Record why a rule (or a whole-graph pass) left an op alone, if anybody asked."""
    log = _LOG.get()
    if log is not None:
        kind = op.operator.label
        log[rule, op] = Refusal(rule, f"{kind} {op.label!r}" if op.label else kind, reason)


def erase_dead(graph: Graph, *ops: Op) -> list[Op]:
    """Erase those of ``ops`` that nothing reads, and what only they read; returns the ops that
    were read by an erased one and remain. Inputs and the terminator stay.
    """
    stack, survivors = list(ops), dict[Op, None]()
    while stack:
        op = stack.pop()
        if op not in graph:
            continue
        if graph.is_used(op) or isinstance(op.operator, Input) or not op.results:
            survivors[op] = None
            continue
        stack.extend(value.op for value in op.operands if value is not None)
        graph.erase(op)
    return [op for op in survivors if op in graph]  # one may have died since it was seen


def apply_rules(graph: Graph, rules: Sequence[Rule], limit: int | None = None) -> bool:
    """Apply rules until none matches; says whether anything changed.

    Raises RuleError after ``limit`` rewrites (default: 1000 and 20 for each op), for then the rules
    undo each other.
    """
    return _Driver(graph, rules, 1000 + 20 * len(graph) if limit is None else limit).run()


class _Driver:
    def __init__(self, graph: Graph, rules: Sequence[Rule], limit: int) -> None:
        self.graph = graph
        self.limit = limit
        self.by_kind: dict[str, list[Rule]] = {}
        self.any_kind = [rule for rule in rules if not rule.pattern.kinds]
        for rule in rules:
            for kind in rule.pattern.kinds or ():
                self.by_kind.setdefault(kind, [r for r in rules if _applies(r, kind)])
        self.needs = {id(rule): rule.pattern.needs for rule in rules}
        self.reach = max((rule.pattern.depth for rule in rules), default=1)
        ops = graph.ops
        self.queue = deque(ops)
        self.queued = {op.id for op in ops}
        self.known = set(self.queued)
        self.kinds = {op.operator.label for op in ops}

    def run(self) -> bool:
        count = 0
        while self.queue:
            op = self.queue.popleft()
            self.queued.discard(op.id)
            if op not in self.graph:
                continue
            rule = self.rewrite(op)
            if rule is not None:
                count += 1
                if count > self.limit:
                    raise RuleError(
                        f"rule {rule.name} is still rewriting {op!r} after {self.limit} rewrites; "
                        "its rules undo each other"
                    )
        return count > 0

    def rewrite(self, op: Op) -> Rule | None:
        """Apply the first rule that matches ``op``."""
        explained = _LOG.get() is not None  # then every rule says why
        for rule in self.by_kind.get(op.operator.label, self.any_kind):
            if not explained and not self.needs[id(rule)] <= self.kinds:
                continue
            found = rule.pattern.match(op)
            reason = found if isinstance(found, str) else rule.check(found)
            if reason is not None:
                refuse(rule.name, op, reason)
                continue
            assert isinstance(found, Match)
            self.commit(rule, found)
            log = _LOG.get()
            if log is not None:
                log.pop((rule.name, op), None)
            return rule
        return None

    def commit(self, rule: Rule, match: Match) -> None:
        root, graph = match.root, self.graph
        producers = [value.op for value in root.operands if value is not None]
        readers = [use.op for result in root.results for use in result.uses]
        with graph.labelled(root.label):
            replacement = rule.rewrite(match)
        roots = [root]
        if replacement is None:
            self.kinds.update(*self.needs.values())  # of ops changed in place nobody keeps track
        else:
            values = [replacement] if isinstance(replacement, Value) else list(replacement)
            for old, new in zip(root.results, values, strict=True):
                if new is None:
                    continue  # erasing the root below fails if something reads it after all
                if old.type != new.type:
                    raise RuleError(f"rule {rule.name} replaced {old} of {root!r} by {new}")
                graph.replace_uses(old, new)
            graph.erase(root)
            roots = [value.op for value in values if value is not None]
        new_ops = self.discover(roots)
        for producer in erase_dead(graph, *producers, *new_ops):
            # one reader fewer: what remains may match now
            for result in producer.results:
                user = result.user
                if user is not None:
                    self.push([user], self.reach - 1)
        self.push([op for op in new_ops if op in graph], 1)
        self.push([root] if root in graph else [], 1)
        # of the replacement's readers only those that have just become so: there may be thousands
        self.push(readers, max(self.reach - 1, 1))

    def discover(self, roots: Sequence[Op]) -> list[Op]:
        """Ops the rule has added, operands first."""
        found: list[Op] = []
        stack = list(roots)
        while stack:
            op = stack.pop()
            if op.id in self.known:
                continue
            self.known.add(op.id)
            self.kinds.add(op.operator.label)
            found.append(op)
            stack.extend(value.op for value in op.operands if value is not None)
        return found[::-1]

    def push(self, ops: Sequence[Op], levels: int) -> None:
        """Queue ops and what reads them, ``levels`` deep."""
        for level in range(levels):
            if level:
                ops = [use.op for op in ops for result in op.results for use in result.uses]
            for op in ops:
                if op.id not in self.queued:
                    self.queued.add(op.id)
                    self.queue.append(op)


def _applies(rule: Rule, kind: str) -> bool:
    return not rule.pattern.kinds or kind in rule.pattern.kinds
