"""C for sizes known at run time: every size gives what numpy gives, wrong ones give the status."""

from __future__ import annotations

import itertools
import json
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from backend_support import EXACT, STRICT, compiled, emitted
from hypothesis import given, settings
from hypothesis import strategies as st

from dlc.backends.c99 import Module
from dlc.backends.c99.names import Names
from dlc.backends.c99.sizes import SymbolNames, size_text
from dlc.backends.c99.toolchain import STRICT_FLAGS, available_compilers, build_executable
from dlc.errors import InputError, UnsupportedError
from dlc.interp import largest, run
from dlc.ir.expr import parse_expr
from dlc.ir.graph import Graph, Value
from dlc.ir.operator import Array, Arrays, Types
from dlc.ir.sizes import (
    Dim,
    Symbol,
    equal,
    floordiv,
    less,
    maximum,
    minimum,
    select,
    substitute,
)
from dlc.ir.types import DType, TensorType
from dlc.ops.core.bind import Bind
from dlc.ops.core.concat import Concat
from dlc.ops.core.contract import Contract
from dlc.ops.core.map import Map
from dlc.ops.core.operator import CoreOperator
from dlc.ops.core.reduce import Reduce
from dlc.ops.core.reshape import Reshape
from dlc.ops.core.sizes import Sizes
from dlc.ops.core.slice import Slice
from dlc.ops.emission import Access, Affine, Count, Emission, Kernel, Nest, Operand, Result
from dlc.plan.check import verify_plan

N, M = Symbol("N", 6), Symbol("batch size", 3)
SUM, SQUARE = Map(parse_expr("add(a0, a1)")), Map(parse_expr("mul(a0, a0)"))
RNG = np.random.default_rng(7)


def f32(*shape: Dim) -> TensorType:
    return TensorType(DType.F32, shape)


def noise(*shape: int) -> Array:
    return RNG.standard_normal(shape).astype(np.float32)


def agree(graph: Graph, module: Module, inputs: dict[str, Array]) -> dict[str, Array]:
    """The module's outputs, equal to the interpreter's in shape and value."""
    got, expected = module.run(inputs), run(graph, inputs)
    for name, array in expected.items():
        assert (got[name].shape, got[name].dtype) == (array.shape, array.dtype)
        np.testing.assert_allclose(got[name], array, rtol=1e-6)
        assert got[name].flags.c_contiguous
    return got


def chain() -> Graph:
    """Broadcasts, an in-place map, two views and a dim that is computed."""
    graph = Graph("chain")
    x, y = graph.add_input("x", f32(N, M, 2)), graph.add_input("y", f32(M, 2))
    total = graph.add(SUM, [x, y]).result
    flat = graph.add(Reshape((N * M * 2,)), [graph.add(SQUARE, [total]).result]).result
    pairs = graph.add(Reshape((M * N, 2)), [flat]).result
    graph.set_outputs({"z": graph.add(SUM, [pairs, pairs]).result, "copy": x, "total": total})
    return graph


@pytest.mark.parametrize("memory", ["arena", "heap"])
@pytest.mark.parametrize("poison", [(), ("-DDLC_POISON",)])
def test_every_size_gives_what_the_interpreter_gives(
    memory: str, poison: tuple[str, ...], tmp_path: Path
) -> None:
    graph = chain()
    module = compiled(graph, tmp_path / "m", (*EXACT, *poison), memory=memory)
    for n, m in itertools.product(range(7), range(4)):
        got = agree(graph, module, {"x": noise(n, m, 2), "y": noise(m, 2)})
        assert got["z"].shape == (m * n, 2)
    verify_plan(tmp_path / "m")


def test_views_and_overwrites_cost_no_memory(tmp_path: Path) -> None:
    graph = chain()
    report = verify_plan(emitted(graph, tmp_path / "m"))
    text = (tmp_path / "m" / "model.c").read_text()
    assert text.count("in place, nothing to do") == 2  # both reshapes
    assert report.elided == 2 * 6 * 3 * 2 * 4
    assert report.arena_bytes == 0  # the square, its views and the last sum lie in the output


