"""onnx's own node tests, imported, expanded and evaluated: one test for each operator."""

from __future__ import annotations

import functools
import warnings
from collections import defaultdict

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from dlc import interp
from dlc.errors import UnsupportedError
from dlc.importer import load
from dlc.ops.onnx.expand import expand_op
from dlc.ops.onnx.operator import OnnxOperator

#: the newest opset dlc reads
NEWEST = 26
#: operands that say how, not what: they must be known when compiling, so they become initializers
PARAMETERS = {
    "CenterCropPad": [1], "ConstantOfShape": [0], "Dropout": [1, 2], "Expand": [1],
    "GatherElements": [1], "GatherND": [1], "OneHot": [1, 2], "Pad": [1, 3], "Range": [0, 1, 2],
    "Reshape": [1], "Resize": [1, 2, 3], "Slice": [1, 2, 3, 4], "Split": [1], "Squeeze": [1],
    "Tile": [1], "Trilu": [1], "Unsqueeze": [1], "Upsample": [1],
}  # fmt: skip
#: how many cases of an operator must agree (the rest is refused, for the reasons in ``refused``)
OPERATORS = {
    "Abs": 1, "Acos": 2, "Acosh": 2, "Add": 8, "And": 8, "Asin": 2, "Asinh": 2, "Atan": 2,
    "Atanh": 2, "Cast": 16, "CastLike": 8, "Ceil": 2, "Celu": 1, "CenterCropPad": 6, "Clip": 12,
    "Concat": 12, "Constant": 1, "ConstantOfShape": 3, "Cos": 2, "Cosh": 2, "DepthToSpace": 2,
    "DequantizeLinear": 5, "Div": 10, "Dropout": 6, "DynamicQuantizeLinear": 3, "Elu": 3,
    "Equal": 10, "Erf": 1, "Exp": 2, "Expand": 2, "EyeLike": 3, "Flatten": 9, "Floor": 2,
    "Gather": 4, "GatherElements": 3, "GatherND": 3, "Gelu": 4, "Greater": 8, "GreaterOrEqual": 8,
    "HardSigmoid": 3, "HardSwish": 1, "Identity": 3, "IsInf": 4, "IsNaN": 2, "LeakyRelu": 3,
    "Less": 8, "LessOrEqual": 8, "Log": 2, "Max": 14, "Mean": 3, "Min": 14, "Mish": 1, "Mod": 19,
    "Mul": 9, "Neg": 2, "Not": 3, "OneHot": 5, "Or": 8, "PRelu": 2, "Pad": 6, "Pow": 12,
    "QuantizeLinear": 6, "Range": 2, "Reciprocal": 2, "Relu": 1, "Reshape": 10, "Resize": 37,
    "RotaryEmbedding": 8, "Round": 1, "Selu": 3, "Shape": 11, "Shrink": 2, "Sigmoid": 2, "Sign": 1,
    "Sin": 2, "Sinh": 2, "Size": 2, "Slice": 8, "Softplus": 2, "Softsign": 2, "SpaceToDepth": 2,
    "Split": 16, "Sqrt": 2, "Squeeze": 2, "Sub": 9, "Sum": 3, "Swish": 1, "Tan": 2, "Tanh": 2,
    "ThresholdedRelu": 3, "Tile": 2, "Transpose": 7, "Trilu": 18, "Unsqueeze": 7, "Upsample": 1,
    "Where": 2, "Xor": 8,
}  # fmt: skip
#: the definition's length_resized is scale * extent there; onnxruntime, which we follow, takes the
#: result's size
EXCEPT = {
    "test_resize_downsample_scales_linear_align_corners",
    "test_resize_downsample_scales_cubic_align_corners",
} | {  # random
    f"test_training_dropout{form}" for form in ("", "_default", "_mask", "_default_mask")
}  # fmt: skip


@functools.cache
def cases():
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the oracles overflow on purpose
        found = collect_testcases(None)
    by_operator = defaultdict(list)
    for case in found:
        nodes = case.model.graph.node
        tensors = all(info.type.HasField("tensor_type") for info in case.model.graph.input)
        if len(nodes) == 1 and not nodes[0].domain and tensors and case.name not in EXCEPT:
            by_operator[nodes[0].op_type].append(case)
    return by_operator


def plain(value):
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)


def with_parameters(proto: onnx.ModelProto, arrays):
    """The model with its parameters as initializers, at an opset dlc reads; and the other inputs."""
    model = onnx.ModelProto()
    model.CopyFrom(proto)
    for opset in model.opset_import:
        opset.version = min(max(opset.version, 7), NEWEST)
    (node,) = model.graph.node
    parameters = [node.input[i] for i in PARAMETERS.get(node.op_type, []) if i < len(node.input)]
    feeds = dict(zip((info.name for info in model.graph.input), arrays, strict=True))
    kept = [info for info in model.graph.input if info.name not in parameters]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    for name in set(parameters) & set(feeds):
        model.graph.initializer.append(numpy_helper.from_array(feeds.pop(name), name))
    return model, feeds


def exists(model: onnx.ModelProto) -> bool:
    """Whether the case, taken back to an opset dlc reads, still is a model."""
    try:
        onnx.checker.check_model(model)
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError):
        return False
    return True


def refused(error: UnsupportedError) -> bool:
    """Narrow types, strings: what no expansion of these ops covers."""
    reasons = ("no conversion", "quantisation")
    return any(reason in str(error) for reason in reasons)


@pytest.mark.parametrize("operator", OPERATORS)
def test_node_cases(operator):
    agreeing = 0
    for case in cases()[operator]:
        inputs, expected = ([plain(value) for value in values] for values in case.data_sets[0])
        model, feeds = with_parameters(case.model, inputs)
        if case.model.opset_import[0].version > NEWEST and not exists(model):
            continue
        try:
            graph = load(model)
            for op in graph.ops:
                expand_op(op)
        except UnsupportedError as error:
            if refused(error):
                continue
            error.add_note(case.name)
            raise
        assert not any(isinstance(op.operator, OnnxOperator) for op in graph.ops)
        results = interp.run(graph, feeds).values()
        for ours, theirs in zip(results, expected, strict=True):
            assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape), case.name
            if ours.dtype.kind not in "biuO":
                ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)
            np.testing.assert_allclose(
                ours, theirs, rtol=case.rtol, atol=case.atol, err_msg=case.name
            )
        agreeing += 1
    assert agreeing >= OPERATORS[operator]
