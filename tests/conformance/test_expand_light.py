"""Expansions of element-wise, shape, movement and resize ops, against onnxruntime and numpy."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from dlc import interp
from dlc.errors import UnsupportedError
from dlc.importer import load
from dlc.ir.graph import Graph
from dlc.ops.onnx.expand import expand_op
from dlc.ops.onnx.operator import OnnxOperator
from dlc.ops.onnx.resize_tables import Axis, nearest, source_positions

RNG = np.random.default_rng(11)
EXAMPLES = settings(max_examples=30)
SPECIAL = np.array(
    [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, 1e-7, -1e-7, 1e-40, 0.999, 1.001, 3.0, 20.0, -20.0,
     88.0, -88.0, 100.0, -100.0, np.inf, -np.inf, np.nan], dtype=np.float32,
)  # fmt: skip


def single(op: str, arrays: list[Any], opset: int, constants: set[int], results: int,
           attributes: dict[str, Any]) -> onnx.ModelProto:  # fmt: skip
    """One node; operands are graph inputs, or initializers where listed, or absent (None)."""
    names = ["" if a is None else f"x{i}" for i, a in enumerate(arrays)]
    present = {i: names[i] for i, a in enumerate(arrays) if a is not None}
    kind = helper.np_dtype_to_tensor_dtype
    graph = helper.make_graph(
        [helper.make_node(op, names, [f"y{i}" for i in range(results)], name="node", **attributes)],
        "single",
        [helper.make_tensor_value_info(name, kind(arrays[i].dtype), arrays[i].shape)
         for i, name in present.items() if i not in constants],
        [helper.make_empty_tensor_value_info(f"y{i}") for i in range(results)],
        [numpy_helper.from_array(arrays[i], name) for i, name in present.items() if i in constants],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def expanded(model: onnx.ModelProto) -> Graph:
    graph = load(model)
    for op in graph.ops:
        expand_op(op)
    assert not any(isinstance(op.operator, OnnxOperator) for op in graph.ops)
    return graph


def run(op: str, *arrays: Any, opset: int = 18, constants: Any = (), results: int = 1,
        **attributes: Any) -> tuple[list[Any], list[Any]]:  # fmt: skip
    """Our results, and onnxruntime's."""
    arrays = tuple(None if a is None else np.asarray(a) for a in arrays)
    model = single(op, list(arrays), opset, set(constants), results, attributes)
    feeds = {f"x{i}": a for i, a in enumerate(arrays) if a is not None and i not in constants}
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return list(interp.run(expanded(model), feeds).values()), session.run(None, feeds)


def check(op: str, *arrays: Any, rtol: float = 0, atol: float = 0, **rest: Any) -> None:
    for ours, theirs in zip(*run(op, *arrays, **rest), strict=True):
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=atol)


def i64(*values: int) -> Any:
    return np.array(values, dtype=np.int64)


def normal(*shape: int, dtype: Any = np.float32) -> Any:
    values = RNG.standard_normal(shape)
    return (values * 10).astype(dtype) if np.dtype(dtype).kind in "iu" else values.astype(dtype)


# ---- element-wise ---------------------------------------------------------------------------

ORACLES = {
    "Abs": np.abs, "Neg": np.negative, "Sign": np.sign, "Reciprocal": np.reciprocal,
    "Exp": np.exp, "Log": np.log, "Sqrt": np.sqrt, "Floor": np.floor, "Ceil": np.ceil,
    "Round": np.rint, "Tanh": np.tanh, "Sin": np.sin, "Cos": np.cos, "Tan": np.tan,
    "Asin": np.arcsin, "Acos": np.arccos, "Atan": np.arctan, "Sinh": np.sinh, "Cosh": np.cosh,
    "Asinh": np.arcsinh, "Acosh": np.arccosh, "Atanh": np.arctanh,
    "Softplus": lambda x: np.logaddexp(x, 0),
    "Softsign": lambda x: x / (1 + np.abs(x)),
    "Mish": lambda x: x * np.tanh(np.logaddexp(x, 0)),
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}  # fmt: skip


