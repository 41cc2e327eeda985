"""Models of one node, and what onnxruntime makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from dlc.importer import load
from dlc.ops.onnx.expand import expand_op

RNG = np.random.default_rng(7)


def normal(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    values = RNG.standard_normal(shape)
    return (values * 10).astype(dtype) if np.dtype(dtype).kind in "iu" else values.astype(dtype)


def model(op: str, arrays: list[Any], opset: int, constants: tuple[int, ...], outputs: int,
          attributes: dict[str, Any]) -> onnx.ModelProto:  # fmt: skip
    """One node; operands are graph inputs, or initializers where listed, or absent (None)."""
    names = ["" if a is None else f"x{i}" for i, a in enumerate(arrays)]
    given_ = [(n, a) for i, (n, a) in enumerate(zip(names, arrays, strict=True))
              if a is not None and i not in constants]  # fmt: skip
    results = [f"y{i}" for i in range(outputs)]
    kind = helper.np_dtype_to_tensor_dtype
    result = onnx.TensorProto.INT64 if op.startswith("Arg") else kind(arrays[0].dtype)
    declared = [result, *[onnx.TensorProto.INT64 if op == "MaxPool" else result] * (outputs - 1)]
    graph = helper.make_graph(
        [helper.make_node(op, names, results, name="node", **attributes)], "single",
        [helper.make_tensor_value_info(n, kind(a.dtype), a.shape) for n, a in given_],
        [helper.make_tensor_value_info(n, t, None) for n, t in zip(results, declared, strict=True)],
        [onnx.numpy_helper.from_array(arrays[i], names[i]) for i in constants],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def expanded(proto: onnx.ModelProto) -> Any:
    graph = load(proto)
    for op in graph.ops:
        expand_op(op)
    return graph


def reference(proto: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    """What onnxruntime computes, unoptimised; a model it refuses fails the test."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(proto.SerializeToString(), options)
        return list(session.run(None, inputs))
    except Exception as error:  # onnxruntime's own exception types have no common base
        pytest.fail(f"onnxruntime refuses the model: {error}")
