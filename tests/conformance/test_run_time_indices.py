"""Indices known at run time only: compared with onnxruntime, refused out of range, never in place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from single_node import reference

from dlc import api
from dlc.errors import InputError

RNG = np.random.default_rng(9)
X = RNG.standard_normal((3, 4)).astype(np.float32)


def model(op: str, names: list[str], inputs: dict[str, np.ndarray], **attributes: Any) -> Any:
    """One op, and x + 1 beside it, which keeps x alive."""
    kind = helper.np_dtype_to_tensor_dtype
    graph = helper.make_graph(
        [helper.make_node(op, names, ["y"], **attributes), helper.make_node("Add", ["x", "x"], ["twice"])],
        "indices",
        [helper.make_tensor_value_info(n, kind(a.dtype), a.shape) for n, a in inputs.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("y", "twice")],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


# operator, names of its operands, indices in range, attributes
FORMS: list[tuple[str, list[str], Any, dict[str, Any]]] = [
    ("GatherElements", ["x", "i"], [[0, -1, 2, 1], [2, 0, -3, 1]], {"axis": 0}),
    ("GatherElements", ["x", "i"], [[3, -4], [0, 1], [2, 2]], {"axis": 1}),
    ("GatherND", ["x", "i"], [[0, -1], [2, 3]], {}),
    ("GatherND", ["x", "i"], [[1], [-2], [0]], {"batch_dims": 1}),
    ("ScatterND", ["x", "i", "x"], [[2], [0], [1]], {}),
    ("ScatterND", ["x", "i", "x"], [[2], [0], [-1]], {"reduction": "add"}),
    ("ScatterND", ["x", "i", "x"], [[2], [0], [-1]], {"reduction": "max"}),
    ("ScatterElements", ["x", "i", "x"], [[0, 1, 2, 0]] * 3, {"axis": 0, "reduction": "mul"}),
    ("ScatterElements", ["x", "i", "x"], [[0, 3, 2, 1], [1, 0, -1, -2], [3, 2, 1, 0]], {"axis": 1}),
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form[0]}-{form[3]}")
def test_indices(form: tuple[str, list[str], Any, dict[str, Any]]) -> None:
    op, names, indices, attributes = form
    inputs = {"x": X, "i": np.array(indices, np.int64)}
    proto = model(op, names, inputs, **attributes)
    module = api.compile(proto)
    got = module.run(inputs)
    for name, expected in zip(("y", "twice"), reference(proto, inputs), strict=True):
        np.testing.assert_array_equal(got[name], expected)
    for wrong in (4, -5, 2**62, -(2**63)):  # out of range on every axis
        bad = inputs["i"].copy()
        bad.flat[-1] = wrong
        with pytest.raises(InputError, match="out of range"):
            module.run({"x": X, "i": bad})
