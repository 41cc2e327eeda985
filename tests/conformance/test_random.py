"""Random operators: the generator's published numbers, moments, and the same in every form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper
from single_node import expanded, normal, reference

from dlc import api, exporter, interp
from dlc.ops.core.random import Random
from dlc.testing.kernels import load_kernel

#: kat_vectors of Random123: key, then the block of counter 0
KNOWN = {0: [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]}
DRAW = "void dlc_random_u32(uint32_t *y, uint32_t low, uint32_t high, ptrdiff_t count)"


def test_published_numbers() -> None:
    for key, block in KNOWN.items():
        assert Random((4,), key).evaluate(())[0].tolist() == block


@settings(max_examples=30)
@given(count=st.integers(0, 40), key=st.integers(0, 2**64 - 1))
def test_kernel_agrees_with_numpy(count: int, key: int) -> None:
    kernel = load_kernel("dlc_random_u32.h", DRAW, sanitize=True)
    found = np.full(count, 7, np.uint32)
    kernel(found, key & 0xFFFFFFFF, key >> 32, count)
    np.testing.assert_array_equal(found, Random((count,), key).evaluate(())[0])


def single(op: str, operands: dict[str, np.ndarray], result: int, **attributes: Any) -> Any:
    """A model of one node, its operands graph inputs."""
    kind = helper.np_dtype_to_tensor_dtype
    graph = helper.make_graph(
        [helper.make_node(op, list(operands), ["y"], name="node", **attributes)], "single",
        [helper.make_tensor_value_info(n, kind(a.dtype), a.shape) for n, a in operands.items()],
        [helper.make_tensor_value_info("y", result, None)],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def drawn(proto: Any, operands: dict[str, np.ndarray]) -> np.ndarray:
    (found,) = interp.run(expanded(proto), operands).values()
    return found


@pytest.mark.parametrize(
    "dtype", [onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16]
)
def test_moments(dtype: int) -> None:
    shape = {"shape": [200, 300], "dtype": dtype}
    uniform = drawn(single("RandomUniform", {}, dtype, **shape, low=-1.0, high=3.0, seed=5.0), {})
    assert uniform.dtype == helper.tensor_dtype_to_np_dtype(dtype)
    values = uniform.astype(np.float64)
    assert values.min() >= -1
    assert values.max() <= 3
    np.testing.assert_allclose([values.mean(), values.var()], [1, 16 / 12], rtol=0.02)
    gauss = drawn(single("RandomNormal", {}, dtype, **shape, mean=2.0, scale=0.5), {})
    values = (gauss.astype(np.float64) - 2) / 0.5
    moments = [values.mean(), values.var(), (values**3).mean(), (values**4).mean()]
    np.testing.assert_allclose(moments, [0, 1, 0, 3], atol=0.05)
    neighbours = np.corrcoef(values.ravel()[:-1], values.ravel()[1:])[0, 1]
    assert abs(neighbours) < 0.02


def test_seeds_and_names_tell_streams_apart() -> None:
    like = {"x": normal(50)}
    one, same, other = (
        drawn(single("RandomUniformLike", like, onnx.TensorProto.FLOAT, seed=seed), like)
        for seed in (1.0, 1.0, 2.0)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.intersect1d(one, other).size


def test_classes_are_drawn_as_often_as_probable() -> None:
    weights = {"x": np.log(np.array([[1, 2, 0.5, 4], [3, 0.001, 3, 3]], np.float32))}
    proto = single("Multinomial", weights, onnx.TensorProto.INT32, sample_size=20000, seed=3.0)
    found = drawn(proto, weights)
    assert (found.dtype, found.shape) == (np.int32, (2, 20000))
    for row, odds in zip(found, np.exp(weights["x"]), strict=True):
        np.testing.assert_allclose(
            np.bincount(row, minlength=4) / 20000, odds / odds.sum(), atol=0.01
        )


@pytest.mark.parametrize("op", ["RandomNormalLike", "Bernoulli", "Multinomial"])
def test_c_and_exported_model_draw_the_same(op: str, tmp_path: Path) -> None:
    x = {"x": np.abs(normal(3, 5)).clip(0, 1)}
    integer = op == "Multinomial"
    result = onnx.TensorProto.INT32 if integer else onnx.TensorProto.FLOAT
    proto = single(op, x, result, **({"sample_size": 9} if integer else {}))
    here = drawn(proto, x)
    (compiled,) = api.compile(proto, out=tmp_path / "c").run(x).values()
    (again,) = reference(exporter.to_onnx(expanded(proto)), x)
    np.testing.assert_allclose(compiled, here, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(again, here, rtol=1e-4, atol=1e-6)


@settings(max_examples=15)
@given(ratio=st.sampled_from([0.0, 0.25, 0.5, 0.9]), training=st.booleans(), known=st.booleans(),
       dtype=st.sampled_from([np.float32, np.float64, np.float16]))  # fmt: skip
def test_dropout(ratio: float, training: bool, known: bool, dtype: Any) -> None:
    operands = {"x": normal(40, 50, dtype=dtype), "ratio": np.array(ratio, np.float32),
                "training": np.array(training)}  # fmt: skip
    proto = single("Dropout", operands, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), seed=1)
    proto.graph.node[0].output.append("mask")
    proto.graph.output.append(helper.make_tensor_value_info("mask", onnx.TensorProto.BOOL, None))
    if known:
        for name in ("ratio", "training"):
            proto.graph.initializer.append(onnx.numpy_helper.from_array(operands[name], name))
        del proto.graph.input[1:]
    feeds = {"x": operands["x"]} if known else operands
    y, mask = interp.run(expanded(proto), feeds).values()
    scale = 1 / (1 - ratio) if training else 1.0
    expected = np.where(mask, operands["x"].astype(np.float64) * scale, 0)
    np.testing.assert_allclose(
        y.astype(np.float64), expected, rtol=2e-3 if dtype is np.float16 else 1e-6
    )
    assert abs(mask.mean() - (1 - ratio if training else 1)) < 0.05
