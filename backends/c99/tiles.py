"""Kernel calls, and tiles: a kernel that fills a local accumulator, stored through an epilogue."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from dlc.backends.c99.dtypes import c_type, literal
from dlc.backends.c99.frame import Frame, Variables, index_text
from dlc.backends.c99.headers import header_of, parameters, pointee
from dlc.backends.c99.nests import loops, named_loops, store
from dlc.backends.c99.scalars import Typed
from dlc.backends.c99.writer import Writer
from dlc.errors import UnsupportedError
from dlc.ir.types import DType
from dlc.ops.emission import Acc, Access, Affine, Argument, Index, Kernel, Scratch, Tile


def write_kernel(kernel: Kernel, frame: Frame, out: Writer) -> None:
    """Write a call; one that can fail returns its status from the function."""
    arguments = _arguments(kernel.kernel, kernel.args, (), frame)
    if not kernel.fallible:
        out.listed(f"{kernel.kernel}(", arguments, ");")
        return
    out.listed(f"const int status = {kernel.kernel}(", arguments, ");")
    with out.block("if (status != 0)"):
        out.line("return status;")


def write_tile(tile: Tile, frame: Frame, out: Writer) -> None:
    """Write the loops over tiles: accumulate, then store every element."""
    dtype = _accumulator(tile)
    with loops(tile.outer, out) as variables:
        out.line(f"{c_type(dtype)} acc[{tile.rows * tile.cols}];")
        out.listed(f"{tile.kernel}(", _arguments(tile.kernel, tile.args, variables, frame), ");")
        row, col = "r" if tile.rows != 1 else None, "c" if tile.cols != 1 else None
        with named_loops(((row, tile.rows), (col, tile.cols)), out):
            at = index_text(Affine(0, (tile.cols, 1)), (row, col))
            inside = [*variables, row, col]
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
        return index_text(argument.value, variables)
    if isinstance(argument, Access):
        return _pointer(argument, parameter, variables, frame)
    if isinstance(argument, float):
        return literal(argument, DType.F64 if parameter == "double" else DType.F32)
    return literal(argument, DType.I64) if abs(argument) >= 2**31 else str(int(argument))


def _pointer(access: Access, parameter: str | None, variables: Variables, frame: Frame) -> str:
    wanted = pointee(parameter)
    if isinstance(access.buffer, Scratch):
        frame.set_scratch(access.buffer, wanted)
    text, dtype = (address := frame.address(access, variables)).text, address.dtype
    if parameter is not None and parameter.endswith(f"{c_type(dtype)} *"):
        return text
    # a kernel that moves bytes, or one whose prototype a macro writes
    to = parameter or ("const void *" if frame.is_const(access.buffer) else "void *")
    return f"({to})({text})" if " " in text else f"({to}){text}"
