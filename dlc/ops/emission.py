"""How core ops become C, as data: loop nests, kernel calls and tiles over flat buffers.

No C text here and no op names in the backend: an op's ``emission(operands, results)`` returns an
``Emission``, the planner reads it to find copies that can be elided and operands that may be
overwritten, and ``backends/c99`` prints it. All indices count elements.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dlc.errors import PluginError
from dlc.ir.expr import A0, Expr

_KERNEL_PATH: list[Path] = []


def kernel_path(folder: str | Path) -> None:
    """Let backends look for C kernels in ``folder`` (kernel ``k`` in ``k.h``), the last one first.

    It comes before dlc's own kernels, so that one of them may be replaced by its name. Raises
    PluginError when it is no folder.
    """
    path = Path(folder).resolve()
    if not path.is_dir():
        raise PluginError(f"{folder} is no folder of C kernels")
    if path not in _KERNEL_PATH:
        _KERNEL_PATH.insert(0, path)


def kernel_folders() -> tuple[Path, ...]:
    """Folders given to ``kernel_path``, in the order they are searched."""
    return tuple(_KERNEL_PATH)


@dataclass(frozen=True, slots=True)
class Affine:
    """``base + sum(strides[i] * loop_variable[i])``, in elements."""

    base: int = 0
    strides: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Operand:
    """The buffer of operand ``index`` of the op."""

    index: int


@dataclass(frozen=True, slots=True)
class Result:
    """The buffer of result ``index`` of the op."""

    index: int = 0


@dataclass(frozen=True, slots=True)
class Scratch:
    """The op's scratch bytes (uninitialised, its own while the op runs), from byte ``offset``."""

    offset: int = 0


Buffer = Operand | Result | Scratch


@dataclass(frozen=True, slots=True)
class Access:
    """An element (or, as a kernel argument, the address of one) of a buffer."""

    buffer: Buffer
    index: Affine = Affine()


@dataclass(frozen=True, slots=True)
class Accumulate:
    """The innermost ``loops`` loops of a nest combine with scalar function ``function``.

    ``function`` is ``add``, ``mul``, ``max`` or ``min``; then ``epilogue`` (a0 the accumulated
    value, a1.. the ``reads``, indexed by the remaining outer loops) is stored.
    """

    function: str
    loops: int
    epilogue: Expr = A0
    reads: tuple[Access, ...] = ()


@dataclass(frozen=True, slots=True)
class Nest:
    """``for each index in extents: write = expr(reads...)``.

    Affines have one stride per loop (outermost first); with ``accumulate`` the write (and the
    epilogue's reads) have strides for the outer loops only.
    """

    extents: tuple[int, ...]
    reads: tuple[Access, ...]
    write: Access
    expr: Expr = A0
    accumulate: Accumulate | None = None


@dataclass(frozen=True, slots=True)
class Acc:
    """Kernel argument: the local accumulator array of a tile."""


@dataclass(frozen=True, slots=True)
class Index:
    """Kernel argument: an integer computed from the outer loop variables."""

    value: Affine


Argument = Access | Index | Acc | int | float


@dataclass(frozen=True, slots=True)
class Tile:
    """``for each outer index: acc = kernel(...); write = epilogue(acc, reads...)``.

    The kernel fills a local array ``acc[rows][cols]``; the epilogue then stores each element, so a
    fused operand may share memory with the result. Affines of arguments have one stride per outer
    loop, those of ``write`` and ``reads`` two more: tile row and tile column.
    """

    outer: tuple[int, ...]
    rows: int
    cols: int
    kernel: str
    args: tuple[Argument, ...]
    write: Access
    epilogue: Expr = A0
    reads: tuple[Access, ...] = ()


@dataclass(frozen=True, slots=True)
class Kernel:
    """One call of a C function; ``fallible`` ones return a status that ends the run when not 0."""

    kernel: str
    args: tuple[Argument, ...]
    fallible: bool = False


Part = Nest | Tile | Kernel


@dataclass(frozen=True, slots=True)
class Emission:
    """The parts of an op in the order they run, and the scratch bytes they share."""

    parts: tuple[Part, ...]
    scratch: int = 0


