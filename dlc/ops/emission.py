"""How core ops become C, as data: loop nests, kernel calls and tiles over flat buffers.

No C text here and no op names in the backend: an op's ``emission(operands, results)`` returns an
``Emission``, the planner reads it to find copies that can be elided and operands that may be
overwritten, and ``backends/c99`` prints it. All indices count elements.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dlc.errors import PluginError
from dlc.ir.expr import A0, Expr
from dlc.ir.graph import Graph
from dlc.ir.sizes import Dim, Size, Symbol, bound_of, product

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

    base: Dim = 0
    strides: tuple[Dim, ...] = ()


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

    extents: tuple[Dim, ...]
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


@dataclass(frozen=True, slots=True)
class Count:
    """Kernel argument: where the kernel stores the run-time value of a symbol (a ``ptrdiff_t *``).

    The run ends with status DLC_BAD_SIZE when that lies outside the symbol's interval.
    """

    symbol: Symbol


Argument = Access | Index | Acc | Count | Dim | float


@dataclass(frozen=True, slots=True)
class Tile:
    """``for each outer index: acc = kernel(...); write = epilogue(acc, reads...)``.

    The kernel fills a local array ``acc[rows][cols]``; the epilogue then stores each element, so a
    fused operand may share memory with the result. Affines of arguments have one stride per outer
    loop, those of ``write`` and ``reads`` two more: tile row and tile column. With ``planes`` the
    array is ``acc[planes...][rows][cols]``, and strides of the planes come before those two; the
    columns are then a whole number of vectors.
    """

    outer: tuple[Dim, ...]
    rows: int
    cols: Dim
    kernel: str
    args: tuple[Argument, ...]
    write: Access
    epilogue: Expr = A0
    reads: tuple[Access, ...] = ()
    planes: tuple[int, ...] = ()

    @property
    def shape(self) -> tuple[Dim, ...]:
        """The dims of the accumulator; only the columns may be known at run time."""
        return (*self.planes, self.rows, self.cols)


@dataclass(frozen=True, slots=True)
class Kernel:
    """One call of a C function; ``fallible`` ones return a status that ends the run when not 0."""

    kernel: str
    args: tuple[Argument, ...]
    fallible: bool = False


@dataclass(frozen=True, slots=True)
class Define:
    """A symbol takes its run-time value: an integer element of a buffer, or a size.

    The run ends with status DLC_BAD_SIZE when that lies outside the symbol's interval.
    """

    symbol: Symbol
    value: Access | Dim

    @property
    def args(self) -> tuple[Argument, ...]:
        return (self.value,)


@dataclass(frozen=True, slots=True)
class Check:
    """The run ends with status DLC_BAD_SIZE where the size is 0."""

    condition: Size

    @property
    def args(self) -> tuple[Argument, ...]:
        return ()


@dataclass(frozen=True, slots=True)
class Turn:
    """Argument of a body: the number of the turn, an i64."""


@dataclass(frozen=True, slots=True)
class Going:
    """Argument of a body: whether the loop goes on, a bool; as an output, after this turn."""


@dataclass(frozen=True, slots=True)
class Carried:
    """Argument of a body: state ``index`` of the loop; as an output, as the next turn finds it."""

    index: int


@dataclass(frozen=True, slots=True)
class Call:
    """One run of a planned body: what it reads and stores, and where its arena lies."""

    body: Graph
    inputs: tuple[Access | Turn | Going | Carried, ...]
    outputs: tuple[Access | Going | Carried, ...]
    arena: tuple[Access, ...] = ()
    """One address in scratch, or nothing when the body needs no memory of its own."""


@dataclass(frozen=True, slots=True)
class Branch:
    """``if (condition) then(); else otherwise();``."""

    condition: Access
    then: Call
    otherwise: Call

    @property
    def args(self) -> tuple[Argument, ...]:
        return (self.condition, *_accesses_of(self.then), *_accesses_of(self.otherwise))


@dataclass(frozen=True, slots=True)
class State:
    """A value carried around a loop: ``count`` elements that lie in a result before the loop and
    after it, and in turn there and in ``spare`` meanwhile.
    """

    result: Access
    spare: Access
    count: int


@dataclass(frozen=True, slots=True)
class Repeat:
    """``for (turn = 0; turn < limit && going; ++turn) call();`` with ``going`` true at first where
    ``condition`` is.

    Affines of the call's arguments have one stride: that of the turn. ``most`` turns are taken at
    most, whatever the limit says (None: any number). With ``taken``, an i64 where their number is
    stored, a further turn ends the run with status DLC_BAD_SIZE. Before each turn, symbols of the
    body take the values of ``sizes``, i64 elements that hold the sizes given at first and that the
    body may store anew.
    """

    limit: Access
    condition: Access
    call: Call
    states: tuple[State, ...] = ()
    most: Dim | None = None
    taken: Access | None = None
    sizes: tuple[tuple[Symbol, Access, Dim], ...] = ()

    @property
    def args(self) -> tuple[Argument, ...]:
        states = [access for state in self.states for access in (state.result, state.spare)]
        counts = [*([] if self.taken is None else [self.taken]), *(at for _, at, _ in self.sizes)]
        return (self.limit, self.condition, *_accesses_of(self.call), *states, *counts)


def _accesses_of(call: Call) -> tuple[Access, ...]:
    return accesses((*call.inputs, *call.outputs, *call.arena))


#: parts that read and store in an order of their own: of their ``args`` everything may be touched
Opaque = Kernel | Branch | Repeat | Define | Check
Part = Nest | Tile | Opaque


@dataclass(frozen=True, slots=True)
class Emission:
    """The parts of an op in the order they run, and the scratch bytes they share."""

    parts: tuple[Part, ...]
    scratch: int = 0


@dataclass(frozen=True, slots=True)
class Copy:
    """A part that moves contiguous elements, at most ``count``, unchanged from an operand to a result."""

    operand: int
    result: int
    source: int
    target: int
    count: int


def copy_part(operand: int, source: Dim, target: Dim, count: Dim, result: int = 0) -> Nest:
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
    source, target = read.index.base, write.index.base
    if not isinstance(source, int) or not isinstance(target, int):
        return None
    step: Dim = 1
    for extent, stride in zip(reversed(part.extents), reversed(write.index.strides), strict=True):
        if extent != 1 and stride != step:
            return None
        step = step * extent
    return Copy(read.buffer.index, write.buffer.index, source, target, bound_of(step))


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
        if isinstance(part, Opaque):
            unclear |= {a.buffer.index for a in elsewhere if isinstance(a.buffer, Result)}
        for access in elsewhere:
            if isinstance(access.buffer, Operand):
                beside.setdefault(access.buffer.index, set()).add(None)
        for access in here:
            if isinstance(access.buffer, Operand) and not isinstance(part, Opaque):
                to, exact = part.write.buffer, access.index == part.write.index
                result = to.index if exact and isinstance(to, Result) else None
                beside.setdefault(access.buffer.index, set()).add(result)
    for operand, results in beside.items():
        result = next(iter(results))
        if len(results) == 1 and result is not None and result not in unclear:
            yield operand, result


def _reads(part: Part) -> tuple[tuple[Access, ...], tuple[Access, ...]]:
    """What a part reads while it still computes, and what it reads only as it stores an element."""
    if isinstance(part, Opaque):
        return accesses(part.args), ()
    if isinstance(part, Tile):
        return accesses(part.args), part.reads
    if part.accumulate is not None:
        return part.reads, part.accumulate.reads
    return (), part.reads


def accesses(args: Iterable[object]) -> tuple[Access, ...]:
    """The arguments of a kernel or a body that are addresses in buffers."""
    return tuple(a for a in args if isinstance(a, Access))


def stores(emission: Emission, result: int) -> Dim | None:
    """How many elements the parts store into a result; None when a kernel does it."""
    count: Dim = 0
    for part in emission.parts:
        if isinstance(part, Opaque):
            if any(a.buffer == Result(result) for a in accesses(part.args)):
                return None
        elif part.write.buffer == Result(result):
            if isinstance(part, Tile):
                count = count + product(part.outer) * product(part.shape)
            else:
                inner = part.accumulate.loops if part.accumulate else 0
                count = count + product(part.extents[: len(part.extents) - inner])
    return count


def spans(extent: Dim, step: int) -> Iterator[tuple[Dim, Dim, int]]:
    """Cut ``extent`` into equal tiles and a remainder: (start, how many tiles, tile size).

    The size of a tile is always fixed; a remainder known only at run time is tiles of one.
    """
    whole = extent // step
    rest = extent - whole * step
    if whole != 0:
        yield 0, whole, step
    if isinstance(rest, int):
        if rest:
            yield whole * step, 1, rest
    else:
        yield whole * step, rest, 1
