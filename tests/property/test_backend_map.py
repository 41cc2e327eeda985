"""Scalar expressions in C against their numpy meaning, over all dtypes C computes in."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backend_support import EXACT, compiled, same
from hypothesis import given, settings
from hypothesis import strategies as st

from dlc.backends.c99.dtypes import FLOATS, INTEGERS
from dlc.errors import UnsupportedError
from dlc.interp import run
from dlc.ir.expr import Arg, Call, Const, Expr, parse_expr
from dlc.ir.graph import Graph
from dlc.ir.types import DType, TensorType
from dlc.ops.core.map import Map

F32, F64, BOOL = DType.F32, DType.F64, DType.BOOL
COMPUTABLE = sorted(FLOATS | INTEGERS | {BOOL}, key=lambda d: d.value)
ARGUMENTS = tuple(COMPUTABLE)
COUNT = 24
"""Elements of each argument array."""

# exact in floats, so that C must agree to the bit; exp and its like have tests of their own
BOTH = ["add", "sub", "mul", "max", "min"]
INTEGER = [*BOTH, "div", "fmod"]
FLOAT = [*BOTH, "div"]
FLOAT_UNARY = ["neg", "abs", "sign", "floor", "ceil", "round", "sqrt"]
INTEGER_UNARY = ["neg", "abs", "sign"]


def constants(dtype: DType) -> st.SearchStrategy[Expr]:
    if dtype is BOOL:
        return st.booleans().map(Const)
    if dtype in FLOATS:
        width = 32 if dtype is F32 else 64
        return st.floats(width=width).map(Const) | st.sampled_from([0.0, -0.0, 1.0, 6.0]).map(Const)
    info = np.iinfo(dtype.numpy)
    edge = st.sampled_from([int(info.min), int(info.max), 0, 1])
    return (edge | st.integers(int(info.min), int(info.max))).map(Const)


@st.composite
def expressions(draw: Any, dtype: DType, depth: int) -> Expr:
    """An expression of ``dtype`` over arguments a0.. of dtypes ARGUMENTS."""
    if depth == 0 or draw(st.integers(0, 5)) == 0:
        return draw(st.just(Arg(ARGUMENTS.index(dtype))) | constants(dtype).map(_cast(dtype)))

    def sub(of: DType) -> Expr:
        return draw(expressions(of, depth - 1))

    kind = draw(st.sampled_from(["call", "call", "call", "select", "cast"]))
    if kind == "select":
        return Call("select", (sub(BOOL), sub(dtype), sub(dtype)))
    if kind == "cast":
        source = draw(st.sampled_from(COMPUTABLE))
        inner = sub(source)
        if source in FLOATS and dtype in INTEGERS:
            # where numpy's result is defined: finite and in range
            inner = Call("select", (Call("isnan", (inner,)), Const(0.0), inner))
            inner = Call("min", (Call("max", (inner, Const(0.0 if dtype.value[0] == "u" else -99.0))),
                                 Const(99.0)))  # fmt: skip
        return Call(dtype.value, (inner,))
    if dtype is BOOL:
        function = draw(st.sampled_from(["lt", "le", "eq", "and", "or", "xor", "not", "isnan"]))
        if function == "isnan":
            return Call("isnan", (sub(draw(st.sampled_from([F32, F64]))),))
        if function == "not":
            return Call("not", (sub(BOOL),))
        of = draw(st.sampled_from(COMPUTABLE)) if function in ("lt", "le", "eq") else BOOL
        return Call(function, (sub(of), sub(of)))
    unary = FLOAT_UNARY if dtype in FLOATS else INTEGER_UNARY
    binary = FLOAT if dtype in FLOATS else INTEGER
    if draw(st.integers(0, 3)) == 0:
        return Call(draw(st.sampled_from(unary)), (sub(dtype),))
    bare = draw(constants(dtype)) if draw(st.booleans()) else sub(dtype)
    pair = (sub(dtype), bare)
    return Call(draw(st.sampled_from(binary)), pair if draw(st.booleans()) else pair[::-1])


def _cast(dtype: DType) -> Any:
    return lambda constant: Call(dtype.value, (constant,))


def values(dtype: DType, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """Every edge a dtype has, then random bits."""
    if dtype is BOOL:
        return rng.integers(0, 2, COUNT).astype(bool)
    if dtype in FLOATS:
        tiny = np.finfo(dtype.numpy).smallest_subnormal
        edges = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 0.5, 1.5, 2.5, -2.5, tiny, 1e30]
        rest = rng.standard_normal(COUNT - len(edges)) * 10
        return rng.permutation(np.array([*edges, *rest])).astype(dtype.numpy)
    info = np.iinfo(dtype.numpy)
    edges = [info.min, info.max, 0, 1, 2, info.max - 1, info.min + 1, 7]
    rest = rng.integers(info.min, info.max, COUNT - len(edges), dtype.numpy, endpoint=True)
    return rng.permutation(np.concatenate([np.array(edges, dtype.numpy), rest]))


def check(exprs: list[Expr], seed: int, flags: tuple[str, ...] = EXACT) -> None:
    """Compile all expressions as one model and compare each with numpy."""
    graph = Graph("expressions")
    inputs = [graph.add_input(f"a{i}", TensorType(d, (COUNT,))) for i, d in enumerate(ARGUMENTS)]
    results = {f"r{i}": graph.add(Map(e), inputs).result for i, e in enumerate(exprs)}
    graph.set_outputs(results)
    rng = np.random.default_rng(seed)
    arrays = {f"a{i}": values(dtype, rng) for i, dtype in enumerate(ARGUMENTS)}
    with tempfile.TemporaryDirectory() as folder:
        got = compiled(graph, Path(folder) / "c", flags).run(arrays)
    expected = run(graph, arrays)
    for name, expr in zip(results, exprs, strict=True):
        assert same(got[name], expected[name]), f"{expr}: {got[name]} {expected[name]}"


@settings(max_examples=12)
@given(
    st.lists(
        st.sampled_from(COMPUTABLE).flatmap(lambda d: expressions(d, 4)), min_size=1, max_size=40
    ),
    st.integers(0, 99),
)
def test_random_expressions_agree_with_numpy_to_the_bit(exprs: list[Expr], seed: int) -> None:
    check(exprs, seed)


def test_every_function_of_every_dtype_it_takes() -> None:
    exprs = []
    for position, dtype in enumerate(ARGUMENTS):
        x = Arg(position)
        if dtype is not BOOL:
            unary, binary = (FLOAT_UNARY, FLOAT) if dtype in FLOATS else (INTEGER_UNARY, INTEGER)
            exprs += [Call(f, (x,)) for f in unary]
            other = Call("add", (x, Const(1)))
            exprs += [
                Call(f, pair) for f in binary for pair in ((x, other), (x, Const(3)), (Const(3), x))
            ]
        exprs += [Call(f, (x, Const(1))) for f in ("eq", "lt", "le")]
        exprs += [Call(f, (x, x)) for f in ("eq", "lt", "le")]
        exprs.append(Call("select", (Call("lt", (x, Const(1))), x, x)))
        exprs += [
            Call(t.value, (x,)) for t in COMPUTABLE if not (dtype in FLOATS and t in INTEGERS)
        ]
    check(exprs, 0)


@pytest.mark.parametrize("source", [F32, F64])
@pytest.mark.parametrize("target", sorted(INTEGERS, key=lambda d: d.value))
def test_a_cast_to_an_integer_saturates(source: DType, target: DType, tmp_path: Path) -> None:
    info = np.iinfo(target.numpy)
    low, high = int(info.min), int(info.max)
    given = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 2.9, -0.9, high + 1, low], source.numpy)
    wanted = [0, high, low, high, low, 2, 0, high, low]
    graph = Graph("cast")
    x = graph.add_input("x", TensorType(source, (len(given),)))
    graph.set_outputs({"y": graph.add(Map(Call(target.value, (Arg(0),))), [x]).result})
    assert compiled(graph, tmp_path / "c").run({"x": given})["y"].tolist() == wanted


@pytest.mark.parametrize("text", ["exp(a0)", "sigmoid(a0)", "tanh(a0)", "erf(a0)", "log(abs(a0)+1.0)",
                                  "sin(a0)", "cos(a0)", "atan(a0)", "pow(abs(a0), 1.5)",
                                  "fmod(a0, 0.75)", "a0 * sigmoid(a0)"])  # fmt: skip
def test_functions_that_round(text: str, tmp_path: Path) -> None:
    x = np.linspace(-4, 4, 100, dtype=np.float32)
    graph = Graph("rounding")
    a0 = graph.add_input("x", TensorType(F32, (100,)))
    graph.set_outputs({"y": graph.add(Map(parse_expr(text)), [a0]).result})
    got = compiled(graph, tmp_path / "c").run({"x": x})["y"]
    np.testing.assert_allclose(got, run(graph, {"x": x})["y"], rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [DType.F16, DType.BF16])
def test_narrow_floats_move_but_do_not_compute(dtype: DType, tmp_path: Path) -> None:
    graph = Graph("narrow")
    x = graph.add_input("x", TensorType(dtype, (4,)))
    b = graph.add_input("b", TensorType(BOOL, (4,)))
    moved = graph.add(Map(parse_expr("select(a1, a0, 1.5)")), [x, b]).result
    graph.set_outputs({"y": moved})
    given = {"x": np.arange(4).astype(dtype.numpy), "b": np.array([1, 0, 1, 0], bool)}
    got = compiled(graph, tmp_path / "c").run(given)["y"]
    assert got.astype(float).tolist() == [0, 1.5, 2, 1.5]
    graph.set_outputs({"y": graph.add(Map(parse_expr("a0 + a0")), [x]).result})
    with pytest.raises(UnsupportedError, match="add has no C form"):
        compiled(graph, tmp_path / "d")
