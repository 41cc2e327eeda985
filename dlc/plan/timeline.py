"""Values of a schedule by number: size, when they are stored first and read last, who reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dlc.errors import UnsupportedError
from dlc.ir.graph import Graph, Op, Value
from dlc.ir.operator import Constant, Input
from dlc.ops.emission import Emission
from dlc.plan.links import Link, emission_of, links_of
from dlc.plan.program import Space

#: a value that may be larger is bounded carelessly
MAX_BYTES = 1 << 40


@dataclass(frozen=True, slots=True)
class Anatomy:
    """What of a graph does not depend on the schedule."""

    graph: Graph
    ops: tuple[Op, ...]
    """The ops that become steps."""
    emissions: dict[Op, Emission]
    links: dict[Op, list[Link]]
    values: tuple[Value, ...]
    number: dict[Value, int]
    space: tuple[Space, ...]
    """Where each value must live, or ARENA."""
    index: tuple[int, ...]
    """Number of the input, output or constant the value is."""


def anatomy(graph: Graph) -> Anatomy:
    """Read the emissions of a graph of core ops; PlanError when an op is not one."""
    ops, emissions, links = [], {}, {}
    values: list[Value] = []
    space: dict[Value, tuple[Space, int]] = {}
    constants = 0
    for op in graph.ops:
        if op is graph.output:
            continue
        if isinstance(op.operator, Constant):
            if not op.results[0].uses:
                continue
            space[op.results[0]] = (Space.CONSTANT, constants)
            constants += 1
        elif not isinstance(op.operator, Input):
            ops.append(op)
            emissions[op] = emission = emission_of(op)
            links[op] = links_of(emission, [t for t in op.operand_types if t is not None], op.types)
        values.extend(op.results)
        for type in op.types:
            if type.nbytes > MAX_BYTES:
                raise UnsupportedError(
                    f"{op.label or op.operator.label!r}: its result {type} may take {type.nbytes} "
                    f"bytes; give lower bounds with --max"
                )
    space |= {value: (Space.INPUT, i) for i, value in enumerate(graph.inputs)}
    for i, value in enumerate(graph.outputs):
        space.setdefault(value, (Space.OUTPUT, i))
    return Anatomy(
        graph, tuple(ops), emissions, links, tuple(values), {v: i for i, v in enumerate(values)},
        tuple(space.get(v, (Space.ARENA, 0))[0] for v in values),
        tuple(space.get(v, (Space.ARENA, 0))[1] for v in values),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Timeline:
    """A schedule and what it means for each value (by number).

    ``born`` is the step that defines a value (-1: before the run), ``last`` the last one that reads
    it (the number of steps: the caller does, afterwards).
    """

    anatomy: Anatomy
    steps: tuple[Op, ...]
    size: list[int]
    born: list[int]
    last: list[int]


def timeline(anatomy: Anatomy, order: Sequence[Op]) -> Timeline:
    """The timeline of the steps in this order."""
    number, count = anatomy.number, len(anatomy.values)
    born, last = [-1] * count, [-1] * count
    for step, op in enumerate(order):
        for value in op.results:
            born[number[value]] = last[number[value]] = step
        for operand in op.operands:
            if operand is not None:
                last[number[operand]] = step
    for value in anatomy.graph.outputs:
        last[number[value]] = len(order)
    return Timeline(anatomy, tuple(order), [v.type.nbytes for v in anatomy.values], born, last)
