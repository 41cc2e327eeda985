"""Loop nests, reductions, tiles and kernel calls in C against numpy."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from backend_support import STRICT, compiled, emitted, same
from hypothesis import given, settings
from hypothesis import strategies as st

from dlc.backends.c99.toolchain import build_executable
from dlc.interp import run
from dlc.ir.expr import Expr, parse_expr
from dlc.ir.graph import Graph
from dlc.ir.operator import Array, Arrays, Types
from dlc.ir.types import DType, TensorType, strides_of
from dlc.ops.build import concat, map_, reshape, slice_, transpose
from dlc.ops.core.operator import CoreOperator
from dlc.ops.emission import (
    Acc,
    Access,
    Accumulate,
    Affine,
    Emission,
    Kernel,
    Nest,
    Operand,
    Result,
    Scratch,
    Tile,
)

I32, F32 = DType.I32, DType.F32


@dataclass(frozen=True, slots=True)
class AnyEmission(CoreOperator):
    """Whatever emission a test wants; the meaning comes with it."""

    name: ClassVar[str] = "any_emission_of_a_test"
    made: Emission
    result: TensorType
    meaning: Any

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        return (self.result,)

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        return (self.meaning(*operands),)

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        return self.made


def check(operators: Sequence[tuple[AnyEmission, Sequence[Array]]], flags: Any = STRICT) -> None:
    """Compile all operators as one model, run it, and compare with their meaning."""
    graph = Graph("nests")
    arrays: dict[str, Array] = {}
    results = {}
    for index, (operator, operands) in enumerate(operators):
        values = []
        for array in operands:
            name = f"x{len(arrays)}"
            arrays[name] = array
            values.append(graph.add_input(name, TensorType(DType.of(array), array.shape)))
        results[f"y{index}"] = graph.add(operator, values).result
    graph.set_outputs(results)
    with tempfile.TemporaryDirectory() as folder:
        got = compiled(graph, Path(folder) / "c", flags).run(arrays)
    expected = run(graph, arrays)
    for name in results:
        assert same(got[name], expected[name]), name


@st.composite
def reductions(draw: Any) -> tuple[AnyEmission, list[Array]]:
    """``out[kept] = epilogue(reduce(a + b * 3), extra[kept])`` in i32, any axes moved inward."""
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=4)))
    loops = draw(st.integers(0, len(shape)))
    perm = tuple(draw(st.permutations(range(len(shape)))))
    extents = tuple(shape[i] for i in perm)
    kept = extents[: len(shape) - loops]
    function = draw(st.sampled_from(["add", "mul", "max", "min"]))
    start = draw(st.integers(0, 3))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    x = rng.integers(-5, 6, shape).astype(np.int32)
    extra = rng.integers(-5, 6, kept).astype(np.int32)
    steps = strides_of(shape)
    read = Access(Operand(0), Affine(0, tuple(steps[i] for i in perm)))
    outer = Affine(0, strides_of(kept))
    shifted = Affine(start, strides_of(kept))
    nest = Nest(
        extents, (read, read), Access(Result(), shifted), parse_expr("a0 + a1 * 3"),
        Accumulate(function, loops, parse_expr("max(a0 - a1, -7)"), (Access(Operand(1), outer),)),
    )  # fmt: skip
    size = start + extra.size
    fill = Nest((size,), (), Access(Result(), Affine(0, (1,))), parse_expr("9"))

    def meaning(a: Array, e: Array) -> Array:
        moved = np.transpose(a * 4, perm).reshape(*kept, int(np.prod(extents[len(kept) :])))
        ufunc = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}[function]
        info = np.iinfo(np.int32)
        initial = {"add": 0, "mul": 1, "max": info.min, "min": info.max}[function]
        total = ufunc.reduce(moved, axis=-1, initial=initial, dtype=np.int32)
        with np.errstate(over="ignore"):
            values = np.maximum(total - e, np.int32(-7))
        return np.concatenate([np.full(start, 9, np.int32), np.ravel(values).astype(np.int32)])

    operator = AnyEmission(Emission((fill, nest)), TensorType(I32, (size,)), meaning)
    return operator, [x, extra]


@settings(max_examples=15)
@given(st.lists(reductions(), min_size=1, max_size=12))
def test_reductions_over_any_axes_with_epilogues(
    cases: list[tuple[AnyEmission, list[Array]]],
) -> None:
    check(cases)


@st.composite
def views(draw: Any) -> tuple[AnyEmission, list[Array]]:
    """``out[i] = x[strided, reversed, broadcast index i]``."""
    shape = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=4)))
    slices = [
        slice(None, None, draw(st.sampled_from([1, 1, 2, -1, -2]))) for _ in shape
    ]  # fmt: skip
    x = np.arange(int(np.prod(shape)), dtype=np.int32).reshape(shape)
    view = x[tuple(slices)]
    base = (view.__array_interface__["data"][0] - x.__array_interface__["data"][0]) // 4
    read = Affine(int(base), tuple(s // 4 for s in view.strides))
    nest = Nest(
        view.shape, (Access(Operand(0), read),), Access(Result(), Affine(0, strides_of(view.shape)))
    )
    key = tuple(slices)
    operator = AnyEmission(Emission((nest,)), TensorType(I32, view.shape), lambda a: a[key].copy())
    return operator, [x]


@settings(max_examples=10)
@given(st.lists(views(), min_size=1, max_size=20))
def test_strided_and_reversed_reads(cases: list[tuple[AnyEmission, list[Array]]]) -> None:
    check(cases)


def gemm(m: int, k: int, n: int, epilogue: Expr) -> AnyEmission:
    """One tile of a product, its columns two blocks."""
    half = n // 2
    tile = Tile(
        (2,), m, half, "dlc_gemm_tile_f32",
        (Acc(), m, half, k, Access(Operand(0), Affine(0, (0,))), k, 1,
         Access(Operand(1), Affine(0, (half,))), n, 1),
        Access(Result(), Affine(0, (half, n, 1))), epilogue,
        (Access(Operand(2), Affine(0, (half, 0, 1))),),
    )  # fmt: skip
    return AnyEmission(
        Emission((tile,)), TensorType(F32, (m, n)), lambda a, b, c: np.maximum(a @ b + c, 0)
    )


def test_tiles_run_their_kernel_then_their_epilogue() -> None:
    rng = np.random.default_rng(1)
    for m, k, n in ((1, 3, 2), (4, 5, 8), (3, 0, 6)):
        a, b, c = (rng.integers(-3, 4, s).astype(np.float32) for s in ((m, k), (k, n), (n,)))
        check([(gemm(m, k, n, parse_expr("max(a0 + a1, 0.0)")), [a, b, c])])


def test_scratch_keeps_what_a_part_stored_for_the_next() -> None:
    x = np.arange(-3, 3, dtype=np.float32)
    twice = Nest((6,), (Access(Operand(0), Affine(0, (1,))),), Access(Scratch(8), Affine(0, (1,))),
                 parse_expr("i32(a0 * 2.0)"))  # fmt: skip
    back = Nest((6,), (Access(Scratch(8), Affine(5, (-1,))),), Access(Result(), Affine(0, (1,))),
                parse_expr("f32(a0) + 0.5"))  # fmt: skip
    operator = AnyEmission(
        Emission((twice, back), 32), TensorType(F32, (6,)), lambda a: a[::-1] * 2 + np.float32(0.5)
    )
    check([(operator, [x])])
    check([(operator, [x])], (*STRICT, "-DDLC_POISON"))


def test_a_kernel_that_moves_bytes_takes_any_dtype() -> None:
    for dtype in (np.float32, np.int8, np.float64, np.bool_, np.float16):
        x, index = np.arange(6).reshape(3, 2).astype(dtype), np.array([2, -3, 1], np.int64)
        rows = 2 * x.itemsize
        call = Kernel("dlc_gather_i64", (Access(Result()), Access(Operand(0)), Access(Operand(1)), 1, 3,
                                         rows, 3), fallible=True)  # fmt: skip
        operator = AnyEmission(
            Emission((call,)), TensorType(DType.of(x), (3, 2)), lambda a, i: np.take(a, i, axis=0)
        )
        check([(operator, [x, index])])


@st.composite
def programs(draw: Any) -> Graph:
    """Random graphs of maps and moves, with much to share and to elide."""
    graph = Graph("program")
    pool = [graph.add_input(f"x{i}", TensorType(F32, (4, 6))) for i in range(2)]
    pool.append(graph.add_constant(np.linspace(-1, 1, 24, dtype=np.float32).reshape(4, 6), "w"))
    for _ in range(draw(st.integers(1, 10))):
        a, b = draw(st.sampled_from(pool)), draw(st.sampled_from(pool))
        kind = draw(st.integers(0, 5))
        if kind == 0:
            pool.append(map_("max(a0 + a1, 0.0)", a, b))
        elif kind == 1:
            pool.append(map_("a0 * a0", a))
        elif kind == 2:
            pool.append(reshape(transpose(a, (1, 0)), (4, 6)))
        elif kind == 3:
            joined = concat([a, b], 0)
            pool.append(slice_(joined, [2, 0], [4, 6]))
        elif kind == 4:
            pool.append(reshape(reshape(a, (24,)), (4, 6)))
        else:
            pool.append(map_("a0 - a1 * 0.5", a, b))
    count = draw(st.integers(1, 3))
    graph.set_outputs({f"y{i}": draw(st.sampled_from(pool[2:])) for i in range(count)})
    return graph


@settings(max_examples=15)
@given(programs(), st.integers(0, 99))
def test_programs_agree_with_the_interpreter_also_poisoned_and_on_the_heap(
    graph: Graph, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    arrays = {n: rng.standard_normal((4, 6)).astype(np.float32) for n in graph.input_names}
    expected = run(graph, arrays)
    with tempfile.TemporaryDirectory() as folder:
        for index, (flags, options) in enumerate([
            (("-std=c99", "-O1", "-ffp-contract=off", "-DDLC_POISON"), {"weights": "file"}),
            ((*STRICT, "-ffp-contract=off"), {"memory": "heap"}),
        ]):  # fmt: skip
            got = compiled(graph, Path(folder) / str(index), flags, **options).run(arrays)
            for name in expected:
                assert same(got[name], expected[name]), (name, options)


def test_sanitizers_find_nothing(tmp_path: Path) -> None:
    import subprocess

    graph = Graph("clean")
    x = graph.add_input("x", TensorType(F32, (4, 6)))
    w = graph.add_constant(np.ones((6,), np.float32), "w")
    y = map_("i8(a0 * 1000.0)", concat([transpose(x, (1, 0)), transpose(x, (1, 0))], 1))
    graph.set_outputs({"y": map_("a0 * a0 - a0", y), "z": map_("a0 + a1", x, w), "x2": x})
    arrays = {"x": np.linspace(-9, 9, 24, dtype=np.float32).reshape(4, 6) / 100}
    for memory in ("arena", "heap"):
        folder = emitted(
            graph, tmp_path / memory, memory=memory, vectors=(arrays, run(graph, arrays))
        )
        sources = [folder / f for f in ("model.c", "weights.c", "selftest.c")]
        program = build_executable(sources, flags=STRICT, sanitize=True)
        done = subprocess.run([program], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "ok\n", "")
