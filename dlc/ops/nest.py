"""Iteration spaces of loop nests: broadcasting strides, and merging loops that step as one.

Dims may be sizes known at run time. What then cannot be proven is left to checks: a *condition* is
a size that is not 0 where it holds; their products are conjunctions, their sums alternatives.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from dlc.errors import VerifyError
from dlc.ir.sizes import Dim, equal, less, low_of, select
from dlc.ir.types import strides_of
from dlc.ops.emission import Access, Affine, Buffer, Check


def broadcast_strides(shape: Sequence[Dim], extents: Sequence[Dim]) -> tuple[Dim, ...]:
    """Strides that read a row-major array of ``shape`` broadcast to ``extents``."""
    lead = len(extents) - len(shape)
    return (0,) * lead + tuple(
        # where dim and extent are one size and that is 1, the only index is 0 anyway
        stride if dim == extent and dim != 1 else select(equal(dim, 1), 0, stride)
        for dim, stride, extent in zip(shape, strides_of(shape), extents[lead:], strict=True)
    )


def dot(positions: Iterable[Dim], strides: Iterable[Dim]) -> Dim:
    """The offset of a position."""
    result: Dim = 0
    for position, stride in zip(positions, strides, strict=True):
        result = result + position * stride
    return result


def fits(shape: Sequence[Dim], extents: Sequence[Dim]) -> Iterator[Dim]:
    """Conditions under which an array of ``shape`` broadcasts to ``extents``."""
    lead = len(extents) - len(shape)
    if lead < 0:
        yield 0
        return
    for dim, extent in zip(shape, extents[lead:], strict=True):
        yield equal(dim, extent) + equal(dim, 1)


def same_shape(shape: Sequence[Dim], other: Sequence[Dim]) -> Iterator[Dim]:
    """Conditions under which two shapes are equal."""
    yield int(len(shape) == len(other))
    yield from (equal(a, b) for a, b in zip(shape, other, strict=False))


def not_negative(dims: Iterable[Dim]) -> Iterator[Dim]:
    """Conditions under which no dim is below 0."""
    return (less(-1, dim) for dim in dims)


def checks(conditions: Iterable[Dim]) -> tuple[Check, ...]:
    """Checks of the conditions that may fail; VerifyError where one surely does."""
    found: dict[Check, None] = {}
    for condition in conditions:
        if isinstance(condition, int):
            if not condition:
                raise VerifyError("sizes known at run time contradict each other")
        elif low_of(condition) <= 0:
            found[Check(condition)] = None
    return tuple(found)


def merge_loops(
    extents: Sequence[Dim], accesses: Sequence[Affine]
) -> tuple[tuple[Dim, ...], list[Affine]]:
    """The same iterations with fewer loops: unit loops dropped, contiguous neighbours joined."""
    kept: list[Dim] = []
    columns: list[list[Dim]] = []
    for axis, extent in enumerate(extents):
        steps = [access.strides[axis] for access in accesses]
        if extent == 1:
            continue
        if kept and all(
            outer == step * extent for outer, step in zip(columns[-1], steps, strict=True)
        ):
            kept[-1] = kept[-1] * extent
            columns[-1] = steps
            continue
        kept.append(extent)
        columns.append(steps)
    merged = [
        Affine(access.base, tuple(column[i] for column in columns))
        for i, access in enumerate(accesses)
    ]
    return tuple(kept), merged


def collapse(
    extents: Sequence[Dim], buffers: Sequence[tuple[Buffer, Sequence[Dim]]]
) -> tuple[tuple[Dim, ...], list[Access]]:
    """Loops over ``extents`` that read row-major buffers of the given shapes, broadcast to it."""
    affines = [Affine(0, broadcast_strides(shape, extents)) for _, shape in buffers]
    loops, merged = merge_loops(extents, affines)
    return loops, [Access(buffer, a) for (buffer, _), a in zip(buffers, merged, strict=True)]
