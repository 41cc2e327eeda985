"""Kernels whose results are as many as the data says: against numpy and onnxruntime."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as drawn
from kernel_library import C_TYPES, EXAMPLES, F32, array_kernel, scalar_kernels
from onnx import TensorProto, helper

from dlc.ir.sizes import Symbol
from dlc.ir.types import DType
from dlc.ops.core.unique import Unique
from dlc.testing import arrays, dtypes

LIMITS = np.iinfo(np.int64)


@settings(max_examples=EXAMPLES)
@given(drawn.arrays(np.uint8, st.integers(0, 40), elements=st.sampled_from([0, 1, 1, 255])))
def test_nonzero(x: np.ndarray[Any, Any]) -> None:
    index, count = np.full(len(x), 7, np.int64), np.full(1, 7, np.int64)
    array_kernel("dlc_nonzero")(index, count, x, len(x))
    want = np.flatnonzero(x)
    assert count.item() == len(want)
    np.testing.assert_array_equal(index[: len(want)], want)


@settings(max_examples=EXAMPLES)
@given(rows=st.integers(0, 12), inner=st.sampled_from([0, 1, 2, 5]), dtype=dtypes(bools=False),
       few=st.booleans(), ordered=st.booleans(), data=st.data())  # fmt: skip
def test_unique(rows: int, inner: int, dtype: DType, few: bool, ordered: bool,
                data: st.DataObject) -> None:  # fmt: skip
    values = [0, 1, np.nan] if dtype.is_float else [0, 1]
    x = data.draw(
        drawn.arrays(dtype.numpy, (rows, inner), elements=st.sampled_from(values))
        if few
        else arrays(dtype, (rows, inner))
    )
    c, name = C_TYPES[dtype], f"dlc_unique_{dtype.value}"
    declaration = (
        f"void {name}({', '.join(['int64_t *'] * 4)}, ptrdiff_t *count, const {c} *x, "
        "ptrdiff_t rows, ptrdiff_t inner, ptrdiff_t sorted)"
    )
    first, inverse, counts, order = (np.full(rows, 7, np.int64) for _ in range(4))
    count = np.full(1, 7, np.int64)
    kernel = scalar_kernels("dlc_unique.h", (declaration,))[name]
    kernel(first, inverse, counts, order, count, x, rows, inner, int(ordered))
    found = count.item()
    # the operator's meaning, itself compared with numpy where numpy sorts as we do
    wanted = Unique(Symbol("n", rows), ordered).evaluate([x])
    for got, want in zip((first[:found], inverse, counts[:found]), wanted, strict=True):
        np.testing.assert_array_equal(got, want)
    if ordered and inner and not (dtype.is_float and np.isnan(x).any()):
        _, *theirs = np.unique(
            x, axis=0, return_index=True, return_inverse=True, return_counts=True
        )
        np.testing.assert_array_equal(first[:found], theirs[0])
        np.testing.assert_array_equal(inverse, theirs[1].reshape(-1))
        np.testing.assert_array_equal(counts[:found], theirs[2])


@functools.cache
def suppression(centred: int) -> Any:
    """onnxruntime's NonMaxSuppression."""
    ort = pytest.importorskip("onnxruntime")
    kinds = {"boxes": (TensorProto.FLOAT, ["b", "n", 4]), "scores": (TensorProto.FLOAT, ["b", "c", "n"]),
             "most": (TensorProto.INT64, [1]), "overlap": (TensorProto.FLOAT, [1]),
             "least": (TensorProto.FLOAT, [1])}  # fmt: skip
    node = helper.make_node("NonMaxSuppression", list(kinds), ["y"], center_point_box=centred)
    graph = helper.make_graph(
        [node], "nms", [helper.make_tensor_value_info(n, *k) for n, k in kinds.items()],
        [helper.make_tensor_value_info("y", TensorProto.INT64, None)],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8)
    return ort.InferenceSession(model.SerializeToString())


@settings(max_examples=EXAMPLES)
@given(batches=st.integers(1, 2), classes=st.integers(1, 3), boxes=st.integers(1, 12),
       most=st.integers(-1, 13) | st.sampled_from([LIMITS.min, LIMITS.max]),
       overlap=st.sampled_from([0.0, 0.25, 0.5, 1.0]), least=st.sampled_from([0.0, 0.3, 2.0]),
       centred=st.integers(0, 1), seed=st.integers(0, 999))  # fmt: skip
def test_non_max_suppression(batches: int, classes: int, boxes: int, most: int, overlap: float,
                             least: float, centred: int, seed: int) -> None:  # fmt: skip
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 8, (batches, boxes, 4)).astype(F32)
    # no two scores of a class alike: which of equal ones comes first nobody says
    scores = rng.permuted(np.tile(np.arange(boxes) / F32(boxes), (batches, classes, 1)), axis=2)
    scores = np.ascontiguousarray(scores, F32)
    scalars = [np.array([most]), np.array([overlap], F32), np.array([least], F32)]
    y, count = np.full((batches * classes * boxes, 3), 7, np.int64), np.full(1, 7, np.int64)
    array_kernel("dlc_non_max_suppression_f32")(
        y, np.full(boxes, 7, np.int64), count, x, scores, *scalars, batches, classes, boxes, boxes,
        centred,
    )  # fmt: skip
    given_ = dict(
        zip(("boxes", "scores", "most", "overlap", "least"), (x, scores, *scalars), strict=True)
    )
    given_["most"] = np.clip(given_["most"], 0, boxes)
    (want,) = suppression(centred).run(None, given_)
    np.testing.assert_array_equal(y[: count.item()], want)