@pytest.mark.parametrize("op", ORACLES)
def test_unary_is_accurate_everywhere(op):
    x = np.concatenate([SPECIAL, normal(200), normal(50) * 30, RNG.uniform(-1, 1, 200)])
    x = x.astype(np.float32)
    model = single(op, [x], 18, set(), 1, {})
    (ours,) = interp.run(expanded(model), {"x0": x}).values()
    with np.errstate(all="ignore"):
        oracle = ORACLES[op](x.astype(np.float64))
        oracle = oracle.astype(np.float32)
    finite = ~np.isinf(x) if op in ("Softsign", "Mish") else np.ones(x.shape, dtype=bool)
    np.testing.assert_allclose(ours[finite], oracle[finite], rtol=2e-6, atol=1e-42)


@pytest.mark.parametrize(
    "op, attributes",
    [
        ("Relu", {}), ("LeakyRelu", {}), ("LeakyRelu", {"alpha": -0.25}), ("Elu", {"alpha": 2.0}),
        ("Selu", {}), ("Celu", {"alpha": 0.7}), ("ThresholdedRelu", {"alpha": 0.3}),
        ("HardSigmoid", {}), ("HardSigmoid", {"alpha": 0.3, "beta": 0.1}), ("HardSwish", {}),
        ("Softplus", {}), ("Softsign", {}), ("Mish", {}), ("Erf", {}), ("Sigmoid", {}),
        ("Shrink", {"lambd": 0.4, "bias": 0.2}), ("Gelu", {}), ("Gelu", {"approximate": "tanh"}),
        ("IsNaN", {}), ("IsInf", {}), ("IsInf", {"detect_negative": 0}),
        ("IsInf", {"detect_positive": 0}), ("IsInf", {"detect_positive": 0, "detect_negative": 0}),
    ],
)  # fmt: skip
def test_activations(op, attributes):
    x = np.concatenate([SPECIAL[np.isfinite(SPECIAL)] if op != "IsInf" else SPECIAL, normal(100)])
    check(op, x, opset=20, rtol=1e-5, atol=2e-6, **attributes)


BINARY = ["Add", "Sub", "Mul", "Div", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal",
          "Max", "Min"]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64])
@pytest.mark.parametrize("op", BINARY)
def test_binary(op, dtype):
    a, b = normal(2, 1, 4, dtype=dtype), normal(3, 1, dtype=dtype)
    b[b == 0] = 3  # onnxruntime traps on integer division by 0
    check(op, a, b, rtol=1e-6)
    check(op, a, b, constants=[1], rtol=1e-6)


@pytest.mark.parametrize("base", [np.float32, np.float64, np.int32, np.int64])
@pytest.mark.parametrize("exponent", [np.float32, np.float64, np.int32, np.int64])
def test_pow_of_mixed_dtypes(base, exponent):
    x = np.abs(normal(2, 3, dtype=base)) + 1
    y = RNG.integers(0, 4, (3,)).astype(exponent)
    check("Pow", x, y, rtol=1e-6)
    for power in (1, 2, 3, 0):
        check("Pow", x, np.array(power, dtype=exponent), constants=[1], rtol=1e-6)


@pytest.mark.parametrize("fmod", [0, 1])
def test_mod(fmod):
    signs = np.array([[7, -7], [7, -7]]), np.array([[3], [-3]])
    for dtype in (np.int8, np.int32, np.int64):
        check("Mod", *(s.astype(dtype) for s in signs), fmod=fmod)
    if fmod:
        check("Mod", *(s.astype(np.float32) + 0.25 for s in signs), fmod=1)


@pytest.mark.parametrize("op", ["Max", "Min", "Sum", "Mean"])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_variadic(op, count):
    check(
        op, *(normal(3, 1) if i % 2 else normal(1, 4) for i in range(count)), rtol=1e-6, atol=1e-6
    )


