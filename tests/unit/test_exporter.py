"""What goes out as ONNX passes the full checker and computes the same in onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, checker, helper, numpy_helper

import dlc.exporter
from dlc.errors import BuildError, VerifyError
from dlc.exporter import save, to_onnx
from dlc.importer import load
from dlc.interp import run
from dlc.ir.expr import Arg, Call, Const, Expr, parse_expr
from dlc.ir.graph import Graph
from dlc.ir.scalars import SCALARS
from dlc.ir.types import DType, TensorType
from dlc.ops.core.map import Map
from dlc.ops.onnx.expand import expand_op
from dlc.ops.onnx.operator import OnnxOperator, from_attribute, to_attribute

ort.set_default_logger_severity(3)
Arrays = Mapping[str, np.ndarray[Any, Any]]


def ort_run(model: onnx.ModelProto, feeds: Arrays) -> list[np.ndarray[Any, Any]]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return list(ort.InferenceSession(model.SerializeToString(), options).run(None, feeds))


def exported(graph: Graph) -> onnx.ModelProto:
    model = to_onnx(graph)
    checker.check_model(model, full_check=True)
    return model


def require_same(graph: Graph, feeds: Arrays, expected: Sequence[Any], **tolerance: float) -> None:
    model = exported(graph)
    assert [i.name for i in model.graph.input] == list(graph.input_names)
    assert [o.name for o in model.graph.output] == list(graph.output_names)
    for got, want in zip(ort_run(model, feeds), expected, strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got, want, **(tolerance or {"rtol": 1e-5, "atol": 1e-6}))


def expand_all(graph: Graph) -> None:
    """Every named op becomes core ops, in regions too (ops with regions stay)."""
    for op in graph.ops:
        bodies = list(op.operator.regions())
        for body in bodies:
            expand_all(body)
        if isinstance(op.operator, OnnxOperator) and not bodies:
            expand_op(op)


# ---- round trips ----------------------------------------------------------------------------


def tensor(name: str, values: Any) -> TensorProto:
    return numpy_helper.from_array(np.asarray(values, np.float32), name)


def convolutional(opset: int) -> onnx.ModelProto:
    """A small model whose operators exist, in changing forms, in every opset."""
    rng = np.random.default_rng(opset)
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"], "relu"),
        helper.make_node("MaxPool", ["r"], ["p"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Softmax", ["p"], ["s"], "softmax", axis=1),
        helper.make_node("Add", ["s", "p"], ["a"], "add"),
        helper.make_node("Flatten", ["a"], ["f"], "flatten"),
        helper.make_node("Gemm", ["f", "v", "d"], ["y"], "gemm", transB=1),
    ]
    graph = helper.make_graph(
        nodes, "small",
        [helper.make_tensor_value_info("x", 1, ["N", 2, 6, 6])],
        [helper.make_tensor_value_info("y", 1, ["N", 5])],
        [tensor("w", rng.standard_normal((4, 2, 3, 3))), tensor("b", rng.standard_normal(4)),
         tensor("v", rng.standard_normal((5, 36))), tensor("d", rng.standard_normal(5))],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


@pytest.mark.parametrize("opset", range(7, 27))
def test_models_of_every_opset_survive(opset: int) -> None:
    model = convolutional(opset)
    feeds = {"x": np.random.default_rng(0).standard_normal((3, 2, 6, 6)).astype(np.float32)}
    expected = ort_run(model, feeds)
    graph = load(model, dims={"N": 3})
    require_same(graph, feeds, expected)
    np.testing.assert_allclose(run(graph, feeds)["y"], expected[0], rtol=1e-4, atol=1e-5)
    expand_all(graph)
    require_same(graph, feeds, expected, rtol=1e-4, atol=1e-5)


def nested(opset: int) -> onnx.ModelProto:
    """An If inside a Loop; both capture values of the graphs around them, and a constant."""
    info = helper.make_tensor_value_info
    add = helper.make_node("Add", ["state", "step"], ["t"])
    mul = helper.make_node("Mul", ["state", "w"], ["e"])
    branch = helper.make_node(
        "If", ["odd"], ["next"],
        then_branch=helper.make_graph([add], "then", [], [info("t", 1, [2, 3])]),
        else_branch=helper.make_graph([mul], "else", [], [info("e", 1, [2, 3])]),
    )  # fmt: skip
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["still"]), branch,
         helper.make_node("Relu", ["next"], ["row"])],
        "body",
        [info("i", 7, []), info("go", 9, []), info("state", 1, [2, 3])],
        [info("still", 9, []), info("next", 1, [2, 3]), info("row", 1, [2, 3])],
    )  # fmt: skip
    loop = helper.make_node("Loop", ["turns", "", "x"], ["last", "rows"], "loop", body=body)
    graph = helper.make_graph(
        [loop], "nested",
        [info("x", 1, [2, 3]), info("step", 1, [3]), info("odd", 9, [])],
        [info("last", 1, [2, 3]), info("rows", 1, [3, 2, 3])],
        [tensor("w", [2.0, -1.0, 0.5]), numpy_helper.from_array(np.array(3), "turns")],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


@pytest.mark.parametrize("opset", [8, 11, 13, 16, 21])
@pytest.mark.parametrize("odd", [True, False])
def test_nested_graphs_survive(opset: int, odd: bool) -> None:
    model = nested(opset)
    feeds = {
        "x": np.arange(-3, 3, dtype=np.float32).reshape(2, 3),
        "step": np.array([1, 2, 3], np.float32),
        "odd": np.array(odd),
    }
    expected = ort_run(model, feeds)
    graph = load(model)
    for name, want in zip(graph.output_names, expected, strict=True):
        np.testing.assert_array_equal(run(graph, feeds)[name], want)
    require_same(graph, feeds, expected)
    again = load(to_onnx(graph))
    require_same(again, feeds, expected)
    expand_all(graph)
    require_same(graph, feeds, expected)


def test_a_large_constant_of_several_graphs_is_written_once() -> None:
    info = helper.make_tensor_value_info
    add, mul = (helper.make_node(type, ["x", "w"], ["r"]) for type in ("Add", "Mul"))
    branch = helper.make_node(
        "If", ["c"], ["y"],
        then_branch=helper.make_graph([add], "then", [], [info("r", 1, [999])]),
        else_branch=helper.make_graph([mul], "else", [], [info("r", 1, [999])]),
    )  # fmt: skip
    inputs = [info("x", 1, [999]), info("c", 9, [])]
    weights = tensor("w", np.arange(999))
    graph = helper.make_graph([branch], "g", inputs, [info("y", 1, [999])], [weights])
    opsets = [helper.make_opsetid("", 13)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    feeds = {"x": np.ones(999, np.float32), "c": np.array(False)}
    loaded = load(model)
    require_same(loaded, feeds, ort_run(model, feeds))
    assert to_onnx(loaded).ByteSize() < 1.2 * weights.ByteSize()


# ---- names ----------------------------------------------------------------------------------

X = TensorType(DType.F32, (2, 3))


def test_outputs_that_are_inputs_constants_or_repeated() -> None:
    graph = Graph("g", {"": 13})
    x = graph.add_input("x", X)
    weight = graph.add_constant(np.ones(2, np.float32), "w")
    relu = graph.add(OnnxOperator("Relu", 13), [x]).result
    graph.set_outputs([("x", x), ("copy", x), ("one", weight), ("a", relu), ("b", relu)])
    array = np.array([[1, -2, 3], [-4, 5, -6]], np.float32)
    relued = np.maximum(array, 0)
    feeds = {"x": array}
    expected = [array, array, np.ones(2, np.float32), relued, relued]
    require_same(graph, feeds, expected)


def test_every_name_is_unique_whatever_the_labels() -> None:
    graph = Graph("g")
    value = graph.add_input("in put", X)
    for label in ("", "y", "y", "in put", "new\nline", "y_2", "\x00"):
        value = graph.add(Map(parse_expr("a0 + 1")), [value], label=label).result
    graph.set_outputs({"y": value})
    zeros = np.zeros((2, 3), np.float32)
    require_same(graph, {"in put": zeros}, [zeros + 7])


def test_inputs_without_names_of_their_own_are_refused() -> None:
    graph = Graph("g")
    one, two = graph.add_input("x", X), graph.add_input("x", X)
    graph.set_outputs({"y": graph.add(Map(parse_expr("a0 + a1")), [one, two]).result})
    with pytest.raises(VerifyError, match="inputs of graph 'g' need names"):
        to_onnx(graph)


# ---- core ops -------------------------------------------------------------------------------


def test_equal_bodies_share_one_function() -> None:
    graph = Graph("g")
    value = graph.add_input("x", X)
    for text in ("max(a0, 0.0)", "a0 + 1.0", "max(a0, 0.0)"):
        value = graph.add(Map(parse_expr(text)), [value]).result
    graph.set_outputs({"y": value})
    model = exported(graph)
    assert [f.name for f in model.functions] == ["map", "map_2"]
    assert [node.op_type for node in model.graph.node] == ["map", "map_2", "map"]


def test_older_named_ops_are_expanded_where_their_meaning_changed() -> None:
    model = convolutional(11)
    graph = load(model, dims={"N": 2})
    (relu,) = [op for op in graph.ops if op.label == "relu"]
    expand_op(relu)
    before = [op.operator.label for op in graph.ops]
    types = {node.op_type for node in to_onnx(graph).graph.node}
    assert "Softmax" not in types  # it flattens before opset 13
    assert {"Conv", "MaxPool", "Gemm"} <= types
    assert [op.operator.label for op in graph.ops] == before  # a copy was expanded
    feeds = {"x": np.random.default_rng(0).standard_normal((2, 2, 6, 6)).astype(np.float32)}
    require_same(graph, feeds, ort_run(model, feeds), rtol=1e-4, atol=1e-5)


def test_unread_operands_still_broadcast() -> None:
    graph = Graph("g")
    x, y = graph.add_input("x", X), graph.add_input("y", TensorType(DType.F32, (3,)))
    graph.set_outputs({"z": graph.add(Map(parse_expr("a1 + f32(1)")), [x, y]).result})
    feeds = {"x": np.zeros((2, 3), np.float32), "y": np.array([1, 2, 3], np.float32)}
    require_same(graph, feeds, [np.array([[2, 3, 4]] * 2, np.float32)])


DTYPES = ["f32", "f64", "f16", "i8", "i16", "i32", "i64", "u8", "u16", "u32"]
FLOATING = {"exp", "log", "sqrt", "sigmoid", "tanh", "erf", "sin", "cos", "atan", "floor", "ceil",
            "round", "isnan", "log1p"}  # fmt: skip
LOGICAL = {"and", "or", "xor", "not"}
#: onnxruntime has no kernel for these on float64
NO_F64 = {"atan", "erf"}


def operands(dtype: DType, count: int, *, logical: bool) -> list[np.ndarray[Any, Any]]:
    if logical:
        return [np.array([False, True, False, True]), np.array([False, False, True, True])][:count]
    if dtype.is_float:
        values = [[0.5, 1.25, 3.5, 2.5], [1.5, 0.75, 2.0, 2.5], [0.0, 1.0, 2.0, 3.0]]
    else:
        values = [[7, 100, 3, 0], [2, 0, 5, 3], [1, 2, 3, 4]]
        if dtype.is_signed:
            values[0] = [-7, 100, 3, -128]
    return [np.array(v).astype(dtype.numpy) for v in values[:count]]


SHIFTS = {"shl", "shr"}  # of signed integers ONNX has none
BITS = {"bitand", "bitor", "bitxor", "bitnot", *SHIFTS}


def scalar_cases() -> list[Any]:
    cases = []
    for name, row in SCALARS.items():
        for text in ["bool"] if name in LOGICAL else DTYPES:
            dtype = DType(text)
            if (name in FLOATING and not dtype.is_float) or (name in NO_F64 and text == "f64"):
                continue
            if name == "neg" and not dtype.is_signed:
                continue
            if (name in BITS and not dtype.is_integer) or (name in SHIFTS and dtype.is_signed):
                continue
            cases.append(pytest.param(name, row.arity, dtype, id=f"{name}-{text}"))
    return cases


def require_expression(
    expr: Expr, arrays: Sequence[np.ndarray[Any, Any]], **tolerance: float
) -> None:
    graph = Graph("g")
    feeds = {f"x{k}": array for k, array in enumerate(arrays)}
    inputs = [graph.add_input(n, TensorType(DType.of(a), a.shape)) for n, a in feeds.items()]
    graph.set_outputs({"y": graph.add(Map(expr), inputs).result})
    require_same(graph, feeds, [run(graph, feeds)["y"]], **tolerance)


@pytest.mark.parametrize(("name", "arity", "dtype"), scalar_cases())
def test_scalar_functions_mean_the_same(name: str, arity: int, dtype: DType) -> None:
    if name == "select":
        arrays = [np.array([True, False, True, False]), *operands(dtype, 2, logical=False)]
    else:
        arrays = operands(dtype, arity, logical=name in LOGICAL)
    if name == "pow" and not dtype.is_float:
        arrays[1] %= 3
        arrays[1] = np.abs(arrays[1])
    close = {"rtol": 2e-3} if dtype is DType.F16 else {"rtol": 1e-5}
    require_expression(Call(name, tuple(map(Arg, range(arity)))), arrays, **close)


@pytest.mark.parametrize("source", [*DTYPES, "bool"])
@pytest.mark.parametrize("target", [*DTYPES, "bool"])
def test_casts_mean_the_same(source: str, target: str) -> None:
    arrays = operands(DType(source), 1, logical=source == "bool")
    if DType(source).is_float:
        ends = [-np.inf, -1e30, -200.7, -0.9, 1.5, 300.2, 70000.0, np.nan, np.inf]
        if target != "u64":
            ends += [2.0**31, 2.0**63, 3e30]
        with np.errstate(over="ignore"):
            arrays = [np.array(ends).astype(DType(source).numpy)]
    with np.errstate(over="ignore"):
        require_expression(parse_expr(f"{target}(a0)"), arrays)


_LEAVES = st.one_of(
    st.integers(0, 1).map(Arg),
    st.sampled_from([0.5, -1.25, 2.0, 0.0, 3]).map(Const),
)


def _grow(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    binary = st.sampled_from(["add", "sub", "mul", "max", "min"])
    compare = st.sampled_from(["lt", "le", "eq"])
    pair = st.tuples(inner, inner)
    return st.one_of(
        st.builds(Call, binary, pair),
        st.builds(Call, st.sampled_from(["neg", "abs", "floor", "sigmoid"]), st.tuples(inner)),
        st.builds(
            lambda c, p, q: Call("select", (Call(c, p), *q)), compare, pair, st.tuples(inner, inner)
        ),
    )


@settings(max_examples=30)
@given(st.recursive(_LEAVES, _grow, max_leaves=8))
def test_any_expression_means_the_same(expr: Expr) -> None:
    whole = Call("add", (Call("f32", (expr,)), Arg(0)))
    arrays = [np.array([-1.5, 0.0, 2.0, 0.5], np.float32), np.array([1, -2, 2.0, 0], np.float32)]
    require_expression(whole, arrays)


# ---- attributes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", [1, 0.5, "text", "\udcff", (1, 2), (0.5, 1.0), ("a", "b")], ids=repr
)
def test_attributes_come_back(value: Any) -> None:
    assert from_attribute(to_attribute("a", value)) == value


def test_attributes_take_the_kind_their_schema_declares() -> None:
    node = OnnxOperator("LeakyRelu", 13, (("alpha", 1),)).node(1, 1)
    assert node.attribute[0].type == onnx.AttributeProto.FLOAT
    node = OnnxOperator("Transpose", 13, (("perm", ()),)).node(1, 1)
    assert node.attribute[0].type == onnx.AttributeProto.INTS


# ---- files ----------------------------------------------------------------------------------


def test_save_writes_the_file_and_nothing_else(tmp_path: Path) -> None:
    graph = load(convolutional(13))
    save(graph, tmp_path / "m.onnx")
    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]
    assert load(tmp_path / "m.onnx").output_names == ("y",)


def test_large_weights_go_beside_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dlc.exporter, "MAX_FILE_BYTES", 100)
    graph = load(convolutional(13))
    (weight,) = [op for op in graph.ops if op.label == "v"]
    graph.replace(weight, [graph.add_constant(np.ones((5, 36), np.float32).repeat(1, 0), "v")])
    save(graph, tmp_path / "m.onnx")
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names in (["m.onnx"], ["m.onnx", "m.onnx.data"])
    feeds = {"x": np.ones((1, 2, 6, 6), np.float32)}
    found = run(load(tmp_path / "m.onnx"), feeds)["y"]
    np.testing.assert_array_equal(found, run(graph, feeds)["y"])
    session = ort.InferenceSession(tmp_path / "m.onnx")
    np.testing.assert_allclose(session.run(None, feeds)[0], found, rtol=1e-4, atol=1e-5)


def test_an_unwritable_folder_is_one_sentence(tmp_path: Path) -> None:
    graph = load(convolutional(13))
    with pytest.raises(BuildError, match=r"cannot write .*: No such file or directory"):
        save(graph, tmp_path / "nowhere" / "m.onnx")
