"""What ops with bodies have in common: running a body from an emission, copying it into a graph."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from dlc.errors import PlanError
from dlc.ir.graph import Graph, Value
from dlc.ir.operator import Data, Input
from dlc.ir.sizes import Dim, Symbol, substitute, symbols_of
from dlc.ir.types import TensorType
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


def is_outer(dim: Dim, body: Graph, inside: Collection[Symbol] = ()) -> bool:
    """Whether a size in a body is known outside too: no op of the body defines a symbol of it, and
    it does not change from turn to turn (``inside``).
    """
    for symbol in symbols_of(dim):
        definer = body.definer(symbol)
        if symbol in inside or not (definer is None or isinstance(definer.operator, Input)):
            return False
    return True


def specialised(
    body: Graph, values: Mapping[Symbol, Dim], inside: Collection[Symbol] = ()
) -> Graph:
    """The body with these values in place of symbols that come from outside."""
    known = {s: v for s, v in values.items() if is_outer(s, body, inside)}
    graph = Graph(body.name, body.opsets)
    graph.bounds = dict(body.bounds)
    copies: dict[Value, Value] = {}
    for value in body.inputs:
        copies[value] = graph.add_input(value.op.label, _at(value.type, known))
    _copy(body, graph, copies, known)
    pairs = zip(body.output_names, body.outputs, strict=True)
    graph.set_outputs([(name, copies[value]) for name, value in pairs])
    return graph


def _at(type: TensorType, values: Mapping[Symbol, Dim]) -> TensorType:
    return type if type.is_static else type.with_shape(substitute(d, values) for d in type.shape)


def inline(body: Graph, graph: Graph, arguments: Sequence[Value]) -> list[Value]:
    """Copy the ops of a body into a graph, its inputs being ``arguments``; returns its outputs."""
    values = dict(zip(body.inputs, arguments, strict=True))
    _copy(body, graph, values)
    return [values[value] for value in body.outputs]


def _copy(body: Graph, graph: Graph, copies: dict[Value, Value],
          values: Mapping[Symbol, Dim] | None = None) -> None:  # fmt: skip
    """Copy the ops of a body; ``copies`` has those of its inputs, and gets those of the rest.

    Symbols take the ``values``; those that the body defines are renamed where the graph has them.
    """
    known: dict[Symbol, Dim] = dict(values or {})
    for op in body.ops:
        if isinstance(op.operator, Input) or op is body.output:
            continue
        operator, bodies = op.operator, list(op.operator.regions())
        if bodies and not known:
            operator = operator.with_regions([inner.copy() for inner in bodies])
        operator = operator.at(known) if known else operator
        if any(graph.definer(symbol) is not None for symbol in operator.defined):
            fresh = _fresh(operator.defined, graph)
            operator, known = operator.renamed(fresh), known | fresh
        operands = [None if value is None else copies[value] for value in op.operands]
        types = [_at(type, known) for type in op.types]
        twin = graph.add(operator, operands, types=types, label=op.label)
        copies.update(zip(op.results, twin.results, strict=True))


def _fresh(symbols: Sequence[Symbol], graph: Graph) -> dict[Symbol, Symbol]:
    """New names in a graph for symbols of one op; those with a joint bound stay together."""
    groups: dict[str, list[Symbol]] = {}
    for symbol in symbols:
        groups.setdefault(symbol.name if symbol.joint is None else symbol.group, []).append(symbol)
    found: dict[Symbol, Symbol] = {}
    for name, members in groups.items():
        intervals = [(symbol.low, symbol.bound) for symbol in members]
        fresh = graph.fresh_symbols(name, intervals, members[0].joint)
        found |= dict(zip(members, fresh, strict=True))
    return found


def rebuilt(body: Graph, inputs: Sequence[int], outputs: Sequence[int],
            known: Mapping[int, Data]) -> Graph:  # fmt: skip
    """The body with these of its inputs and outputs, in this order; ``known`` inputs are constants.

    No other input may be read by what is kept.
    """
    graph = Graph(body.name, body.opsets)
    graph.bounds = dict(body.bounds)
    values: dict[Value, Value] = {}
    for value in (body.inputs[index] for index in inputs):
        values[value] = graph.add_input(value.op.label, value.type)
    for index, data in known.items():
        values[body.inputs[index]] = graph.add_constant(data, body.inputs[index].op.label)
    _copy(body, graph, values)
    graph.set_outputs([(body.output_names[i], values[body.outputs[i]]) for i in outputs])
    return graph