def test_integers_never_trap():
    x, y = np.array([5, -5, -(2**31)], np.int32), np.array([0, 0, -1], np.int32)
    for op, expected in {"Div": [0, 0, -(2**31)], "Mod": [0, 0, 0], "Pow": [1, 1, 0]}.items():
        model = single(op, [x, y], 18, set(), 1, {})
        with np.errstate(over="ignore"):
            (ours,) = interp.run(expanded(model), {"x0": x, "x1": y}).values()
        np.testing.assert_array_equal(ours, expected)


def test_selections_and_logic():
    condition = normal(2, 3) > 0
    check("Where", condition, normal(3), normal(2, 1))
    check("Where", condition, np.float32([1.0]), np.float32(0.0), constants=[1, 2])
    check("PRelu", normal(2, 3, 4), normal(3, 1))
    for op in ("And", "Or", "Xor", "Equal"):
        check(op, condition, normal(3) > 0)
    check("Not", condition)


@pytest.mark.parametrize("opset", [7, 11, 13])
@pytest.mark.parametrize("low, high", [(-0.5, 0.5), (None, 0.5), (-0.5, None), (None, None)])
def test_clip(opset, low, high):
    x = normal(4, 5)
    if opset < 11:
        bounds = {k: v for k, v in (("min", low), ("max", high)) if v is not None}
        check("Clip", x, opset=opset, **bounds)
        return
    operands = [None if v is None else np.array(v, dtype=np.float32) for v in (low, high)]
    check("Clip", x, *operands, opset=opset)
    check("Clip", x, *operands, opset=opset, constants=[1, 2])


def test_clip_of_integers():
    check("Clip", normal(9, dtype=np.int32), np.int32(-3), np.int32(4), constants=[1])


CASTS = [np.float32, np.float64, np.float16, np.int8, np.uint8, np.int32, np.int64, np.bool_]


@pytest.mark.parametrize("source, target", list(itertools.product(CASTS, CASTS)))
def test_cast(source, target):
    x = np.abs(normal(3, 4) * 10).astype(source)
    check("Cast", x, to=helper.np_dtype_to_tensor_dtype(np.dtype(target)))


@pytest.mark.parametrize("target", [np.int8, np.uint8, np.int32, np.int64, np.uint64])
@pytest.mark.parametrize("source", [np.float32, np.float64])
def test_casts_to_integers_saturate(source, target):
    """ONNX leaves these open; Python's exact integers say what truncating and clamping give."""
    x = np.array([3.7, -3.7, 255.9, -1e30, 1e30, 2.0**31, -(2.0**63), 2.0**63, 2.0**64], source)
    limits = np.iinfo(target)
    expected = [min(max(int(v), int(limits.min)), int(limits.max)) for v in x]
    feeds = np.concatenate([x, np.array([np.inf, -np.inf, np.nan], source)])
    model = single(
        "Cast", [feeds], 18, set(), 1, {"to": helper.np_dtype_to_tensor_dtype(np.dtype(target))}
    )
    (ours,) = interp.run(expanded(model), {"x0": feeds}).values()
    assert ours.tolist() == [*expected, limits.max, limits.min, 0]


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16])
@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_quantisation(dtype, axis):
    x = normal(3, 4, 5) * 100
    size = 1 if axis is None else x.shape[axis]
    scale = (RNG.uniform(0.1, 2, size)).astype(np.float32)
    zero = RNG.integers(0, 9, size).astype(dtype)
    if axis is None:
        scale, zero = scale[0], zero[0]
    attributes = {} if axis is None else {"axis": axis}
    check("QuantizeLinear", x, scale, zero, opset=21, atol=1, **attributes)
    stored = normal(3, 4, 5, dtype=dtype)
    check(
        "DequantizeLinear", stored, scale, zero, opset=21, constants=[1, 2], rtol=1e-6, **attributes
    )


def test_halves_are_computed_in_f32_and_rounded_once():
    x, y = normal(50, dtype=np.float16), normal(50, dtype=np.float16)
    model = single("Mul", [x, y], 18, set(), 1, {})
    (ours,) = interp.run(expanded(model), {"x0": x, "x1": y}).values()
    np.testing.assert_array_equal(ours, x * y)


