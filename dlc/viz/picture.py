"""What a picture of a graph shows: boxes with lines of text, arrows with types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from dlc.ir.graph import Graph, Op
from dlc.ir.operator import Constant, Input, Output

_WIDEST = 44
_SHOWN = 6
"""Constants an op lists before it says how many more it reads."""


@dataclass(frozen=True, slots=True)
class Box:
    """One op (``input``, ``output``, or what it computes) and the constants it reads."""

    id: int
    role: str
    """``input``, ``op`` or ``output``."""
    lines: tuple[str, ...]
    """The kind of op first, then its label, constants and memory."""
    state: str = "kept"
    """``kept``; ``gone`` when the later graph has no such op, ``new`` when the earlier one had none."""


@dataclass(frozen=True, slots=True)
class Arrow:
    """A value from one box to another."""

    source: int
    target: int
    text: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A graph as boxes in topological order and arrows."""

    title: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


def pictures(graphs: Sequence[tuple[str, Graph]]) -> list[Picture]:
    """A picture for each titled graph; with two, boxes only one of them has are marked."""
    states: list[dict[int, str]] = [{} for _ in graphs]
    if len(graphs) == 2:
        first, second = ([op for op in graph.ops if _is_box(op)] for _, graph in graphs)
        for ours, theirs, state, found in (
            (first, second, "gone", states[0]), (second, first, "new", states[1]),
        ):  # fmt: skip
            there = Counter(map(_likeness, theirs))
            for op in ours:
                if there[_likeness(op)] <= 0:
                    found[op.id] = state
                there[_likeness(op)] -= 1
    return [
        _picture(title, graph, marks) for (title, graph), marks in zip(graphs, states, strict=True)
    ]


def _picture(title: str, graph: Graph, states: dict[int, str]) -> Picture:
    boxes, arrows = [], []
    for op in graph.ops:
        if not _is_box(op):
            continue
        boxes.append(Box(op.id, _role(op), tuple(map(_cut, _lines(op))), states.get(op.id, "kept")))
        arrows += [
            Arrow(value.op.id, op.id, str(value.type))
            for value in dict.fromkeys(op.operands)
            if value is not None and _is_box(value.op)
        ]
    return Picture(title, tuple(boxes), tuple(arrows))


def _is_box(op: Op) -> bool:
    """Constants are listed in the ops that read them, but for those that are outputs."""
    return not isinstance(op.operator, Constant)


def _likeness(op: Op) -> Hashable:
    return op.operator.label, op.label, op.types


def _role(op: Op) -> str:
    return {Input: "input", Output: "output"}.get(type(op.operator), "op")


def _lines(op: Op) -> list[str]:
    operator = op.operator
    lines = [operator.label]
    if op.label:
        lines.append(op.label)
    expr = getattr(operator, "expr", None) or getattr(operator, "epilogue", None)
    if expr is not None and str(expr) != "a0":
        lines.append(str(expr))
    constants = [v.op for v in dict.fromkeys(op.operands) if v is not None and not _is_box(v.op)]
    lines += [f"{_end(c.label or 'constant')} {_value(c)}" for c in constants[:_SHOWN]]
    if len(constants) > _SHOWN:
        lines.append(f"and {len(constants) - _SHOWN} more constants")
    bodies = sum(1 for _ in operator.regions())
    if bodies:
        lines.append(f"{bodies} {'body' if bodies == 1 else 'bodies'}")
    if isinstance(operator, Output):
        lines += operator.names
    elif isinstance(operator, Input):
        lines.append(str(op.types[0]))
    if "step" in op.annotations:
        lines.append(f"step {op.annotations['step']}, place {op.annotations.get('place')}")
    return lines


def _value(op: Op) -> str:
    """A constant's type, or its value where that is one number."""
    array = op.results[0].constant
    scalar = array is not None and array.size == 1 and array.dtype.kind in "iufb"
    return f"= {array.item():.6g}" if scalar and array is not None else str(op.types[0])


def _end(name: str) -> str:
    """The end of a long name, which tells weights of a model apart."""
    return name if len(name) <= _WIDEST // 2 else f"…{name[1 - _WIDEST // 2 :]}"


def _cut(line: str) -> str:
    line = " ".join(line.split())
    return line if len(line) <= _WIDEST else f"{line[: _WIDEST - 1]}…"
