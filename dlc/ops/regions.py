"""What ops with bodies have in common: running a body from an emission, copying it into a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dlc.errors import PlanError
from dlc.ir.graph import Graph, Value
from dlc.ir.operator import Data, Input
from dlc.ops.emission import Access, Affine, Call, Carried, Going, Scratch, Turn

_ALIGN = 16


def call(body: Graph, inputs: Sequence[Access | Turn | Going | Carried],
         outputs: Sequence[Access | Going | Carried], turns: int = 0) -> Call:  # fmt: skip
    """One run of a body, its arena at the start of the op's scratch; ``turns`` loops are around it.

    Raises PlanError when the body has no plan yet.
    """
    at = Access(Scratch(), Affine(0, (0,) * turns))
    return Call(body, tuple(inputs), tuple(outputs), (at,) if arena_bytes(body) else ())


def arena_bytes(body: Graph) -> int:
    """Bytes of scratch a planned body needs; PlanError when it is not planned."""
    found = body.annotations.get("arena_bytes")
    if not isinstance(found, int):
        raise PlanError(
            f"body {body.name!r} has no plan; run the pass liveness on the graph around it"
        )
    return found


def aligned(offset: int) -> int:
    """The next offset at which elements of any type may lie."""
    return -(-offset // _ALIGN) * _ALIGN


def inline(body: Graph, graph: Graph, arguments: Sequence[Value]) -> list[Value]:
    """Copy the ops of a body into a graph, its inputs being ``arguments``; returns its outputs."""
    values = dict(zip(body.inputs, arguments, strict=True))
    _copy(body, graph, values)
    return [values[value] for value in body.outputs]


def _copy(body: Graph, graph: Graph, values: dict[Value, Value]) -> None:
    """Copy the ops of a body; ``values`` has the copies of its inputs, and gets those of the rest."""
    for op in body.ops:
        if isinstance(op.operator, Input) or op is body.output:
            continue
        operator, bodies = op.operator, list(op.operator.regions())
        if bodies:
            operator = operator.with_regions([inner.copy() for inner in bodies])
        operands = [None if value is None else values[value] for value in op.operands]
        twin = graph.add(operator, operands, types=op.types, label=op.label)
        values.update(zip(op.results, twin.results, strict=True))


def rebuilt(body: Graph, inputs: Sequence[int], outputs: Sequence[int],
            known: Mapping[int, Data]) -> Graph:  # fmt: skip
    """The body with these of its inputs and outputs, in this order; ``known`` inputs are constants.

    No other input may be read by what is kept.
    """
    graph = Graph(body.name, body.opsets)
    values: dict[Value, Value] = {}
    for value in (body.inputs[index] for index in inputs):
        values[value] = graph.add_input(value.op.label, value.type)
    for index, data in known.items():
        values[body.inputs[index]] = graph.add_constant(data, body.inputs[index].op.label)
    _copy(body, graph, values)
    graph.set_outputs([(body.output_names[i], values[body.outputs[i]]) for i in outputs])
    return graph
