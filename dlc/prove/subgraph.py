"""Parts of a graph as graphs of their own."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from dlc.errors import DlcError
from dlc.ir.graph import Graph, Op, Value
from dlc.ir.operator import Array, Constant, Input, Operator, Output

#: integers up to so many are taken for shapes, axes and indices, whose values matter
FEW = 64


def computing(graph: Graph) -> list[Op]:
    """The ops that compute something, in order."""
    return [op for op in graph.ops if not isinstance(op.operator, Input | Output | Constant)]


def extract(
    graph: Graph, keep: Collection[Op], known: Mapping[Value, Array] | None = None
) -> Graph | None:
    """The ops ``keep``, with the constants they read, as a graph; None when it would have no output.

    What they read of other ops becomes inputs, or constants where ``known`` has the value; what
    others read of them, or nobody does, becomes outputs. Types stay.
    """
    kept, known = set(keep), known or {}
    part = Graph(graph.name, graph.opsets)
    names = _Names(graph)
    mapped: dict[Value, Value] = {}
    named = {v: name for name, v in zip(graph.output_names, graph.outputs, strict=True)}
    outputs: list[tuple[str, Value]] = []
    for op in graph.ops:
        if op not in kept:
            continue
        operands = [
            None if v is None else _read(part, v, mapped, names, known) for v in op.operands
        ]
        twin = part.add(_copied(op), operands, types=op.types, label=op.label)
        mapped.update(zip(op.results, twin.results, strict=True))
        for old, new in zip(op.results, twin.results, strict=True):
            readers = {use.op for use in old.uses}
            if old in named or not readers or readers - kept:
                outputs.append((named.get(old) or names.fresh("y"), new))
    if not outputs:
        return None
    part.set_outputs(outputs)
    return part


class _Names:
    """Names of inputs and outputs that a graph does not have yet."""

    def __init__(self, graph: Graph) -> None:
        self.taken = {*graph.input_names, *graph.output_names}

    def fresh(self, stem: str) -> str:
        name = next(
            n for n in (f"{stem}{i}" for i in range(len(self.taken) + 1)) if n not in self.taken
        )
        self.taken.add(name)
        return name


def _read(part: Graph, value: Value, mapped: dict[Value, Value], names: _Names,
          known: Mapping[Value, Array]) -> Value:  # fmt: skip
    if value not in mapped:
        op = value.op
        if isinstance(op.operator, Constant):
            mapped[value] = part.add_constant(op.operator.value, op.label)
        elif value in known:
            mapped[value] = part.add_constant(known[value], op.label)
        else:
            name = op.label if isinstance(op.operator, Input) else names.fresh("x")
            mapped[value] = part.add_input(name, value.type)
    return mapped[value]


def _copied(op: Op) -> Operator:
    bodies = list(op.operator.regions())
    return op.operator.with_regions([body.copy() for body in bodies]) if bodies else op.operator


def shape_values(graph: Graph, inputs: Mapping[str, Array]) -> dict[Value, Array]:
    """Small integer values that ops compute, for these inputs: shapes and indices, mostly.

    Empty when the graph cannot be run.
    """
    from dlc.interp import run

    probe = graph.copy()
    pairs = [
        (value, twin)
        for op, copied in zip(graph.ops, probe.ops, strict=True)
        if not isinstance(op.operator, Input | Constant)
        for value, twin in zip(op.results, copied.results, strict=True)
        if value.type.dtype.is_integer and value.type.is_static and value.type.capacity <= FEW
    ]
    probe.set_outputs([(str(number), twin) for number, (_, twin) in enumerate(pairs)])
    if not pairs:
        return {}
    try:
        with np.errstate(all="ignore"):
            arrays = run(probe, inputs)
    except DlcError:
        return {}
    return {value: np.array(arrays[str(number)]) for number, (value, _) in enumerate(pairs)}
