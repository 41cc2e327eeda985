"""The frame of a step's C function: its parameters, and how its body names memory and elements."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from dlc.backends.c99.dtypes import pointer_type
from dlc.backends.c99.scalars import Typed
from dlc.backends.c99.sizes import HEADER, PRODUCT, SUM, TERNARY, SymbolNames, size_text
from dlc.errors import UnsupportedError
from dlc.ir.sizes import Dim, Symbol, bound_of, symbols_of
from dlc.ir.types import DType, TensorType
from dlc.ops.emission import (
    Access,
    Affine,
    Buffer,
    Count,
    Define,
    Nest,
    Operand,
    Part,
    Result,
    Scratch,
    Tile,
)
from dlc.plan.program import Placement, Step

Variables = Sequence[str | None]  # names of loop variables; None for a loop of one iteration


@dataclass(frozen=True, slots=True)
class Parameter:
    """A pointer parameter, and the memory the first step that uses the function passes for it."""

    name: str
    dtype: DType
    writable: bool
    place: Placement
    size: int


@dataclass(frozen=True, slots=True)
class SizeParameter:
    """A parameter that is the value of a symbol, or where the function stores it."""

    name: str
    symbol: Symbol
    writable: bool

    @property
    def declaration(self) -> str:
        return f"ptrdiff_t {'*' if self.writable else ''}{self.name}"


class Frame:
    """Parameters of the function of one step.

    Buffers at one address with one dtype are one parameter, so a step in place has a single
    pointer it reads and writes, and every other pointer can be ``restrict``.
    """

    def __init__(self, step: Step, symbols: SymbolNames) -> None:
        self.headers: set[str] = set()
        #: definitions of typed pointers into scratch and of sizes, by name
        self.locals: dict[str, str] = {}
        self._symbols = symbols
        self._sizes: dict[Symbol, SizeParameter] = {}
        self._hoisted: dict[Dim, str] = {}
        #: symbols that have their values at this point of the function
        self.defined: list[Symbol] = []
        self._scratch_dtypes: dict[int, DType] = {}
        self._names: dict[Buffer, str] = {}
        self._types: dict[Buffer, DType] = {}
        parts = live_parts(step)
        self.parameters = self._collect(step, parts)
        for symbol in defined_by(parts):
            self._sizes[symbol] = SizeParameter(symbols[symbol], symbol, writable=True)

    def _collect(self, step: Step, parts: Sequence[Part]) -> list[Parameter]:
        used: dict[Buffer, None] = dict.fromkeys(a.buffer for part in parts for a in accesses(part))
        operands = sorted((b for b in used if isinstance(b, Operand)), key=lambda b: b.index)
        results = sorted((b for b in used if isinstance(b, Result)), key=lambda b: b.index)
        found: dict[tuple[Placement, DType], Parameter] = {}
        own: list[Operand | Result] = [*results, *operands]
        for buffer in own:
            place, type = _place(step, buffer)
            key = (place, type.dtype)
            if key not in found:
                writable = isinstance(buffer, Result)
                count = sum(p.writable == writable for p in found.values())
                name = f"{'out' if writable else 'in'}{count}"
                if writable and len(results) == 1:
                    name = "out"
                found[key] = Parameter(name, type.dtype, writable, place, type.nbytes)
            self._names[buffer], self._types[buffer] = found[key].name, type.dtype
        ordered = sorted(found.values(), key=lambda p: p.writable)
        if any(isinstance(b, Scratch) for b in used):
            assert step.scratch is not None
            size = step.emission.scratch
            ordered.append(Parameter("scratch", DType.U8, True, step.scratch, size))
        return ordered

    def drop_unused(self, lines: Iterable[str]) -> None:
        """Keep the parameters that the lines of the body name: an expression may ignore a read."""
        words = set(re.findall(r"\w+", "\n".join(lines)))
        self.parameters = [p for p in self.parameters if p.name in words]
        self._sizes = {s: p for s, p in self._sizes.items() if p.name in words}

    def locals_of(self, lines: Iterable[str]) -> list[str]:
        """Definitions of the locals that the lines of the body name."""
        words = set(re.findall(r"\w+", "\n".join(lines)))
        return [definition for name, definition in self.locals.items() if name in words]

    @property
    def sizes(self) -> list[SizeParameter]:
        """Parameters for symbols, in the order they are first named."""
        return list(self._sizes.values())

    @property
    def declarations(self) -> list[str]:
        """The parameters as C."""
        clash = any(
            a is not b and a.writable and _overlap(a, b)
            for a in self.parameters for b in self.parameters
        )  # fmt: skip
        pointers = [f"{_pointer(p)}{'' if clash else 'restrict '}{p.name}" for p in self.parameters]
        return [*pointers, *(p.declaration for p in self.sizes)]

    def dtype(self, buffer: Buffer) -> DType | None:
        """Element type of a buffer; of scratch, what was last stored there (None: nothing yet)."""
        if isinstance(buffer, Scratch):
            return self._scratch_dtypes.get(buffer.offset)
        return self._types[buffer]

    def set_scratch(self, buffer: Buffer, dtype: DType | None) -> None:
        """Say what is stored in scratch from now on; nothing for other buffers."""
        if isinstance(buffer, Scratch) and dtype is not None:
            self._scratch_dtypes[buffer.offset] = dtype

    def element(self, access: Access, variables: Variables) -> Typed:
        """One element, as text that can be read and assigned."""
        base, dtype = self._base(access.buffer)
        return Typed(f"{base}[{self.index(access.index, variables)}]", dtype)

    def address(self, access: Access, variables: Variables) -> Typed:
        """The address of one element, and its dtype."""
        base, dtype = self._base(access.buffer)
        index = self.index(access.index, variables)
        return Typed(base if index == "0" else f"{base} + {index}", dtype)

    def index(self, index: Affine, variables: Variables) -> str:
        """An index as C."""
        return index_text(index, variables, self.size)

    def size(self, dim: Dim, level: int = TERNARY) -> str:
        """A dim as C that can stand where texts of ``level`` can.

        What takes a function or a choice is computed once, at the top of the function.
        """
        if isinstance(dim, int):
            return str(dim)
        if dim in self._hoisted:
            return self._hoisted[dim]
        headers: set[str] = set()
        text = size_text(dim, self.symbol, headers, level)
        self.headers |= headers
        simple = not re.search(r"[?/<]|==", text) and HEADER not in headers
        here = any(self._sizes[symbol].writable for symbol in symbols_of(dim))
        if simple or here:
            return text
        name = f"size{len(self._hoisted)}"
        self._hoisted[dim] = name
        self.locals[name] = f"const ptrdiff_t {name} = {size_text(dim, self.symbol, headers)};"
        return name

    def symbol(self, symbol: Symbol) -> str:
        """The value of a symbol as C: a parameter, or what a pointer the function has points to."""
        if symbol not in self._sizes:
            self._sizes[symbol] = SizeParameter(self._symbols[symbol], symbol, writable=False)
        parameter = self._sizes[symbol]
        return f"(*{parameter.name})" if parameter.writable else parameter.name

    def named(self, symbol: Symbol) -> str:
        """What a symbol is called, in every function."""
        return self._symbols[symbol]

    def pointer(self, symbol: Symbol) -> str:
        """The parameter through which the function stores a symbol it defines."""
        assert self._sizes[symbol].writable
        return self._sizes[symbol].name

    def is_const(self, buffer: Buffer) -> bool:
        """Whether the parameter of a buffer points to const."""
        name = self._names.get(buffer)
        return any(p.name == name and not p.writable for p in self.parameters)

    def _base(self, buffer: Buffer) -> tuple[str, DType]:
        if not isinstance(buffer, Scratch):
            return self._names[buffer], self._types[buffer]
        dtype = self._scratch_dtypes.get(buffer.offset)
        if dtype is None:
            raise UnsupportedError("a step reads scratch memory of unknown element type")
        name = f"{dtype.value}_at_{buffer.offset}"
        cast = f"({pointer_type(dtype)})"
        where = f"{cast}scratch" if not buffer.offset else f"{cast}(scratch + {buffer.offset})"
        self.locals[name] = f"{pointer_type(dtype)}const {name} = {where};"
        return name, dtype


def live_parts(step: Step) -> list[Part]:
    """The parts of a step that are not elided."""
    return [part for i, part in enumerate(step.emission.parts) if i not in step.elided]


def accesses(part: Part) -> Iterator[Access]:
    """Every access of a part."""
    if isinstance(part, Nest):
        yield from part.reads
        yield from part.accumulate.reads if part.accumulate else ()
        yield part.write
        return
    yield from (a for a in part.args if isinstance(a, Access))
    if isinstance(part, Tile):
        yield from part.reads
        yield part.write


def defined_by(parts: Iterable[Part]) -> Iterator[Symbol]:
    """Symbols that get their values in these parts, in order."""
    for part in parts:
        if isinstance(part, Define):
            yield part.symbol
        elif not isinstance(part, Nest):
            yield from (a.symbol for a in part.args if isinstance(a, Count))


def index_text(index: Affine, variables: Variables, size: Callable[[Dim, int], str]) -> str:
    """The index as C: ``i * 12 + j + 3``."""
    terms = []
    for stride, name in zip(index.strides, variables, strict=True):
        if stride != 0 and name is not None:
            minus, amount = _signed(stride)
            factor = "" if amount == 1 else f" * {size(amount, PRODUCT)}"
            terms.append((minus, f"{name}{factor}"))
    if index.base != 0 or not terms:
        minus, amount = _signed(index.base)
        # a positive base first where the loops step backwards: 7 - i
        at = 0 if terms and terms[0][0] and not minus else len(terms)
        terms.insert(at, (minus, size(amount, PRODUCT if minus else SUM)))
    text = "".join(f" {'-' if minus else '+'} {term}" for minus, term in terms)
    return text.removeprefix(" + ") if not text.startswith(" - ") else f"-{text[3:]}"


def _signed(dim: Dim) -> tuple[bool, Dim]:
    """Whether it is surely negative, and its absolute value if so."""
    negative = bound_of(dim) < 0 or (not isinstance(dim, int) and bound_of(dim) == 0)
    return negative, -dim if negative else dim


def _place(step: Step, buffer: Operand | Result) -> tuple[Placement, TensorType]:
    if isinstance(buffer, Result):
        return step.results[buffer.index], step.op.types[buffer.index]
    value = step.op.operands[buffer.index]
    assert value is not None  # core ops have no absent operands
    return step.operands[buffer.index], value.type


def _pointer(parameter: Parameter) -> str:
    if parameter.name == "scratch":
        return "unsigned char *"
    return pointer_type(parameter.dtype, const=not parameter.writable)


def _overlap(a: Parameter, b: Parameter) -> bool:
    return (
        a.place.buffer == b.place.buffer
        and a.place.offset < b.place.offset + b.size
        and b.place.offset < a.place.offset + a.size
    )
