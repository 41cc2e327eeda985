"""Bodies as C: one ``static`` function each, and the branches and loops that call them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dlc.backends.c99.dtypes import pointer_type
from dlc.backends.c99.frame import Frame
from dlc.backends.c99.names import comment
from dlc.backends.c99.pointers import cast, typed
from dlc.backends.c99.writer import Writer
from dlc.errors import PlanError
from dlc.ir.sizes import Symbol
from dlc.ir.types import DType
from dlc.ops.emission import Access, Branch, Call, Carried, Going, Repeat, Scratch, Turn
from dlc.plan.program import Placement, Program, Space

if TYPE_CHECKING:
    from collections.abc import Callable

    from dlc.backends.c99.functions import Function, StepCall
    from dlc.ir.graph import Graph

    Bodies = Callable[[Graph], "Body"]


@dataclass(frozen=True, slots=True)
class Body:
    """A body with the C function that runs it, and which parameters that has."""

    program: Program
    calls: tuple[StepCall, ...]
    function: Function
    parameters: frozenset[str]
    """Of ``in0``, ``in1`` ..., ``out0`` ... and ``mem``; what the body never touches is left out."""
    symbols: tuple[Symbol, ...] = ()
    """Whose values it takes, after those."""


def pointer(program: Program, place: Placement, dtype: DType) -> str:
    """C text, inside the function of a body, for the address of a placement."""
    buffer = program.buffers[place.buffer]
    if buffer.space is Space.ARENA:
        assert buffer.offset is not None  # bodies are planned with offsets
        return cast("mem", buffer.offset + place.offset, dtype, "")
    if buffer.space is Space.INPUT:
        own = program.graph.inputs[buffer.index].type.dtype
        return typed(f"in{buffer.index}", own, place.offset, dtype, "const ")
    if buffer.space is Space.OUTPUT:
        own = program.graph.outputs[buffer.index].type.dtype
        return typed(f"out{buffer.index}", own, place.offset, dtype, "")
    raise PlanError(
        f"body {program.graph.name!r} holds constants; run the pass hoist-constants before liveness"
    )


def body_lines(program: Program, calls: Sequence[StepCall]) -> tuple[str, ...]:
    """The text of a body's function, but for its name: a comment, then its lines."""
    from dlc.backends.c99.functions import signature

    graph, out = program.graph, Writer(depth=1)
    if program.arena_bytes:
        out.line(f"DLC_DEAD(0, {program.arena_bytes});")
    own = {p.name: None for call in calls for p in call.sizes if p.writable}
    out.extend(f"ptrdiff_t {name} = 0;" for name in own)
    fallible = is_fallible(calls)
    if fallible:
        out.line("int status;")
    for call in calls:
        step = call.step
        work = ": in place, nothing to do" if call.function is None else ""
        out.extend([""] if out.lines else [])
        out.line(f"/* {step.index}: {signature(step)}{work} */")
        if call.function is not None:
            arguments = [pointer(program, p.place, p.dtype) for p in call.parameters]
            arguments += [f"{'&' if p.writable else ''}{p.name}" for p in call.sizes]
            if call.function.fallible:
                out.listed(f"status = {call.function.name}(", arguments, ");")
                out.extend(["if (status != 0) {", "    return status;", "}"])
            else:
                out.listed(f"{call.function.name}(", arguments, ");")
        dead = (program.buffers[number] for number in step.frees)
        out.extend(f"DLC_DEAD({b.offset}, {b.size});" for b in dead if b.size)
    copies = [copy for copy in program.copies if copy.size]
    out.extend([""] if copies and out.lines else [])
    for copy in copies:
        source = pointer(program, copy.source, graph.outputs[copy.output].type.dtype)
        out.listed("memcpy(", [f"out{copy.output}", source, str(copy.size)], ");")
    if fallible:
        out.line("return 0;")
    types = (", ".join(str(v.type) for v in row) for row in (graph.inputs, graph.outputs))
    return (comment(f"body: {' -> '.join(types)}"), *out.lines)


def is_fallible(calls: Sequence[StepCall]) -> bool:
    """Whether a step may end the run with a status."""
    return any(call.function is not None and call.function.fallible for call in calls)


