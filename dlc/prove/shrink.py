"""Steps to a simpler graph: each yields graphs that are simpler than the one given, best first.

``index`` is the place where to try; a shrinker says with None that there are no more places.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from dlc.errors import DlcError
from dlc.ir.graph import Graph, Op, Value
from dlc.ir.operator import Array, Constant, Data, Input, Operator, Output
from dlc.ir.sizes import Size, bound_of
from dlc.ir.types import Dim
from dlc.prove.subgraph import FEW, computing
from dlc.rewrite.driver import erase_dead

Shrinker = Callable[[Graph, int], Iterator[Graph] | None]


def bypass(graph: Graph, index: int) -> Iterator[Graph] | None:
    """Without op number ``index``: who reads it reads one of its operands of the same type."""
    ops = computing(graph)
    return _bypass(graph, ops[index]) if index < len(ops) else None


def _bypass(graph: Graph, op: Op) -> Iterator[Graph]:
    for port, operand in enumerate(op.operands):
        if operand is None or len(op.results) != 1 or operand.type != op.types[0]:
            continue
        smaller, twins = _twin(graph)
        twin = twins[op]
        source = twin.operands[port]
        assert source is not None
        smaller.replace(twin, [source])
        yield prune(smaller)


def outputs(graph: Graph, index: int) -> Iterator[Graph] | None:
    """Without output number ``index``."""
    pairs = list(zip(graph.output_names, graph.outputs, strict=True))
    if index >= len(pairs):
        return None
    if len(pairs) == 1:
        return iter(())
    smaller, twins = _twin(graph)
    smaller.set_outputs(
        [(name, twins[v.op].results[v.index]) for i, (name, v) in enumerate(pairs) if i != index]
    )
    return iter([prune(smaller)])


def constants(graph: Graph, index: int) -> Iterator[Graph] | None:
    """With zeros, ones or one number throughout in constant number ``index``."""
    ops = [op for op in graph.ops if isinstance(op.operator, Constant)]
    return _constants(graph, ops[index]) if index < len(ops) else None


def _constants(graph: Graph, op: Op) -> Iterator[Graph]:
    array = _array(op)
    if array.size == 0 or array.dtype == object:
        return
    first = array.reshape(-1)[0]
    numbers = [0, 1] if array.dtype.kind == "c" else [0, 1, np.rint(np.float64(first)), first]
    for number in numbers:
        with np.errstate(all="ignore"):
            filled = np.full(array.shape, number).astype(array.dtype)
        if filled.tobytes() == array.tobytes():
            return  # as simple as that already
        smaller, twins = _twin(graph)
        smaller.set_operator(twins[op], Constant(Data(filled)), types=op.types)
        yield smaller


def inputs(graph: Graph, index: int) -> Iterator[Graph] | None:
    """With zeros in place of input number ``index``, if another input is left."""
    if index >= len(graph.inputs):
        return None
    value = graph.inputs[index]
    if len(graph.inputs) == 1 or not value.type.is_static:
        return iter(())
    smaller, twins = _twin(graph)
    twin = twins[value.op]
    zeros = smaller.add_constant(np.zeros(value.shape, value.type.dtype.numpy))
    smaller.replace(twin, [zeros])
    return iter([prune(smaller)])


def shapes(graph: Graph, index: int) -> Iterator[Graph] | None:
    """With dims of one size, the ``index``-th of those there are, smaller in inputs and constants."""
    sizes = sorted(
        {d for v in _leaves(graph) for d in v.type.shape if not _is_least(d)}, key=_order
    )
    return _shapes(graph, sizes[index]) if index < len(sizes) else None


def _shapes(graph: Graph, old: Dim) -> Iterator[Graph]:
    places = [(v, axis) for v in _leaves(graph) for axis, d in enumerate(v.type.shape) if d == old]
    # channels are mostly the first axes, what a window moves over the last
    groups = [places, [p for p in places if p[1] < 2], [p for p in places if p[1] > 1]]
    if len(places) <= 16:
        groups += map(list, itertools.combinations(places, 2))
    groups += [[place] for place in places]
    for size in _smaller(old):
        for group in groups:
            for attributes in (True, False) if group is places else (False,):
                found = _resized(graph, group, old, size, attributes) if group else None
                if found is not None:
                    yield found


def _smaller(old: Dim) -> list[int]:
    if isinstance(old, Size):
        return [1, old.bound]
    return sorted({1, old // 2, old - 1} - {0, old})


def _is_least(dim: Dim) -> bool:
    return isinstance(dim, int) and dim <= 1


def _order(dim: Dim) -> tuple[int, str]:
    return -bound_of(dim), "" if isinstance(dim, int) else str(dim)


def _leaves(graph: Graph) -> list[Value]:
    return [op.results[0] for op in graph.ops if isinstance(op.operator, Input | Constant)]


def _resized(
    graph: Graph, places: list[tuple[Value, int]], old: Dim, new: int, attributes: bool
) -> Graph | None:
    """The graph with these axes of inputs and constants cut to ``new``, all types inferred again.

    ``attributes``: so are equal numbers in shapes that are attributes or constants. None when it
    does not fit together.
    """
    smaller = Graph(graph.name, graph.opsets)
    mapped: dict[Value, Value] = {}
    cut = set(places)
    try:
        for op in graph.ops:
            if isinstance(op.operator, Input):
                (value,) = op.results
                dims = [
                    new if (value, axis) in cut else d for axis, d in enumerate(value.type.shape)
                ]
                mapped[value] = smaller.add_input(op.label, value.type.with_shape(dims))
            elif isinstance(op.operator, Constant):
                (value,) = op.results
                array = _array(op)
                if attributes and array.dtype == np.int64 and array.size <= FEW and array.ndim == 1:
                    array = np.where(array == old, new, array)
                slices = tuple(
                    slice(new if (value, axis) in cut else None) for axis in range(array.ndim)
                )
                whole = array is _array(op) and slices == (slice(None),) * array.ndim
                data = op.operator.value if whole else Data(np.ascontiguousarray(array[slices]))
                mapped[value] = smaller.add_constant(data, op.label)
            elif isinstance(op.operator, Output):
                smaller.set_outputs(
                    [(n, mapped[v]) for n, v in zip(graph.output_names, graph.outputs, strict=True)]
                )
            else:
                operator = _reshaped(op.operator, old, new) if attributes else op.operator
                operands = [None if v is None else mapped[v] for v in op.operands]
                twin = smaller.add(operator, operands, label=op.label)
                mapped.update(zip(op.results, twin.results, strict=True))
    except (DlcError, ValueError, IndexError, TypeError, KeyError):
        return None
    return smaller


def _reshaped(operator: Operator, old: Dim, new: int) -> Operator:
    shape: Any = getattr(operator, "shape", None)
    if not isinstance(shape, tuple) or not dataclasses.is_dataclass(operator):
        return operator
    return dataclasses.replace(operator, shape=tuple(new if d == old else d for d in shape))


def prune(graph: Graph) -> Graph:
    """Erase what no output depends on, inputs included."""
    erase_dead(graph, *(op for op in graph.ops if not isinstance(op.operator, Output)))
    for value in graph.inputs:
        if not value.uses:
            graph.erase(value.op)
    return graph


def _array(op: Op) -> Array:
    assert isinstance(op.operator, Constant)
    return op.operator.value.array


def _twin(graph: Graph) -> tuple[Graph, dict[Op, Op]]:
    twin = graph.copy()
    return twin, dict(zip(graph.ops, twin.ops, strict=True))
