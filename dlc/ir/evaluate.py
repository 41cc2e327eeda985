"""Running a graph in numpy, op by op, through each operator's ``evaluate``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from dlc.errors import DlcError, InputError
from dlc.ir.graph import Graph, Value
from dlc.ir.operator import Array, Constant, Input, Output
from dlc.ir.sizes import Symbol


def evaluate_graph(graph: Graph, inputs: Sequence[Array]) -> list[Array]:
    """The graph's outputs for these inputs, both in the graph's order.

    An array is let go after its last use, so the peak is that of the graph, not its sum. The inputs
    are not checked (``dlc.interp.run`` does); an error names the op that raised it.
    """
    if len(inputs) != len(graph.inputs):
        raise InputError(
            f"graph {graph.name!r} takes {len(graph.inputs)} inputs, not {len(inputs)}"
        )
    ops = graph.ops
    sizes = _input_sizes(graph, inputs)
    readers = Counter(value for op in ops for value in op.operands if value is not None)
    arrays: dict[Value, Array] = dict(zip(graph.inputs, inputs, strict=True))
    for op in ops:
        if isinstance(op.operator, Input | Output):
            continue
        if isinstance(op.operator, Constant):
            results: Sequence[Array] = (op.operator.value.array,)
        else:
            operands = [None if value is None else arrays[value] for value in op.operands]
            try:
                operator = op.operator
                if sizes:
                    operator = operator.at(sizes)
                    operator.check_sizes(operands)
                results = operator.evaluate(operands)
                if operator.defined:
                    _define(operator.define(operands, results, op.types), sizes)
            except DlcError as error:
                raise type(error)(f"{op.label or op.operator.label}: {error}") from error
        named = zip(op.results, results, strict=False)
        arrays.update((value, array) for value, array in named if readers[value])
        for operand in op.operands:
            if operand is not None:
                readers[operand] -= 1
                if not readers[operand]:
                    del arrays[operand]
    return [arrays[value] for value in graph.outputs]


def _input_sizes(graph: Graph, inputs: Sequence[Array]) -> dict[Symbol, int]:
    sizes: dict[Symbol, int] = {}
    for value, array in zip(graph.inputs, inputs, strict=True):
        if not value.type.is_static:
            named = zip(value.type.shape, array.shape, strict=True)
            _define({dim: size for dim, size in named if isinstance(dim, Symbol)}, sizes)
    return sizes


def _define(found: Mapping[Symbol, int], sizes: dict[Symbol, int]) -> None:
    for symbol, value in found.items():
        if not symbol.low <= value <= symbol.bound:
            raise InputError(f"size {symbol.name} = {value} lies outside {symbol}")
        sizes[symbol] = value
