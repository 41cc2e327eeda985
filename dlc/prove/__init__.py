"""Proving that passes keep the meaning, and making small what shows that one does not.

manager = PassManager.parse("fold-bn,my-pass")
graph = run_proved(manager, graph, Checker(runs=3))
"""

from __future__ import annotations

from dlc.prove.check import DEFAULT_RUNS, Checker
from dlc.prove.ddmin import ddmin
from dlc.prove.reduce import FailsAlike, Reduction, TestCommand, reduce_failure, reduce_model
from dlc.prove.reproducer import DEFAULT_FILE, Recipe, read_recipe, reproducer_text, run_proved
from dlc.prove.running import Failure, attempt, checking

__all__ = [
    "DEFAULT_FILE",
    "DEFAULT_RUNS",
    "Checker",
    "FailsAlike",
    "Failure",
    "Recipe",
    "Reduction",
    "TestCommand",
    "attempt",
    "checking",
    "ddmin",
    "read_recipe",
    "reduce_failure",
    "reduce_model",
    "reproducer_text",
    "run_proved",
]
