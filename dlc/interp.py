"""The interpreter: runs a graph at any level in numpy. Slow, plain, and the oracle for the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from dlc.errors import InputError
from dlc.ir.evaluate import evaluate_graph
from dlc.ir.graph import Graph
from dlc.ir.operator import Array
from dlc.ir.sizes import Symbol, bound_of, low_of, substitute, symbols_of
from dlc.ir.types import DType, TensorType


def run(graph: Graph, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """The graph's outputs by name, for inputs by name.

    Raises InputError when an input is missing, unknown, or of another dtype or shape than the
    graph's.
    """
    arrays = check_inputs(graph.input_names, [value.type for value in graph.inputs], inputs)
    return dict(zip(graph.output_names, evaluate_graph(graph, arrays), strict=True))


def check_inputs(
    names: Sequence[str], types: Sequence[TensorType], arrays: Mapping[str, Array]
) -> list[Array]:
    """The arrays in the order of ``names``, each of its type; InputError says what is wrong."""
    for name in arrays:
        if name not in names:
            raise InputError(f"there is no input {name!r}; the inputs are {_listed(names)}")
    for name, type in zip(names, types, strict=True):
        if name not in arrays:
            raise InputError(f"input {name!r} is missing; it takes {type}")
    sizes = input_sizes(types, [np.shape(arrays[name]) for name in names])
    return [
        _check(name, type, arrays[name], sizes) for name, type in zip(names, types, strict=True)
    ]


def input_sizes(
    types: Sequence[TensorType], shapes: Sequence[tuple[int, ...]]
) -> dict[Symbol, int]:
    """What the symbols in the types of inputs are for arrays of these shapes.

    The first dim that is a symbol gives its value; whether the shapes agree is not checked.
    """
    sizes: dict[Symbol, int] = {}
    for type, shape in zip(types, shapes, strict=True):
        for dim, size in zip(type.shape, shape, strict=False):
            if isinstance(dim, Symbol):
                sizes.setdefault(dim, size)
    return sizes


def largest(type: TensorType, sizes: Mapping[Symbol, int] | None = None) -> TensorType:
    """The static type a type is when symbols have these values, those left out their greatest."""
    values = {s: s.bound for s in symbols_of(type.shape)} | dict(sizes or {})
    return type.with_shape(substitute(dim, values) for dim in type.shape)


def drawn_sizes(types: Iterable[TensorType], rng: np.random.Generator) -> dict[Symbol, int]:
    """A random value of every symbol in the types, none of them 0 where that can be."""
    symbols = dict.fromkeys(s for type in types for s in symbols_of(type.shape))
    return {s: int(rng.integers(min(max(s.low, 1), s.bound), s.bound + 1)) for s in symbols}


def _check(name: str, type: TensorType, array: Array, sizes: Mapping[Symbol, int]) -> Array:
    if not isinstance(array, np.ndarray | np.generic):
        raise InputError(f"input {name!r} takes a numpy array, not {array.__class__.__name__}")
    if type.dtype is DType.STRING:
        fits = array.dtype.kind in "OUST"
    else:
        fits = array.dtype == type.dtype.numpy
    if not fits:
        raise InputError(
            f"input {name!r} is {array.dtype} where {type.dtype.numpy} is needed; "
            f"convert it with astype"
        )
    matches = array.ndim == type.rank and all(
        size == substitute(dim, sizes) and low_of(dim) <= size <= bound_of(dim)
        for size, dim in zip(array.shape, type.shape, strict=False)
    )
    if not matches:
        given = ",".join(map(str, array.shape))
        raise InputError(f"input {name!r} has shape [{given}] where {type} is needed")
    return np.asarray(array)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names)) or "none"
