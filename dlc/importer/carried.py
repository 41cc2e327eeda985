"""Sizes of loop-carried values that change from turn to turn, and how large they can become."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from dlc.errors import UnsupportedError
from dlc.ir.graph import Graph
from dlc.ir.sizes import Symbol, bound_of
from dlc.ir.types import Dim, TensorType

_LARGEST = 1 << 40


def widened(first: Sequence[TensorType], types: Sequence[TensorType], body: Graph, label: str,
            most: Dim | None, taken: Collection[str]) -> list[TensorType] | None:  # fmt: skip
    """Types for the inputs of a Loop's body (turn, condition, states) that more of its turns fit.

    ``first`` are the types before the first turn, ``types`` those the body was made for. A size that
    changes becomes a symbol: bounded by steady growth over the ``most`` turns, by what the body gives
    whatever it is given, or by ``--max``. None where the body's results fit; UnsupportedError where
    nothing bounds a size.
    """
    results = [value.type for value in body.outputs[1 : len(types) - 1]]
    found = list(types)
    for i, (before, after) in enumerate(zip(types[2:], results, strict=False), 2):
        if (before.dtype, before.rank) != (after.dtype, after.rank):
            return None  # no loop: whoever looks at its types says so
        name = f"{label}_{body.inputs[i].op.label}"
        shape = [
            _wider(
                a, b, start, f"{name}_{axis}" if before.rank > 1 else name, body, label, most, taken
            )
            for axis, (a, b, start) in enumerate(
                zip(before.shape, after.shape, first[i].shape, strict=True)
            )
        ]
        found[i] = before.with_shape(shape)
    return None if found == list(types) else found


def _wider(before: Dim, after: Dim, start: Dim, name: str, body: Graph, label: str,
           most: Dim | None, taken: Collection[str]) -> Dim:  # fmt: skip
    """The size of a body's input that may hold ``after`` too."""
    if before == start:
        return before if after == before else _symbol(name, max(bound_of(before), 1), taken)
    assert isinstance(before, Symbol)
    if bound_of(after) <= before.bound:
        return before
    least, growth = max(bound_of(start), 1), after - before
    step = growth if isinstance(growth, int) else bound_of(after) - before.bound
    steady = None if most is None else least + step * max(bound_of(most), 1)
    if steady is None or steady >= _LARGEST:
        steady = None
    elif isinstance(growth, int) or step == before.bound - least or steady == before.bound:
        return before if steady == before.bound else Symbol(before.name, steady)
    if before.bound == least:
        return Symbol(before.name, bound_of(after))  # perhaps what it gives has a bound of its own
    asked = body.bounds.get(label, body.bounds.get("any"))
    if asked is not None:
        return before if asked <= before.bound else Symbol(before.name, asked)
    raise UnsupportedError(
        f"nothing bounds a size of its state {name!r}, which grows from turn to turn; "
        f"give --max {label}=SIZE (or --max any=SIZE)"
    )


def _symbol(name: str, bound: int, taken: Collection[str]) -> Symbol:
    while f"{name}_now" in taken:
        name += "_"
    return Symbol(f"{name}_now", bound)
