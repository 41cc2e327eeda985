"""Integers and floats of less than a byte: stored as ONNX does, unpacked where they are used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from backend_support import STRICT, compiled
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from dlc import api
from dlc.errors import VerifyError
from dlc.exporter import to_onnx
from dlc.ir.graph import Graph
from dlc.ir.types import DType, TensorType
from dlc.ops.build import apply
from dlc.ops.core.unpack import Unpack, packed
from dlc.passmanager import PassManager

NARROW = [DType.I4, DType.U4, DType.I2, DType.U2]


def drawn(dtype: DType, count: int, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    bits = 8 // dtype.per_byte
    low = -(2 ** (bits - 1)) if dtype.is_signed else 0
    return rng.integers(low, low + 2**bits, count).astype(np.int8).astype(dtype.numpy)


@given(st.sampled_from(NARROW), st.integers(0, 40), st.integers(0, 99))
@settings(deadline=None)
def test_bytes_are_those_of_onnx(dtype: DType, count: int, seed: int) -> None:
    values = drawn(dtype, count, seed)
    raw = packed(values)
    assert raw.tobytes() == numpy_helper.from_array(values).raw_data
    (back,) = Unpack(dtype, (count,)).evaluate([raw])
    assert back.dtype == values.dtype
    assert back.tolist() == values.tolist()


@pytest.mark.parametrize("dtype", NARROW, ids=lambda d: d.value)
@pytest.mark.parametrize("shape", [(1,), (3, 3), (2, 2, 2), (5, 13), (0,)])
def test_unpacked_by_c_and_by_the_exported_nodes(
    dtype: DType, shape: tuple[int, ...], tmp_path: Path
) -> None:
    values = drawn(dtype, int(np.prod(shape))).reshape(shape)
    raw = packed(values)
    graph = Graph("unpack", {"": 25})
    x = graph.add_input("x", TensorType(DType.U8, raw.shape))
    graph.set_outputs({"y": apply(Unpack(dtype, shape), x)})
    results: Any = ReferenceEvaluator(to_onnx(graph)).run(None, {"x": raw})
    got = compiled(graph, tmp_path / "c", STRICT).run({"x": raw})["y"]
    for result in (*results, got):
        assert result.dtype == values.dtype
        assert result.tolist() == values.tolist()


def test_what_does_not_fit_is_refused() -> None:
    graph = Graph("unpack")
    x = graph.add_input("x", TensorType(DType.U8, (3,)))
    for operator in (Unpack(DType.I4, (7,)), Unpack(DType.I8, (3,)), Unpack(DType.F4E2M1, (6,))):
        with pytest.raises(VerifyError, match="C2"):
            apply(operator, x)


def quantised(dtype: DType, shape: tuple[int, int]) -> tuple[onnx.ModelProto, Any]:
    """A product with weights that are dequantised, and those weights as f32."""
    integer = DType.U4 if dtype is DType.F4E2M1 else dtype
    w = drawn(integer, int(np.prod(shape))).reshape(shape)
    if integer is not dtype:
        w = w.astype(np.uint8).view(dtype.numpy)
    scale = np.random.default_rng(1).random(shape[1]).astype(np.float32)
    nodes = [helper.make_node("DequantizeLinear", ["w", "s"], ["wide"], axis=1),
             helper.make_node("MatMul", ["x", "wide"], ["y"])]  # fmt: skip
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, shape[0]])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    constants = [numpy_helper.from_array(w, "w"), numpy_helper.from_array(scale, "s")]
    graph = helper.make_graph(nodes, "g", [x], [y], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 25)])
    return model, w.astype(np.float32) * scale


@pytest.mark.parametrize("dtype", [*NARROW, DType.F4E2M1], ids=lambda d: d.value)
@pytest.mark.parametrize("shape", [(301, 131), (9, 11)])
def test_weights_take_their_own_size(dtype: DType, shape: tuple[int, int]) -> None:
    model, wide = quantised(dtype, shape)
    module = api.compile(model)
    assert module.weights_bytes == -(-wide.size // dtype.per_byte) + shape[1] * 4
    x = np.random.default_rng(2).standard_normal((2, shape[0])).astype(np.float32)
    np.testing.assert_allclose(module.run({"x": x})["y"], x @ wide, rtol=1e-4, atol=1e-4)


def test_few_elements_stay_as_they_are() -> None:
    def constants(least: int) -> list[str]:
        graph = Graph("few")
        w = graph.add_constant(drawn(DType.I4, 70))
        graph.set_outputs({"y": w})
        packed_graph = PassManager.parse(f"pack-constants{{least={least}}}").run(graph)
        return [op.operator.label for op in packed_graph.ops]

    assert constants(71) == ["constant", "output"]
    assert constants(70) == ["constant", "unpack", "output"]
