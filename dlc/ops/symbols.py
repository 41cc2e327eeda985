"""Values of integer tensors that become symbols at run time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from dlc.errors import UnsupportedError, VerifyError
from dlc.ir.graph import Graph, Value
from dlc.ir.sizes import Sum, Symbol, bound_of, low_of, minimum, product, select
from dlc.ir.types import Dim
from dlc.ops.build import constant, map_
from dlc.ops.core.bind import Bind
from dlc.ops.core.let import Let


def bound_sizes(value: Value, name: str, low: int | Sequence[int], bound: int | Sequence[int], *,
                clamp: bool = False, joint: int | None = None) -> list[Dim]:  # fmt: skip
    """The elements of an integer tensor of static length, bound to fresh symbols.

    ``low`` and ``bound`` are the interval of each, or of all; ``joint`` the most their product may
    be. With ``clamp`` values outside become the nearest inside, else they end the run with a status.
    An interval of one number gives that number.
    """
    if not value.type.is_static:
        raise UnsupportedError(
            f"{value.op.label or name!r}: the number of its elements, {value.type}, is known only at "
            f"run time, so the rank of what follows is not known"
        )
    count = value.type.capacity
    lows, bounds = ([b] * count if isinstance(b, int) else list(b) for b in (low, bound))
    if count == 0:
        return []
    graph = value.graph
    if clamp:
        dtype, shape = value.type.dtype, value.type.dims
        ends = [constant(value, np.reshape(end, shape), dtype) for end in (lows, bounds)]
        value = map_("min(max(a0, a1), a2)", value, *ends)
    symbols = graph.fresh_symbols(name, list(zip(lows, bounds, strict=True)), joint)
    graph.add(Bind(symbols), [value])
    return [s.low if s.low == s.bound else s for s in symbols]


def settled(graph: Graph, name: str, dims: Sequence[Dim], most: int) -> list[Dim]:
    """The dims of a tensor of at most ``most`` elements, as symbols of which that is known.

    Dims whose product is already known not to exceed it stay as they are.
    """
    if bound_of(product(dims)) <= most and all(low_of(dim) >= 0 for dim in dims):
        return list(dims)
    at = [i for i, dim in enumerate(dims) if not isinstance(dim, int)]
    symbols = graph.fresh_symbols(name, [(0, max(most, 1))] * len(at), max(most, 1))
    graph.add(Let(symbols, tuple(dims[i] for i in at)))
    found = dict(zip(at, symbols, strict=True))
    return [found.get(i, dim) for i, dim in enumerate(dims)]


def held(graph: Graph, name: str, dims: Sequence[Dim], conditions: Iterable[Dim]) -> list[Dim]:
    """The dims where every condition holds (is not 0); else the run ends with a status.

    VerifyError where one surely does not. Dims that are ints carry no condition: one must be open.
    """
    every: Dim = 1
    for condition in conditions:
        every = every * (condition if bound_of(condition) <= 1 else minimum(condition, 1))
    if every == 0:
        raise VerifyError(f"sizes {', '.join(map(str, dims))} ({name}) contradict the others")
    if every == 1:
        return list(dims)
    at = [i for i, dim in enumerate(dims) if not isinstance(dim, int)]
    ends = [(low_of(dims[i]), bound_of(dims[i])) for i in at]
    most = bound_of(product(dims[i] for i in at))  # what is known of their product stays known
    together = most < math.prod(high for _, high in ends) and all(low >= 0 for low, _ in ends)
    symbols = graph.fresh_symbols(name, ends, most if together else None)
    graph.add(Let(symbols, tuple(select(every, dims[i], low_of(dims[i]) - 1) for i in at)))
    found = dict(zip(at, symbols, strict=True))
    return [found.get(i, dim) for i, dim in enumerate(dims)]


def let(graph: Graph, name: str, dims: Sequence[Dim], low: int | None = None) -> list[Dim]:
    """The dims under names of their own, so that what is computed from them stays short.

    Ints, symbols and multiples of products of symbols stay as they are; ``low`` raises the lower
    bounds (a status where it does not hold).
    """
    at = [i for i, dim in enumerate(dims) if not _is_short(dim, low)]
    ends = [(low_of(dims[i]) if low is None else low, bound_of(dims[i])) for i in at]
    if not at:
        return list(dims)
    symbols = graph.fresh_symbols(name, ends)
    graph.add(Let(symbols, tuple(dims[i] for i in at)))
    found = dict(zip(at, symbols, strict=True))
    return [found.get(i, dim) for i, dim in enumerate(dims)]


def _is_short(dim: Dim, low: int | None) -> bool:
    if isinstance(dim, Sum) and len(dim.terms) == 1 and low is None:
        return not dim.constant and all(isinstance(a, Symbol) for m, _ in dim.terms for a in m)
    return isinstance(dim, int | Symbol)
