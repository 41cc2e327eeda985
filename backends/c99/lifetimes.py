"""Every tensor of a program with its place and the steps it lives through."""

from __future__ import annotations

from dataclasses import dataclass

from dlc.ir.graph import Value
from dlc.ir.operator import Constant, Input
from dlc.ir.types import TensorType
from dlc.plan.program import Placement, Program, Space


@dataclass(frozen=True, slots=True)
class Tensor:
    """A value or a step's scratch memory."""

    id: int
    name: str
    kind: str
    """``input``, ``constant``, ``result`` or ``scratch``."""
    type: TensorType | None
    """None for scratch."""
    place: Placement
    size: int
    first: int
    """Step that writes it; -1 when it is there before the run."""
    last: int
    """Last step that reads it (that writes it, if none does); number of steps for outputs."""


@dataclass(frozen=True, slots=True)
class Tensors:
    """Tensors in order of appearance, and their numbers by value and by scratch's step."""

    all: tuple[Tensor, ...]
    of_value: dict[Value, int]
    of_scratch: dict[int, int]


def tensors_of(program: Program) -> Tensors:
    """Tensors that some step reads or writes or the caller gets, inputs first."""
    places = _places(program)
    first = {v: step.index for step in program.steps for v in step.op.results}
    last = dict(first)
    for step in program.steps:
        last |= {v: step.index for v in step.op.operands if v is not None}
    last |= dict.fromkeys(program.graph.outputs, len(program.steps))
    names = dict(zip(program.graph.outputs, program.graph.output_names, strict=True))
    found: list[Tensor] = []
    of_value: dict[Value, int] = {}
    of_scratch: dict[int, int] = {}
    for value, place in places.items():
        of_value[value] = len(found)
        kind = {Input: "input", Constant: "constant"}.get(type(value.op.operator), "result")
        label = value.op.label + (f".{value.index}" if len(value.op.results) > 1 else "")
        start = first.get(value, -1)
        found.append(Tensor(
            len(found), label if kind == "input" else names.get(value, label), kind, value.type,
            place, value.type.nbytes, start, last.get(value, start),
        ))  # fmt: skip
    for step in program.steps:
        if step.scratch is not None and step.emission.scratch:
            of_scratch[step.index] = len(found)
            found.append(Tensor(
                len(found), f"scratch of {step.op.label}", "scratch", None, step.scratch,
                step.emission.scratch, step.index, step.index,
            ))  # fmt: skip
    return Tensors(tuple(found), of_value, of_scratch)


def _places(program: Program) -> dict[Value, Placement]:
    places: dict[Value, Placement] = {}
    constants = [op.result for op in program.constants]
    for space, values in ((Space.INPUT, program.graph.inputs), (Space.CONSTANT, constants)):
        buffers = {b.index: b.id for b in program.buffers if b.space is space}
        for index, given in enumerate(values):
            if index in buffers:
                places[given] = Placement(buffers[index], 0)
    for step in program.steps:
        for value, place in zip(step.op.operands, step.operands, strict=True):
            if value is not None:
                places.setdefault(value, place)
        for value, place in zip(step.op.results, step.results, strict=True):
            places.setdefault(value, place)
    return places
