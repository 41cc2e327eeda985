"""TfIdfVectorizer of integers against onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper
from single_node import expanded, reference

from dlc import interp


@settings(max_examples=60)
@given(
    shape=st.lists(st.integers(1, 7), min_size=1, max_size=2), skips=st.integers(0, 3),
    counts=st.lists(st.integers(0, 4), min_size=1, max_size=3), data=st.data(),
    mode=st.sampled_from(["TF", "IDF", "TFIDF"]), weighted=st.booleans(), wide=st.booleans(),
)  # fmt: skip
def test_counts(shape: list[int], skips: int, counts: list[int], data: Any, mode: str,
                weighted: bool, wide: bool) -> None:  # fmt: skip
    counts[-1] += 1
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    grams = [
        np.unique(rng.integers(0, 3, (count, length)), axis=0)
        for length, count in enumerate(counts, 1)
    ]
    starts = np.cumsum([0, *(g.size for g in grams[:-1])]).tolist()
    total = sum(len(g) for g in grams)
    columns = data.draw(st.permutations(range(total)))
    longest = data.draw(st.integers(1, len(counts)))
    attributes = {
        "mode": mode, "max_skip_count": skips, "ngram_counts": starts, "ngram_indexes": columns,
        "min_gram_length": data.draw(st.integers(1, longest)), "max_gram_length": longest,
        "pool_int64s": np.concatenate([g.ravel() for g in grams]).tolist(),
    }  # fmt: skip
    if weighted:
        attributes["weights"] = rng.uniform(0, 2, total).tolist()
    x = rng.integers(0, 3, shape).astype(np.int64 if wide else np.int32)
    kind = helper.np_dtype_to_tensor_dtype(x.dtype)
    graph = helper.make_graph(
        [helper.make_node("TfIdfVectorizer", ["x"], ["y"], **attributes)], "single",
        [helper.make_tensor_value_info("x", kind, x.shape)],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
    )  # fmt: skip
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (expected,) = reference(proto, {"x": x})
    (found,) = interp.run(expanded(proto), {"x": x}).values()
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-6)