# ---- shapes and movement --------------------------------------------------------------------


def test_views():
    x = normal(2, 1, 3, 1)
    check("Reshape", x, i64(3, -1), constants=[1])
    check("Reshape", x, i64(0, 3, 1), constants=[1])
    check("Flatten", x, axis=-2)
    for opset in (11, 13):
        axes = [1, 3] if opset == 13 else [1]
        operands = ([x, i64(*axes)], {"constants": [1]}) if opset == 13 else ([x], {"axes": axes})
        check("Squeeze", *operands[0], opset=opset, **operands[1])
        check("Unsqueeze", *operands[0], opset=opset, **operands[1])
    check("Squeeze", x)
    check("Identity", x)
    check("Shape", x, start=1, end=-1)
    check("Size", x)


@pytest.mark.parametrize("opset", [7, 10, 12, 13])
def test_dropout_changes_nothing(opset):
    check("Dropout", normal(3, 4), opset=opset)


def test_dropout_keeps_all():
    ours, theirs = run("Dropout", normal(3, 4), results=2, opset=13)
    np.testing.assert_array_equal(ours[1], theirs[1])


@given(st.permutations(range(4)))
@EXAMPLES
def test_transpose(perm):
    check("Transpose", normal(2, 3, 1, 4), perm=list(perm))


def test_joining_and_cutting():
    check("Transpose", normal(2, 3, 4))
    check("Concat", normal(2, 3), normal(2, 1), normal(2, 4), axis=-1)
    check("Split", normal(7, 2), opset=11, results=2, split=[3, 4])
    check("Split", normal(2, 6), opset=11, results=3, axis=1)
    check("Split", normal(2, 6), i64(1, 0, 5), opset=13, results=3, axis=-1, constants=[1])
    check("Split", normal(7, 2), opset=18, results=3, num_outputs=3)
    check("Expand", normal(3, 1), i64(2, 1, 4), constants=[1])
    check("Tile", normal(2, 3), i64(3, 2), constants=[1])


@given(st.data())
@EXAMPLES
def test_slice(data):
    shape = (4, 3, 5)
    axes = data.draw(st.permutations([0, 1, -1]).map(lambda p: p[: data.draw(st.integers(1, 3))]))
    steps = [data.draw(st.integers(-3, 3).filter(bool)) for _ in axes]
    starts = [data.draw(st.integers(-7, 7)) for _ in axes]
    # "to the end", forwards and backwards
    far = {1: [2**31 - 1, 2**63 - 1], -1: [-(2**31), -(2**63) + 1]}
    ends = [data.draw(st.integers(-7, 7) | st.sampled_from(far[np.sign(step)])) for step in steps]
    x = normal(*shape)
    check("Slice", x, i64(*starts), i64(*ends), i64(*axes), i64(*steps), constants=[1, 2, 3, 4])


def test_slice_forms():
    check("Slice", normal(4, 5), i64(1, 2), i64(-1, 9), constants=[1, 2])
    check("Slice", normal(4, 5), opset=9, starts=[1, 0], ends=[-1, 2**31 - 1])
    check("Slice", normal(4, 5), opset=9, starts=[-3], ends=[4], axes=[1])


@given(st.data(), st.sampled_from(["constant", "edge", "reflect", "wrap"]))
@EXAMPLES
def test_pad(data, mode):
    x = normal(4, 3, 5)
    reach = st.integers(0, 2) if mode != "constant" else st.integers(-1, 4)
    pads = [data.draw(reach) for _ in range(6)]
    check("Pad", x, i64(*pads), opset=19, constants=[1], mode=mode)
    if mode != "wrap":
        check("Pad", x, opset=10, pads=pads, mode=mode)


@pytest.mark.parametrize("mode", ["edge", "reflect"])
def test_negative_pads_crop(mode):
    check("Pad", normal(4, 5), i64(-1, 2, 1, -2), mode=mode, constants=[1])


