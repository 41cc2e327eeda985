"""Integer arithmetic is modular for every dtype, and without undefined behaviour in C.

What overflows wraps, as numpy's does; shifts by the width or more, division of the least integer
by -1 and casts of floats that do not fit have a meaning, too. The sanitizer ends the process else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backend_support import compiled
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as drawn
from onnx import TensorProto, helper

from dlc import api
from dlc.backends.c99 import Module, build
from dlc.interp import run
from dlc.ir.expr import Arg, Call
from dlc.ir.graph import Graph
from dlc.ir.types import DType, TensorType
from dlc.ops import build as b
from dlc.ops.core.map import Map

FLAGS = (
    "-std=c99",
    "-O1",
    "-fsanitize=undefined,float-cast-overflow",
    "-fsanitize-undefined-trap-on-error",
)
BITS = (8, 16, 32, 64)
INTEGERS = [DType(f"{sign}{bits}") for sign in "iu" for bits in BITS]
UNARY = ("neg", "abs", "sign", "bitnot")
BINARY = ("add", "sub", "mul", "div", "fmod", "pow", "max", "min", "bitand", "bitor", "bitxor",
          "shl", "shr", "eq", "lt", "le")  # fmt: skip
COUNT = 12


def edges(dtype: DType) -> st.SearchStrategy[int]:
    """Integers of a dtype, mostly those at which something overflows."""
    least, greatest = np.iinfo(dtype.numpy).min, np.iinfo(dtype.numpy).max
    bits = 8 * dtype.nbytes
    special = [least, least + 1, greatest, greatest - 1, 0, 1, bits - 1, bits, bits + 1,
               *([-1, -2, -bits] if dtype.is_signed else [])]  # fmt: skip
    return st.sampled_from([int(n) for n in special]) | st.integers(int(least), int(greatest))


def vectors(dtype: DType, *shape: int) -> st.SearchStrategy[Any]:
    return drawn.arrays(dtype.numpy, shape or (COUNT,), elements=edges(dtype))


def functions(dtype: DType) -> Graph:
    """Every scalar function of integers, sums, products and matrix products, in one graph."""
    graph = Graph("integers")
    x, y = (graph.add_input(n, TensorType(dtype, (COUNT,))) for n in "xy")
    outputs = {f: graph.add(Map(Call(f, (Arg(0),))), [x]).result for f in UNARY}
    outputs |= {f: graph.add(Map(Call(f, (Arg(0), Arg(1)))), [x, y]).result for f in BINARY}
    for target in INTEGERS:
        outputs[f"as {target.value}"] = graph.add(Map(Call(target.value, (Arg(0),))), [x]).result
    matrix = b.reshape(x, (3, 4))
    for function in ("add", "mul", "max", "min"):
        outputs[f"all {function}"] = b.reduce(function, matrix, [1])
        outputs[f"scatter {function}"] = b.scatter(
            function, matrix, b.constant(x, np.array([2, 0, 2])), b.reshape(y, (3, 4))
        )
    outputs["squares"] = b.reduce("add", matrix, [0], element="a0 * a0 * a0")
    graph.set_outputs(outputs)
    return graph


@pytest.fixture(scope="module", params=INTEGERS, ids=lambda dtype: dtype.value)
def arithmetic(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    graph = functions(request.param)
    module = compiled(graph, tmp_path_factory.mktemp("integers") / "c", FLAGS)
    return request.param, graph, module


@settings(max_examples=25)
@given(st.data())
def test_functions_wrap(arithmetic: tuple[DType, Graph, Module], data: st.DataObject) -> None:
    dtype, graph, module = arithmetic
    arrays = {name: data.draw(vectors(dtype)) for name in "xy"}
    with np.errstate(all="ignore"):
        expected = run(graph, arrays)
    found = module.run(arrays)
    for name, want in expected.items():
        np.testing.assert_array_equal(found[name], want, name)
        assert found[name].dtype == want.dtype


def exact(function: str, a: int, b: int, dtype: DType) -> int:
    """What a function of integers means, in Python's integers, which never overflow."""
    bits = 8 * dtype.nbytes
    if function in ("div", "fmod"):
        quotient = 0 if b == 0 else abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
        value = quotient if function == "div" else (a - quotient * b if b else 0)
    elif function == "shl":
        value = a << b if 0 <= b < bits else 0
    elif function == "shr":
        value = a >> b if 0 <= b < bits else (-1 if a < 0 else 0)
    elif function == "pow":
        value = pow(a, b, 2**bits) if b >= 0 else {1: 1, -1: 1 - 2 * (b % 2)}.get(a, 0)
    else:
        value = {"add": a + b, "sub": a - b, "mul": a * b}[function]
    wrapped = value % 2**bits
    return wrapped - 2**bits if dtype.is_signed and wrapped >= 2 ** (bits - 1) else wrapped


