"""Writing an ONNX graph as a chain of calls: nodes, constants and seeded random layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Tensor = str | np.ndarray[Any, Any] | np.generic


def whole(*numbers: int) -> np.ndarray[Any, Any]:
    """A constant i64 vector."""
    return np.array(numbers, np.int64)


def single(number: float) -> np.ndarray[Any, Any]:
    """A constant f32 scalar."""
    return np.array(number, np.float32)


class Network:
    """A graph under construction. Tensors are names; arrays in their place become initializers."""

    def __init__(self, name: str, seed: int, opset: int) -> None:
        self.name, self.opset, self.rng = name, opset, np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self.channels: dict[str, int] = {}

    def input(self, name: str, dtype: int, shape: Sequence[int | str]) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return name

    def output(self, tensor: str, name: str, dtype: int, shape: Sequence[int | str]) -> None:
        self.nodes.append(helper.make_node("Identity", [tensor], [name], f"output_{name}"))
        self.outputs.append(helper.make_tensor_value_info(name, dtype, shape))

    def name_of(self, tensor: Tensor | None) -> str:
        if tensor is None:
            return ""
        if isinstance(tensor, str):
            return tensor
        name = f"constant_{len(self.constants)}"
        self.constants[name] = numpy_helper.from_array(np.asarray(tensor), name)
        return name

    def ops(self, count: int, type: str, *inputs: Tensor | None, **attributes: Any) -> list[str]:
        """The ``count`` results of a new node."""
        label = f"{type}_{len(self.nodes)}"
        results = [f"{label}_{i}" for i in range(count)]
        names = [self.name_of(tensor) for tensor in inputs]
        self.nodes.append(helper.make_node(type, names, results, label, **attributes))
        return results

    def op(self, type: str, *inputs: Tensor | None, **attributes: Any) -> str:
        """The only result of a new node."""
        return self.ops(1, type, *inputs, **attributes)[0]

    def with_axes(self, type: str, x: Tensor, axes: Sequence[int], **attributes: Any) -> str:
        """Squeeze, Unsqueeze or ReduceSum: their axes are an attribute before opset 13."""
        if self.opset < 13:
            return self.op(type, x, axes=list(axes), **attributes)
        return self.op(type, x, whole(*axes), **attributes)

    def squeeze(self, x: Tensor, *axes: int) -> str:
        return self.with_axes("Squeeze", x, axes)

    def unsqueeze(self, x: Tensor, *axes: int) -> str:
        return self.with_axes("Unsqueeze", x, axes)

    def cast(self, x: Tensor, to: int) -> str:
        return self.op("Cast", x, to=to)

    def concat(self, tensors: Sequence[Tensor], axis: int) -> str:
        return self.op("Concat", *tensors, axis=axis)

    def column(self, x: Tensor, axis: int, index: int) -> str:
        """One index of an axis, which goes."""
        return self.op("Gather", x, np.array(index, np.int64), axis=axis)

    def span(self, x: Tensor, axis: int, first: int, end: int) -> str:
        """``x[..., first:end]`` on an axis."""
        return self.op("Slice", x, whole(first), whole(end), whole(axis))

    def true_positions(self, condition: Tensor) -> str:
        """Where a vector is true: i64[count], as exporters write it."""
        return self.squeeze(self.op("Transpose", self.op("NonZero", condition), perm=[1, 0]), 1)

    def normal(self, *shape: int, scale: float) -> np.ndarray[Any, Any]:
        return (self.rng.standard_normal(shape) * scale).astype(np.float32)

    def conv(self, x: str, channels: int, kernel: int = 3, stride: int = 1, *, depthwise: bool = False,
             gain: float = 2.0, bias: Sequence[float] | float = 0.0) -> str:  # fmt: skip
        """A convolution that keeps the size (over the stride); ``gain``: variance of what it makes."""
        inner = 1 if depthwise else self.channels[x]
        weights = self.normal(
            channels, inner, kernel, kernel, scale=(gain / (inner * kernel**2)) ** 0.5
        )
        biases = np.resize(np.asarray(bias, np.float32), channels)
        result = self.op(
            "Conv", x, weights, biases, kernel_shape=[kernel] * 2, strides=[stride] * 2,
            pads=[kernel // 2] * 4, group=channels if depthwise else 1,
        )  # fmt: skip
        self.channels[result] = channels
        return result

    def batch_norm(self, x: str) -> str:
        """Statistics near 0 and 1, without a shift: what is 0 remains small."""
        channels = self.channels[x]
        scale, variance = (self.rng.uniform(0.8, 1.2, channels).astype(np.float32) for _ in "sv")
        shift, mean = np.zeros(channels, np.float32), np.zeros(channels, np.float32)
        return self.same(x, self.op("BatchNormalization", x, scale, shift, mean, variance))

    def relu(self, x: str) -> str:
        return self.same(x, self.op("Relu", x))

    def leaky(self, x: str) -> str:
        return self.same(x, self.op("LeakyRelu", x, alpha=0.1))

    def relu6(self, x: str) -> str:
        return self.same(x, self.op("Clip", x, single(0), single(6)))

    def add(self, x: str, y: str) -> str:
        return self.same(x, self.op("Add", x, y))

    def same(self, x: str, result: str) -> str:
        """A result of as many channels as ``x``."""
        self.channels[result] = self.channels[x]
        return result

    def join(self, *features: str) -> str:
        """Concatenation of channels."""
        result = self.concat(features, 1)
        self.channels[result] = sum(self.channels[x] for x in features)
        return result

    def max_pool(self, x: str, kernel: int, stride: int) -> str:
        pads = [(kernel - 1) // 2] * 4
        pool = self.op("MaxPool", x, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=pads)
        return self.same(x, pool)

    def gemm(self, x: str, rows: int, columns: int, *, gain: float = 2.0,
             bias: Sequence[float] | float = 0.0) -> str:  # fmt: skip
        weights = self.normal(columns, rows, scale=(gain / rows) ** 0.5)
        return self.op(
            "Gemm", x, weights, np.resize(np.asarray(bias, np.float32), columns), transB=1
        )

    def model(self) -> onnx.ModelProto:
        """The finished model, checked."""
        graph = helper.make_graph(
            self.nodes, self.name, self.inputs, self.outputs, list(self.constants.values())
        )
        opsets = [helper.make_opsetid("", self.opset)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        onnx.checker.check_model(model)
        return model


FLOAT, INT64, INT32, UINT8 = (
    TensorProto.FLOAT, TensorProto.INT64, TensorProto.INT32, TensorProto.UINT8,
)  # fmt: skip
