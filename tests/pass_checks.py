"""What every test of a pass asks: the meaning stays, twice is once, and why it refuses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dlc.ir.graph import Graph
from dlc.ir.text import parse_graph, print_graph
from dlc.passmanager import PassManager
from dlc.prove import Checker, run_proved

IR = Path(__file__).parent / "ir"


def graph_of(body: str, opset: int = 17) -> Graph:
    """A graph of the default domain from the lines between its braces."""
    return parse_graph(f'graph "g" {{opsets = {{"" = {opset}}}}} {{\n{body}\n}}')


def proved(pipeline: str, graph: Graph, *, runs: int = 2) -> Graph:
    """The graph after a pipeline whose passes kept their contracts, in numpy and in onnxruntime,
    and would change nothing more.
    """
    checker = Checker(runs, notify=pytest.fail)
    result = run_proved(PassManager.parse(pipeline), graph, checker, reproducer=None)
    again = PassManager.parse(pipeline)
    text = print_graph(result)
    assert print_graph(again.run(result)) == text
    assert not any(record.changed for record in again.report)
    return result


def kinds(graph: Graph) -> list[str]:
    """Labels of the ops that compute something, in order."""
    skipped = ("input", "constant", "output")
    return [op.operator.label for op in graph.ops if op.operator.label not in skipped]


def refusals(pipeline: str, graph: Graph) -> str:
    """All reasons the last pass gives for leaving ops alone, one a line."""
    manager = PassManager.parse(pipeline, explain=True)
    manager.run(graph)
    return "\n".join(f"{r.rule}: {r.op}: {r.reason}" for r in manager.report[-1].refusals)


def ir_sections(name: str) -> list[Graph]:
    """The graphs of ``tests/ir/<name>.dlc``, but for those that are mistakes."""
    text = (IR / f"{name}.dlc").read_text("utf-8")
    sections = re.split(r"^// -----.*\n", text, flags=re.MULTILINE)
    return [parse_graph(section) for section in sections if "EXPECT-ERROR" not in section]