@settings(max_examples=25)
@given(st.data())
def test_functions_are_those_of_integers(
    arithmetic: tuple[DType, Graph, Module], data: st.DataObject
) -> None:
    dtype, _, module = arithmetic
    x, y = (data.draw(vectors(dtype)) for _ in range(2))
    found = module.run({"x": x, "y": y})
    for function in ("add", "sub", "mul", "div", "fmod", "shl", "shr", "pow"):
        want = [exact(function, p, q, dtype) for p, q in zip(x.tolist(), y.tolist(), strict=True)]
        assert found[function].tolist() == want, (function, x, y)


def model(dtype: DType) -> Any:
    """CumSum, ReduceSum, ReduceProd and MatMul of a dtype that ONNX has them for."""
    nodes = [
        helper.make_node("CumSum", ["x", "one"], ["running"]),
        helper.make_node("ReduceSum", ["x"], ["total"]),
        helper.make_node("ReduceProd", ["x"], ["product"]),
        helper.make_node("ReduceSumSquare", ["x"], ["squares"]),
        helper.make_node("MatMul", ["x", "y"], ["matrix"]),
    ]
    inputs = [("x", [3, 4]), ("y", [4, 2])]
    graph = helper.make_graph(
        nodes, "sums", [helper.make_tensor_value_info(n, dtype.onnx, s) for n, s in inputs],
        [helper.make_tensor_value_info(n.output[0], dtype.onnx, None) for n in nodes],
        [helper.make_tensor("one", TensorProto.INT64, [], [1])],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


@pytest.fixture(scope="module", params=["i32", "i64", "u32", "u64"])
def sums(request: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[DType, Module]:
    dtype = DType(request.param)
    folder, _ = api.emit(model(dtype), tmp_path_factory.mktemp("sums") / "c")
    return dtype, build(folder, flags=FLAGS)


@settings(max_examples=25)
@given(st.data())
def test_sums_and_products_wrap(sums: tuple[DType, Module], data: st.DataObject) -> None:
    dtype, module = sums
    x, y = data.draw(vectors(dtype, 3, 4)), data.draw(vectors(dtype, 4, 2))
    found = module.run({"x": x, "y": y})
    with np.errstate(all="ignore"):
        expected = {
            "running": np.cumsum(x, 1, dtype=x.dtype), "total": x.sum(keepdims=True, dtype=x.dtype),
            "product": x.prod(keepdims=True, dtype=x.dtype), "squares": (x * x).sum(keepdims=True, dtype=x.dtype),
            "matrix": x @ y,
        }  # fmt: skip
    for name, want in expected.items():
        np.testing.assert_array_equal(found[name], want, name)


@pytest.mark.parametrize("signed", ["i8", "u8"])
def test_quantised_products_wrap(signed: str, tmp_path: Path) -> None:
    """The greatest terms, more of them than 32 bits hold."""
    dtype = DType(signed)
    depth = 2**17
    x = np.full((1, depth), np.iinfo(dtype.numpy).min if dtype.is_signed else 255, dtype.numpy)
    zero = helper.make_tensor("z", dtype.onnx, [], [127 if dtype.is_signed else 0])
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["x", "w", "z", "z"], ["y"])], "quantised",
        [helper.make_tensor_value_info("x", dtype.onnx, x.shape),
         helper.make_tensor_value_info("w", dtype.onnx, x.T.shape)],
        [helper.make_tensor_value_info("y", TensorProto.INT32, None)], [zero],
    )  # fmt: skip
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    folder, _ = api.emit(proto, tmp_path / "c")
    found = build(folder, flags=FLAGS).run({"x": x, "w": np.ascontiguousarray(x.T)})["y"]
    term = int(x[0, 0]) - (127 if dtype.is_signed else 0)
    assert found.item() == (term * term * depth + 2**31) % 2**32 - 2**31


@settings(max_examples=40)
@given(st.data())
def test_casts_of_floats_saturate(casts: tuple[DType, Module], data: st.DataObject) -> None:
    source, module = casts
    near = st.sampled_from([s * 2.0**p + d for s in (1, -1) for p in (7, 8, 15, 16, 31, 32, 63, 64)
                            for d in (-1, 0, 0.5, 1)])  # fmt: skip
    floats = near | st.floats(width=8 * source.nbytes)
    x = np.array(data.draw(st.lists(floats, min_size=COUNT, max_size=COUNT)), source.numpy)
    found = module.run({"x": x})
    for target in INTEGERS:
        limits = np.iinfo(target.numpy)
        want = [0 if v != v else int(min(max(v, -1e30), 1e30)) for v in x.tolist()]
        clipped = [min(max(v, int(limits.min)), int(limits.max)) for v in want]
        assert found[target.value].tolist() == clipped, (target, x)


@pytest.fixture(scope="module", params=["f32", "f64"])
def casts(request: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[DType, Module]:
    source = DType(request.param)
    graph = Graph("casts")
    x = graph.add_input("x", TensorType(source, (COUNT,)))
    graph.set_outputs({t.value: graph.add(Map(Call(t.value, (Arg(0),))), [x]).result
                       for t in INTEGERS})  # fmt: skip
    return source, compiled(graph, tmp_path_factory.mktemp("casts") / "c", FLAGS)