@dataclass(frozen=True, slots=True)
class Copy:
    """A part that moves ``count`` contiguous elements unchanged from an operand into a result."""

    operand: int
    result: int
    source: int
    target: int
    count: int


def copy_part(operand: int, source: int, target: int, count: int, result: int = 0) -> Nest:
    """A contiguous copy; where the planner can give both sides one address it costs nothing."""
    return Nest(
        (count,), (Access(Operand(operand), Affine(source, (1,))),),
        Access(Result(result), Affine(target, (1,))),
    )  # fmt: skip


def as_copy(part: Part) -> Copy | None:
    """The part as a contiguous copy, if that is what it does."""
    if not isinstance(part, Nest) or part.accumulate or part.expr != A0 or len(part.reads) != 1:
        return None
    (read,), write = part.reads, part.write
    if not isinstance(read.buffer, Operand) or not isinstance(write.buffer, Result):
        return None
    if read.index.strides != write.index.strides:
        return None
    step = 1
    for extent, stride in zip(reversed(part.extents), reversed(write.index.strides), strict=True):
        if extent != 1 and stride != step:
            return None
        step *= extent
    return Copy(read.buffer.index, write.buffer.index, read.index.base, write.index.base, step)


def overwritable(emission: Emission) -> Iterator[tuple[int, int]]:
    """Pairs (operand, result) such that the result may take the operand's memory.

    True when every part that reads the operand reads it only at the very element it is about to
    store into that result, and nothing stores an element twice. That the stores cover the result
    exactly (``stores``), sizes and lifetimes are the planner's to check.
    """
    beside: dict[int, set[int | None]] = {}  # operand -> results beside whose element it is read
    unclear: set[int] = set()  # results that a kernel stores to in an order of its own
    for part in emission.parts:
        elsewhere, here = _reads(part)
        if isinstance(part, Kernel):
            unclear |= {a.buffer.index for a in elsewhere if isinstance(a.buffer, Result)}
        for access in elsewhere:
            if isinstance(access.buffer, Operand):
                beside.setdefault(access.buffer.index, set()).add(None)
        for access in here:
            if isinstance(access.buffer, Operand) and not isinstance(part, Kernel):
                to, exact = part.write.buffer, access.index == part.write.index
                result = to.index if exact and isinstance(to, Result) else None
                beside.setdefault(access.buffer.index, set()).add(result)
    for operand, results in beside.items():
        result = next(iter(results))
        if len(results) == 1 and result is not None and result not in unclear:
            yield operand, result


def _reads(part: Part) -> tuple[tuple[Access, ...], tuple[Access, ...]]:
    """What a part reads while it still computes, and what it reads only as it stores an element."""
    if isinstance(part, Kernel):
        return accesses(part.args), ()
    if isinstance(part, Tile):
        return accesses(part.args), part.reads
    if part.accumulate is not None:
        return part.reads, part.accumulate.reads
    return (), part.reads


def accesses(args: Iterable[Argument]) -> tuple[Access, ...]:
    """The arguments of a kernel that are addresses in buffers."""
    return tuple(a for a in args if isinstance(a, Access))


def stores(emission: Emission, result: int) -> int | None:
    """How many elements the parts store into a result; None when a kernel does it."""
    count = 0
    for part in emission.parts:
        if isinstance(part, Kernel):
            if any(a.buffer == Result(result) for a in accesses(part.args)):
                return None
        elif part.write.buffer == Result(result):
            if isinstance(part, Tile):
                count += math.prod(part.outer) * part.rows * part.cols
            else:
                inner = part.accumulate.loops if part.accumulate else 0
                count += math.prod(part.extents[: len(part.extents) - inner])
    return count


def spans(extent: int, step: int) -> Iterator[tuple[int, int, int]]:
    """Cut ``extent`` into equal tiles and a remainder: (start, how many tiles, tile size)."""
    whole = extent // step
    if whole:
        yield 0, whole, step
    if extent % step:
        yield whole * step, 1, extent % step
