"""The plan as annotations of the graph, and back: what textual IR prints is the plan.

``liveness`` writes on each op its ``step``, the ``place`` of each result as (buffer number, byte
offset), the buffer of its ``scratch`` and, for the reader, which buffers it ``frees``;
``plan-arena`` adds the graph's ``offsets`` (of each buffer in the arena, -1 elsewhere). Everything
else follows from these and the ops.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn

from dlc.errors import PlanError
from dlc.ir.graph import Graph, Op, Value
from dlc.ir.operator import Constant, Input
from dlc.ir.types import TensorType
from dlc.ops.emission import Emission, as_copy
from dlc.plan.lifetimes import frees, peaks
from dlc.plan.links import emission_of
from dlc.plan.program import Buffer, FinalCopy, Placement, Program, Space, Step


def is_planned(graph: Graph) -> bool:
    """Whether the graph has a schedule and offsets."""
    return "steps" in graph.annotations and "offsets" in graph.annotations


def program_of(graph: Graph) -> Program:
    """The program a graph's annotations describe.

    Raises PlanError when there are none (run ``liveness``, and ``plan-arena`` for offsets) or when
    they do not fit the graph. Whether the plan is sound is another question: ``dlc.plan.check``.
    """
    if "steps" not in graph.annotations:
        raise PlanError(f"graph {graph.name!r} has no plan; run the passes liveness and plan-arena")
    return _Reader(graph, {}).program()


class _Reader:
    def __init__(self, graph: Graph, emissions: Mapping[Op, Emission]) -> None:
        self.graph = graph
        self.place: dict[Value, Placement] = {}
        self.constants: list[Op] = []
        self.steps: list[Op] = []
        for op in graph.ops:
            if op is graph.output or (isinstance(op.operator, Constant) and not op.annotations):
                continue
            self._read_places(op)
            if isinstance(op.operator, Constant):
                self.constants.append(op)
            elif not isinstance(op.operator, Input):
                self.steps.append(op)
        self.steps.sort(key=lambda op: _integer(op, op.annotations.get("step")))
        for step, op in enumerate(self.steps):
            if op.annotations["step"] != step:
                _fail(op, f"has step {op.annotations['step']} where step {step} is missing")
        self.emissions = [emissions.get(op) or emission_of(op) for op in self.steps]
        self.constants.sort(key=lambda op: self.place[op.results[0]].buffer)

    def _read_places(self, op: Op) -> None:
        places = op.annotations.get("place")
        if not isinstance(places, tuple | list) or len(places) != len(op.results):
            _fail(op, "needs one place for each result")
        for value, place in zip(op.results, places, strict=True):
            if not isinstance(place, tuple | list) or len(place) != 2:
                _fail(op, f"has {place!r} where a buffer and an offset are needed")
            self.place[value] = Placement(_integer(op, place[0]), _integer(op, place[1]))

    def program(self) -> Program:
        buffers, copies = self._buffers()
        dead = frees(buffers, len(self.steps))
        steps = tuple(
            self._step(index, op, emission, dead[index])
            for index, (op, emission) in enumerate(zip(self.steps, self.emissions, strict=True))
        )
        peak = peaks(buffers, copies, len(steps))
        return Program(self.graph, tuple(self.constants), buffers, steps, copies,
                       _arena_bytes(buffers), peak.lower_bound, peak.step, peak.with_io)  # fmt: skip

    def _step(self, index: int, op: Op, emission: Emission, dead: tuple[int, ...]) -> Step:
        operands = tuple(self._at(op, value) for value in op.operands if value is not None)
        results = tuple(self.place[value] for value in op.results)
        scratch = Placement(self._scratch(op), 0) if emission.scratch else None
        types = [t for t in op.operand_types if t is not None]
        elided = elided_parts(emission, operands, results, types)
        return Step(index, op, emission, operands, results, scratch, elided, dead)

    def _at(self, op: Op, value: Value) -> Placement:
        if value not in self.place:
            _fail(op, f"reads {value!r}, which has no place")
        return self.place[value]

    def _scratch(self, op: Op) -> int:
        return _integer(op, op.annotations.get("scratch"))

    def _buffers(self) -> tuple[tuple[Buffer, ...], tuple[FinalCopy, ...]]:
        """Buffers from what is placed in them."""
        count = 1 + max(
            [p.buffer for p in self.place.values()]
            + [self._scratch(op) for op, e in zip(self.steps, self.emissions, strict=True) if e.scratch],
            default=-1,
        )  # fmt: skip
        if count > 2 * len(self.graph) + len(self.place):
            raise PlanError(f"the plan of graph {self.graph.name!r} numbers {count} buffers, more than it has values")  # fmt: skip
        size, first, last = [0] * count, [len(self.steps)] * count, [-1] * count
        space, index = [Space.ARENA] * count, [0] * count

        def use(place: Placement, bytes: int, step: int) -> None:
            size[place.buffer] = max(size[place.buffer], place.offset + bytes)
            first[place.buffer] = min(first[place.buffer], step)
            last[place.buffer] = max(last[place.buffer], step)

        def claim(op: Op, value: Value, kind: Space, number: int) -> None:
            place = self._at(op, value)
            if place.offset or space[place.buffer] is not Space.ARENA:
                _fail(op, f"does not start a buffer of its own for {kind.value} {number}")
            space[place.buffer], index[place.buffer] = kind, number

        for number, value in enumerate(self.graph.inputs):
            use(self.place[value], value.type.nbytes, -1)
            claim(value.op, value, Space.INPUT, number)
        for number, op in enumerate(self.constants):
            use(self.place[op.results[0]], op.types[0].nbytes, -1)
            claim(op, op.results[0], Space.CONSTANT, number)
        for step, (op, emission) in enumerate(zip(self.steps, self.emissions, strict=True)):
            for value in (*op.results, *(v for v in op.operands if v is not None)):
                use(self._at(op, value), value.type.nbytes, step)
            if emission.scratch:
                use(Placement(self._scratch(op), 0), emission.scratch, step)
        copies = []
        for number, value in enumerate(self.graph.outputs):
            place = self._at(self.graph.output, value)
            use(place, value.type.nbytes, len(self.steps))
            if space[place.buffer] is Space.ARENA and size[place.buffer] == value.type.nbytes:
                claim(value.op, value, Space.OUTPUT, number)
            else:
                copies.append(FinalCopy(place, number, value.type.nbytes))
        offsets = self._offsets(count)
        return tuple(
            Buffer(i, space[i], index[i], size[i], first[i], last[i],
                   offsets[i] if space[i] is Space.ARENA else None)
            for i in range(count)
        ), tuple(copies)  # fmt: skip

    def _offsets(self, count: int) -> Sequence[int | None]:
        stated = self.graph.annotations.get("offsets")
        if stated is None:
            return [None] * count
        if len(stated) != count or not all(type(n) is int for n in stated):
            raise PlanError(f"graph {self.graph.name!r} needs {count} offsets, one for each buffer")
        return [None if n < 0 else n for n in stated]


def elided_parts(emission: Emission, operands: Sequence[Placement], results: Sequence[Placement],
                 types: Sequence[TensorType]) -> frozenset[int]:  # fmt: skip
    """Parts that copy bytes from one address to the same (or copy none)."""
    found = set()
    for number, part in enumerate(emission.parts):
        copy = as_copy(part)
        if copy is None:
            continue
        unit = types[copy.operand].dtype.nbytes
        source, target = operands[copy.operand], results[copy.result]
        if copy.count == 0 or (
            source.buffer == target.buffer
            and source.offset + copy.source * unit == target.offset + copy.target * unit
        ):
            found.add(number)
    return frozenset(found)


def annotate(graph: Graph, steps: Sequence[Op], place: Mapping[Value, Placement],
             scratch: Mapping[Op, int], emissions: Mapping[Op, Emission]) -> None:  # fmt: skip
    """Write a schedule and places (no offsets) on a graph, replacing what was there."""
    for op in graph.ops:
        for key in ("step", "place", "scratch", "frees"):
            op.annotations.pop(key, None)
        places = tuple((place[v].buffer, place[v].offset) for v in op.results if v in place)
        if places:
            op.annotations["place"] = places
    for step, op in enumerate(steps):
        op.annotations["step"] = step
        op.annotations.setdefault("place", ())
        if op in scratch:
            op.annotations["scratch"] = scratch[op]
    graph.annotations.pop("offsets", None)
    graph.annotations["steps"] = len(steps)
    program = _Reader(graph, emissions).program()
    for planned in program.steps:
        if planned.frees:
            planned.op.annotations["frees"] = planned.frees
    graph.annotations |= {
        "lower_bound": program.lower_bound,
        "peak_step": program.peak_step,
        "peak_bytes_with_io": program.peak_bytes_with_io,
    }


def with_offsets(program: Program, offsets: Mapping[int, int]) -> Program:
    """The program with arena buffers at these offsets, which the graph is annotated with."""
    buffers = tuple(replace(b, offset=offsets.get(b.id)) for b in program.buffers)
    arena = _arena_bytes(buffers)
    stated = tuple(offsets.get(b.id, -1) for b in buffers)
    program.graph.annotations |= {"offsets": stated, "arena_bytes": arena}
    return replace(program, buffers=buffers, arena_bytes=arena)


def _arena_bytes(buffers: Sequence[Buffer]) -> int:
    return max((b.offset + b.size for b in buffers if b.offset is not None), default=0)


def _integer(op: Op, value: Any) -> int:
    if type(value) is not int or value < 0:
        _fail(op, f"is annotated {value!r} where a number is needed")
    return value


def _fail(op: Op, reason: str) -> NoReturn:
    raise PlanError(f"the plan of {op.operator.label} {op.label!r} {reason}; run liveness again")
