"""Steps as C functions: one ``static`` function per distinct step, shared by steps of equal text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field

from dlc.backends.c99.definitions import write_check, write_define
from dlc.backends.c99.frame import Frame, Parameter, SizeParameter, live_parts
from dlc.backends.c99.names import Names, comment
from dlc.backends.c99.nests import write_nest
from dlc.backends.c99.regions import (
    Body,
    body_lines,
    is_fallible,
    parameters_of,
    symbols_of,
    write_branch,
    write_repeat,
)
from dlc.backends.c99.sizes import SymbolNames
from dlc.backends.c99.tiles import write_kernel, write_tile
from dlc.backends.c99.writer import Writer, wrap
from dlc.errors import DlcError
from dlc.ir.graph import Graph
from dlc.ir.types import TensorType
from dlc.ops.emission import Branch, Check, Define, Nest, Part, Repeat, Tile
from dlc.plan import program_of
from dlc.plan.program import Program, Step


@dataclass(frozen=True, slots=True)
class Function:
    """A C function that does the work of one or more steps."""

    name: str
    text: str
    fallible: bool
    """Whether it returns a status (0: done) rather than nothing."""


@dataclass(frozen=True, slots=True)
class StepCall:
    """What a step does at run time: a call, or nothing when all its parts were elided."""

    step: Step
    function: Function | None
    parameters: tuple[Parameter, ...] = ()
    sizes: tuple[SizeParameter, ...] = ()


@dataclass(frozen=True, slots=True)
class Functions:
    """The functions of a program in order of first use, its calls, and the headers they need."""

    distinct: tuple[Function, ...]
    calls: tuple[StepCall, ...]
    headers: frozenset[str]
    bodies: tuple[Body, ...] = ()
    body_names: Mapping[Graph, str] = field(default_factory=dict)
    """The C function of each body that a step runs, at any depth."""


def functions_of(program: Program, names: Names, symbols: SymbolNames) -> Functions:
    """A function for each step that does something; steps whose C is equal share one."""
    maker = _Maker(names, symbols)
    calls = maker.calls(program)
    return Functions(tuple(maker.by_text.values()), calls, frozenset(maker.headers),
                     tuple(maker.bodies.values()), maker.body_names)  # fmt: skip


class _Maker:
    """Functions made on demand, by their text: of steps and of the bodies they run."""

    def __init__(self, names: Names, symbols: SymbolNames) -> None:
        self.names = names
        self.symbols = symbols
        self.by_text: dict[tuple[str, ...], Function] = {}
        self.headers: set[str] = set()
        self.bodies: dict[str, Body] = {}
        """By the name of their function."""
        self.body_names: dict[Graph, str] = {}

    def calls(self, program: Program) -> tuple[StepCall, ...]:
        """What each step of a program calls."""
        return tuple(map(self._call, program.steps))

    def body(self, graph: Graph) -> Body:
        """The function of a body, planned before."""
        program = program_of(graph)
        calls = self.calls(program)
        comment, *lines = body_lines(program, calls, self.symbols)
        parameters = parameters_of(program, lines)
        symbols = symbols_of(program, calls, self.symbols)
        parameters |= {name: f"ptrdiff_t {name}" for name in symbols.values()}
        key = (comment, *parameters.values(), "", *lines)
        if key not in self.by_text:
            name = self.names.new(f"body {graph.name}", "body")
            fallible = is_fallible(calls)
            text = _definition(name, key, list(parameters.values()), fallible)
            self.headers.add("string.h")
            self.by_text[key] = function = Function(name, text, fallible)
            self.bodies[name] = Body(
                program, calls, function, frozenset(parameters), tuple(symbols)
            )
        name = self.body_names[graph] = self.by_text[key].name
        return self.bodies[name]

    def _call(self, step: Step) -> StepCall:
        if not live_parts(step):
            return StepCall(step, None)
        try:
            frame, fallible, key = self._translated(step)
        except DlcError as error:
            raise type(error)(f"{step.op.operator.label} {step.op.label!r}: {error}") from error
        if key not in self.by_text:
            name = self.names.new(f"{step.op.operator.name} {step.op.label}", "step")
            text = _definition(name, key, frame.declarations, fallible)
            self.by_text[key] = Function(name, text, fallible)
            self.headers |= frame.headers
        return StepCall(step, self.by_text[key], tuple(frame.parameters), tuple(frame.sizes))

    def _translated(self, step: Step) -> tuple[Frame, bool, tuple[str, ...]]:
        """The frame, whether the function can fail, and its text but for the name."""
        frame, body = Frame(step, self.symbols), Writer(depth=1)
        parts = live_parts(step)
        for part in parts:
            with body.scope() if len(parts) > 1 else nullcontext():
                self._write_part(part, frame, body)
        fallible = any(line.lstrip().startswith("return ") for line in body.lines)
        if fallible:
            body.line("return 0;")
        locals = [f"    {definition}" for definition in frame.locals_of(body.lines)]
        frame.drop_unused([*locals, *body.lines])
        return frame, fallible, (signature(step), *frame.declarations, "", *locals, *body.lines)

    def _write_part(self, part: Part, frame: Frame, body: Writer) -> None:
        if isinstance(part, Nest):
            write_nest(part, frame, body)
        elif isinstance(part, Tile):
            write_tile(part, frame, body)
        elif isinstance(part, Branch):
            write_branch(part, frame, body, self.body)
        elif isinstance(part, Repeat):
            write_repeat(part, frame, body, self.body)
        elif isinstance(part, Define):
            write_define(part, frame, body)
        elif isinstance(part, Check):
            write_check(part, frame, body)
        else:
            write_kernel(part, frame, body)


#: what is written around the name of a symbol: model.h says it once
_BOUNDS = re.compile(r'(?:-?\d+<=)?("(?:[^"\\]|\\.)*"|[A-Za-z_]\w*)<=\d+(?:\|\d+)?')


def signature(step: Step) -> str:
    """Operator and types of a step, safe in a comment: ``conv: f32[1,3,8,8], ... -> f32[...]``."""
    operands = ", ".join(_type(None if v is None else v.type) for v in step.op.operands)
    results = ", ".join(map(_type, step.op.types))
    text = f"{step.op.operator.label}: {operands} -> {results}".replace(":  ->", ": ->")
    return comment(text.rstrip())


def _type(type: TensorType | None) -> str:
    if type is None:
        return "none"
    return str(type) if type.is_static else _BOUNDS.sub(r"\1", str(type))


def _definition(name: str, key: tuple[str, ...], parameters: list[str], fallible: bool) -> str:
    head, body = f"/* {key[0]} */", key[len(parameters) + 2 :]
    result = "int" if fallible else "void"
    declared = wrap(f"static {result} {name}(", parameters or ["void"], ") {")
    return "\n".join([head, *declared, *body, "}"])
