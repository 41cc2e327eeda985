"""Bodies as C: one ``static`` function each, and the branches and loops that call them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dlc.backends.c99.dtypes import c_type, pointer_type
from dlc.backends.c99.frame import Frame
from dlc.backends.c99.names import comment
from dlc.backends.c99.pointers import cast, typed
from dlc.backends.c99.sizes import UNARY, SymbolNames, size_text
from dlc.backends.c99.writer import Writer
from dlc.errors import PlanError
from dlc.ir.sizes import Symbol, maximum
from dlc.ir.sizes import symbols_of as mentioned
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


def body_lines(
    program: Program, calls: Sequence[StepCall], symbols: SymbolNames
) -> tuple[str, ...]:
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
        type = graph.outputs[copy.output].type
        source = pointer(program, copy.source, type.dtype)
        size = str(copy.size)
        if not type.is_static:
            count = size_text(maximum(type.count, 0), symbols.__getitem__, set(), UNARY)
            size = f"(size_t){count} * sizeof({c_type(type.dtype)})"
        out.listed("memcpy(", [f"out{copy.output}", source, size], ");")
    if fallible:
        out.line("return 0;")
    types = (", ".join(str(v.type) for v in row) for row in (graph.inputs, graph.outputs))
    return (comment(f"body: {' -> '.join(types)}"), *out.lines)


def is_fallible(calls: Sequence[StepCall]) -> bool:
    """Whether a step may end the run with a status."""
    return any(call.function is not None and call.function.fallible for call in calls)


def symbols_of(
    program: Program, calls: Sequence[StepCall], symbols: SymbolNames
) -> dict[Symbol, str]:
    """Symbols with their names whose values a body takes from outside, in order."""
    own = {p.symbol for call in calls for p in call.sizes if p.writable}
    found = {p.symbol: p.name for call in calls for p in call.sizes if p.symbol not in own}
    for copy in program.copies:
        shape = program.graph.outputs[copy.output].type.shape
        found |= {s: symbols[s] for s in mentioned(shape) if s not in own}
    return found


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
    limit, counted = frame.element(repeat.limit, ()).text, repeat.taken is not None
    most = None if repeat.most is None else frame.size(repeat.most)
    if most is not None and not counted:
        limit = f"{limit} < {most} ? {limit} : {most}"
    out.line(f"const int64_t limit = {limit};")
    out.line(f"uint8_t going = {frame.element(repeat.condition, ()).text};")
    out.extend(["int64_t turn = 0;"] if counted else [])
    start = "" if counted else "int64_t turn = 0"
    for _, at, size in repeat.sizes:
        frame.set_scratch(at.buffer, DType.I64)
        out.line(f"{frame.element(at, ()).text} = {frame.size(size)};")
    with out.block(f"for ({start}; turn < limit && going; ++turn)"):
        if counted and most is not None:
            frame.headers.add("dlc_status.h")
            with out.block(f"if (turn == {most})"):
                out.line("return DLC_BAD_SIZE;")
        for symbol, at, _ in repeat.sizes:
            value = frame.element(at, ()).text
            with out.block(f"if ({value} < {symbol.low} || {value} > {symbol.bound})"):
                out.line("return DLC_BAD_SIZE;")
            out.line(f"const ptrdiff_t {frame.named(symbol)} = (ptrdiff_t){value};")
            frame.headers.add("dlc_status.h")
        out.line("uint8_t again = 1;")
        _write_call(
            repeat.call, frame, out, bodies, ("turn",), {symbol for symbol, *_ in repeat.sizes}
        )
        out.line("going = again;")
        for i, state in enumerate(repeat.states):
            with out.block(""):
                dtype = frame.dtype(state.result.buffer)
                assert dtype is not None
                out.line(f"{pointer_type(dtype)}const old = now{i};")
                out.extend([f"now{i} = next{i};", f"next{i} = old;"])
    for i, (state, place) in enumerate(zip(repeat.states, homes, strict=True)):
        if state.count:
            frame.headers.add("string.h")
            with out.block(f"if (now{i} != {place})"):
                out.line(f"memcpy({place}, now{i}, {state.count} * sizeof(*now{i}));")
    if repeat.taken is not None:
        frame.set_scratch(repeat.taken.buffer, DType.I64)
        out.line(f"{frame.element(repeat.taken, ()).text} = turn;")


def _write_call(call: Call, frame: Frame, out: Writer, bodies: Bodies,
                variables: Sequence[str] = (), local: Set[Symbol] = frozenset()) -> None:  # fmt: skip
    body = bodies(call.body)
    name, arguments = body.function.name, list(_arguments(call, body, frame, variables))
    arguments += [frame.named(s) if s in local else frame.symbol(s) for s in body.symbols]
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
                if isinstance(argument.buffer, Scratch):
                    stored = body.program.graph.outputs[i].type.dtype
                    frame.set_scratch(argument.buffer, stored)
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
