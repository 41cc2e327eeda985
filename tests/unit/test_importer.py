"""Reading models: what they may leave open, what they must not claim, and what they may not do."""

from __future__ import annotations

import contextlib
import itertools
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from onnx import TensorProto, helper, numpy_helper

from dlc.errors import DlcError, ModelError, UnsupportedError
from dlc.importer import load
from dlc.interp import run
from dlc.ir.types import Symbol

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def info(name: str, shape: Sequence[int | str | None] | None, kind: int = FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def node(type: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(type, inputs.split(), outputs.split(), **attributes)


def model(
    nodes: Sequence[onnx.NodeProto], inputs: Sequence[Any], outputs: Sequence[str], *constants: Any,
    opset: int = 13, **kwargs: Any,
) -> onnx.ModelProto:  # fmt: skip
    graph = helper.make_graph(
        nodes, "test", inputs, [onnx.ValueInfoProto(name=name) for name in outputs],
        list(constants), **kwargs,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def tensor(name: str, values: Any, dtype: Any = np.float32) -> TensorProto:
    return numpy_helper.from_array(np.array(values, dtype), name)


RELU = model([node("Relu", "x", "y")], [info("x", [2, 3])], ["y"])


# ---- sources ------------------------------------------------------------------------------


def test_every_kind_of_source_gives_the_same_graph(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(RELU, path)
    typed = onnx.ModelProto.FromString(RELU.SerializeToString())
    typed.graph.output[0].CopyFrom(info("y", [2, 3]))
    surgeon = gs.import_onnx(typed)
    for source in (path, str(path), RELU.SerializeToString(), RELU, surgeon):
        graph = load(source)
        assert graph.input_names == ("x",)
        assert graph.output_names == ("y",)
        assert [op.operator.label for op in graph.ops] == ["input", "onnx.Relu", "output"]
        assert graph.outputs[0].shape == (2, 3)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (b"", "holds no graph"),
        (b"not a model", "not an ONNX file"),
        (42, "not int"),
        ("/nowhere/m.onnx", "cannot read /nowhere/m.onnx"),
    ],
)
def test_what_is_no_model_is_refused(source: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load(source)


def test_a_truncated_file_is_refused_wherever_it_ends() -> None:
    data = model(
        [node("Add", "x w", "y")], [info("x", [4])], ["y"], tensor("w", [1, 2, 3, 4])
    ).SerializeToString()
    assert load(data)
    for end in range(len(data)):
        with pytest.raises((ModelError, UnsupportedError)):
            load(data[:end])


@pytest.mark.parametrize("opset", [5, 29, 10**9])
def test_other_opsets_are_refused(opset: int) -> None:
    with pytest.raises(ModelError, match=f"opset {opset}; dlc reads 7 to 28"):
        load(model([node("Add", "x x", "y")], [info("x", [1])], ["y"], opset=opset))


def test_an_older_opset_is_read_where_its_operators_are_the_same() -> None:
    graph = load(model([node("Relu", "x", "y")], [info("x", [1])], ["y"], opset=6))
    assert graph.opsets[""] == 7
    with pytest.raises(ModelError, match="opset 5; dlc reads 7 to 28"):
        load(model([node("Relu", "x", "y")], [info("x", [1])], ["y"], opset=5))


@pytest.mark.parametrize(
    ("kind", "shape", "attributes", "aligned"),
    [
        ("Add", [3], {"broadcast": 1, "axis": 1}, [3, 1]),
        ("Mul", [3, 4], {"broadcast": 1, "axis": 1}, [3, 4]),
        ("Sub", [4], {"broadcast": 1}, [4]),
        ("Add", [2], {"broadcast": 1, "axis": -3}, [2, 1, 1]),
        ("PRelu", [3], {}, [3, 1]),
        ("PRelu", [1], {}, [1]),
    ],
)
def test_broadcasting_before_opset_7(
    kind: str, shape: list[int], attributes: dict[str, int], aligned: list[int]
) -> None:
    old = helper.make_node(kind, ["x", "w"], ["y"], **attributes)
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4) - 12
    weight = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    inputs = [info("x", x.shape), info("w", shape)]
    graph = load(model([old], inputs, ["y"], numpy_helper.from_array(weight, "w"), opset=6))
    w = weight.reshape(aligned)
    expected = {"Add": x + w, "Mul": x * w, "Sub": x - w, "PRelu": np.where(x < 0, x * w, x)}
    np.testing.assert_array_equal(run(graph, {"x": x})["y"], expected[kind])


def test_what_an_older_opset_leaves_open_is_refused() -> None:
    add = helper.make_node("Add", ["x", "w"], ["y"], broadcast=1, axis=1)
    with pytest.raises(ModelError, match="the rank of its operand 1 is not known"):
        load(model([add], [info("x", [2, 3, 4]), info("w", None)], ["y"], opset=6))
    training = node("BatchNormalization", "x s b m v", "y")
    inputs = [info("x", [1, 2, 3]), *(info(name, [2]) for name in "sbmv")]
    with pytest.raises(ModelError, match="trains"):
        load(model([training], inputs, ["y"], opset=6))


# ---- dims ---------------------------------------------------------------------------------

DYNAMIC = model([node("Relu", "x", "y")], [info("x", ["N", 3, "H", None])], ["y"])


def test_dims_and_shapes_fix_what_is_open() -> None:
    told: list[str] = []
    graph = load(DYNAMIC, shapes={"x": [2, 3, 4, 5]}, notify=told.append)
    assert graph.inputs[0].shape == (2, 3, 4, 5)
    assert not told
    open_width = model([node("Relu", "x", "y")], [info("x", ["N", "H"])], ["y"])
    assert load(open_width, dims={"H": 7, "N": 2}).outputs[0].shape == (2, 7)


def test_a_leading_dim_becomes_one_and_says_so() -> None:
    told: list[str] = []
    two = model(
        [node("Add", "x z", "y")], [info("x", ["N", 3]), info("z", [1, "N"])], ["y"]
    )  # fmt: skip
    assert load(two, notify=told.append).outputs[0].shape == (1, 3)
    assert len(told) == 1
    assert "dim 'N' of input 'x' is not fixed and becomes 1 (--dim N=SIZE" in told[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {},
            r"dim 2 of input 'x' is not fixed; .* --dim H=SIZE, --max H=SIZE .* or --shape x=Nx3xNxN",
        ),
        ({"dims": {"H": 4}}, r"dim 3 of input 'x' .* --dim x.3=SIZE, .* or --shape x="),
        ({"dims": {"Q": 4}}, "no dim 'Q' to fix; it has 'H', 'N'"),
        ({"dims": {"H": -4}}, "dim 'H' cannot be -4"),
        ({"shapes": {"z": [1]}}, "no input 'z' to fix; it has 'x'"),
        ({"shapes": {"x": [1, 3]}}, "has 4 dims, but --shape gives 2"),
        ({"shapes": {"x": [1, 5, 2, 2]}}, "5 stands where the model .* says 3"),
        ({"shapes": {"x": [1, 3, 2, 2]}, "dims": {"H": 9}}, "2 stands where .* says 9"),
        ({"shapes": {"x": [1, 3, 1 << 30, 1 << 30]}}, "too large to be meant"),
    ],
)
def test_a_wrong_or_missing_size_names_its_option(options: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load(DYNAMIC, **options)


def test_an_input_without_rank_needs_a_shape() -> None:
    unranked = model([node("Relu", "x", "y")], [info("x", None)], ["y"])
    with pytest.raises(ModelError, match="--shape x=1x3x224x224"):
        load(unranked)
    assert load(unranked, shapes={"x": (5,)}).outputs[0].shape == (5,)


# ---- sizes computed in the model ------------------------------------------------------------


def test_sizes_computed_from_shapes_are_known() -> None:
    nodes = [
        node("Shape", "x", "s"), node("Gather", "s zero", "n"), node("Unsqueeze", "n axes", "n1"),
        node("Concat", "n1 minus", "target", axis=0), node("Reshape", "x target", "y"),
        node("Size", "x", "count"),
    ]  # fmt: skip
    built = model(
        nodes, [info("x", [6, 2, 5])], ["y", "count"], tensor("zero", 0, np.int64),
        tensor("axes", [0], np.int64), tensor("minus", [-1], np.int64),
    )  # fmt: skip
    graph = load(built)
    assert graph.outputs[0].shape == (6, 10)
    assert graph.outputs[1].constant == 60
    assert sorted(op.operator.label for op in graph.ops) == [
        "constant", "constant", "input", "onnx.Reshape", "output",
    ]  # fmt: skip


def test_random_and_quantised_constants_are_not_folded() -> None:
    nodes = [
        node("RandomNormal", "", "r", shape=[2]),
        node("DequantizeLinear", "q scale", "d"),
        node("Add", "r d", "y"),
    ]
    graph = load(model(nodes, [], ["y"], tensor("q", [1, 2], np.int8), tensor("scale", 0.5)))
    labels = [op.operator.label for op in graph.ops]
    assert "onnx.RandomNormal" in labels
    assert "onnx.DequantizeLinear" in labels


def test_sizes_found_at_run_time_get_a_bound_and_a_name_of_their_own() -> None:
    nodes = [node("NonZero", "x", "a", name="first"), node("NonZero", "x", "b", name="second")]
    graph = load(model(nodes, [info("x", [2, 3])], ["a", "b"]))
    dims = [value.type.shape[1] for value in graph.outputs]
    assert dims == [Symbol("nonzero", 6), Symbol("nonzero_2", 6)]


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ({"value": tensor("", [[1, 2]])}, np.array([[1, 2]], np.float32)),
        ({"value_float": 1.5}, np.array(1.5, np.float32)),
        ({"value_floats": [1.5, 2.5]}, np.array([1.5, 2.5], np.float32)),
        ({"value_int": 3}, np.array(3)),
        ({"value_ints": [3, 4]}, np.array([3, 4])),
        ({"value_string": "a"}, np.array("a", object)),
        ({"value_strings": ["a", "b"]}, np.array(["a", "b"], object)),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_constants_of_every_form(attribute: Any, expected: Any) -> None:
    graph = load(model([node("Constant", "", "y", **attribute)], [], ["y"]))
    array = graph.outputs[0].constant
    assert array is not None
    assert array.dtype == expected.dtype
    np.testing.assert_array_equal(array, expected)


def test_sparse_constants_are_refused() -> None:
    values = tensor("v", [1.0])
    sparse = helper.make_sparse_tensor(values, tensor("i", [1], np.int64), [3])
    with pytest.raises(ModelError, match="sparse_value"):
        load(model([node("Constant", "", "y", sparse_value=sparse)], [], ["y"]))
    with pytest.raises(UnsupportedError, match="'v' is sparse"):
        load(model([node("Relu", "v", "y")], [], ["y"], sparse_initializer=[sparse]))


def test_an_initializer_that_is_also_an_input_is_a_constant() -> None:
    built = model(
        [node("Add", "x w", "y")], [info("x", [2]), info("w", [2])], ["y"], tensor("w", [1, 2])
    )
    graph = load(built)
    assert graph.input_names == ("x",)
    np.testing.assert_array_equal(run(graph, {"x": np.zeros(2, np.float32)})["y"], [1, 2])


# ---- what a model declares ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "text"),
    [
        (info("y", [2, 4]), r"f32\[2,4\]"),
        (info("y", [2]), r"f32\[2\]"),
        (info("y", ["N", 3, 1]), r"f32\[N,3,1\]"),
        (info("y", [2, 3], INT64), r"i64\[2,3\]"),
    ],
)
@pytest.mark.parametrize("where", ["output", "value_info"])
def test_a_contradicting_declaration_is_refused(declared: Any, text: str, where: str) -> None:
    nodes = [node("Relu", "x", "y"), node("Abs", "y", "z")]
    built = model(nodes, [info("x", [2, 3])], ["z"])
    getattr(built.graph, where).append(declared)
    with pytest.raises(ModelError, match=rf"'y' is declared as {text} .* computes f32\[2,3\]"):
        load(built)


