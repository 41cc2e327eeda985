"""Kernel calls, and tiles: a kernel that fills a local accumulator, stored through an epilogue."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import zip_longest

from dlc.backends.c99.definitions import check_interval
from dlc.backends.c99.dtypes import c_type, literal
from dlc.backends.c99.frame import Frame, Variables
from dlc.backends.c99.headers import header_of, parameters, pointee
from dlc.backends.c99.nests import loops, named_loops, store
from dlc.backends.c99.scalars import Typed
from dlc.backends.c99.writer import Writer
from dlc.errors import UnsupportedError
from dlc.ir.sizes import Size, bound_of
from dlc.ir.types import DType, strides_of
from dlc.ops.emission import Acc, Access, Affine, Argument, Count, Index, Kernel, Scratch, Tile
from dlc.ops.tiling import ACCUMULATORS


def write_kernel(kernel: Kernel, frame: Frame, out: Writer) -> None:
    """Write a call; one that can fail returns its status from the function."""
    arguments = _arguments(kernel.kernel, kernel.args, (), frame)
    if not kernel.fallible:
        out.listed(f"{kernel.kernel}(", arguments, ");")
    else:
        out.listed(f"const int status = {kernel.kernel}(", arguments, ");")
        with out.block("if (status != 0)"):
            out.line("return status;")
    for argument in kernel.args:
        if isinstance(argument, Count):
            check_interval(argument.symbol, frame, out)


def write_tile(tile: Tile, frame: Frame, out: Writer) -> None:
    """Write the loops over tiles: accumulate, then store every element."""
    dtype = _accumulator(tile)
    with loops(tile.outer, out, frame) as variables:
        room = math.prod(map(bound_of, tile.shape))
        if not isinstance(tile.cols, int):  # gcc warns of what only wider tiles would do
            room = max(room, ACCUMULATORS)
        out.line(f"{c_type(dtype)} acc[{room}];")
        out.listed(f"{tile.kernel}(", _arguments(tile.kernel, tile.args, variables, frame), ");")
        names = [*(f"p{n}" for n in range(len(tile.planes))), "r", "c"]
        own = [n if extent != 1 else None for n, extent in zip(names, tile.shape, strict=True)]
        with ExitStack() as stack:
            stack.enter_context(
                named_loops(zip(own[:-1], tile.shape[:-1], strict=True), out, frame)
            )
            if tile.planes:  # else gcc unrolls the loop over the columns, and then no vectors form
                frame.headers.add("dlc_kernel.h")
                out.line("DLC_LANEWISE")
            stack.enter_context(named_loops([(own[-1], tile.cols)], out, frame))
            at = frame.index(Affine(0, strides_of(tile.shape)), own)
            inside = [*variables, *own]
            reads = [frame.element(read, inside) for read in tile.reads]
            arguments = [Typed(f"acc[{at}]", dtype), *reads]
            store(tile.epilogue, arguments, tile.write, inside, frame, out)


def _accumulator(tile: Tile) -> DType:
    """Element type of the accumulator: what the kernel's parameter points to, else its last suffix."""
    types = parameters(tile.kernel)
    position = next(i for i, a in enumerate(tile.args) if isinstance(a, Acc))
    dtype = pointee(types[position]) if types is not None else None
    if dtype is not None:
        return dtype
    suffix = tile.kernel.rpartition("_")[2]
    if suffix not in {d.value for d in DType}:
        raise UnsupportedError(f"the kernel {tile.kernel} does not say what it accumulates in")
    return DType(suffix)


def _arguments(
    kernel: str, args: Sequence[Argument], variables: Variables, frame: Frame
) -> list[str]:
    frame.headers.add(header_of(kernel))
    types = parameters(kernel)
    if types is not None and len(types) != len(args):
        raise UnsupportedError(
            f"the kernel {kernel} takes {len(types)} arguments, not the {len(args)} it is given"
        )
    return [
        _argument(argument, parameter, variables, frame)
        for argument, parameter in zip_longest(args, types or ())
    ]


def _argument(argument: Argument, parameter: str | None, variables: Variables, frame: Frame) -> str:
    if isinstance(argument, Acc):
        return "acc"
    if isinstance(argument, Index):
        return _converted(frame.index(argument.value, variables), argument.value, parameter)
    if isinstance(argument, Access):
        return _pointer(argument, parameter, variables, frame)
    if isinstance(argument, float):
        return literal(argument, DType.F64 if parameter == "double" else DType.F32)
    if isinstance(argument, Count):
        return frame.pointer(argument.symbol)
    if isinstance(argument, Size):
        return _converted(frame.size(argument), Affine(argument), parameter)
    return literal(argument, DType.I64) if abs(argument) >= 2**31 else str(int(argument))


def _converted(text: str, index: Affine, parameter: str | None) -> str:
    """What is no ptrdiff_t where sizes take part is converted: they fit the parameter."""
    sized = any(not isinstance(d, int) for d in (index.base, *index.strides))
    return f"({parameter})({text})" if sized and parameter not in (None, "ptrdiff_t") else text


def _pointer(access: Access, parameter: str | None, variables: Variables, frame: Frame) -> str:
    wanted = pointee(parameter)
    if isinstance(access.buffer, Scratch):
        frame.set_scratch(access.buffer, wanted or DType.U8)  # a macro's: any pointer fits
    text, dtype = (address := frame.address(access, variables)).text, address.dtype
    if parameter is not None and parameter.endswith(f"{c_type(dtype)} *"):
        return text
    # a kernel that moves bytes, or one whose prototype a macro writes
    to = parameter or ("const void *" if frame.is_const(access.buffer) else "void *")
    return f"({to})({text})" if " " in text else f"({to}){text}"
