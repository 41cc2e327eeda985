"""Loop nests as C."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from dlc.backends.c99.dtypes import c_type, limits, literal
from dlc.backends.c99.frame import Frame, Variables
from dlc.backends.c99.scalars import Typed, translate
from dlc.backends.c99.sizes import SUM, UNARY
from dlc.backends.c99.writer import Writer
from dlc.ir.expr import A0, Arg, Call, Expr
from dlc.ir.sizes import Dim, Size, maximum, product
from dlc.ir.types import DType
from dlc.ops.emission import Access, Accumulate, Nest, Operand, as_copy


def write_nest(nest: Nest, frame: Frame, out: Writer) -> None:
    """Write the loops of a nest; what it copies in contiguous runs it copies with memcpy."""
    copy = as_copy(nest)
    if copy is not None:
        _write_copy(nest, product(nest.extents), (), frame, out)
    elif _copies_lines(nest):
        _write_copy(nest, nest.extents[-1], nest.extents[:-1], frame, out)
    elif nest.accumulate is not None:
        _write_reduction(nest, nest.accumulate, frame, out)
    else:
        split = len(nest.extents) - _is_lanewise(nest)
        with loops(nest.extents[:split], out, frame) as outer:
            if split < len(nest.extents):
                frame.headers.add("dlc_kernel.h")
                out.line("DLC_LANEWISE")
            with loops(nest.extents[split:], out, frame, split) as inner:
                variables = [*outer, *inner]
                reads = [frame.element(read, variables) for read in nest.reads]
                store(nest.expr, reads, nest.write, variables, frame, out)


def _is_lanewise(nest: Nest) -> bool:
    """Whether the innermost loop is over the lanes of a block of channels, which gcc would unroll."""
    reads = (access.index.strides[-1:] for access in nest.reads)
    return nest.extents[-1:] == (16,) and all(step in ((0,), (1,)) for step in reads)


def _copies_lines(nest: Nest) -> bool:
    """Whether the innermost loop moves contiguous elements of one buffer into another.

    Written as a loop, gcc makes it a memmove once the call is inlined and restrict forgotten.
    """
    if nest.accumulate is not None or nest.expr != A0 or len(nest.reads) != 1:
        return False
    last = [access.index.strides[-1:] for access in (nest.reads[0], nest.write)]
    return last == [(1,), (1,)] and isinstance(nest.reads[0].buffer, Operand)


def _write_copy(nest: Nest, count: Dim, outer: Sequence[Dim], frame: Frame, out: Writer) -> None:
    count = count if isinstance(count, int) else maximum(count, 0)
    if count == 0 or 0 in outer:
        return
    frame.headers.add("string.h")
    with loops(outer, out, frame) as variables:
        here: Variables = [*variables, *[None] * (len(nest.extents) - len(outer))]
        target, source = frame.address(nest.write, here), frame.address(nest.reads[0], here)
        if target.text != source.text:
            amount = f"(size_t){frame.size(count, UNARY)}" if isinstance(count, Size) else count
            out.line(
                f"memcpy({target.text}, {source.text}, {amount} * sizeof({c_type(source.dtype)}));"
            )


def _write_reduction(nest: Nest, accumulate: Accumulate, frame: Frame, out: Writer) -> None:
    outer = len(nest.extents) - accumulate.loops
    with loops(nest.extents[:outer], out, frame) as kept:
        with_inner = [*kept, *loop_variables(nest.extents[outer:], outer)]
        reads = [frame.element(read, with_inner) for read in nest.reads]
        dtype = translate(nest.expr, reads, frame.dtype(nest.write.buffer)).value.dtype
        acc = Typed("acc", dtype)
        out.line(f"{c_type(dtype)} acc = {_identity(accumulate.function, dtype)};")
        with loops(nest.extents[outer:], out, frame, outer, scope=True):
            combined = Call(accumulate.function, (Arg(len(reads)), nest.expr))
            body = translate(combined, [*reads, acc], dtype)
            frame.headers |= body.headers
            out.extend(body.statements)
            out.line(f"acc = {body.value.text};")
        extras = [frame.element(read, kept) for read in accumulate.reads]
        store(accumulate.epilogue, [acc, *extras], nest.write, kept, frame, out)


def store(expr: Expr, arguments: Sequence[Typed], target: Access, variables: Variables,
          frame: Frame, out: Writer) -> None:  # fmt: skip
    """Write ``target = expr(arguments);``."""
    body = translate(expr, arguments, frame.dtype(target.buffer))
    frame.headers |= body.headers
    frame.set_scratch(target.buffer, body.value.dtype)
    out.extend(body.statements)
    out.line(f"{frame.element(target, variables).text} = {body.value.text};")


@contextmanager
def loops(
    extents: Sequence[Dim], out: Writer, frame: Frame, first: int = 0, *, scope: bool = False
) -> Iterator[Variables]:
    """``for`` loops over ``extents``, the first being number ``first`` of its nest.

    Gives their variables; loops of one iteration have none and are not written. With ``scope``
    the locals of the body are its own even when no loop is written.
    """
    variables = loop_variables(extents, first)
    with ExitStack() as stack:
        if scope and not any(variables):
            stack.enter_context(out.block(""))
        stack.enter_context(named_loops(zip(variables, extents, strict=True), out, frame))
        yield variables


@contextmanager
def named_loops(
    pairs: Iterable[tuple[str | None, Dim]], out: Writer, frame: Frame
) -> Iterator[None]:
    """``for`` loops given by variable and extent; none for a variable that is None."""
    with ExitStack() as stack:
        for name, extent in pairs:
            if name is not None:
                end = frame.size(extent, SUM)
                head = f"for (ptrdiff_t {name} = 0; {name} < {end}; ++{name})"
                stack.enter_context(out.block(head))
        yield


def loop_variables(extents: Sequence[Dim], first: int = 0) -> list[str | None]:
    """Names of the variables of loops ``first``, ``first + 1``, ...: i, j, k ... n, then i6, i7."""
    names = [*"ijklmn"][first:] + [f"i{n}" for n in range(max(first, 6), first + len(extents))]
    return [None if extent == 1 else names[n] for n, extent in enumerate(extents)]


def _identity(function: str, dtype: DType) -> str:
    lowest, highest = limits(dtype)
    return literal({"add": 0, "mul": 1, "max": lowest, "min": highest}[function], dtype)
