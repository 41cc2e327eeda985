"""Ops that sum, in their other forms: compiled C, and standard ONNX nodes again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from single_node import expanded, model, normal, reference

from dlc import api, exporter

I8, I32, I64 = np.int8, np.int32, np.int64

# op, operands, opset, operands that are initializers, attributes
CASES: list[tuple[str, list[Any], int, tuple[int, ...], dict[str, Any]]] = [
    ("ConvTranspose", [normal(1, 4, 5, 6), normal(4, 3, 3, 3), normal(6)], 17, (1,),
     {"strides": [2, 2], "pads": [1, 0, 1, 1], "output_padding": [1, 0], "group": 2}),
    ("Conv", [normal(2, 4, 5, 6, 4), normal(6, 2, 3, 3, 2), normal(6)], 17, (1, 2),
     {"strides": [2, 1, 1], "pads": [1, 0, 1, 1, 1, 1], "group": 2, "dilations": [1, 2, 1]}),
    ("Conv", [normal(1, 8, 21, 600), normal(7, 8, 1, 1)], 17, (), {"strides": [1, 2]}),
    ("LRN", [normal(2, 5, 4, 3)], 17, (), {"size": 3, "alpha": 0.3, "beta": 0.6, "bias": 1.5}),
    ("ReduceLogSumExp", [normal(3, 4, 5), np.array([1])], 18, (1,), {}),
    ("ReduceMax", [normal(3, 4) > 0, np.array([1])], 20, (1,), {}),
    ("ReduceMean", [normal(3, 4, dtype=I32), np.array([0])], 18, (1,), {}),
    ("CumSum", [normal(3, 6, dtype=I64), np.array(1)], 14, (1,), {"exclusive": 1, "reverse": 1}),
    ("ArgMax", [normal(3, 6, 2)], 13, (), {"axis": 1, "keepdims": 0}),
    ("AveragePool", [normal(1, 2, 7, 9)], 19, (), {"kernel_shape": [3, 2], "strides": [2, 3],
     "pads": [1, 1, 2, 0], "ceil_mode": 1, "count_include_pad": 1}),
    # gcc 12 -O3 with AVX-512 once made wrong code of this one
    ("AveragePool", [normal(2, 1, 5, 12)], 19, (), {"kernel_shape": [3, 1], "pads": [1, 0, 1, 0], "count_include_pad": 1}),
    ("MaxPool", [normal(1, 2, 7, 9)], 19, (), {"kernel_shape": [3, 2], "strides": [2, 3], "pads": [1, 1, 2, 0], "ceil_mode": 1}),
    ("MaxPool", [normal(1, 2, 7, 9, dtype=I8)], 12, (), {"kernel_shape": [3, 2], "pads": [1, 1, 2, 0]}),
    ("MatMul", [normal(5, 7, 3, dtype=I32), normal(3, 4, dtype=I32)], 13, (), {}),
    ("MatMul", [normal(3, 1, 7, 30), normal(2, 30, 900)], 13, (), {}),
    ("Gemm", [normal(30, 5), normal(40, 30), normal(40)], 17, (1,), {"transA": 1, "transB": 1, "alpha": 0.5}),
    ("Einsum", [normal(2, 3, 4, 5), normal(2, 6, 4, 5)], 12, (), {"equation": "bqhc,bkhc->bhqk"}),
    ("LogSoftmax", [normal(3, 4, 5)], 13, (), {"axis": 1}),
    ("Hardmax", [normal(3, 4, 5)], 13, (), {"axis": 1}),
    ("GroupNormalization", [normal(2, 6, 4, 3), normal(6), normal(6)], 21, (), {"num_groups": 3}),
]  # fmt: skip


@pytest.mark.parametrize(
    "op, arrays, opset, constants, attributes", CASES, ids=[c[0] for c in CASES]
)
def test_forms_agree_with_onnxruntime(op: str, arrays: list[Any], opset: int, constants: tuple[int, ...],
                                      attributes: dict[str, Any],
                                      tmp_path: Path) -> None:  # fmt: skip
    proto = model(op, arrays, opset, constants, 1, attributes)
    inputs = {f"x{i}": a for i, a in enumerate(arrays) if i not in constants}
    (expected,) = reference(proto, inputs)
    (again,) = reference(exporter.to_onnx(expanded(proto)), inputs)
    (compiled,) = api.compile(proto, out=tmp_path / "c").run(inputs).values()
    for result in (again, compiled):
        assert (result.dtype, result.shape) == (expected.dtype, expected.shape)
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)