@pytest.mark.parametrize("name", ["gcc", "clang", "tcc"])
def test_every_compiler_takes_it_without_a_warning(name: str, tmp_path: Path) -> None:
    compiler = next((c for c in available_compilers() if c.family == name), None)
    if compiler is None:
        pytest.skip(f"there is no {name}")
    graph = chain()
    flags = ("-std=c99", "-Wall", "-Werror") if name == "tcc" else STRICT
    module = compiled(graph, tmp_path / "m", flags, compiler)
    agree(graph, module, {"x": noise(4, 3, 2), "y": noise(3, 2)})


def test_names_and_structs_are_readable(tmp_path: Path) -> None:
    folder = emitted(chain(), tmp_path / "m", name="net")
    header = (folder / "model.h").read_text()
    for line in ("ptrdiff_t N;", "ptrdiff_t batch_size;", "ptrdiff_t z_dims[2];",
                 "#define NET_Z_CAPACITY 36"):  # fmt: skip
        assert line in header
    text = (folder / "model.c").read_text()
    assert "if (in->batch_size < 0 || in->batch_size > 3) {" in text
    assert "out->z_dims[0] = in->batch_size * in->N;" in text
    metadata = json.loads((folder / "metadata.json").read_text())
    assert [(s["name"], s["c_name"], s["low"], s["bound"]) for s in metadata["symbols"]] == [
        ("N", "N", 0, 6), ("batch size", "batch_size", 0, 3),
    ]  # fmt: skip
    assert metadata["outputs"][0]["shape"] == ['("batch size"<=3 * N<=6)', 2]
    assert metadata["outputs"][0]["capacity"] == 36


def test_inputs_of_other_shapes_are_refused(tmp_path: Path) -> None:
    module = compiled(chain(), tmp_path / "m")
    good = {"x": noise(2, 3, 2), "y": noise(3, 2)}
    for bad in ({"y": noise(2, 2)}, {"x": noise(7, 3, 2)}, {"x": noise(2, 3, 3)}, {"x": noise(6, 2)}):  # fmt: skip
        with pytest.raises(InputError, match="has shape"):
            module.run(good | bad)


def test_a_size_out_of_bounds_gives_the_status(tmp_path: Path) -> None:
    module = compiled(chain(), tmp_path / "m")
    arrays = {"x": noise(6, 3, 2), "y": noise(3, 2)}
    module._sizes = lambda inputs: {"N": 7, "batch_size": 3}  # type: ignore[method-assign]
    with pytest.raises(InputError, match="out of its bounds"):
        module.run(arrays)


def test_inputs_of_computed_dims_follow_from_the_symbols(tmp_path: Path) -> None:
    graph = Graph("m")
    x, y = graph.add_input("x", f32(N, 2)), graph.add_input("y", f32(2 * N + 1))
    tail = graph.add(Slice((1,), (2 * N,), (1,)), [y]).result
    folded = graph.add(Reshape((N, 2)), [tail]).result
    graph.set_outputs({"z": graph.add(SUM, [x, folded]).result})
    module = compiled(graph, tmp_path / "m", EXACT)
    for n in range(7):
        agree(graph, module, {"x": noise(n, 2), "y": noise(2 * n + 1)})
    with pytest.raises(InputError, match="has shape"):
        module.run({"x": noise(3, 2), "y": noise(6)})
    verify_plan(tmp_path / "m")


def test_concat_of_run_time_lengths(tmp_path: Path) -> None:
    graph = Graph("m")
    x, y = graph.add_input("x", f32(N, 2)), graph.add_input("y", f32(M, 2))
    square = graph.add(SQUARE, [x]).result
    graph.set_outputs({"z": graph.add(Concat(0), [square, y, square]).result, "kept": square})
    module = compiled(graph, tmp_path / "m", EXACT)
    for n, m in itertools.product(range(7), range(4)):
        agree(graph, module, {"x": noise(n, 2), "y": noise(m, 2)})
    verify_plan(tmp_path / "m")


