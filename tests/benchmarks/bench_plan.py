"""Time of memory planning on large graphs: it must grow about linearly.

python tests/benchmarks/bench_plan.py [ops ...]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

from dlc.ir.graph import Graph, Value
from dlc.ir.types import DType, TensorType
from dlc.ops.build import concat, map_, reduce, reshape, transpose
from dlc.plan import plan_lifetimes, plan_offsets


def chain(x: Value, ops: int) -> Value:
    """Element-wise ops, views and transposes in turn."""
    for i in range(ops):
        kind = i % 3
        if kind == 0:
            x = map_("max(a0, 0.0)", x)
        else:
            x = transpose(x, (1, 0)) if kind == 1 else reshape(x, x.shape[::-1])
    return x


def residual(x: Value, ops: int) -> Value:
    """Every value is read by its successor and by the sum after that."""
    for _ in range(ops // 3):
        x = map_("a0 + a1", x, reshape(transpose(x, (1, 0)), x.shape))
    return x


def dense(x: Value, ops: int) -> Value:
    """Blocks that join all they have computed, as DenseNet's."""
    for _ in range(max(1, ops // 60)):
        joined = x
        for i in range(20):
            joined = concat([joined, map_(f"a0 + {i}.0", reduce("add", joined, (0,)))], 0)
        x = map_("a0 + a1", reduce("max", joined, (0,)), x)
    return x


def branches(x: Value, ops: int) -> Value:
    """One value read by many branches that are joined at once."""
    return concat([map_("exp(a0)", map_(f"a0 * {i}.0", x)) for i in range(ops // 2)], 0)


def measure(build: Callable[[Value, int], Value], ops: int) -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.F32, (16, 4)))
    graph.set_outputs([("y", reduce("add", build(x, ops), (0, 1)))])
    start = time.perf_counter()
    plan_lifetimes(graph)
    middle = time.perf_counter()
    program = plan_offsets(graph)
    end = time.perf_counter()
    excess = program.arena_bytes / max(program.lower_bound, 1)
    print(f"{build.__name__:10} {len(program.steps):6} steps  lifetimes {middle - start:6.2f} s  "
          f"offsets {end - middle:6.2f} s  arena {program.arena_bytes:9} ({excess:.3f} of the bound)")  # fmt: skip


if __name__ == "__main__":
    np.seterr(all="ignore")
    for count in map(int, sys.argv[1:] or ("1000", "5000", "20000")):
        for build in (chain, residual, dense, branches):
            measure(build, count)
