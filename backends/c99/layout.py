"""What every printed file needs to know: C names, fields, weights, and where values live."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dlc.backends.c99.functions import Functions, functions_of
from dlc.backends.c99.headers import SYSTEM
from dlc.backends.c99.names import Names, word
from dlc.backends.c99.pointers import cast, typed
from dlc.backends.c99.sizes import SymbolNames, size_text
from dlc.errors import UnsupportedError
from dlc.ir.operator import Array
from dlc.ir.sizes import Symbol, maximum, symbols_of
from dlc.ir.types import DType, TensorType
from dlc.plan.program import Buffer, Placement, Program, Space

ALIGN = 64
"""Alignment of weights: a cache line and the widest vector."""
FILE_THRESHOLD = 4 << 20
"""With ``weights="auto"``, more bytes than this go to a binary file."""


@dataclass(frozen=True, slots=True)
class Field:
    """An input or output: its ONNX name, its name in the C struct, its type."""

    name: str
    c_name: str
    type: TensorType


@dataclass(frozen=True, slots=True)
class Weight:
    """A constant: its label, the C array (or where it lies in the weights file), its value."""

    label: str
    c_name: str
    type: TensorType
    value: Array
    offset: int

    @property
    def is_text(self) -> bool:
        """Whether it holds strings: a file cannot, since their pointers are known to the linker."""
        return self.type.dtype is DType.STRING


@dataclass(frozen=True, slots=True)
class Layout:
    """A program with a C name for everything that has one."""

    program: Program
    name: str
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    weights: tuple[Weight, ...]
    functions: Functions
    in_file: bool
    on_heap: bool
    symbols: SymbolNames

    @property
    def input_symbols(self) -> dict[Symbol, str]:
        """Symbols that the inputs' shapes mention, with their fields in the C struct."""
        return {s: self.symbols[s] for f in self.inputs for s in symbols_of(f.type.shape)}

    @property
    def defined_symbols(self) -> dict[Symbol, str]:
        """Symbols that steps give their values, with their variables in NAME_run, in order."""
        calls = self.functions.calls
        return {p.symbol: p.name for call in calls for p in call.sizes if p.writable}

    def symbol(self, symbol: Symbol) -> str:
        """C text, inside NAME_run, for the value of a symbol."""
        return f"{'in->' if symbol in self.input_symbols else ''}{self.symbols[symbol]}"

    @property
    def headers(self) -> frozenset[str]:
        """Kernel headers that model.c includes."""
        found: set[str] = set()
        for field in self.outputs:
            for dim in (*field.type.shape, maximum(field.type.count, 0)):
                size_text(dim, self.symbol, found)
        return (self.functions.headers | found) - SYSTEM

    def capacity_macro(self, output: Field) -> str:
        """The macro for the most elements of an output of run-time shape."""
        return f"{self.macro}_{output.c_name.upper()}_CAPACITY"

    def dims_field(self, output: Field) -> str:
        """The field of the outputs struct that takes the dims of an output of run-time shape."""
        taken, name = {f.c_name for f in self.outputs}, f"{output.c_name}_dims"
        while name in taken:
            name += "_"
        return name

    @property
    def macro(self) -> str:
        """Prefix of macros and status codes."""
        return self.name.upper()

    @property
    def weights_bytes(self) -> int:
        """Bytes of the weights file, or that it would have."""
        return max((w.offset + w.type.nbytes for w in self.weights if not w.is_text), default=0)

    @property
    def source_weights(self) -> tuple[Weight, ...]:
        """The constants that are arrays in C."""
        return tuple(w for w in self.weights if not self.in_file or w.is_text)

    @property
    def file_weights(self) -> tuple[Weight, ...]:
        """The constants that lie in the weights file, or would."""
        return tuple(w for w in self.weights if not w.is_text)

    @property
    def arena_align(self) -> int:
        """Alignment the arena must have: that of its largest elements (8 where there is scratch)."""
        align = 1
        for step in self.program.steps:
            if step.emission.scratch:
                align = 8
            for place, type in zip(step.results, step.op.types, strict=True):
                if self.program.buffers[place.buffer].space is Space.ARENA:
                    align = max(align, min(type.dtype.nbytes, 8))
        return align

    @property
    def arena_buffers(self) -> list[Buffer]:
        return [b for b in self.program.buffers if b.space is Space.ARENA]

    def pointer(self, place: Placement, dtype: DType) -> str:
        """C text, inside NAME_run, for the address of a placement as a pointer to ``dtype``."""
        buffer = self.program.buffers[place.buffer]
        if buffer.space is Space.ARENA:
            if self.on_heap:
                return cast(f"b{buffer.id}", place.offset, dtype, "")
            assert buffer.offset is not None
            return cast("mem", buffer.offset + place.offset, dtype, "")
        if buffer.space is Space.CONSTANT:
            weight = self.weights[buffer.index]
            if self.in_file and not weight.is_text:
                return cast("weights", weight.offset + place.offset, dtype, "const ")
            return typed(weight.c_name, weight.type.dtype, place.offset, dtype, "const ")
        if buffer.space is Space.INPUT:
            field = self.inputs[buffer.index]
            return typed(f"in->{field.c_name}", field.type.dtype, place.offset, dtype, "const ")
        field = self.outputs[buffer.index]
        return typed(f"out->{field.c_name}", field.type.dtype, place.offset, dtype, "")