def bound_slice() -> tuple[Graph, Symbol]:
    """The first K rows, K an element of an input."""
    count = Symbol("K", 6, 1)
    graph = Graph("m")
    x = graph.add_input("x", f32(N, 2))
    k = graph.add_input("k", TensorType(DType.I64, (1,)))
    graph.add(Bind((count,)), [k])
    first = graph.add(Slice((0, 0), (count, 2), (1, 1)), [x]).result
    graph.set_outputs({"z": graph.add(SQUARE, [first]).result, "view": first})
    return graph, count


def test_a_size_read_from_data(tmp_path: Path) -> None:
    graph, _ = bound_slice()
    module = compiled(graph, tmp_path / "m", EXACT)
    for n in range(1, 7):
        for k in range(1, n + 1):
            agree(graph, module, {"x": noise(n, 2), "k": np.array([k])})
        for k in (0, -1, n + 1, 7, 2**62, -(2**63)):
            with pytest.raises(InputError, match="out of its bounds"):
                module.run({"x": noise(n, 2), "k": np.array([k])})
    verify_plan(tmp_path / "m")


def test_golden_model(tmp_path: Path) -> None:
    """The C of sizes, kept to be read and reviewed."""
    graph = Graph("sized")
    x, y = graph.add_input("x", f32(N, 2)), graph.add_input("y", f32(2 * N))
    count = Symbol("rows to keep", 6)
    graph.add(Bind((count,)), [graph.add_input("k", TensorType(DType.I64, (1,)))])
    half = graph.add(Slice((N // 2, 0), (N - N // 2, 2), (1, 1)), [x]).result
    folded = graph.add(Reshape((N, 2)), [graph.add(SQUARE, [y]).result]).result
    kept = graph.add(Slice((0, 0), (count, 2), (1, 1)), [folded]).result
    graph.set_outputs({"z": graph.add(Concat(0), [half, kept, x]).result})
    text = (emitted(graph, tmp_path / "m") / "model.c").read_text()
    golden = Path(__file__).parent.parent / "golden" / "sized.c"
    assert golden.exists(), f"write {golden} with this text after review:\n{text}"
    assert text == golden.read_text()


@pytest.mark.parametrize("dtype", [DType.I8, DType.I32, DType.I64, DType.U8, DType.U64])
@pytest.mark.parametrize("interval", [(0, 8), (-3, 8), (2, 1000)])
def test_elements_of_every_type_are_compared_before_they_are_converted(
    dtype: DType, interval: tuple[int, int], tmp_path: Path
) -> None:
    low, bound = interval
    symbol = Symbol("S", bound, low)
    graph = Graph("m")
    k = graph.add_input("k", TensorType(dtype, (1,)))
    graph.add(Bind((symbol,)), [k])
    x = graph.add_input("x", f32(1))
    graph.set_outputs({"z": graph.add(Pick(maximum(symbol, 0)), [x]).result})
    module = compiled(graph, tmp_path / "m")
    info = np.iinfo(dtype.numpy)
    for value in {info.min, -4, -3, -1, 0, 1, 2, 8, 9, 100, 1000, 1001, info.max}:
        if info.min <= value <= info.max:
            inputs = {"k": np.array([value], dtype.numpy), "x": noise(1)}
            if low <= value <= bound:
                assert module.run(inputs)["z"].shape == (max(value, 0),)
            else:
                with pytest.raises(InputError, match="out of its bounds"):
                    module.run(inputs)


@dataclass(frozen=True, slots=True)
class Pick(CoreOperator):
    """The first element, ``size`` times."""

    name: ClassVar[str] = "test_repeat"
    size: Dim

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        return (f32(self.size),)

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        return (np.full(self.fixed([self.size]), np.asarray(operands[0])[0]),)

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:

        read = Access(Operand(0), Affine(0, (0,)))
        return Emission((Nest((self.size,), (read,), Access(Result(), Affine(0, (1,)))),))


@pytest.mark.parametrize("sizes", [(0, 0), (1, 3), (5, 2), (6, 3)])
@pytest.mark.parametrize("memory", ["arena", "heap"])
def test_sanitizers_find_nothing(sizes: tuple[int, int], memory: str, tmp_path: Path) -> None:
    graph, (n, m) = chain(), sizes
    inputs = {"x": noise(n, m, 2), "y": noise(m, 2)}
    vectors = (inputs, run(graph, inputs))
    folder = emitted(graph, tmp_path / "m", vectors=vectors, memory=memory)
    sources = [folder / file for file in ("model.c", "selftest.c")]
    flags = (*STRICT_FLAGS, "-DDLC_POISON")
    program = build_executable(sources, flags=flags, sanitize=True, out=tmp_path / "selftest")
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr


def test_without_vectors_the_self_test_takes_the_largest_sizes(tmp_path: Path) -> None:
    text = (emitted(chain(), tmp_path / "m") / "selftest.c").read_text()
    assert {"in.N = 6;", "in.batch_size = 3;"} <= {line.strip() for line in text.split("\n")}


def test_a_self_test_of_zeros_may_be_refused(tmp_path: Path) -> None:
    graph, _ = bound_slice()
    folder = emitted(graph, tmp_path / "m")
    program = build_executable(
        [folder / "model.c", folder / "selftest.c"], flags=STRICT_FLAGS, out=tmp_path / "selftest"
    )
    assert subprocess.run([program], capture_output=True, check=False).returncode == 0


def test_vectors_of_contradictory_shapes_are_refused(tmp_path: Path) -> None:
    graph = chain()
    inputs = {"x": noise(2, 3, 2), "y": noise(3, 2)}
    bad = inputs | {"y": noise(3, 3)}
    with pytest.raises(InputError, match="self-test vector 'y'"):
        emitted(graph, tmp_path / "m", vectors=(bad, run(graph, inputs)))


A, B, C = (
    Symbol(name, bound, low) for name, low, bound in (("A", -9, 9), ("B", 0, 7), ("C", 1, 5))
)
BUILD = {"floordiv": floordiv, "max": maximum, "min": minimum, "equal": equal,
         "less": less}  # fmt: skip


def dims() -> st.SearchStrategy[Dim]:
    return st.recursive(
        st.sampled_from([A, B, C]) | st.integers(-6, 6),
        lambda inner: (
            st.tuples(st.sampled_from(["+", "-", "*", *BUILD]), inner, inner).map(combined)
            | st.tuples(inner, inner, inner).map(lambda t: select(*t))
        ),
        max_leaves=6,
    )


def combined(parts: tuple[str, Any, Any]) -> Dim:
    operator, a, b = parts
    if operator in BUILD:
        return BUILD[operator](a, b)
    return {"+": a + b, "-": a - b, "*": a * b}[operator]


@settings(max_examples=6, deadline=None)
@given(st.lists(dims(), min_size=30, max_size=30))
def test_c_computes_sizes_as_python_does(values: list[Dim]) -> None:
    graph = Graph("m")
    k = graph.add_input("k", TensorType(DType.I64, (3,)))
    graph.add(Bind((A, B, C)), [k])
    graph.set_outputs({"z": graph.add(Sizes(tuple(values), (len(values),))).result})
    with tempfile.TemporaryDirectory() as folder:
        module = compiled(graph, Path(folder) / "m")
    for a, b, c in ((-9, 0, 1), (9, 7, 5), (-1, 3, 2), (0, 0, 5), (7, 2, 3), (-7, 5, 3)):
        expected = [substitute(v, {A: a, B: b, C: c}) for v in values]
        assert module.run({"k": np.array([a, b, c])})["z"].tolist() == expected


def test_divisions_round_down_and_by_zero_give_zero(tmp_path: Path) -> None:
    quotients = (A // 4, A // -3, A // B, (A * B) // C, B // C, 20 // A, maximum(A, B) // (B - 3))
    graph = Graph("m")
    k = graph.add_input("k", TensorType(DType.I32, (3,)))
    graph.add(Bind((A, B, C)), [k])
    graph.set_outputs({"z": graph.add(Sizes(quotients, (len(quotients),))).result})
    module = compiled(graph, tmp_path / "m")
    for a, b, c in itertools.product(range(-9, 10, 3), range(8), range(1, 6, 2)):
        expected = [substitute(q, {A: a, B: b, C: c}) for q in quotients]
        assert module.run({"k": np.array([a, b, c], np.int32)})["z"].tolist() == expected


def test_the_product_of_bound_sizes_is_checked(tmp_path: Path) -> None:
    group = tuple(Symbol(f"shape.{i}", 24, 0, 24) for i in range(3))
    graph = Graph("m")
    x = graph.add_input("x", f32(4, 6))
    k = graph.add_input("k", TensorType(DType.I64, (3,)))
    graph.add(Bind(group), [k])
    folded = graph.add(Reshape(group), [x]).result
    graph.set_outputs({"z": graph.add(SQUARE, [folded]).result})
    module = compiled(graph, tmp_path / "m")
    assert module.outputs["z"].capacity == 24
    text = (tmp_path / "m" / "model.c").read_text()
    assert "if (*shape_2 > 24 / (dlc_max_size(*shape_0, 1) * dlc_max_size(*shape_1, 1))) {" in text
    for shape in ((4, 6, 1), (24, 1, 1), (2, 3, 4)):
        agree(graph, module, {"x": noise(4, 6), "k": np.array(shape)})
    for shape in ((4, 6, 2), (24, 24, 24), (1, 1, 1), (0, 24, 24), (0, 1, 1), (25, 1, 1)):
        with pytest.raises(InputError, match="two contradict"):
            module.run({"x": noise(4, 6), "k": np.array(shape)})
    verify_plan(tmp_path / "m")


@dataclass(frozen=True, slots=True)
class Positive(CoreOperator):
    """The elements of a vector that are above 0, in order; how many is found at run time."""

    name: ClassVar[str] = "test_count"
    found: Symbol

    @property
    def defined(self) -> tuple[Symbol, ...]:
        return (self.found,)

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        return (f32(self.found),)

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        x = np.asarray(operands[0])
        return (x[x > 0],)

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        to, start = Access(Result()), Access(Operand(0))
        return Emission((
            Kernel("test_positive", (to, start, operands[0].count, Count(self.found))),
            Nest((self.found,), (Access(Result(), Affine(0, (1,))),),
                 Access(Result(), Affine(0, (1,))), parse_expr("add(a0, a0)")),
        ))  # fmt: skip


def test_a_kernel_counts_its_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = """\
static inline void test_positive(float *y, const float *x, ptrdiff_t count, ptrdiff_t *found) {
    *found = 0;
    for (ptrdiff_t i = 0; i < count; i++) {
        if (x[i] > 0 && *found < 4) {
            y[*found] = x[i];
        }
        *found += x[i] > 0;
    }
}
"""
    (tmp_path / "test_positive.h").write_text(kernel)
    monkeypatch.setattr("dlc.ops.emission._KERNEL_PATH", [tmp_path])
    found = Symbol("found", 4)
    graph = Graph("m")
    positive = graph.add(Positive(found), [graph.add_input("x", f32(N))]).result
    graph.set_outputs({"z": graph.add(SQUARE, [positive]).result})
    module = compiled(graph, tmp_path / "m")
    for n, many in itertools.product(range(7), range(7)):
        x = -np.ones(n, np.float32)
        x[:many] = 3
        if min(n, many) <= 4:
            assert module.run({"x": x})["z"].tolist() == [36.0] * min(n, many)
        else:
            with pytest.raises(InputError, match="out of its bounds"):
                module.run({"x": x})
    verify_plan(tmp_path / "m")


def test_a_size_nothing_defines_is_an_error(tmp_path: Path) -> None:
    graph = Graph("m")
    graph.set_outputs({"z": graph.add(Pick(Symbol("K", 3)), [graph.add_input("x", f32(1))]).result})
    with pytest.raises(UnsupportedError, match="needs the size K"):
        emitted(graph, tmp_path / "m")


def test_sizes_beyond_64_bits_are_an_error() -> None:
    names = SymbolNames(Names())
    huge = Symbol("n", 2**40)
    assert size_text(huge + 1, names.__getitem__, set()) == "N + 1"
    with pytest.raises(UnsupportedError, match="64 bits"):
        size_text(huge * huge, names.__getitem__, set())


@pytest.mark.parametrize(
    ("name", "expected"),
    [("N", "N"), ("n", "N"), ("batch", "batch"), ("in0", "in0_size"), ("acc", "acc_size"),
     ("exp", "exp_size"), ("int", "int_"), ("12", "size_12"), ("…", "size_size"),
     ("dlc_sum", "dlc_sum_size"), ("x*/ y", "x_y"), ("NULL", "null")],
)  # fmt: skip
def test_names_are_harmless(name: str, expected: str) -> None:
    names = SymbolNames(Names(["taken"]), ["x"])
    assert names[Symbol(name, 3)] == expected
    assert names[Symbol("taken", 3)] == "taken_2"


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (N + 1, "N + 1"), (4 - N, "4 - N"), (-N, "-N"), (2 * N * M - 3, "2 * M * N - 3"),
        ((N + 1) // 2, "(N + 1) / 2"), (A // 2 * M, "M * dlc_floordiv(A, 2)"),
        (N // 2 * M, "M * (N / 2)"), (3 * N // (M + 1), "3 * N / (M + 1)"),
        (select(equal(N, 1), M, N), "N == 1 ? M : N"), (select(N, 2, 3) + 1, "(N != 0 ? 2 : 3) + 1"),
        (N - N // 2, "N - N / 2"), (-(N // 2), "-(N / 2)"), (1 - N // 2, "1 - N / 2"),
        (maximum(N, M), "dlc_max_size(M, N)"), (less(N, M) + equal(N, M), "(M == N) + (N < M)"),
    ],
)  # fmt: skip
def test_text_of_sizes(size: Dim, expected: str) -> None:
    names = {N: "N", M: "M", A: "A"}
    assert size_text(size, names.__getitem__, set()) == expected


def broadcast(graph: Graph) -> Value:
    x, y = graph.add_input("x", f32(N, 2)), graph.add_input("y", f32(M, 1))
    return graph.add(SUM, [graph.add(SQUARE, [x]).result, y]).result


def product(graph: Graph) -> Value:
    x, y = graph.add_input("x", f32(M, N, 3)), graph.add_input("y", f32(N, 3, 5))
    rows = graph.add(Reshape((M * N, 3)), [x]).result
    flat = graph.add(Reshape((3, 5 * N)), [y]).result
    result = graph.add(Contract(epilogue=parse_expr("max(a0, 0.0)")), [rows, flat]).result
    return graph.add(Contract(transpose_lhs=True), [result, result]).result


def softmax(graph: Graph) -> Value:
    x = graph.add_input("x", f32(M, N))
    high = graph.add(Reduce("max", (1,)), [x]).result
    power = graph.add(Map(parse_expr("exp(a0 - a1)")), [x, high]).result
    total = graph.add(Reduce("add", (1,)), [power]).result
    return graph.add(Map(parse_expr("a0 / a1")), [power, total]).result


@pytest.mark.parametrize("flags", [EXACT, ("-std=c99", "-O3", "-march=native")])
@pytest.mark.parametrize("build", [broadcast, product, softmax])
def test_kernels_and_reductions_of_every_size(
    build: Callable[[Graph], Value], flags: tuple[str, ...], tmp_path: Path
) -> None:
    graph = Graph("m")
    graph.set_outputs({"z": build(graph)})
    module = compiled(graph, tmp_path / "m", flags)
    for n, m in itertools.product(range(7), range(4)):
        sizes = {N: n, M: m}
        inputs = {
            name: noise(*largest(value.type, sizes).dims)
            for name, value in zip(graph.input_names, graph.inputs, strict=True)
        }
        if build is broadcast and n != m and 1 not in (n, m):
            with pytest.raises(InputError, match="two contradict"):
                module.run(inputs)
            continue
        got, expected = module.run(inputs)["z"], run(graph, inputs)["z"]
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    verify_plan(tmp_path / "m")