def test_an_open_declaration_is_not_a_claim() -> None:
    built = model([node("Relu", "x", "y")], [info("x", [2, 3])], [])
    built.graph.output.append(info("y", ["anything", None]))
    assert load(built).outputs[0].shape == (2, 3)


# ---- external data --------------------------------------------------------------------------


def external(**entries: str) -> onnx.ModelProto:
    weights = TensorProto(name="w", data_type=FLOAT, dims=[4], data_location=1)
    for key, value in entries.items():
        weights.external_data.add(key=key, value=value)
    return model([node("Add", "x w", "y")], [info("x", [4])], ["y"], weights)


def test_external_data_is_read_from_the_models_folder(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "w.bin").write_bytes(b"\0" * 8 + np.arange(4, dtype=np.float32).tobytes())
    path = tmp_path / "m.onnx"
    onnx.save(external(location="sub/w.bin", offset="8", length="16"), path)
    found = run(load(path), {"x": np.ones(4, np.float32)})["y"]
    np.testing.assert_array_equal(found, [1, 2, 3, 4])


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"location": "../secret"}, "only files in the model's folder"),
        ({"location": "a/../../secret"}, "only files in the model's folder"),
        ({"location": "/etc/passwd"}, "only files in the model's folder"),
        ({"location": "C:\\secret"}, "only files in the model's folder"),
        ({"location": "..\\secret"}, "only files in the model's folder"),
        ({"location": ""}, "only files in the model's folder"),
        ({}, "only files in the model's folder"),
        ({"location": "link"}, "refers through a link"),
        ({"location": "folder/secret"}, "refers through a link"),
        ({"location": "missing"}, "is missing"),
        ({"location": "."}, "is missing"),
        ({"location": "w.bin", "offset": "8"}, "ends earlier"),
        ({"location": "w.bin", "offset": "-4"}, "offset '-4' is not a number"),
        ({"location": "w.bin", "length": "8"}, "takes 16 bytes, but its external data has 8"),
        ({"location": "w.bin", "length": "9" * 40}, "is not a number"),
    ],
)
def test_external_data_stays_inside(tmp_path: Path, entries: Any, message: str) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "model"
    outside.mkdir()
    folder.mkdir()
    (outside / "secret").write_bytes(b"\1" * 16)
    (folder / "w.bin").write_bytes(b"\1" * 16)
    (folder / "link").symlink_to(outside / "secret")
    (folder / "folder").symlink_to(outside)
    onnx.save(external(**entries), folder / "m.onnx")
    with pytest.raises(ModelError, match=message):
        load(folder / "m.onnx")


