"""Offsets of known instances, bounds, speed on large ones; schedules that save memory."""

from __future__ import annotations

import itertools
import random
import time

import numpy as np
import pytest

from dlc.errors import PassError
from dlc.ir.graph import Graph, Value
from dlc.ir.types import DType, TensorType
from dlc.ops.build import concat, map_, reduce, slice_
from dlc.passes.liveness import Liveness
from dlc.passes.plan_arena import PlanArena
from dlc.plan import Space, plan_offsets, program_of
from dlc.plan.offsets import Block, assign, height, lower_bound


def overlap(blocks: list[Block], offsets: list[int]) -> bool:
    return any(
        a.first <= b.last and b.first <= a.last and at < there + b.size and there < at + a.size
        for (a, at), (b, there) in itertools.combinations(zip(blocks, offsets, strict=True), 2)
    )


@pytest.mark.parametrize("align", [1, 16])
def test_pressing_the_sides_of_a_gap_together(align: int) -> None:
    """Best fit in order of time leaves a hole no block fits; looking ahead does not."""
    blocks = [Block(32, 0, 1, align), Block(16, 0, 3, align), Block(48, 2, 3, align), Block(48, 4, 5, align),
              Block(16, 3, 5, align)]  # fmt: skip
    offsets = assign(blocks)
    assert not overlap(blocks, offsets)
    assert height(blocks, offsets) == lower_bound(blocks) == 80


def test_the_bound_counts_the_room_alignment_wastes() -> None:
    assert lower_bound([Block(10, 0, 0, 16), Block(10, 0, 0, 16), Block(3, 0, 0, 16)]) == 35
    assert lower_bound([Block(10, 0, 0), Block(10, 1, 1)]) == 10
    assert lower_bound([]) == height([], assign([])) == 0


def test_random_instances_of_the_size_of_networks_meet_the_bound() -> None:
    chance = random.Random(1)
    for _ in range(10):
        starts = [chance.randrange(60) for _ in range(100)]
        blocks = [
            Block(chance.choice([1, 2, 3, 4, 6, 8]) * 256, s, s + chance.randrange(1, 8), 16)
            for s in starts
        ]
        offsets = assign(blocks)
        assert not overlap(blocks, offsets)
        assert height(blocks, offsets) == lower_bound(blocks)
        assert offsets == assign(blocks)


def test_twenty_thousand_blocks_take_no_time() -> None:
    chance = random.Random(1)
    chain = [
        Block(chance.choice([1, 2, 4]) * 64, i, i + chance.randrange(1, 6), 16)
        for i in range(20_000)
    ]
    alive = [Block(64, i // 2, 20_000 - i // 2, 16) for i in range(20_000)]
    start = time.perf_counter()
    assert height(chain, assign(chain)) < 1.2 * lower_bound(chain)
    assert height(alive, assign(alive)) == 64 * 20_000
    assert time.perf_counter() - start < 4


def test_small_sizes_fall_back_to_the_alignment_of_elements() -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.F32, (5, 3)))
    tops = [reduce("add", map_(f"a0 + {i}.0", x), (0,)) for i in range(3)]
    y = map_("a0 + a1 * a2", *tops)
    graph.set_outputs([("y", reduce("add", y, (1,)))])
    program = plan_offsets(graph)
    assert program.arena_bytes == program.lower_bound
    PlanArena(align=64).run(graph)
    offsets = [b.offset for b in program_of(graph).buffers if b.space is Space.ARENA]
    assert all(offset is not None and offset % 64 == 0 for offset in offsets)


def test_alignment_is_a_power_of_two() -> None:
    with pytest.raises(PassError, match="align is 0 or a power of two"):
        PlanArena(align=12).run(Graph())


def test_the_passes_say_whether_they_changed_anything() -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.F32, (4,)))
    graph.set_outputs([("y", map_("exp(a0)", x))])
    assert Liveness().run(graph) == (graph, True)
    assert Liveness().run(graph) == (graph, False)
    assert PlanArena().run(graph) == (graph, True)
    assert PlanArena().run(graph) == (graph, False)


def branches(order: list[int]) -> Graph:
    """Branches that each need much memory and yield little, made in breadth-first order."""
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.F32, (1, 16)))
    columns = [
        map_("a0 + a1", x, graph.add_constant(np.full((64, 1), i, np.float32))) for i in order
    ]
    sums: list[Value] = [reduce("add", column, (0,)) for column in columns]
    graph.set_outputs([("y", concat(sums, 0))])
    return graph


def test_the_order_keeps_one_branch_alive_at_a_time() -> None:
    program = plan_offsets(branches([0, 1, 2, 3]))
    assert program.arena_bytes == 64 * 16 * 4


def test_the_branch_that_needs_most_comes_first() -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.F32, (4, 4)))
    held = map_("exp(a0)", x)  # 64 bytes, beside the wide value if it comes first
    wide = map_("a0 + a1", slice_(x, (0, 0), (4, 1)), graph.add_constant(np.ones(400, np.float32)))
    top = reduce("add", wide, (0, 1))
    graph.set_outputs([("y", reduce("add", map_("a0 * a1", held, top), (0, 1)))])
    program = plan_offsets(graph)
    assert program.arena_bytes == 6400 + 16
