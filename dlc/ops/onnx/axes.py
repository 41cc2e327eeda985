"""Axes that an operand gives, known when compiling or at run time only."""

from __future__ import annotations

from collections.abc import Sequence

from dlc.ir.sizes import Dim, Size, equal, maximum
from dlc.ops.onnx.expansion import Call
from dlc.ops.symbols import let


def normal_axis(call: Call, axis: int, rank: int) -> int:
    """An axis counted from the front."""
    if not -rank <= axis < rank:
        raise call.unsupported(f"axis {axis} is not one of {rank}")
    return axis % rank


def axes_of(call: Call, rank: int, index: int = 1) -> list[Dim] | None:
    """The axes of the attribute ``axes``, else of operand ``index``; None without either.

    Those known when compiling count from the front, others may be negative.
    """
    written: Sequence[Dim] | None = call.attr("axes")
    if written is None:
        written = call.sizes(index, -rank, rank - 1)
    if written is None:
        return None
    return [a if isinstance(a, Size) else normal_axis(call, a, rank) for a in written]


def axis_mask(call: Call, axes: Sequence[Dim], rank: int) -> list[Dim]:
    """For each axis 1 where it is listed, else 0."""
    mask: list[Dim] = []
    for axis in range(rank):
        listed: Dim = 0
        for number in axes:
            listed = maximum(listed, maximum(equal(number, axis), equal(number, axis - rank)))
        mask.append(listed)
    return let(call.graph, "listed", mask)


def are_fixed(axes: Sequence[Dim]) -> bool:
    """Whether all of them are known when compiling."""
    return not any(isinstance(axis, Size) for axis in axes)


def fixed_axes(axes: Sequence[Dim]) -> list[int]:
    """Those that are known when compiling."""
    return [axis for axis in axes if isinstance(axis, int)]
