"""What the emission of one op allows: bytes of an operand and of a result at one address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dlc.errors import PlanError
from dlc.ir.graph import Op
from dlc.ir.sizes import Dim, bound_of, low_of, product
from dlc.ir.types import TensorType
from dlc.ops.core.operator import CoreOperator
from dlc.ops.emission import (
    Access,
    Affine,
    Copy,
    Emission,
    Nest,
    Opaque,
    Operand,
    Part,
    Result,
    Tile,
    accesses,
    as_copy,
    overwritable,
    stores,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Link:
    """``count`` bytes at ``source`` of an operand and at ``target`` of a result may coincide.

    ``content``: the op copies them, so both hold the same content from then on and the copy costs
    nothing. Otherwise the op overwrites the operand, which must be dead afterwards.
    """

    operand: int
    result: int
    source: int
    target: int
    count: int
    content: bool


def emission_of(op: Op) -> Emission:
    """How the op computes; PlanError when it is not a core op."""
    operator = op.operator
    if not isinstance(operator, CoreOperator):
        raise PlanError(
            f"{operator.label} {op.label!r} is not a core op and cannot be placed; "
            f"run the pass expand-ops first"
        )
    return operator.emission([t for t in op.operand_types if t is not None], op.types)


def links_of(emission: Emission, operands: Sequence[TensorType], results: Sequence[TensorType]) -> list[Link]:  # fmt: skip
    """Every link an op offers, copies first, for operands and results of these types."""
    links = []
    alone = [undisturbed(emission, result) for result in range(len(results))]
    for number, part in enumerate(emission.parts):
        copy = as_copy(part)
        if copy is None or copy.count == 0:
            continue
        assert isinstance(part, Nest)
        source, target = operands[copy.operand], results[copy.result]
        if source.dtype is not target.dtype or not joined_bytes(copy, source, target):
            continue
        unit = target.dtype.nbytes
        if number in alone[copy.result]:
            content = True
        elif product(part.extents) == source.count and _updates(
            emission, number, copy, source, target
        ):
            content = False
        else:
            continue
        links.append(Link(copy.operand, copy.result, copy.source * unit, copy.target * unit,
                          joined_bytes(copy, source, target), content))  # fmt: skip
    linked = {(link.operand, link.result) for link in links}
    for operand, result in overwritable(emission):
        source, target = operands[operand], results[result]
        if (
            (operand, result) not in linked
            and source.dtype.nbytes == target.dtype.nbytes
            and source.count == target.count == stores(emission, result)
            and target.nbytes
        ):
            links.append(Link(operand, result, 0, 0, target.nbytes, content=False))
    return links


def joined_bytes(copy: Copy, source: TensorType, target: TensorType) -> int:
    """Bytes that a copy makes one memory: its most, as far as both values can reach."""
    reach = min(copy.count, source.capacity - copy.source, target.capacity - copy.target)
    return max(reach, 0) * target.dtype.nbytes


def undisturbed(emission: Emission, result: int) -> set[int]:
    """Parts that store to elements of a result which no other part stores to."""
    ranges = [(*_stored_range(part, result), number) for number, part in enumerate(emission.parts)]
    ranges = sorted(r for r in ranges if r[0] < r[1])
    found, reached = set(), 0
    for i, (low, high, number) in enumerate(ranges):
        if low >= reached and (i + 1 == len(ranges) or high <= ranges[i + 1][0]):
            found.add(number)
        reached = max(reached, high)
    return found


def _updates(emission: Emission, number: int, copy: Copy, source: TensorType, target: TensorType) -> bool:  # fmt: skip
    """The op first copies the whole operand, then changes the copy, and needs no original."""
    if copy.source or copy.target or source.count != target.count:
        return False
    if any(_stored_range(part, copy.result) != (0, 0) for part in emission.parts[:number]):
        return False
    return not any(
        access.buffer == Operand(copy.operand)
        for part in emission.parts[number + 1 :]
        for access in _reads(part)
    )


def _reads(part: Part) -> tuple[Access, ...]:
    if isinstance(part, Opaque):
        return accesses(part.args)
    if isinstance(part, Tile):
        return (*accesses(part.args), *part.reads)
    return (*part.reads, *(part.accumulate.reads if part.accumulate else ()))


def _stored_range(part: Part, result: int) -> tuple[int, int]:
    """Elements of a result a part may store to, from the first to behind the last."""
    if isinstance(part, Opaque):
        touched = any(a.buffer == Result(result) for a in accesses(part.args))
        return (0, 1 << 62) if touched else (0, 0)
    if part.write.buffer != Result(result):
        return 0, 0
    copy = as_copy(part)
    if copy is not None:
        return copy.target, copy.target + copy.count
    extents = (*part.outer, *part.shape) if isinstance(part, Tile) else part.extents
    return _span(part.write.index, extents)


def _span(index: Affine, extents: Sequence[Dim]) -> tuple[int, int]:
    if 0 in extents:
        return 0, 0
    low, high = low_of(index.base), bound_of(index.base)
    # a write has no strides for the loops it accumulates over
    for stride, extent in zip(index.strides, extents, strict=False):
        reach = stride * (extent - 1)
        low += min(low_of(reach), 0) if low_of(stride) < 0 else 0
        high += max(bound_of(reach), 0) if bound_of(stride) > 0 else 0
    return low, high + 1