def test_pad_values_and_axes():
    x, value = normal(2, 3, 4), np.float32(7.5)
    check("Pad", x, i64(1, 0, 2, 1), value, i64(-1, 0), constants=[1, 2, 3])
    check("Pad", x, i64(1, 0, 2, 1), value, i64(0, 2), constants=[1, 3])  # value at run time
    check("Pad", x, opset=10, pads=[0, 1, 0, 1, 0, 2], value=-1.5)
    check("Pad", normal(3, dtype=np.int64), i64(2, 1), np.int64(9), constants=[1, 2])


@given(st.integers(-3, 2), st.lists(st.integers(-2, 1), max_size=6), st.booleans())
@EXAMPLES
def test_gather(axis, indices, known):
    x = normal(2, 3, 4) if axis in (0, -3) else normal(2, 2, 2)
    constants = [1] if known else []
    for dtype in (np.int32, np.int64):
        picked = np.array(indices, dtype=dtype)
        check("Gather", x, picked, constants=constants, axis=axis)
        check("Gather", x, np.resize(picked, (2, 1, 3)) if indices else picked, axis=axis)
    check("Gather", x, np.array(-1), constants=constants, axis=axis)


def test_gathers_of_elements():
    x, indices = normal(3, 4), RNG.integers(-3, 3, (2, 4))
    check("GatherElements", x, indices, constants=[1])
    check("GatherElements", x, RNG.integers(-4, 4, (3, 2)), constants=[1], axis=-1)
    check("GatherND", x, i64(0, 1, 2, -1).reshape(2, 2), constants=[1])
    check("GatherND", x, i64(0, -1).reshape(2, 1), constants=[1])
    check("GatherND", normal(2, 3, 4), i64(1, 0).reshape(2, 1), constants=[1], batch_dims=1)


def test_gather_out_of_range_is_refused():
    with pytest.raises(UnsupportedError, match=r"Gather node 'node': .* out of range"):
        expanded(single("Gather", [normal(3), i64(3)], 18, {1}, 1, {}))


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_space_and_depth(mode):
    check("DepthToSpace", normal(2, 12, 2, 3), blocksize=2, mode=mode)
    check("SpaceToDepth", normal(2, 3, 4, 6), blocksize=2)


def test_made_of_constants():
    x = normal(3, 4)
    check("EyeLike", x, k=1)
    check("EyeLike", x, k=-1, dtype=onnx.TensorProto.INT64)
    check("Trilu", x, upper=0)
    check("Trilu", normal(2, 4, 3), i64(1)[0], constants=[1])
    check("OneHot", i64(0, -1, 5), i64(4), np.float32([2, 3]), constants=[1, 2])
    check("OneHot", i64(0, -1, 5), i64(4), np.float32([2, 3]), constants=[1, 2], axis=0)


# ---- resize ---------------------------------------------------------------------------------

TRANSFORMS = ["half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners",
              "half_pixel_symmetric"]  # fmt: skip
ROUNDINGS = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]
SIZES = [((5, 7), (3, 11)), ((4, 4), (8, 8)), ((6, 5), (3, 1)), ((1, 3), (4, 4)), ((7, 9), (2, 5))]


def resized(x: Any, size: tuple[int, int], how: str, roi: Any = None) -> list[Any]:
    if how == "sizes":
        return [x, roi, None, i64(*x.shape[:2], *size)]
    # scales that are not quite the ratio of sizes
    scales = [(out + 0.3) / extent for out, extent in zip(size, x.shape[2:], strict=True)]
    return [x, roi, np.array([1, 1, *scales], dtype=np.float32)]


@pytest.mark.parametrize("how", ["sizes", "scales"])
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_resize(transform, how):
    rest = {"opset": 19, "constants": [2, 3], "coordinate_transformation_mode": transform}
    for extents, size in SIZES:
        operands = resized(normal(1, 2, *extents), size, how)
        for rounding in ROUNDINGS:
            if transform != "half_pixel_symmetric":  # its centre is exact here, not in onnxruntime
                check("Resize", *operands, mode="nearest", nearest_mode=rounding, **rest)
        for antialias in (0, 1):
            smooth = rest | {"antialias": antialias, "rtol": 1e-4, "atol": 1e-5}
            check("Resize", *operands, mode="linear", **smooth)
            for outside in (0, 1):
                check("Resize", *operands, mode="cubic", exclude_outside=outside, **smooth)


