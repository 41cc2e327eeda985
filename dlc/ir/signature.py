"""How a graph's inputs and outputs, all tensors, make up those of the model it came from.

A model may take and give sequences and optionals of tensors; a graph has one input or output for
each tensor in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dlc.errors import InputError

Structure = Any
"""Names of tensors: a name, a tuple of structures (a sequence), or None (an optional without value)."""


@dataclass(frozen=True, slots=True)
class Signature:
    """The inputs and outputs of a model in its order: the name of each, and its structure."""

    inputs: tuple[tuple[str, Structure], ...]
    outputs: tuple[tuple[str, Structure], ...]

    @property
    def is_plain(self) -> bool:
        """Whether every input and output is a tensor under its own name."""
        return all(name == structure for name, structure in (*self.inputs, *self.outputs))

    def taken_apart(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Tensors by name from inputs by name; tensors may be given by their own names, too.

        Raises InputError for a sequence of another length, or an optional that holds something
        where the model was compiled for one that does not.
        """
        tensors: dict[str, Any] = {}
        structures = dict(self.inputs)
        for name, value in given.items():
            structure = structures.get(name, name)
            tensors.update(_tensors(name, structure, value))
        return tensors

    def put_together(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        """Outputs by name: sequences are lists, an optional without value is None."""
        return {name: _built(structure, tensors) for name, structure in self.outputs}

    @property
    def tensor_names(self) -> tuple[list[str], list[str]]:
        """Names of the tensors that the inputs, and the outputs, consist of."""
        inputs, outputs = ([name for _, structure in pairs for name in _names(structure)]
                           for pairs in (self.inputs, self.outputs))  # fmt: skip
        return inputs, outputs

    @property
    def attributes(self) -> dict[str, Any]:
        """As plain data: for metadata and textual IR."""
        return {kind: [[name, structure] for name, structure in getattr(self, kind)]
                for kind in ("inputs", "outputs")}  # fmt: skip

    @staticmethod
    def of(attributes: Any) -> Signature:
        """The signature that ``attributes`` describes; ValueError when it does not."""
        try:
            pairs = [[(str(name), _frozen(s)) for name, s in attributes[kind]]
                     for kind in ("inputs", "outputs")]  # fmt: skip
        except (KeyError, TypeError) as error:
            raise ValueError(f"{attributes!r} describes no inputs and outputs") from error
        return Signature(tuple(pairs[0]), tuple(pairs[1]))


def _tensors(name: str, structure: Structure, value: Any) -> Iterator[tuple[str, Any]]:
    if structure is None:
        if value is not None:
            raise InputError(f"input {name!r} is given, but the model is compiled for its absence")
    elif isinstance(structure, str):
        if value is None:
            raise InputError(f"input {name!r} is None, but the model is compiled for its presence")
        yield structure, value
    else:
        if not isinstance(value, list | tuple) or len(value) != len(structure):
            given = len(value) if isinstance(value, list | tuple) else type(value).__name__
            raise InputError(
                f"input {name!r} takes a list of {len(structure)} arrays, not {given}; how many is "
                f"fixed when compiling (--dim {name}=N)"
            )
        for i, (part, item) in enumerate(zip(structure, value, strict=True)):
            yield from _tensors(f"{name}_{i}", part, item)


def _names(structure: Structure) -> list[str]:
    if isinstance(structure, tuple):
        return [name for part in structure for name in _names(part)]
    return [] if structure is None else [structure]


def _built(structure: Structure, tensors: Mapping[str, Any]) -> Any:
    if isinstance(structure, tuple):
        return [_built(part, tensors) for part in structure]
    return None if structure is None else tensors[structure]


def _frozen(structure: Any) -> Structure:
    if isinstance(structure, list | tuple):
        return tuple(map(_frozen, structure))
    if structure is not None and not isinstance(structure, str):
        raise TypeError(structure)
    return structure