def test_external_data_needs_a_path() -> None:
    with pytest.raises(ModelError, match="load the model from its path"):
        load(external(location="w.bin"))


# ---- hostile models -------------------------------------------------------------------------


def nested(depth: int) -> onnx.NodeProto:
    inner = node("Relu", "x", "leaf") if not depth else nested(depth - 1)
    deep = helper.make_graph([inner], "b", [], [onnx.ValueInfoProto(name=inner.output[0])])
    flat = helper.make_graph([node("Relu", "x", "f")], "f", [], [onnx.ValueInfoProto(name="f")])
    return node("If", "c", f"d{depth}", then_branch=deep, else_branch=flat)


X = info("x", [2, 3])
HUGE = tensor("s", [1 << 30, 1 << 30], np.int64)
HOSTILE = {
    "duplicate": (model([node("Relu", "x", "y"), node("Abs", "x", "y")], [X], ["y"]), "'y' twice"),
    "input twice": (model([node("Relu", "x", "y")], [X, X], ["y"]), "'x' twice"),
    "cycle": (model([node("Add", "x b", "a"), node("Relu", "a", "b")], [X], ["b"]), "reads 'b'"),
    "missing": (model([node("Relu", "ghost", "y")], [X], ["y"]), "reads 'ghost'"),
    "no output": (model([node("Relu", "x", "y")], [X], ["z"]), "reads 'z'"),
    "output twice": (model([node("Relu", "x", "y")], [X], ["y", "y"]), "lists an output twice"),
    "negative": (model([node("Relu", "x", "y")], [info("x", [-5])], ["y"]), "negative size -5"),
    "huge": (model([node("Expand", "x s", "y")], [info("x", [1])], ["y"], HUGE), "too large"),
    "huge fill": (model([node("ConstantOfShape", "s", "y")], [], ["y"], HUGE), "too large"),
    "tensor": (
        model([node("Relu", "w", "y")], [], ["y"], TensorProto(name="w", data_type=1, dims=[1 << 60])),
        "does not hold",
    ),
    "tensor dims": (
        model([node("Relu", "w", "y")], [], ["y"], TensorProto(name="w", data_type=1, dims=[-1])),
        "negative size",
    ),
    "tensor type": (
        model([node("Relu", "w", "y")], [], ["y"], TensorProto(name="w", data_type=99)),
        "element type 99",
    ),
    "operands": (model([node("Conv", "x", "y")], [X], ["y"]), "input size 1"),
    "results": (model([node("Relu", "x", "y z")], [X], ["y"]), "node 'Relu_0'"),
    "shapes": (model([node("MatMul", "x x", "y")], [X], ["y"]), r"MatMul\(f32\[2,3\], f32\[2,3\]\)"),
    "attribute": (model([node("Relu", "x", "y", axis=1)], [X], ["y"]), "Unrecognized attribute"),
    "attribute type": (
        model([node("Transpose", "x", "y", perm=[0.5, 1.0])], [X], ["y"]), "attribute type"
    ),
    "condition": (
        model([nested(0)], [X, info("c", [], FLOAT)], ["d0"]), "node 'If_0'"
    ),
    "deep": (model([nested(31)], [X, info("c", [], BOOL)], ["d31"]), "(deep|too)"),
    "domain": (model([node("Relu", "x", "y", domain="my")], [X], ["y"]), "no opset of domain 'my'"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_models_are_refused_in_one_sentence(name: str) -> None:
    built, message = HOSTILE[name]
    with pytest.raises(ModelError, match=message) as caught:
        load(built)
    assert "\n" not in str(caught.value)


def test_unknown_operators_are_named_with_their_node() -> None:
    with pytest.raises(UnsupportedError, match=r"node 'mine': operator Frobnicate is not in opset"):
        load(model([node("Frobnicate", "x", "y", name="mine")], [X], ["y"]))


def test_values_that_are_no_tensors_are_refused() -> None:
    built = model([node("Identity", "m", "y")], [X], ["y"])
    floats = onnx.helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, [1])
    kind = onnx.TypeProto(
        map_type=onnx.TypeProto.Map(key_type=onnx.TensorProto.INT64, value_type=floats)
    )
    built.graph.input.append(onnx.helper.make_value_info("m", kind))
    with pytest.raises(UnsupportedError, match="kind map"):
        load(built)


def test_damaged_models_never_raise_anything_else() -> None:
    chance = random.Random(7)  # a damaged byte is as good as any other
    for data in (loop(4).SerializeToString(), DYNAMIC.SerializeToString()):
        for _ in range(1500):
            damaged = bytearray(data)
            for _ in range(chance.randint(1, 3)):
                damaged[chance.randrange(len(data))] = chance.randrange(256)
            with contextlib.suppress(DlcError):
                load(bytes(damaged))


# ---- functions ------------------------------------------------------------------------------


def with_functions(*bodies: tuple[str, Sequence[onnx.NodeProto]]) -> onnx.ModelProto:
    built = model([node(bodies[0][0], "x", "y", domain="f")], [X], ["y"])
    imports = [helper.make_opsetid("", 13), helper.make_opsetid("f", 1)]
    built.opset_import.append(imports[1])
    for name, nodes in bodies:
        built.functions.append(helper.make_function("f", name, ["a"], ["b"], nodes, imports))
    return built


def test_functions_are_inlined() -> None:
    twice = [node("Inc", "a", "m", domain="f"), node("Inc", "m", "b", domain="f")]
    inc = [node("Constant", "", "one", value_float=1.0), node("Add", "a one", "b")]
    graph = load(with_functions(("Twice", twice), ("Inc", inc)))
    x = np.zeros((2, 3), np.float32)
    np.testing.assert_array_equal(run(graph, {"x": x})["y"], x + 2)


def test_functions_that_explode_or_recurse_are_refused() -> None:
    calls = [
        (f"F{k}", [node(f"F{k + 1}", "a", name, domain="f") for name in ["m", "n", "b"]])
        for k in range(14)
    ]
    with pytest.raises(ModelError, match="unfold into over"):
        load(with_functions(*calls, ("F14", [node("Relu", "a", "b")])))
    with pytest.raises(ModelError, match="calls itself"):
        load(with_functions(("F", [node("F", "a", "b", domain="f")])))


# ---- nested graphs --------------------------------------------------------------------------


def body(
    nodes: Sequence[onnx.NodeProto], outputs: Sequence[Any], inputs: Sequence[Any] = ()
) -> Any:
    return helper.make_graph(nodes, "body", list(inputs), list(outputs))


def test_captures_become_operands() -> None:
    then = body([node("Add", "x w", "t")], [info("t", [2, 3])])
    other = body([node("Mul", "x z", "e")], [info("e", [2, 3])])
    branch = node("If", "c", "y", then_branch=then, else_branch=other)
    built = model([branch], [info("c", [], BOOL), X, info("z", [3])], ["y"], tensor("w", [1, 2, 3]))
    graph = load(built)
    (op,) = [op for op in graph.ops if op.operator.label == "onnx.If"]
    assert [v.op.label for v in op.operands if v is not None] == ["c", "x", "z"]
    for region in op.operator.regions():
        assert region.input_names == ("x", "z")
    x, z = np.ones((2, 3), np.float32), np.full(3, 5, np.float32)
    for condition, want in ((True, x + np.array([1, 2, 3], np.float32)), (False, x * 5)):
        found = run(graph, {"c": np.array(condition), "x": x, "z": z})["y"]
        np.testing.assert_array_equal(found, want)


def test_a_known_condition_takes_its_branch() -> None:
    then = body([node("Identity", "x", "t")], [info("t", [2, 3])])
    other = body([node("Squeeze", "x", "e", axes=[0])], [info("e", [3])])  # not even well-typed
    branch = node("If", "c", "y", then_branch=then, else_branch=other)
    graph = load(model([branch], [X], ["y"], tensor("c", True, bool), opset=11))
    assert [op.operator.label for op in graph.ops] == ["input", "onnx.Identity", "output"]


def test_branches_that_differ_in_size_get_a_bound() -> None:
    then = body([node("Concat", "x x", "t", axis=0)], [info("t", None)])
    other = body([node("Relu", "x", "e")], [info("e", None)])
    branch = node("If", "c", "y", then_branch=then, else_branch=other, name="if")
    graph = load(model([branch], [info("c", [], BOOL), X], ["y"]))
    assert graph.outputs[0].type.shape == (Symbol("if_0", 4, 2), 3)


def loop(turns: int | None, changes: bool = False) -> onnx.ModelProto:
    nodes = [
        node("Add", "s x", "s2") if not changes else node("Concat", "s x", "s2", axis=0),
        node("ReduceSum", "s2", "total", keepdims=0),
        node("Less", "total limit", "go"),
    ]
    inputs = [info("i", [], INT64), info("c", [], BOOL), info("s", None)]
    outputs = [info("go", [], BOOL), info("s2", None), info("total", [])]
    nodes = [node("Loop", "m go0 x", "last sums", body=body(nodes, outputs, inputs))]
    constants = [tensor("limit", 100), tensor("go0", True, bool)]
    inputs = [X]
    if turns is None:
        inputs.append(info("m", [], INT64))
    else:
        constants.append(tensor("m", turns, np.int64))
    return model(nodes, inputs, ["last", "sums"], *constants)


def test_loops_collect_up_to_their_most_turns() -> None:
    graph = load(loop(4))
    assert graph.outputs[0].shape == (2, 3)
    assert graph.outputs[1].type.bounds == (4,)
    found = run(graph, {"x": np.full((2, 3), 6, np.float32)})
    np.testing.assert_array_equal(found["sums"], [72, 108])
    np.testing.assert_array_equal(found["last"], np.full((2, 3), 18))


def test_loops_without_bound_are_refused() -> None:
    for changes in (False, True):
        with pytest.raises(UnsupportedError, match=r"nothing bounds .* give --max Loop_0=SIZE"):
            load(loop(None, changes))


def test_states_that_grow_steadily_are_bounded_by_the_turns() -> None:
    last, _ = load(loop(4, changes=True)).outputs
    assert last.type.bounds == (10, 3)


def test_scan_runs_along_its_axes() -> None:
    nodes = [node("Add", "s e", "s2"), node("Mul", "e w", "o")]
    inner = body(nodes, [info("s2", None), info("o", None)], [info("s", None), info("e", None)])
    scan = node("Scan", "zero x", "sum out", body=inner, num_scan_inputs=1,
                scan_input_axes=[1], scan_output_axes=[1], scan_input_directions=[1])  # fmt: skip
    graph = load(model([scan], [X, info("w", [2])], ["sum", "out"], tensor("zero", [0, 0])))
    assert [value.shape for value in graph.outputs] == [(2,), (2, 3)]
    x, w = np.arange(6, dtype=np.float32).reshape(2, 3), np.array([1, 10], np.float32)
    found = run(graph, {"x": x, "w": w})
    np.testing.assert_array_equal(found["sum"], x.sum(1))
    np.testing.assert_array_equal(found["out"], x[:, ::-1] * w[:, None])


def test_a_long_chain_imports_quickly() -> None:
    names = ["x", *(f"v{k}" for k in range(20_000))]
    nodes = [node("Relu", a, b) for a, b in itertools.pairwise(names)]
    data = model(nodes, [X], [names[-1]]).SerializeToString()
    start = time.process_time()
    assert len(load(data)) == 20_002
    assert time.process_time() - start < 4