def test_resize_crops():
    roi = np.float32([0, 0, 0.1, 0.2, 1, 1, 0.8, 1.1])
    rest = {"opset": 19, "coordinate_transformation_mode": "tf_crop_and_resize",
            "extrapolation_value": 2.5, "atol": 1e-5}  # fmt: skip
    for (extents, size), mode in itertools.product(SIZES, ["nearest", "linear"]):
        operands = resized(normal(1, 2, *extents), size, "sizes", roi)
        check("Resize", *operands, mode=mode, constants=[1, 3], **rest)


@pytest.mark.parametrize("policy", ["stretch", "not_larger", "not_smaller"])
def test_resize_some_axes(policy):
    operands = [normal(1, 2, 6, 8), None, None, i64(3, 11)]
    for mode in ("nearest", "linear"):
        check("Resize", *operands, opset=18, constants=[3], axes=[2, 3], mode=mode, atol=1e-5,
              keep_aspect_ratio_policy=policy)  # fmt: skip


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_early_versions(mode):
    x, scales = normal(1, 2, 4, 3), np.float32([1, 1, 2, 1.5])
    check("Upsample", x, opset=7, mode=mode, scales=scales.tolist(), atol=1e-6)
    check("Upsample", x, scales, opset=9, mode=mode, constants=[1], atol=1e-6)
    for scale in (1.5, 0.6):
        scales = np.float32([1, 1, scale, scale])
        check("Resize", x, scales, opset=10, mode=mode, constants=[1], atol=1e-5)
    check("Resize", x, np.float32([]), scales, opset=11, mode=mode, constants=[1, 2], atol=1e-5)


def test_resize_of_other_dtypes():
    for dtype in (np.int32, np.uint8, np.int8):
        x = np.abs(normal(1, 1, 4, 4, dtype=dtype)) * 2
        check("Resize", *resized(x, (8, 8), "sizes"), mode="nearest", constants=[3])


def test_whole_factors_are_one_broadcast():
    """Doubling an image is one loop nest, without a kernel and without an image between."""
    operands = resized(normal(1, 2, 4, 4), (8, 8), "sizes")
    attributes = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric"}
    graph = expanded(single("Resize", operands, 18, {3}, 1, attributes | {"nearest_mode": "floor"}))
    operators = [op.operator.name for op in graph.ops]
    assert [n for n in operators if n not in ("input", "constant", "output", "reshape")] == [
        "broadcast"
    ]


@given(st.integers(1, 40), st.integers(1, 40))
@EXAMPLES
def test_symmetric_positions_keep_the_centre(extent, count):
    positions = source_positions(Axis(extent, count, count / extent), "half_pixel_symmetric")
    np.testing.assert_allclose(positions + positions[::-1], extent - 1, atol=1e-4)
    assert nearest(positions, extent, "floor").max() < extent


# ---- the replacement itself -----------------------------------------------------------------


def test_ops_carry_the_label_of_their_node():
    graph = expanded(single("HardSwish", [normal(3)], 18, set(), 1, {}))
    assert [op.label for op in graph.ops if op.operator.name == "map"] == ["node"]


def test_an_operator_without_expansion_is_named_with_a_remedy():
    model = single("ImageDecoder", [np.zeros(9, np.uint8)], 20, set(), 1, {})
    with pytest.raises(UnsupportedError, match=r"ImageDecoder node 'node': .*`dlc ops`.*--load"):
        expanded(model)


def test_runtime_parameters_are_refused_by_name():
    """A choice that is made only at run time: which operand, of which node."""
    arrays = [normal(1, 4, 1), np.array(4)]
    with pytest.raises(UnsupportedError, match="DFT node 'node': operand 1"):
        expanded(single("DFT", arrays, 17, set(), 1, {}))
