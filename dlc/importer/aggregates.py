"""Inputs that are sequences or optionals, as one input for each tensor in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx

from dlc.errors import ModelError, UnsupportedError
from dlc.importer.bundles import ABSENT, Bundle, Held
from dlc.importer.sequences import MAX_LENGTH
from dlc.ir.graph import Value
from dlc.ir.signature import Structure
from dlc.ir.sizes import AtMost
from dlc.ir.types import DType

Dims = Mapping[str, int | AtMost | None]
"""Sizes of symbolic dims by name, and lengths of sequences by the name of the input; None for an
optional that holds nothing."""


class Inputs:
    """The declared inputs of a model as tensors: ``infos``, with ``dims`` and ``shapes`` for them."""

    def __init__(self, declared: Sequence[onnx.ValueInfoProto], dims: Dims,
                 shapes: Mapping[str, Sequence[int]]) -> None:  # fmt: skip
        self.infos: list[onnx.ValueInfoProto] = []
        self.shapes: dict[str, Sequence[int]] = {}
        self._declared = declared
        self._lengths = dict(dims)
        self._given = dict(shapes)
        self._taken = {info.name for info in declared}
        self.structures = tuple(
            (info.name, self._apart(info.name, info.type, self._given.pop(info.name, None), True))
            for info in declared
        )
        self.shapes |= self._given  # what is left names no input: binding says so
        for name, size in self._lengths.items():
            if size is None:
                raise ModelError(f"the model has no optional input {name!r} to leave empty")
        self.dims = {name: size for name, size in self._lengths.items() if size is not None}

    def _apart(self, name: str, type: onnx.TypeProto, shape: Sequence[int] | None,
               own: bool) -> Structure:  # fmt: skip
        kind = type.WhichOneof("value")
        if kind == "optional_type":
            if self._lengths.get(name, 0) is None:
                del self._lengths[name]
                return None
            return self._apart(name, type.optional_type.elem_type, shape, own)
        if kind == "sequence_type":
            element = type.sequence_type.elem_type
            parts = []
            for i in range(self._length(name)):
                part = f"{name}_{i}"
                parts.append(self._apart(part, element, self._given.pop(part, shape), False))
            return tuple(parts)
        if kind not in ("tensor_type", None):
            raise UnsupportedError(
                f"input {name!r} is of kind {str(kind).removesuffix('_type')}; dlc takes tensors, "
                f"and sequences and optionals of them"
            )
        if not own:
            while name in self._taken:
                name += "_"
            self._taken.add(name)
        info = onnx.ValueInfoProto(name=name, type=type)
        if not own:  # the elements of a sequence need not have the sizes of one another
            for dim in info.type.tensor_type.shape.dim:
                dim.ClearField("dim_param")
        self.infos.append(info)
        if shape is not None:
            self.shapes[name] = shape
        return name

    def _length(self, name: str) -> int:
        length = self._lengths.pop(name, None)
        if not isinstance(length, int):
            raise ModelError(
                f"input {name!r} is a sequence, and C needs to know of how many tensors; give it "
                f"with --dim {name}=3"
            )
        if not 0 <= length <= MAX_LENGTH:
            raise ModelError(
                f"the length of input {name!r} is from 0 to {MAX_LENGTH}, not {length}"
            )
        return length

    def held(self, tensors: Mapping[str, Value]) -> list[tuple[str, Held]]:
        """What each declared input stands for, of tensors by name."""
        return [
            (name, _held(info.type, structure, tensors))
            for info, (name, structure) in zip(self._declared, self.structures, strict=True)
        ]


def _held(type: onnx.TypeProto, structure: Structure, tensors: Mapping[str, Value]) -> Held:
    if structure is None:
        return ABSENT
    if type.WhichOneof("value") == "optional_type":
        return _held(type.optional_type.elem_type, structure, tensors)
    if not isinstance(structure, tuple):
        return tensors[structure]
    element = type.sequence_type.elem_type
    number = element.tensor_type.elem_type
    items = tuple(_held(element, part, tensors) for part in structure)
    return Bundle(items, DType.of(number) if number else None)