def layout_of(program: Program, name: str, weights: str, memory: str) -> Layout:
    """Names for a program. ``weights`` is ``auto``, ``c`` or ``file``, ``memory`` arena or heap."""
    graph, name = program.graph, word(name, "model", 32)
    total = sum(
        t.nbytes for op in program.constants for t in op.types if t.dtype is not DType.STRING
    )
    in_file = bool(total) and (weights == "file" or (weights == "auto" and total > FILE_THRESHOLD))
    names = Names(f"{name}_{word}" for word in ("run", "inputs", "outputs", "status"))
    inputs = zip(graph.input_names, (v.type for v in graph.inputs), strict=True)
    outputs = zip(graph.output_names, (v.type for v in graph.outputs), strict=True)
    in_fields = tuple(_fields(inputs, "input", ["weights"] if in_file else []))
    constants = tuple(_weights(program, name, names))
    symbols = SymbolNames(names, [f.c_name for f in in_fields])
    for field in in_fields:
        for symbol in symbols_of(field.type.shape):
            symbols[symbol]  # the caller's come first
    layout = Layout(
        program, name, in_fields, tuple(_fields(outputs, "output", [])), constants,
        functions_of(program, names, symbols), in_file, memory == "heap", symbols,
    )  # fmt: skip
    _check_defined(layout)
    return layout


def _check_defined(layout: Layout) -> None:
    """Every symbol that a step or an output mentions has a value by then."""
    known = set(layout.input_symbols)
    for call in layout.functions.calls:
        known |= {p.symbol for p in call.sizes if p.writable}
        for parameter in call.sizes:
            if parameter.symbol not in known:
                raise UnsupportedError(
                    f"{call.step.op.operator.label} {call.step.op.label!r} needs the size "
                    f"{parameter.symbol.name}, which no input and no earlier step gives"
                )
    for field in layout.outputs:
        for symbol in symbols_of(field.type.shape):
            if symbol not in known:
                raise UnsupportedError(
                    f"the shape of output {field.name!r} mentions {symbol.name}, which nothing gives"
                )


def _fields(pairs: Iterator[tuple[str, TensorType]], default: str, taken: Sequence[str]
            ) -> Iterator[Field]:  # fmt: skip
    names = Names(taken)
    for name, type in pairs:
        yield Field(name, names.new(name, default), type)


def _weights(program: Program, name: str, names: Names) -> Iterator[Weight]:
    offset = 0
    for op in program.constants:
        value = op.result.constant
        assert value is not None
        type = op.types[0]
        label = op.label or "constant"
        c_name = names.new(f"{name}_{word(label, 'constant', 40)}")
        yield Weight(label, c_name, type, np.ascontiguousarray(value), offset)
        if type.dtype is not DType.STRING:
            offset = -(-(offset + type.nbytes) // ALIGN) * ALIGN