def symbols_of(calls: Sequence[StepCall]) -> dict[Symbol, str]:
    """Symbols with their names whose values the steps of a body take from outside, in order."""
    own = {p.symbol for call in calls for p in call.sizes if p.writable}
    return {p.symbol: p.name for call in calls for p in call.sizes if p.symbol not in own}


def parameters_of(program: Program, lines: Sequence[str]) -> dict[str, str]:
    """Declarations of the parameters that a body's lines use, by name, in order."""
    graph = program.graph
    words = set(re.findall(r"\w+", "\n".join(lines)))
    found = {f"in{i}": pointer_type(v.type.dtype, const=True) for i, v in enumerate(graph.inputs)}
    found |= {f"out{i}": pointer_type(v.type.dtype) for i, v in enumerate(graph.outputs)}
    found["mem"] = "unsigned char *"
    return {name: f"{type}{name}" for name, type in found.items() if name in words}


def write_branch(branch: Branch, frame: Frame, out: Writer, bodies: Bodies) -> None:
    """Write an if and an else, each with the call of a body."""
    condition = frame.element(branch.condition, ()).text
    with out.block(f"if ({condition})"):
        _write_call(branch.then, frame, out, bodies)
    with out.block("else"):
        _write_call(branch.otherwise, frame, out, bodies)


def write_repeat(repeat: Repeat, frame: Frame, out: Writer, bodies: Bodies) -> None:
    """Write a loop. States lie in two places in turn; the last values are copied into the result."""
    homes = []
    for i, state in enumerate(repeat.states):
        home = frame.address(state.result, ())
        frame.set_scratch(state.spare.buffer, home.dtype)
        spare = frame.address(state.spare, ())
        out.line(f"{pointer_type(home.dtype)}now{i} = {home.text};")
        out.line(f"{pointer_type(home.dtype)}next{i} = {spare.text};")
        homes.append(home.text)
    limit = frame.element(repeat.limit, ()).text
    if repeat.most is not None:
        limit = f"{limit} < {repeat.most} ? {limit} : {repeat.most}"
    out.line(f"const int64_t limit = {limit};")
    out.line(f"uint8_t going = {frame.element(repeat.condition, ()).text};")
    with out.block("for (int64_t turn = 0; turn < limit && going; ++turn)"):
        out.line("uint8_t again = 1;")
        _write_call(repeat.call, frame, out, bodies, ("turn",))
        out.line("going = again;")
        for i, state in enumerate(repeat.states):
            with out.block(""):
                dtype = frame.dtype(state.result.buffer)
                assert dtype is not None
                out.line(f"{pointer_type(dtype)}const old = now{i};")
                out.extend([f"now{i} = next{i};", f"next{i} = old;"])
    for i, (state, start) in enumerate(zip(repeat.states, homes, strict=True)):
        if state.count:
            frame.headers.add("string.h")
            with out.block(f"if (now{i} != {start})"):
                out.line(f"memcpy({start}, now{i}, {state.count} * sizeof(*now{i}));")


def _write_call(call: Call, frame: Frame, out: Writer, bodies: Bodies,
                variables: Sequence[str] = ()) -> None:  # fmt: skip
    body = bodies(call.body)
    name, arguments = body.function.name, list(_arguments(call, body, frame, variables))
    if not body.function.fallible:
        out.listed(f"{name}(", arguments, ");")
        return
    out.listed(f"const int status = {name}(", arguments, ");")
    with out.block("if (status != 0)"):
        out.line("return status;")


def _arguments(call: Call, body: Body, frame: Frame, variables: Sequence[str]) -> Iterator[str]:
    for kind, row, state in (("in", call.inputs, "now"), ("out", call.outputs, "next")):
        for i, argument in enumerate(row):
            if f"{kind}{i}" not in body.parameters:
                continue
            if isinstance(argument, Access):
                yield frame.address(argument, variables).text
            elif isinstance(argument, Turn):
                yield "&turn"
            elif isinstance(argument, Carried):
                yield f"{state}{argument.index}"
            else:
                assert isinstance(argument, Going)
                yield "&going" if kind == "in" else "&again"
    if "mem" in body.parameters:
        (arena,) = call.arena
        assert isinstance(arena.buffer, Scratch)
        yield f"scratch + {arena.buffer.offset}" if arena.buffer.offset else "scratch"
    yield from map(frame.symbol, body.symbols)
