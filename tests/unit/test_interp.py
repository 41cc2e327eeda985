"""Named ops through the interpreter, against onnxruntime, from opset 7 on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper

from dlc.errors import InputError
from dlc.importer import load
from dlc.interp import check_inputs, run
from dlc.ir.evaluate import evaluate_graph
from dlc.ir.graph import Graph
from dlc.ir.types import DType, Symbol, TensorType
from dlc.ops.onnx.operator import OnnxOperator

ort.set_default_logger_severity(3)


@dataclass(frozen=True)
class Case:
    """One node: its operands (an array is a constant, a shape an input) and attributes."""

    type: str
    opset: int
    operands: Sequence[Any]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    results: int = 1

    def __str__(self) -> str:
        return f"{self.type}-{self.opset}" + "".join(f"-{k}" for k in self.attrs)


def i64(*values: int) -> np.ndarray[Any, Any]:
    return np.array(values, np.int64)


def f32(*values: float) -> np.ndarray[Any, Any]:
    return np.array(values, np.float32)


_RNG = np.random.default_rng(0)


def weights(*shape: int) -> np.ndarray[Any, Any]:
    return _RNG.uniform(0.1, 1.0, shape).astype(np.float32)


IMAGE = (2, 4, 7, 6)
CASES = [
    Case("Conv", 7, [IMAGE, weights(6, 2, 3, 3), weights(6)],
         {"group": 2, "pads": [1, 0, 2, 1], "strides": [2, 1], "dilations": [1, 2]}),
    Case("Conv", 11, [IMAGE, weights(6, 4, 2, 2)], {"auto_pad": "SAME_LOWER", "strides": [2, 2]}),
    Case("ConvTranspose", 11, [IMAGE, weights(4, 3, 3, 3), weights(6)],
         {"group": 2, "strides": [2, 2], "pads": [1, 1, 0, 1], "output_padding": [1, 0]}),
    Case("MaxPool", 8, [IMAGE], {"kernel_shape": [3, 2], "strides": [2, 2]}),
    Case("MaxPool", 12, [IMAGE], {"kernel_shape": [2, 2], "dilations": [2, 1], "ceil_mode": 1}),
    Case("AveragePool", 7, [IMAGE],
         {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1}),
    Case("GlobalAveragePool", 7, [IMAGE]),
    Case("BatchNormalization", 7, [IMAGE, *[weights(4)] * 4], {"epsilon": 1e-3}),
    Case("BatchNormalization", 9, [IMAGE, *[weights(4)] * 4]),
    Case("BatchNormalization", 15, [IMAGE, *[weights(4)] * 4]),
    Case("InstanceNormalization", 7, [IMAGE, weights(4), weights(4)]),
    Case("GroupNormalization", 21, [IMAGE, weights(4), weights(4)], {"num_groups": 2}),
    Case("LayerNormalization", 17, [IMAGE, weights(6), weights(6)]),
    Case("Softmax", 7, [(2, 3, 4)], {"axis": 1}),
    Case("Softmax", 13, [(2, 3, 4)], {"axis": 1}),
    Case("LogSoftmax", 11, [(2, 3, 4)], {"axis": 2}),
    Case("Gemm", 7, [(3, 4), weights(5, 4), weights(5)], {"transB": 1, "alpha": 0.5}),
    Case("MatMul", 9, [(2, 3, 4), weights(4, 5)]),
    Case("LSTM", 7, [(5, 2, 3), weights(2, 16, 3), weights(2, 16, 4), weights(2, 32)],
         {"hidden_size": 4, "direction": "bidirectional"}, 3),
    Case("GRU", 14, [(5, 2, 3), weights(1, 12, 3), weights(1, 12, 4)],
         {"hidden_size": 4, "linear_before_reset": 1}, 2),
    Case("Upsample", 7, [IMAGE], {"scales": [1.0, 1.0, 2.0, 3.0], "mode": "nearest"}),
    Case("Upsample", 9, [IMAGE, f32(1, 1, 2, 2)], {"mode": "linear"}),
    Case("Resize", 10, [IMAGE, f32(1, 1, 2.5, 0.5)], {"mode": "linear"}),
    Case("Resize", 13, [IMAGE, None, f32(1, 1, 2, 2)], {"mode": "linear"}),
    Case("Resize", 18, [IMAGE, None, None, i64(5, 9)],
         {"mode": "nearest", "axes": [2, 3], "coordinate_transformation_mode": "align_corners"}),
    Case("Slice", 7, [IMAGE], {"starts": [1, -3], "ends": [4, 99], "axes": [1, 2]}),
    Case("Slice", 13, [IMAGE, i64(-1), i64(-100), i64(2), i64(-2)]),
    Case("Split", 7, [IMAGE], {"axis": 1}, 2),
    Case("Split", 13, [IMAGE, i64(1, 3)], {"axis": 1}, 2),
    Case("Split", 18, [IMAGE], {"axis": 2, "num_outputs": 3}, 3),
    Case("Pad", 7, [IMAGE], {"pads": [0, 0, 1, 2, 0, 0, 2, 1], "mode": "edge"}),
    Case("Pad", 13, [IMAGE, i64(0, 0, 1, 2, 0, 0, -2, 1), f32(3).reshape(())]),
    Case("Pad", 9, [IMAGE], {"pads": [0, 0, -1, 2, 0, 0, 2, -1]}),
    Case("Pad", 18, [IMAGE, i64(-1, 2), None, i64(-1)], {"mode": "reflect"}),
    Case("Clip", 7, [IMAGE], {"min": 0.0, "max": 6.0}),
    Case("Clip", 13, [IMAGE, None, f32(0.5).reshape(())]),
    Case("Dropout", 7, [IMAGE]),
    Case("Dropout", 13, [IMAGE]),
    Case("Reshape", 7, [IMAGE, i64(0, -1, 2)]),
    Case("Squeeze", 7, [(1, 3, 1)], {"axes": [0]}),
    Case("Unsqueeze", 13, [(3,), i64(0, 2)]),
    Case("ReduceMean", 7, [IMAGE], {"axes": [1, 3], "keepdims": 0}),
    Case("ReduceSum", 13, [IMAGE, i64(2)]),
    Case("ReduceMax", 18, [IMAGE, i64(-1)], {"keepdims": 0}),
    Case("ReduceL2", 18, [IMAGE, i64(0, 1)]),
    Case("ArgMax", 12, [IMAGE], {"axis": 1, "select_last_index": 1}),
    Case("TopK", 7, [(3, 9)], {"k": 4, "axis": 1}, 2),
    Case("TopK", 11, [(3, 9), i64(4)], {"largest": 0}, 2),
    Case("Gather", 11, [IMAGE, i64(0, -1, 2)], {"axis": 2}),
    Case("OneHot", 9, [np.array([0, 2, 5]), i64(4), f32(-1, 1)]),
    Case("Transpose", 7, [IMAGE], {"perm": [3, 1, 0, 2]}),
    Case("Gelu", 20, [IMAGE], {"approximate": "tanh"}),
    Case("HardSwish", 14, [IMAGE]),
    Case("Mish", 18, [IMAGE]),
    Case("PRelu", 9, [IMAGE, weights(4, 1, 1)]),
    Case("Where", 16, [np.array([True, False]).reshape(2, 1, 1, 1), IMAGE, weights(6)]),
    Case("DepthToSpace", 13, [IMAGE], {"blocksize": 2, "mode": "CRD"}),
    Case("QuantizeLinear", 13, [IMAGE, f32(0.05).reshape(()), np.array(3, np.uint8)]),
    Case("DequantizeLinear", 10, [np.arange(6, dtype=np.uint8), f32(0.1).reshape(())]),
    Case("Einsum", 12, [(2, 3), weights(3, 4)], {"equation": "ij,jk->ki"}),
    Case("CumSum", 14, [(3, 4), np.array(1)], {"reverse": 1}),
    Case("NonZero", 13, [np.array([[1.0, 0.0], [2.0, 3.0]], np.float32)]),
    Case("Cast", 13, [IMAGE], {"to": onnx.TensorProto.INT32}),
    Case("Mod", 13, [(3, 4), weights(4)], {"fmod": 1}),
]  # fmt: skip


def model_of(case: Case) -> tuple[onnx.ModelProto, dict[str, Any]]:
    names, inputs, initializers, feeds = [], [], [], {}
    for k, operand in enumerate(case.operands):
        names.append("" if operand is None else f"x{k}")
        if isinstance(operand, tuple):
            inputs.append(helper.make_tensor_value_info(f"x{k}", 1, operand))
            feeds[f"x{k}"] = _RNG.standard_normal(operand).astype(np.float32) * 3
        elif operand is not None:
            initializers.append(numpy_helper.from_array(operand, f"x{k}"))
    outputs = [f"y{k}" for k in range(case.results)]
    node = helper.make_node(case.type, names, outputs, **case.attrs)
    infos = [onnx.ValueInfoProto(name=name) for name in outputs]
    graph = helper.make_graph([node], "one", inputs, infos, initializers)
    opsets = [helper.make_opsetid("", case.opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8), feeds


@pytest.mark.parametrize("case", CASES, ids=str)
def test_named_op_equals_onnxruntime(case: Case) -> None:
    model, feeds = model_of(case)
    graph = load(model)
    found = run(graph, feeds)
    expected = ort.InferenceSession(model.SerializeToString()).run(None, feeds)
    for name, want in zip(graph.output_names, expected, strict=True):
        got = found[name]
        assert got.dtype == want.dtype
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
    for value, want in zip(graph.outputs, expected, strict=True):
        assert value.type.dtype == DType.of(want)
        assert len(value.type.shape) == want.ndim
        for dim, size in zip(value.type.shape, want.shape, strict=True):
            assert size <= dim.bound if isinstance(dim, Symbol) else size == dim


@pytest.mark.parametrize("opset", range(7, 27))
def test_every_opset_infers_and_runs(opset: int) -> None:
    x = TensorType(DType.F32, (2, 3))
    (y,) = OnnxOperator("Relu", opset).infer([x])
    assert y == x
    (z,) = OnnxOperator("Add", opset).evaluate([f32(1, 2), f32(3)])
    np.testing.assert_array_equal(z, f32(4, 5))


def test_arrays_are_let_go_after_their_last_use() -> None:
    graph = Graph("chain", {"": 13})
    value = graph.add_input("x", TensorType(DType.F32, (4,)))
    for _ in range(3):
        value = graph.add(OnnxOperator("Add", 13), [value, value]).result
    graph.set_outputs({"y": value})
    (y,) = evaluate_graph(graph, [f32(1, 2, 3, 4)])
    np.testing.assert_array_equal(y, f32(8, 16, 24, 32))


TYPES = [TensorType(DType.F32, (2, 3)), TensorType(DType.I64, (Symbol("n", 4),))]
GOOD = {"a": np.zeros((2, 3), np.float32), "n": np.zeros(3, np.int64)}


def test_inputs_come_back_in_order() -> None:
    arrays = check_inputs(["n", "a"], TYPES[::-1], GOOD)
    assert [a.shape for a in arrays] == [(3,), (2, 3)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a": None}, "input 'a' is missing"),
        ({"b": GOOD["a"]}, "no input 'b'; the inputs are 'a', 'n'"),
        ({"a": np.zeros((2, 3))}, "float64 where float32"),
        ({"a": np.zeros((3, 2), np.float32)}, r"shape \[3,2\] where f32\[2,3\]"),
        ({"n": np.zeros(5, np.int64)}, r"shape \[5\]"),
        ({"a": [[1.0]]}, "takes a numpy array, not list"),
    ],
)
def test_wrong_inputs_are_named(change: Mapping[str, Any], message: str) -> None:
    arrays = {name: value for name, value in (GOOD | change).items() if value is not None}
    with pytest.raises(InputError, match=message):
        check_inputs(["a", "n"], TYPES, arrays)
