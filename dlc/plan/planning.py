"""The planner: schedule, sharing and offsets of a graph of core ops, kept as its annotations."""

from __future__ import annotations

from dlc.ir.graph import Graph, Op, Value
from dlc.plan.aliasing import Sharing
from dlc.plan.annotations import annotate, program_of, with_offsets
from dlc.plan.offsets import EFFORT, Block, assign, height
from dlc.plan.program import Placement, Program, Space
from dlc.plan.schedule import orders
from dlc.plan.sharing import cost, share
from dlc.plan.timeline import anatomy, timeline


def plan_lifetimes(graph: Graph) -> None:
    """Order the ops and let values share memory so that least bytes are live at once.

    Annotates the graph; PlanError when an op is not a core op. Bodies are planned before, offsets
    included: a body's arena is scratch memory of its op.
    """
    for op in graph.ops:
        for body in op.operator.regions():
            plan_lifetimes(body)
            plan_offsets(body)
    facts = anatomy(graph)
    best = min((share(timeline(facts, order)) for order in orders(facts)), key=cost)
    annotate(graph, best.timeline.steps, *_places(best), facts.emissions)


def _places(sharing: Sharing) -> tuple[dict[Value, Placement], dict[Op, int]]:
    """Buffers numbered: inputs, constants, outputs, then the arena's in order of first use."""
    facts = sharing.timeline.anatomy
    home = [sharing.find(i) for i in range(len(facts.values))]
    number: dict[int, int] = {}
    for space in (Space.INPUT, Space.CONSTANT, Space.OUTPUT):
        owners = [i for i, kind in enumerate(facts.space) if kind is space]
        for i in sorted(owners, key=lambda i: facts.index[i]):
            number[home[i][0]] = len(number)
    scratch: dict[Op, int] = {}
    buffers = len(number)
    for op in sharing.timeline.steps:
        for value in op.results:
            root = home[facts.number[value]][0]
            if root not in number:
                number[root] = buffers
                buffers += 1
        if facts.emissions[op].scratch:
            scratch[op] = buffers
            buffers += 1
    place = {
        value: Placement(number[root], offset - sharing.storage[root].low)
        for value, (root, offset) in zip(facts.values, home, strict=True)
    }
    return place, scratch


def plan_offsets(graph: Graph, align: int = 0) -> Program:
    """Give every arena buffer an offset, after ``plan_lifetimes`` if that has not been done.

    ``align`` bytes, or (0) 16 where that costs no arena and the elements' own size otherwise.
    Annotates the graph.
    """
    if "steps" not in graph.annotations:
        plan_lifetimes(graph)
    program = program_of(graph)
    natural = _natural_alignment(program)
    arena = [b for b in program.buffers if b.space is Space.ARENA]
    best: list[int] = []
    # a wide alignment is a nicety: little is spent on looking for it
    for least, effort in ((align, EFFORT),) if align else ((16, EFFORT // 10), (1, EFFORT)):
        blocks = [Block(b.size, b.first, b.last, max(least, natural[b.id])) for b in arena]
        found = assign(blocks, effort=effort)
        if not best or height(blocks, found) < height(blocks, best):
            best = found
        if height(blocks, best) == program.lower_bound:
            break
    return with_offsets(program, {b.id: o for b, o in zip(arena, best, strict=True)})


def _natural_alignment(program: Program) -> list[int]:
    """Alignment each buffer's elements need (8 for scratch, which may hold any of them)."""
    need = [1] * len(program.buffers)
    for step in program.steps:
        for type, place in zip(step.op.types, step.results, strict=True):
            need[place.buffer] = max(need[place.buffer], min(type.dtype.nbytes, 8))
        if step.scratch is not None:
            need[step.scratch.buffer] = max(need[step.scratch.buffer], 8)
    return need
