"""onnx's node tests, as tests of single operators want them: cases and reasons by name."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from onnx_suite import cases as suite
from onnx_suite import running
from onnx_suite.cases import Case


@cache
def cases() -> dict[str, Case]:
    """The node tests by name."""
    return {name: case for name, case in suite.cases().items() if case.kind == "node"}


def run_batch(names: Sequence[str], parameters: bool) -> dict[str, str]:
    """Why each case does not pass; nothing when it does, up to the random numbers it draws."""
    outcomes = running.run_batch(names, running.Options(parameters=parameters))
    return {n: "" if o.reason == running.DRAWN else o.reason for n, o in outcomes.items()}
