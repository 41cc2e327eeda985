"""Expansions of the ops that sum, against onnxruntime: single-node models of many forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from single_node import RNG, expanded, model, normal, reference

from dlc import interp
from dlc.ops.core.operator import CoreOperator

EXAMPLES = settings(max_examples=40)


def check(op: str, *arrays: Any, opset: int = 17, constants: tuple[int, ...] = (), outputs: int = 1,
          rtol: float = 1e-5, **attributes: Any) -> None:  # fmt: skip
    proto = model(op, list(arrays), opset, constants, outputs, attributes)
    inputs = {f"x{i}": a for i, a in enumerate(arrays) if a is not None and i not in constants}
    expected = reference(proto, inputs)
    graph = expanded(proto)
    found = list(interp.run(graph, inputs).values())
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == theirs.dtype
        assert ours.shape == theirs.shape
        scale = (
            np.abs(theirs[np.isfinite(theirs)]).max(initial=0) if theirs.dtype.kind == "f" else 0
        )
        np.testing.assert_allclose(
            ours, theirs, rtol=rtol, atol=max(rtol * 0.1 * float(scale), 1e-7)
        )
    for node in graph.ops:
        if isinstance(node.operator, CoreOperator) and all(
            t.dtype.value in ("f32", "i64") for t in node.types
        ):
            types = [v.type for v in node.operands if v is not None]
            assert node.operator.infer(types) == node.types
            node.operator.emission(types, node.types)


# ---- windows ------------------------------------------------------------------------------


@st.composite
def windows(draw: Any, pooling: bool) -> tuple[list[int], list[int], dict[str, Any]]:
    """Image, kernel and attributes of 1 to 3 spatial axes."""
    rank = draw(st.integers(1, 3))
    sizes = st.lists(st.integers(1, 3 if rank == 3 else 5), min_size=rank, max_size=rank)
    kernel, strides, dilations = draw(sizes), draw(sizes), draw(sizes)
    image = draw(st.lists(st.integers(1, 9), min_size=rank, max_size=rank))
    attributes: dict[str, Any] = {"strides": strides}
    auto_pad = draw(st.sampled_from(["NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]))
    if auto_pad == "NOTSET":
        most = [k - 1 if pooling else k + 2 for k in kernel]
        attributes["pads"] = pads = [draw(st.integers(0, m)) for m in most * 2]
    else:
        attributes["auto_pad"], pads = auto_pad, [0] * (2 * rank)
        # onnxruntime makes a negative pad of a kernel shorter than the stride, we make none
        assume(all(k >= s - (not pooling) for k, s in zip(kernel, strides, strict=True)))
    if not auto_pad.startswith("SAME"):
        attributes["dilations"] = dilations
        for i in range(rank):
            assume((kernel[i] - 1) * dilations[i] < image[i] + pads[i] + pads[i + rank])
    return image, kernel, attributes


@EXAMPLES
@given(windows(pooling=False), st.data())
def test_conv(window: Any, data: st.DataObject) -> None:
    image, kernel, attributes = window
    groups, depth, filters = (data.draw(st.integers(1, 3)) for _ in range(3))
    x = normal(data.draw(st.integers(0, 2)), groups * depth, *image)
    w = normal(groups * filters, depth, *kernel)
    bias = normal(groups * filters) if data.draw(st.booleans()) else None
    check("Conv", x, w, bias, group=groups, kernel_shape=kernel, constants=(1,), **attributes)


@EXAMPLES
@given(windows(pooling=False), st.data())
def test_conv_transpose(window: Any, data: st.DataObject) -> None:
    image, kernel, attributes = window
    groups, depth, filters = (data.draw(st.integers(1, 3)) for _ in range(3))
    strides, dilations = attributes["strides"], attributes.get("dilations", [1] * len(image))
    rank = len(image)
    if "pads" in attributes:
        attributes["output_padding"] = [data.draw(st.integers(0, s - 1)) for s in strides]
        for i in range(rank):
            full = (image[i] - 1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1
            assume(
                full + attributes["output_padding"][i]
                > attributes["pads"][i] + attributes["pads"][i + rank]
            )
            assume(full > attributes["pads"][i] + attributes["pads"][i + rank])
    x = normal(data.draw(st.integers(1, 2)), groups * depth, *image)
    w = normal(groups * depth, filters, *kernel)
    bias = normal(groups * filters) if data.draw(st.booleans()) else None
    check("ConvTranspose", x, w, bias, group=groups, kernel_shape=kernel, **attributes)


@pytest.mark.parametrize("auto_pad", ["NOTSET", "SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize("out", [[8, 8], [7, 9], [9, 10]])
def test_conv_transpose_output_shape(auto_pad: str, out: list[int]) -> None:
    check("ConvTranspose", normal(1, 2, 4, 4), normal(2, 3, 3, 3), strides=[2, 2], output_shape=out,
          auto_pad=auto_pad)  # fmt: skip


@EXAMPLES
@given(windows(pooling=True), st.booleans())
def test_max_pool(window: Any, ceil: bool) -> None:
    image, kernel, attributes = window
    # a window all in the padding has no maximum: -inf here, the least finite float in onnxruntime
    x, dilations = normal(2, 3, *image), attributes.get("dilations", [1] * len(image))
    assume(all(d <= i for i, d in zip(image, dilations, strict=True)))
    check("MaxPool", x, kernel_shape=kernel, ceil_mode=int(ceil), **attributes)


@EXAMPLES
@given(windows(pooling=True), st.booleans(), st.booleans())
def test_average_pool(window: Any, ceil: bool, include: bool) -> None:
    image, kernel, attributes = window
    check("AveragePool", normal(2, 3, *image), kernel_shape=kernel, ceil_mode=int(ceil),
          count_include_pad=int(include), opset=19, **attributes)  # fmt: skip


@EXAMPLES
@given(windows(pooling=True), st.integers(1, 3), st.booleans())
def test_lp_pool(window: Any, p: int, ceil: bool) -> None:
    image, kernel, attributes = window
    check(
        "LpPool",
        normal(2, 3, *image),
        kernel_shape=kernel,
        p=p,
        opset=18,
        ceil_mode=int(ceil),
        **attributes,
    )


@pytest.mark.parametrize("dtype", [np.float64, np.int8, np.uint8])
def test_max_pool_of_other_dtypes(dtype: Any) -> None:
    check(
        "MaxPool", normal(1, 2, 6, 5, dtype=dtype), kernel_shape=[3, 2], pads=[1, 0, 1, 1], opset=12
    )


@pytest.mark.parametrize("op", ["GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"])
@pytest.mark.parametrize("shape", [(1, 3, 5), (2, 3, 4, 5), (1, 2, 3, 2, 4), (2, 3, 1, 1)])
def test_global_pool(op: str, shape: tuple[int, ...]) -> None:
    check(op, normal(*shape))


def test_global_lp_pool_of_odd_power() -> None:
    check("GlobalLpPool", normal(2, 3, 4, 5), p=3)


# ---- products -----------------------------------------------------------------------------


@pytest.mark.parametrize("a, b", [
    ((3,), (3,)), ((3,), (3, 4)), ((2, 3), (3,)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)),
    ((2, 3), (5, 3, 4)), ((5, 2, 3), (5, 3, 4)), ((5, 1, 2, 3), (4, 3, 1)), ((3,), (2, 3, 4)),
    ((2, 1, 3), (3,)), ((0, 3), (3, 4)), ((2, 0), (0, 4)), ((6, 1, 3), (6, 3, 1)),
])  # fmt: skip
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_matmul(a: tuple[int, ...], b: tuple[int, ...], dtype: Any) -> None:
    check("MatMul", normal(*a, dtype=dtype), normal(*b, dtype=dtype), opset=13)


@pytest.mark.parametrize("transpose", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("c", [None, (), (1,), (4,), (3, 1), (3, 4)])
@pytest.mark.parametrize("factors", [(1.0, 1.0), (0.5, 2.5), (2.0, 0.0)])
def test_gemm(transpose: tuple[int, int], c: Any, factors: tuple[float, float]) -> None:
    a, b = normal(3, 5), normal(5, 4)
    check("Gemm", a.T.copy() if transpose[0] else a, b.T.copy() if transpose[1] else b,
          None if c is None else normal(*c), transA=transpose[0], transB=transpose[1],
          alpha=factors[0], beta=factors[1], constants=(1,))  # fmt: skip


# ---- reductions ---------------------------------------------------------------------------

REDUCTIONS = ["Sum", "Prod", "Max", "Min", "Mean", "L1", "L2", "SumSquare", "LogSum", "LogSumExp"]


@pytest.mark.parametrize("op", REDUCTIONS)
@pytest.mark.parametrize("axes", [None, [0], [1, -1], [0, 1, 2], [-2]])
@pytest.mark.parametrize("keepdims", [0, 1])
def test_reduce(op: str, axes: Any, keepdims: int) -> None:
    x = np.abs(normal(3, 4, 5)) + 0.1
    old = {} if axes is None else {"axes": axes}
    check(f"Reduce{op}", x, opset=11, keepdims=keepdims, **old)
    new = None if axes is None else np.array(axes, np.int64)
    check(
        f"Reduce{op}", x, new, opset=18, keepdims=keepdims, constants=() if axes is None else (1,)
    )


@pytest.mark.parametrize("op", REDUCTIONS)
def test_reduce_nothing(op: str) -> None:
    check(f"Reduce{op}", np.abs(normal(2, 3)) + 0.1, np.array([], np.int64), opset=18, constants=(1,),
          noop_with_empty_axes=1)  # fmt: skip


@pytest.mark.parametrize("op", ["Sum", "Prod", "Max", "Min", "Mean", "L1", "L2", "SumSquare"])
def test_reduce_integers(op: str) -> None:
    check(f"Reduce{op}", normal(3, 4, dtype=np.int32), np.array([1]), opset=18, constants=(1,))


@pytest.mark.parametrize("op", ["Max", "Min"])
def test_reduce_bool(op: str) -> None:
    check(f"Reduce{op}", normal(3, 4) > 0.5, np.array([1]), opset=20, constants=(1,))


@pytest.mark.parametrize("op", ["Sum", "Prod"])
def test_reduce_zero_elements(op: str) -> None:
    check(f"Reduce{op}", normal(3, 0, 2), np.array([1]), opset=18, constants=(1,))


def test_reduce_log_sum_exp_of_infinities() -> None:
    x = np.array([[-np.inf, -np.inf], [np.inf, 0], [-np.inf, 3], [1000, 1000]], np.float32)
    check("ReduceLogSumExp", x, np.array([1]), opset=18, constants=(1,))


@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize("dtype", [np.float32, np.int8])
def test_arg_reduce(op: str, axis: int, last: int, dtype: Any) -> None:
    x = RNG.integers(-3, 3, (4, 5, 6)).astype(dtype)
    for keepdims in (0, 1):
        check(op, x, axis=axis, keepdims=keepdims, select_last_index=last, opset=13)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("exclusive", [0, 1])
@pytest.mark.parametrize("reverse", [0, 1])
@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_cum_sum(axis: int, exclusive: int, reverse: int, dtype: Any) -> None:
    check("CumSum", normal(3, 6, 1, dtype=dtype), np.array(axis, np.int64), opset=14, constants=(1,),
          exclusive=exclusive, reverse=reverse)  # fmt: skip


@pytest.mark.parametrize("equation, shapes", [
    ("ij,jk->ik", [(2, 3), (3, 4)]), ("bij,bjk->bik", [(5, 2, 3), (5, 3, 4)]),
    ("bhid,bhjd->bhij", [(2, 3, 4, 5), (2, 3, 6, 5)]), ("bhij,bhjd->bhid", [(2, 3, 4, 6), (2, 3, 6, 5)]),
    ("ij->ji", [(2, 3)]), ("ij->", [(2, 3)]), ("ij->i", [(2, 3)]), ("i,j->ij", [(2,), (3,)]),
    ("...ij,...jk->...ik", [(5, 2, 3), (5, 3, 4)]), ("bqhc,bkhc->bhqk", [(2, 3, 4, 5), (2, 6, 4, 5)]),
    ("ij,jk", [(2, 3), (3, 4)]), ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 2)]), ("ijk,j->ik", [(2, 3, 4), (3,)]),
    ("...ij,jk->...ik", [(5, 2, 3), (3, 4)]), ("ij,ik->i", [(2, 3), (2, 4)]), ("i,i->", [(4,), (4,)]),
])  # fmt: skip
def test_einsum(equation: str, shapes: list[tuple[int, ...]]) -> None:
    check("Einsum", *(normal(*shape) for shape in shapes), equation=equation, opset=12)


# ---- softmax and normalisations -----------------------------------------------------------


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax", "Hardmax"])
@pytest.mark.parametrize("opset", [11, 13])
@pytest.mark.parametrize("axis", [0, 1, 2, -1, None])
def test_softmax(op: str, opset: int, axis: int | None) -> None:
    attributes = {} if axis is None else {"axis": axis}
    check(op, normal(3, 4, 5) * 30, opset=opset, **attributes)
    check(op, RNG.integers(0, 2, (2, 3, 1)).astype(np.float32), opset=opset, **attributes)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3), (2, 3, 6), (1, 3, 2, 2, 2)])
@pytest.mark.parametrize("opset", [7, 9, 14, 15])
def test_batch_normalization(shape: tuple[int, ...], opset: int) -> None:
    vectors = [normal(3), normal(3), normal(3), np.abs(normal(3)) + 0.1]
    check(
        "BatchNormalization",
        normal(*shape),
        *vectors,
        opset=opset,
        constants=(1, 2, 3, 4),
        epsilon=1e-3,
    )


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 3, 4, 5), (1, 3, 2, 2, 2)])
def test_instance_normalization(shape: tuple[int, ...]) -> None:
    check("InstanceNormalization", normal(*shape), normal(3), normal(3), epsilon=1e-3)


def test_instance_normalization_of_one_element_is_the_shift() -> None:
    """To the bit: onnxruntime, which multiplies before it subtracts, is only near it."""
    x, scale, shift = normal(2, 3, 1, 1), normal(3), normal(3)
    proto = model("InstanceNormalization", [x, scale, shift], 17, (), 1, {"epsilon": 1e-3})
    (found,) = interp.run(expanded(proto), {"x0": x, "x1": scale, "x2": shift}).values()
    np.testing.assert_array_equal(found, np.broadcast_to(shift[:, None, None], x.shape))


@pytest.mark.parametrize("axis", [-1, 1, 0, 2])
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("bias", [False, True])
def test_layer_normalization(axis: int, outputs: int, bias: bool) -> None:
    x = normal(2, 3, 4)
    scale = normal(*x.shape[axis:])
    check("LayerNormalization", x, scale, scale * 2 if bias else None, axis=axis, outputs=outputs)


def test_group_normalization() -> None:
    check("GroupNormalization", normal(2, 6, 4, 3), normal(6), normal(6), num_groups=3, opset=21)
    check("GroupNormalization", normal(2, 6, 4, 3), normal(3), normal(3), num_groups=3, opset=18)


@pytest.mark.parametrize("axis", [-1, 1])
def test_rms_normalization(axis: int) -> None:
    x = normal(2, 3, 4)
    check("RMSNormalization", x, normal(*x.shape[axis:]), axis=axis, opset=23)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_lp_normalization(p: int, axis: int) -> None:
    x = normal(2, 3, 4)
    x[0, 0] = x[:, 1, 0] = x[0, :, 2] = 0
    check("LpNormalization", x, p=p, axis=axis)


@pytest.mark.parametrize("axes", [None, [0, 2, 3], [1], [2, 3]])
def test_mean_variance_normalization(axes: Any) -> None:
    attributes = {} if axes is None else {"axes": axes}
    check("MeanVarianceNormalization", normal(2, 3, 4, 5), opset=13, **attributes)


@pytest.mark.parametrize("size", [1, 3, 5, 9])
def test_lrn(size: int) -> None:
    check("LRN", normal(2, 5, 4, 3) * 3, size=size, alpha=0.3, beta=0.6, bias=1.5)


@pytest.mark.parametrize("op, arrays, attributes", [
    ("MatMul", [(3, 5), (5, 4)], {}), ("Softmax", [(3, 5)], {}), ("ReduceSum", [(3, 5)], {}),
    ("GlobalAveragePool", [(1, 2, 3, 4)], {}), ("Gemm", [(3, 5), (5, 4), (4,)], {}),
])  # fmt: skip
def test_halves(op: str, arrays: list[tuple[int, ...]], attributes: dict[str, Any]) -> None:
    check(
        op,
        *(normal(*shape, dtype=np.float16) for shape in arrays),
        opset=13,
        rtol=2e-3,
        **attributes,
    )
