"""Inputs that are sequences or optionals, as one input for each tensor in them; known integers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from dlc.errors import ModelError, UnsupportedError
from dlc.importer.bundles import ABSENT, Bundle, Held
from dlc.importer.sequences import MAX_LENGTH
from dlc.ir.graph import Value
from dlc.ir.signature import Structure
from dlc.ir.sizes import AtMost
from dlc.ir.types import DType

Dims = Mapping[str, int | AtMost | Sequence[int] | None]
"""What must be known when compiling, by name: sizes of symbolic dims; of inputs, the length of a
sequence, None for an optional that holds nothing, the integers of a tensor of them."""


class Inputs:
    """The declared inputs of a model as tensors: ``infos``, with ``dims`` and ``shapes`` for them."""

    def __init__(self, declared: Sequence[onnx.ValueInfoProto], dims: Dims,
                 shapes: Mapping[str, Sequence[int]]) -> None:  # fmt: skip
        self.infos: list[onnx.ValueInfoProto] = []
        self.shapes: dict[str, Sequence[int]] = {}
        #: inputs whose integers are known: no inputs any more
        self.values: dict[str, np.ndarray[Any, Any]] = {}
        self._lengths = dict(dims)
        names = {d.dim_param for info in declared for d in info.type.tensor_type.shape.dim}
        for info in declared:
            if info.name in dims and info.name not in names and _is_integer(info.type):
                self.values[info.name] = _integers(info, self._lengths.pop(info.name))
        self._declared = declared = [info for info in declared if info.name not in self.values]
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
            if not isinstance(size, int | AtMost):
                raise ModelError(f"the model has no input {name!r} of integers to fix")
        self.dims = {n: size for n, size in self._lengths.items() if isinstance(size, int | AtMost)}

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


def _is_integer(type: onnx.TypeProto) -> bool:
    number = type.tensor_type.elem_type
    return type.HasField("tensor_type") and number in (
        TensorProto.BOOL, TensorProto.INT32, TensorProto.INT64,
    )  # fmt: skip


def _integers(info: onnx.ValueInfoProto, value: object) -> np.ndarray[Any, Any]:
    """The value of an input: one integer, or several of a vector."""
    rank = len(info.type.tensor_type.shape.dim)
    several = isinstance(value, Sequence)
    if not (isinstance(value, int) or several) or (several and rank != 1) or rank > 1:
        raise ModelError(f"the integers of input {info.name!r} cannot be {value!r}")
    array = np.array(value, DType.of(info.type.tensor_type.elem_type).numpy)
    return array if several else array.reshape((1,) * rank)


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
