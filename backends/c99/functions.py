"""Steps as C functions: one ``static`` function per distinct step, shared by steps of equal text."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

from dlc.backends.c99.frame import Frame, Parameter, live_parts
from dlc.backends.c99.names import Names, comment
from dlc.backends.c99.nests import write_nest
from dlc.backends.c99.tiles import write_kernel, write_tile
from dlc.backends.c99.writer import Writer, wrap
from dlc.errors import DlcError
from dlc.ir.types import TensorType
from dlc.ops.emission import Kernel, Nest, Part, Tile
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


@dataclass(frozen=True, slots=True)
class Functions:
    """The functions of a program in order of first use, its calls, and the headers they need."""

    distinct: tuple[Function, ...]
    calls: tuple[StepCall, ...]
    headers: frozenset[str]


def functions_of(program: Program, names: Names) -> Functions:
    """A function for each step that does something; steps whose C is equal share one."""
    by_text: dict[tuple[str, ...], Function] = {}
    calls: list[StepCall] = []
    headers: set[str] = set()
    for step in program.steps:
        parts = live_parts(step)
        if not parts:
            calls.append(StepCall(step, None))
            continue
        try:
            frame, fallible, key = _translated(step)
        except DlcError as error:
            raise type(error)(f"{step.op.operator.label} {step.op.label!r}: {error}") from error
        if key not in by_text:
            name = names.new(f"{step.op.operator.name} {step.op.label}", "step")
            by_text[key] = Function(name, _definition(name, key, frame, fallible), fallible)
            headers |= frame.headers
        calls.append(StepCall(step, by_text[key], tuple(frame.parameters)))
    return Functions(tuple(by_text.values()), tuple(calls), frozenset(headers))


def signature(step: Step) -> str:
    """Operator and types of a step, safe in a comment: ``conv: f32[1,3,8,8], ... -> f32[...]``."""
    operands = ", ".join(_type(None if v is None else v.type) for v in step.op.operands)
    results = ", ".join(map(_type, step.op.types))
    return comment(f"{step.op.operator.label}: {operands} -> {results}".replace(":  ->", ": ->"))


def _type(type: TensorType | None) -> str:
    return "none" if type is None else str(type)


def _translated(step: Step) -> tuple[Frame, bool, tuple[str, ...]]:
    """The frame, whether the function can fail, and its text but for the name."""
    frame, body = Frame(step), Writer(depth=1)
    parts = live_parts(step)
    fallible = any(isinstance(part, Kernel) and part.fallible for part in parts)
    for part in parts:
        with body.scope() if len(parts) > 1 else nullcontext():
            _write_part(part, frame, body)
    if fallible:
        body.line("return 0;")
    locals = [f"    {definition}" for definition in frame.locals.values()]
    frame.drop_unused([*locals, *body.lines])
    return frame, fallible, (signature(step), *frame.declarations, "", *locals, *body.lines)


def _write_part(part: Part, frame: Frame, body: Writer) -> None:
    if isinstance(part, Nest):
        write_nest(part, frame, body)
    elif isinstance(part, Tile):
        write_tile(part, frame, body)
    else:
        write_kernel(part, frame, body)


def _definition(name: str, key: tuple[str, ...], frame: Frame, fallible: bool) -> str:
    head, body = f"/* {key[0]} */", key[len(frame.parameters) + 2 :]
    result = "int" if fallible else "void"
    declared = wrap(f"static {result} {name}(", frame.declarations or ["void"], ") {")
    return "\n".join([head, *declared, *body, "}"])
