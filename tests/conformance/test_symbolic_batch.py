"""Operators on sizes known only at run time: compiled once, held against onnxruntime at several sizes.

A family is the inputs its nodes share and the nodes, each of which makes outputs of its own; what
else they read is a constant of the model, by name in ``CONSTANTS``.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import helper
from single_node import reference

import dlc
from dlc import api

RNG = np.random.default_rng(11)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def whole(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


CONSTANTS: dict[str, Any] = {
    "axis0": whole(0), "axis1": whole(1), "two": np.float32(2.0), "k": whole(2), "low": np.float32(-0.5),
    "high": np.float32(0.5), "parts": whole(1, 2), "flat": whole(0, -1), "tiles": whole(2, 1, 3),
    "wide": whole(2, 1, 3, 4), "index": whole(0, 0, -1), "border": whole(0, 1, 2, 0, 2, 1),
    "within": whole(0, 1, 2, 0, 2, 3), "around": whole(1, 0, 0, 2, 0, 0), "crop": whole(0, -1, 1, 0, 2, -2),
    "keep": np.array([True, False, True]), "four": whole(4), "pair": np.array([0, 1], np.float32),
    "first": whole(0).reshape(1, 1), "row": normal(1, 3, 4), "start": whole(1),
    "w46": normal(4, 6), "b6": normal(6), "w4": normal(4), "b4": normal(4), "p4": abs(normal(4)),
    "w33": normal(6, 4, 3, 3), "deep": normal(4, 1, 3, 3), "grouped": normal(6, 2, 3, 3),
    "w22": normal(3, 2, 2, 2), "b3": normal(3), "back": normal(4, 3, 2, 2), "w3": normal(6, 4, 3), "d3": normal(2, 2, 3).astype(np.float64),
    "up": np.array([1, 1, 2, 1.5], np.float32), "down": np.array([1, 1, 0.6, 0.5], np.float32),
    "target": whole(7, 6), "aside": np.array([1, 1, 1, 2], np.float32),
    "lstm_w": normal(1, 16, 3), "lstm_r": normal(1, 16, 4), "lstm_b": normal(1, 32),
    "gru_w": normal(1, 12, 3), "gru_r": normal(1, 12, 4), "rnn_w": normal(2, 4, 3), "rnn_r": normal(2, 4, 4),
    "scale": np.float32(0.05), "zero": np.uint8(120), "q45": RNG.integers(0, 9, (4, 5)).astype(np.uint8),
}  # fmt: skip

SIZES = (1, 3, 5)
BOUNDS = {"N": dlc.AtMost(5), "H": dlc.AtMost(9), "W": dlc.AtMost(11)}

# name: (opset, inputs, nodes)
FAMILIES: dict[str, tuple[int, str, list[str]]] = {
    "elementwise": (
        18,
        "float[N,3,4] x, float[N,1,4] y, float[4] z, bool[N,3,4] b, int64[N,3,4] i",
        [
            "o = Add(x, y)",
            "o = Mul(y, z)",
            "o = Where(b, x, y)",
            "o = Clip(x, low, high)",
            "o = Pow(x, two)",
            "o = Mod<fmod=1>(x, y)",
            "o = Max(x, y, z)",
            "o = Sum(x, y)",
            "o = Mean(x, y, z)",
            "o = Cast<to=6>(x)",
            "o = Not(b)",
            "o = And(b, b)",
            "o = Equal(x, y)",
            "o = Identity(x)",
            "o = IsNaN(x)",
            "o = Erf(x)",
            "o = PRelu(x, z)",
            "o = Selu(x)",
            "o = Elu(x)",
            "o = HardSwish(x)",
            "o = Mish(x)",
            "o = ThresholdedRelu(x)",
            "o = Celu(x)",
            "o = LeakyRelu(x)",
            "o, m = Dropout(x)",
            "o = Shrink(x)",
            "o = CastLike(i, x)",
            "o = Softplus(x)",
        ],
    ),
    "softmax": (
        18,
        "float[N,3,4] x",
        [
            "o = Softmax(x)",
            "o = Softmax<axis=0>(x)",
            "o = LogSoftmax<axis=1>(x)",
            "o = Hardmax(x)",
            "o = Hardmax<axis=0>(x)",
            "o = LpNormalization<axis=0>(x)",
            "o = ReduceMean(x)",
        ],
    ),
    "softmax-11": (
        11,
        "float[N,3,4] x",
        [
            "o = Softmax<axis=1>(x)",
            "o = LogSoftmax<axis=2>(x)",
            "o = Hardmax<axis=1>(x)",
            "o = Softmax<axis=0>(x)",
        ],
    ),
    "reduce": (
        18,
        "float[N,3,4] x",
        [
            "o = ReduceSum(x, axis0)",
            "o = ReduceMax<keepdims=0>(x, axis1)",
            "o = ReduceL2(x, axis0)",
            "o = ReduceLogSumExp(x, axis0)",
            "o = ArgMax<axis=0>(x)",
            "o = ArgMin<axis=1,keepdims=0>(x)",
            "o = CumSum(x, axis0)",
            "o, p = TopK<axis=1>(x, k)",
            "o = ReduceProd(x)",
            "o = ReduceMean(x, axis0)",
            "o = CumSum<reverse=1, exclusive=1>(x, axis1)",
        ],
    ),
    "movement": (
        18,
        "float[N,3,4] x, float[N,8,2,3] d",
        [
            "o = Transpose<perm=[2,0,1]>(x)",
            "o = Concat<axis=0>(x, x)",
            "o, p = Split<axis=1>(x, parts)",
            "o = Slice(x, start, k, start)",
            "o = Reshape(x, flat)",
            "o = Flatten(x)",
            "o = Tile(x, tiles)",
            "o = Expand(x, wide)",
            "o = Gather(x, index)",
            "o = Gather<axis=1>(x, index)",
            "o = DepthToSpace<blocksize=2>(d)",
            "o = Shape(x)",
            "o = Unsqueeze(x, axis0)",
            "o = Pad(x, border)",
            'o = Pad<mode="edge">(x, border)',
            'o = Pad<mode="wrap">(x, border)',
            'o = Pad<mode="edge">(x, around)',
            'o = Pad<mode="reflect">(x, within)',
            "o = Pad(x, border, low)",
            "o = Trilu(x)",
            "o = Size(x)",
            'o = Pad<mode="constant">(x, crop)',
            'o = Pad<mode="edge">(x, crop)',
            "o = NonZero(x)",
            "o = Compress<axis=1>(x, keep)",
        ],
    ),
    "indices": (
        18,
        "float[N,3,4] x, int64[N,2,4] i, int64[N,2,1] j, float[N,2,4] u, int64[N] m",
        [
            "o = GatherElements<axis=1>(x, i)",
            "o = GatherND<batch_dims=1>(x, j)",
            "o = ScatterElements<axis=1>(x, i, u)",
            "o = GatherND(x, first)",
            "o = ScatterND(x, first, row)",
            "o = ReverseSequence<batch_axis=0,time_axis=1>(x, m)",
            'o = ScatterElements<axis=1, reduction="add">(x, i, u)',
            "o = OneHot<axis=-1>(j, four, pair)",
        ],
    ),
    "products": (
        18,
        "float[N,3,4] x, float[N,4,2] y, float[N,4] a",
        [
            "o = MatMul(x, y)",
            "o = MatMul(x, w46)",
            "o = Gemm(a, w46, b6)",
            "o = Gemm<transA=1>(a, a)",
            'o = Einsum<equation="nij,njk->nik">(x, y)',
            'o = Einsum<equation="nij->nj">(x)',
            'o = Einsum<equation="na,nb->ab">(a, a)',
            'o = Einsum<equation="nij,jk->nki">(x, w46)',
            "o = MatMul(a, w46)",
            'o = Einsum<equation="...ij->...ji">(x)',
        ],
    ),
    "convolution": (
        18,
        "float[N,4,H,W] x",
        [
            "o = Conv(x, w33, b6)",
            "o = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w33)",
            'o = Conv<auto_pad="SAME_UPPER", strides=[2,2]>(x, w33)',
            "o = Conv<group=4>(x, deep)",
            "o = Conv<group=2, dilations=[2,2], pads=[2,2,2,2]>(x, grouped)",
            "o = ConvTranspose<strides=[2,2]>(x, back)",
            "o = MaxPool<kernel_shape=[2,2], strides=[2,2]>(x)",
            "o = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1]>(x)",
            "o = GlobalAveragePool(x)",
            "o = MaxPool<kernel_shape=[3,3], strides=[2,2], ceil_mode=1>(x)",
            "o = GlobalMaxPool(x)",
            "o = AveragePool<kernel_shape=[3,3], strides=[2,2], ceil_mode=1>(x)",
            "o = LpPool<kernel_shape=[2,2]>(x)",
            "o = LRN<size=3>(x)",
            'o = AveragePool<kernel_shape=[3,3], auto_pad="SAME_UPPER", strides=[2,2]>(x)',
            "o = GlobalLpPool(x)",
            "o, p = MaxPool<kernel_shape=[2,2]>(x)",
            "o = ConvTranspose<strides=[2,2], pads=[1,1,0,0], output_padding=[1,1]>(x, back)",
            'o = ConvTranspose<strides=[2,2], auto_pad="SAME_UPPER">(x, back)',
        ],
    ),
    "convolution-1": (
        18,
        "float[N,4,H] x, double[N,2,H] d",
        [
            "o = Conv<pads=[1,1]>(x, w3)",
            "o = MaxPool<kernel_shape=[3]>(x)",
            "o = MaxPool<kernel_shape=[3], pads=[1,1]>(d)",
        ],
    ),
    "normalisation": (
        21,
        "float[N,4,H,W] x, float[N,H,4] n",
        [
            "o = BatchNormalization(x, w4, b4, w4, p4)",
            "o = InstanceNormalization(x, w4, b4)",
            "o = GroupNormalization<num_groups=2>(x, w4, b4)",
            "o = LayerNormalization(n, w4)",
            "o = MeanVarianceNormalization(x)",
            "o = LRN<size=3>(x)",
            "o = LpNormalization<axis=1>(x)",
        ],
    ),
    "attention": (
        23,
        "float[N,2,H,4] q, float[N,2,W,4] k, float[N,H,8] q3, float[N,W,8] k3",
        [
            "o = Attention(q, k, k)",
            "o = Attention<q_num_heads=2, kv_num_heads=2>(q3, k3, k3)",
            "o = Attention<is_causal=1>(q, q, q)",
        ],
    ),
    "sampling": (
        20,
        "float[N,2,H,W] x, float[N,H,5,2] g, float[N,8,H,W] moves, float[N,4,H,W] share",
        [
            "o = GridSample(x, g)",
            'o = GridSample<mode="cubic", padding_mode="reflection">(x, g)',
            'o = GridSample<mode="nearest", padding_mode="border", align_corners=1>(x, g)',
            "o = DeformConv<pads=[1,1,0,0]>(x, w22, moves, b3, share)",
        ],
    ),
    "resize": (
        18,
        "float[N,2,H,W] x",
        [
            "o = Resize(x, , up)",
            'o = Resize<mode="linear">(x, , up)',
            'o = Resize<mode="cubic">(x, , up)',
            'o = Resize<mode="linear">(x, , down)',
            'o = Resize<mode="linear", coordinate_transformation_mode="align_corners">(x, , up)',
            'o = Resize<mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor">(x, , up)',
            'o = Resize<mode="linear", axes=[2,3]>(x, , , target)',
            'o = Resize<mode="linear", coordinate_transformation_mode="pytorch_half_pixel", axes=[2,3]>(x, , , target)',
            'o = Resize<mode="linear", antialias=1>(x, , down)',
        ],
    ),
    "recurrent": (
        18,
        "float[H,N,3] x",
        [
            "o, h, c = LSTM<hidden_size=4>(x, lstm_w, lstm_r, lstm_b)",
            "o, h = GRU<hidden_size=4>(x, gru_w, gru_r)",
            'o, h = RNN<hidden_size=4, direction="bidirectional">(x, rnn_w, rnn_r)',
        ],
    ),
    "quantised": (
        18,
        "float[N,3,4] x, uint8[N,4] q",
        [
            "o = QuantizeLinear(x, scale, zero)",
            "o = DequantizeLinear(q, scale, zero)",
            "o, p, r = DynamicQuantizeLinear(x)",
            "o = MatMulInteger(q, q45)",
            "o = QLinearMatMul(q, scale, zero, q45, scale, zero, scale, zero)",
        ],
    ),
}


@cache
def model(family: str, only: int | None = None) -> onnx.ModelProto:
    """The nodes of a family (or one of them) in one model; output ``k`` of node ``i`` is ``name_i``."""
    opset, inputs, texts = FAMILIES[family]
    empty = onnx.parser.parse_graph(f"g ({inputs}) => () {{}}")
    nodes = []
    for i, text in enumerate(texts):
        if only in (None, i):
            node = onnx.parser.parse_node(text)
            node.output[:] = [f"{name}_{i}" for name in node.output]
            nodes.append(node)
    read = {name for node in nodes for name in node.input}
    given = [v for v in empty.input if v.name in read]
    known = [onnx.numpy_helper.from_array(np.asarray(a), n) for n, a in CONSTANTS.items()
             if n in read - {v.name for v in given}]  # fmt: skip
    graph = helper.make_graph(nodes, "family", given, [], known)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    types = {v.name: v for v in onnx.shape_inference.infer_shapes(proto).graph.value_info}
    for node in nodes:
        for name in node.output:
            # onnx does not infer the types of function bodies' results
            dtype = (
                types[name].type.tensor_type.elem_type if name in types else onnx.TensorProto.FLOAT
            )
            proto.graph.output.append(helper.make_tensor_value_info(name, dtype, None))
    return proto


def arrays(proto: onnx.ModelProto, sizes: dict[str, int]) -> dict[str, np.ndarray]:
    """Random inputs at these sizes; integers index axes of at least two elements."""
    found = {}
    for value in proto.graph.input:
        tensor = value.type.tensor_type
        shape = [sizes.get(d.dim_param, d.dim_value) for d in tensor.shape.dim]
        dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        if np.dtype(dtype).kind == "f":
            found[value.name] = RNG.standard_normal(shape).astype(dtype)
        else:
            found[value.name] = RNG.integers(0, 2, shape).astype(dtype)
    return found


def check(proto: onnx.ModelProto, run: Any) -> None:
    """``run`` computes what onnxruntime computes, at each of the sizes."""
    for n in SIZES:
        inputs = arrays(proto, {"N": n, "H": n + 4, "W": 12 - n})
        got = run(inputs)
        for value, expected in zip(proto.graph.output, reference(proto, inputs), strict=True):
            np.testing.assert_allclose(
                got[value.name], expected, rtol=1e-4, atol=1e-5, err_msg=f"{value.name} at {n}"
            )


@pytest.mark.parametrize("family", FAMILIES)
def test_one_program_for_all_sizes(family: str) -> None:
    proto = model(family)
    check(proto, api.compile(proto, dims=BOUNDS, passes="O1").run)
