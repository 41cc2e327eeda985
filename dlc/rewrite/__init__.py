"""What a pass is written with: patterns, rules, passes, and the decorators that make passes."""

from __future__ import annotations

from dlc.rewrite.algebra import inverse, negative, product, total
from dlc.rewrite.base import Pass
from dlc.rewrite.decorators import graph_pass, rule_pass
from dlc.rewrite.driver import Rule, RulePass, apply_rules, erase_dead, recording, refuse
from dlc.rewrite.pattern import Match, constant, either, op, optional, scalar, value

__all__ = [
    "Match",
    "Pass",
    "Rule",
    "RulePass",
    "apply_rules",
    "constant",
    "either",
    "erase_dead",
    "graph_pass",
    "inverse",
    "negative",
    "op",
    "optional",
    "product",
    "recording",
    "refuse",
    "rule_pass",
    "scalar",
    "total",
    "value",
]
