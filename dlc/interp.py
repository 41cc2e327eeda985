"""The interpreter: runs a graph at any level in numpy. Slow, plain, and the oracle for the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from dlc.errors import InputError
from dlc.ir.evaluate import evaluate_graph
from dlc.ir.graph import Graph
from dlc.ir.operator import Array
from dlc.ir.types import DType, Symbol, TensorType


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
    sizes: dict[Symbol, int] = {}
    checked = []
    for name, type in zip(names, types, strict=True):
        if name not in arrays:
            raise InputError(f"input {name!r} is missing; it takes {type}")
        checked.append(_check(name, type, arrays[name], sizes))
    return checked


def _check(name: str, type: TensorType, array: Array, sizes: dict[Symbol, int]) -> Array:
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
        size == dim
        if isinstance(dim, int)
        else size <= dim.bound and size == sizes.setdefault(dim, size)
        for size, dim in zip(array.shape, type.shape, strict=False)
    )
    if not matches:
        given = ",".join(map(str, array.shape))
        raise InputError(f"input {name!r} has shape [{given}] where {type} is needed")
    return np.asarray(array)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names)) or "none"
