"""Casts between every pair of element types, through C, against onnx's reference implementation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from backend_support import compiled, same
from onnx import helper
from onnx.numpy_helper import to_float8e8m0
from onnx.reference import ReferenceEvaluator

from dlc import api
from dlc.errors import UnsupportedError
from dlc.interp import run
from dlc.ir.graph import Graph
from dlc.ir.types import DType, TensorType
from dlc.ops.build import cast
from dlc.ops.onnx.expand import expand_op
from dlc.ops.onnx.operator import OnnxOperator
from dlc.testing import special_values

COMPLEX = {DType.C64, DType.C128}
NUMBERS = [d for d in DType if d not in COMPLEX | {DType.STRING}]
VALUES = np.array([0.0, 1.0, 0.5, 1.5, 2.5, 3.0, 6.0, 7.0, 0.3])


def cast_model(source: DType, target: DType, shape: Any, **attributes: Any) -> onnx.ModelProto:
    node = helper.make_node("Cast", ["x"], ["y"], to=target.onnx, **attributes)
    x = helper.make_tensor_value_info("x", source.onnx, shape)
    y = helper.make_tensor_value_info("y", target.onnx, shape)
    graph = helper.make_graph([node], "g", [x], [y])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 28)])


def evaluated(model: onnx.ModelProto, x: Any) -> Any:
    results: Any = ReferenceEvaluator(model).run(None, {"x": x})
    return np.asarray(results[0])


def referenced(source: DType, target: DType, x: Any) -> Any:
    """The reference's result; through f32, where ml_dtypes lacks the pair."""
    try:
        model = cast_model(source, target, x.shape)
        return evaluated(model, x)
    except TypeError:
        return referenced(DType.F32, target, x.astype(np.float32))


@pytest.mark.parametrize("source", NUMBERS, ids=lambda d: d.value)
def test_every_pair_agrees_with_the_reference(source: DType, tmp_path: Path) -> None:
    """One graph casts to every type, so that C is compiled once."""
    with np.errstate(all="ignore"):
        x = VALUES.astype(source.numpy)
    merged = Graph("casts", {"": 28})
    operand = merged.add_input("x", TensorType(source, x.shape))
    expected = {}
    for target in NUMBERS:
        expected[target.value] = referenced(source, target, x)
    outputs = {}
    for target in NUMBERS:
        op = merged.add(OnnxOperator("Cast", 28, (("to", target.onnx),)), [operand])
        outputs[target.value] = op.result
    merged.set_outputs(outputs)
    for op in merged.ops:
        expand_op(op)
    got = compiled(merged, tmp_path / "c").run({"x": x})
    for name, want in expected.items():
        assert same(got[name].astype(np.float64), want.astype(np.float64)), (name, got[name], want)


@pytest.mark.parametrize("saturate", [0, 1])
@pytest.mark.parametrize("mode", ["up", "down", "nearest"])
def test_powers_of_two(mode: str, saturate: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**31, 4000, np.uint32).view(np.float32)
    near = 2.0 ** np.arange(-149, 127)
    near = np.concatenate([near, near * 1.5, near * 1.25, near * 1.75]).astype(np.float32)
    x = np.concatenate([bits, near, np.array(special_values(DType.F32), np.float32)])
    with np.errstate(all="ignore"):
        x = np.abs(x.astype(np.float32))
    m = cast_model(DType.F32, DType.F8E8M0, x.shape, round_mode=mode, saturate=saturate)
    got = api.compile(m, out=tmp_path / "c").run({"x": x})["y"]
    want = to_float8e8m0(x, bool(saturate), mode)
    np.testing.assert_array_equal(got.view(np.uint8), want.view(np.uint8))


NUMERALS = ["3.14", "1000", "1e-5", "1E8", "-7", "+2.5", "  12", "INF", "-inf", "NaN", "0.1", ".5",
            "12abc", "", "hello", "1e400", "9223372036854775807", "-9223372036854775808",
            "18446744073709551615", "99999999999999999999", "100.5", "-1.9", "16777217"]  # fmt: skip


@pytest.mark.parametrize(
    "target", [d for d in NUMBERS if d is not DType.BOOL], ids=lambda d: d.value
)
def test_strings_as_numbers(target: DType, tmp_path: Path) -> None:
    graph = Graph("parse")
    x = graph.add_input("x", TensorType(DType.STRING, (len(NUMERALS),)))
    if target in (DType.F32, DType.F64, DType.I64, DType.U64):
        graph.set_outputs({"y": cast(x, target)})
        feeds = {"x": np.array(NUMERALS, object)}
        got, want = compiled(graph, tmp_path / "c").run(feeds)["y"], run(graph, feeds)["y"]
        assert same(got, want), (got, want)
    plain = np.array(
        ["3.5", "7", "0.25", "1", "1e1"] if target.is_float else ["3", "1", "0"], object
    )
    m = cast_model(DType.STRING, target, plain.shape)
    got = api.compile(m).run({"x": plain})["y"].astype(np.float64)
    with np.errstate(all="ignore"):
        numbers = np.array([float(text) for text in plain], np.float32)
        narrow = cast_model(DType.F32, target, plain.shape)
        want = evaluated(narrow, numbers).astype(np.float64)
    np.testing.assert_array_equal(got, want)


def test_no_number_becomes_a_string() -> None:
    with pytest.raises(UnsupportedError, match="nowhere to put the text"):
        api.plan(cast_model(DType.F32, DType.STRING, (2,)))
