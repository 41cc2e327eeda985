"""Sequences and optionals of a model, taken apart: no value of dlc's is anything but a tensor.

A sequence is the tuple of its elements, an optional that holds something is that, one that holds
nothing is ``ABSENT``: scalar replacement of aggregates, done while the model is read. So how long
sequences are, and which optionals hold something, must be known when compiling.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from dlc.errors import ModelError
from dlc.ir.graph import Value
from dlc.ir.signature import Structure
from dlc.ir.types import DType


@dataclass(frozen=True, slots=True)
class Bundle:
    """A sequence: its elements, and their dtype where it is known (of an empty one, too)."""

    items: tuple[Held, ...]
    dtype: DType | None = None


@dataclass(frozen=True, slots=True)
class Absent:
    """An optional that holds nothing."""


ABSENT = Absent()
Held = Value | Bundle | Absent
"""What a name of the model stands for."""


def is_tensor(held: Held | None) -> TypeGuard[Value | None]:
    """Whether it is a plain tensor, or not there at all."""
    return held is None or isinstance(held, Value)


def tensors(held: Sequence[Held | None]) -> list[Value | None]:
    """Operands of an op on tensors; ModelError when one is something else."""
    found: list[Value | None] = []
    for index, item in enumerate(held):
        if not is_tensor(item):
            assert item is not None
            raise ModelError(f"operand {index} is {kind(item)} where a tensor is needed")
        found.append(item)
    return found


def kind(held: Held) -> str:
    """What it is, for messages."""
    if isinstance(held, Bundle):
        return f"a sequence of {len(held.items)}"
    return "an empty optional" if isinstance(held, Absent) else "a tensor"


def leaves(held: Held) -> list[Value]:
    """The tensors it consists of, in order."""
    if isinstance(held, Bundle):
        return [leaf for item in held.items for leaf in leaves(item)]
    return [] if isinstance(held, Absent) else [held]


def rebuilt(held: Held, values: Iterator[Value]) -> Held:
    """The same structure of other tensors, taken from ``values`` in order."""
    if isinstance(held, Bundle):
        return Bundle(tuple(rebuilt(item, values) for item in held.items), held.dtype)
    return held if isinstance(held, Absent) else next(values)


def same_structure(a: Held, b: Held) -> bool:
    """Whether one may stand where the other does, types of tensors apart."""
    if isinstance(a, Bundle) and isinstance(b, Bundle):
        pairs = zip(a.items, b.items, strict=False)
        return len(a.items) == len(b.items) and all(same_structure(*pair) for pair in pairs)
    return type(a) is type(b)


def named(name: str, held: Held, taken: set[str]) -> tuple[Structure, list[tuple[str, Value]]]:
    """Names of its tensors, and each with its name: ``name``, or ``name_0``, ``name_1`` ...

    Names in ``taken`` are avoided by underscores; the new ones join them.
    """
    if isinstance(held, Absent):
        return None, []
    if isinstance(held, Bundle):
        parts = [named(f"{name}_{i}", item, taken) for i, item in enumerate(held.items)]
        return tuple(part for part, _ in parts), [pair for _, pairs in parts for pair in pairs]
    while name in taken:
        name += "_"
    taken.add(name)
    return name, [(name, held)]


def named_all(
    pairs: Sequence[tuple[str, Held]],
) -> tuple[tuple[tuple[str, Structure], ...], list[tuple[str, Value]]]:
    """The structure of each, and all their tensors with names, those of plain tensors unchanged."""
    taken = {name for name, held in pairs if isinstance(held, Value)}
    structures: list[tuple[str, Structure]] = []
    tensors: list[tuple[str, Value]] = []
    for name, held in pairs:
        structure, found = (
            (name, [(name, held)]) if isinstance(held, Value) else named(name, held, taken)
        )
        structures.append((name, structure))
        tensors += found
    return tuple(structures), tensors
