"""Which bytes an emission lets coincide."""

from __future__ import annotations

from dlc.ir.expr import A0, Const, parse_expr
from dlc.ir.types import DType, TensorType
from dlc.ops.emission import (
    Acc,
    Access,
    Accumulate,
    Affine,
    Emission,
    Kernel,
    Nest,
    Operand,
    Part,
    Result,
    Scratch,
    Tile,
    copy_part,
    overwritable,
    stores,
)  # fmt: skip
from dlc.plan.links import Link, links_of

SIX = TensorType(DType.F32, (6,))
ADD = parse_expr("a0 + a1")


def at(buffer: Operand | Result | Scratch, base: int = 0, *strides: int) -> Access:
    return Access(buffer, Affine(base, strides))


def links(*parts: Part, operands: int = 1) -> list[Link]:
    return links_of(Emission(parts), [SIX] * operands, [SIX])


def test_a_copy_is_a_link_in_bytes() -> None:
    assert links(copy_part(0, 1, 2, 3)) == [Link(0, 0, 4, 8, 12, content=True)]


def test_what_another_part_stores_over_is_no_view() -> None:
    fill = Nest((6,), (), at(Result(), 0, 1), Const(0.0))
    border = Nest((2,), (), at(Result(), 0, 1), Const(0.0))
    backwards = Nest((3,), (), at(Result(), 5, -1), Const(0.0))
    assert links(fill, copy_part(0, 0, 2, 4)) == []
    assert links(copy_part(0, 0, 2, 4), fill) == []
    assert len(links(border, copy_part(0, 0, 2, 4))) == 1
    assert links(backwards, copy_part(0, 0, 2, 4)) == []
    assert links(copy_part(0, 0, 0, 4), copy_part(1, 0, 3, 3), operands=2) == []
    assert len(links(copy_part(0, 0, 0, 3), copy_part(1, 0, 3, 3), operands=2)) == 2


def test_an_update_overwrites_what_it_copies_first() -> None:
    scatter = Kernel("scatter", (at(Result()), at(Operand(1))))
    assert links(copy_part(0, 0, 0, 6), scatter, operands=2) == [
        Link(0, 0, 0, 0, 24, content=False)
    ]
    # what is stored before the copy would stay, and what reads the operand later would see changes
    assert links(scatter, copy_part(0, 0, 0, 6), operands=2) == []
    reads = Kernel("scatter", (at(Result()), at(Operand(0))))
    assert links(copy_part(0, 0, 0, 6), reads) == []
    assert links(copy_part(0, 0, 0, 5), scatter, operands=2) == []


def test_a_conversion_is_no_copy_but_may_happen_in_place() -> None:
    ints = TensorType(DType.I32, (6,))
    found = links_of(Emission((copy_part(0, 0, 0, 6),)), [SIX], [ints])
    assert found == [Link(0, 0, 0, 0, 24, content=False)]
    wide = TensorType(DType.F64, (6,))
    assert links_of(Emission((copy_part(0, 0, 0, 6),)), [SIX], [wide]) == []


def pairs(*parts: Part) -> list[tuple[int, int]]:
    return list(overwritable(Emission(parts)))


def test_operands_read_at_the_element_stored_are_overwritable() -> None:
    here, there = Affine(0, (1,)), Affine(5, (-1,))
    same, other = Access(Operand(0), here), Access(Operand(1), there)
    assert pairs(Nest((6,), (same, other), at(Result(), 0, 1), ADD)) == [(0, 0)]
    assert pairs(Nest((6,), (same, Access(Operand(0), there)), at(Result(), 0, 1), ADD)) == []
    assert pairs(Nest((6,), (same,), at(Scratch(), 0, 1))) == []


def tile(cols: int, start: int, *extras: Access) -> Tile:
    return Tile((), 1, cols, "k", (Acc(), at(Operand(0))), at(Result(), start, 0, 1), ADD, extras)


def test_parts_of_a_tiled_result_are_taken_together() -> None:
    left, right = tile(4, 0, at(Operand(1), 0, 0, 1)), tile(2, 4, at(Operand(1), 4, 0, 1))
    assert pairs(left, right) == [(1, 0)]
    assert stores(Emission((left, right)), 0) == 6
    # the second part still wants what the first one has overwritten
    assert pairs(left, tile(2, 4, at(Operand(1), 0, 0, 1))) == []
    # the image of the kernel is not an extra
    assert pairs(tile(6, 0, at(Operand(0), 0, 0, 1))) == []


def test_an_element_stored_twice_is_not_stored_in_place() -> None:
    zero = Nest((6,), (), at(Result(), 0, 1), Const(0.0))
    part = Nest((3,), (at(Operand(0), 0, 1),), at(Result(), 0, 1), parse_expr("neg(a0)"))
    assert links(zero, part) == []
    assert links(part) == []  # does not store all of the result
    assert len(links(Nest((6,), part.reads, part.write, part.expr))) == 1


def test_reductions_overwrite_what_their_epilogue_reads() -> None:
    sum_ = Nest((6, 4), (at(Operand(0), 0, 4, 1),), at(Result(), 0, 1), A0,
                Accumulate("add", 1, ADD, (at(Operand(1), 0, 1),)))  # fmt: skip
    assert pairs(sum_) == [(1, 0)]
    assert stores(Emission((sum_,)), 0) == 6


def test_kernels_store_in_an_order_of_their_own() -> None:
    part = Nest((6,), (at(Operand(0), 0, 1),), at(Result(), 0, 1), parse_expr("neg(a0)"))
    assert pairs(part, Kernel("sort", (at(Result()),))) == []
    assert stores(Emission((Kernel("sort", (at(Result()),)),)), 0) is None
    assert pairs(part, Kernel("look", (at(Operand(0)), at(Scratch())))) == []


def test_empty_copies_link_nothing() -> None:
    none = TensorType(DType.F32, (0,))
    assert links_of(Emission((copy_part(0, 0, 0, 0),)), [none], [none]) == []
