"""Tree ensembles against onnxruntime: random forests, all tests, missing values, shared children."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ml_models import Forest, agree, ml_model, random_forest
from onnx import TensorProto, numpy_helper
from single_node import reference

from dlc import api, interp

FLOAT, INT = TensorProto.FLOAT, TensorProto.INT64
FEATURES = 4
TRANSFORMS = ("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO")
ALL = ("LEQ", "LT", "GTE", "GT", "EQ", "NEQ")


@st.composite
def forests(draw: st.DrawFn, targets: int, missing: bool) -> Forest:
    return random_forest(
        draw(st.integers(0, 2**31)), trees=draw(st.integers(1, 5)), depth=draw(st.integers(0, 4)),
        targets=targets, features=FEATURES, missing=missing,
        modes=draw(st.sampled_from([("LEQ",), ("LT",), ("NEQ",), ALL])),
    )  # fmt: skip


def rows(seed: int, dtype: str, missing: bool) -> np.ndarray[Any, Any]:
    """Values that hit the thresholds; some of them missing."""
    rng = np.random.default_rng(seed)
    x = (rng.integers(-3, 4, (7, FEATURES)) / 2).astype(dtype)
    if missing and x.dtype.kind == "f":
        x[rng.random(x.shape) < 0.2] = np.nan
    return x


def in_double(attributes: dict[str, Any], *names: str) -> dict[str, Any]:
    """Lists of floats as tensors of doubles, which rows of doubles are compared with."""
    tensors = {f"{name}_as_tensor": numpy_helper.from_array(np.array(attributes.pop(name)))
               for name in names if name in attributes}  # fmt: skip
    return attributes | tensors


@settings(max_examples=60, deadline=None)
@given(targets=st.integers(1, 3), missing=st.booleans(), seed=st.integers(0, 1000),
       dtype=st.sampled_from(["f4", "f8"]), how=st.sampled_from(["SUM", "AVERAGE", "MIN", "MAX"]),
       transform=st.sampled_from(TRANSFORMS), base=st.booleans(), data=st.data())  # fmt: skip
def test_regressors(targets: int, missing: bool, seed: int, dtype: str, how: str, transform: str,
                    base: bool, data: st.DataObject) -> None:  # fmt: skip
    attributes = data.draw(forests(targets, missing)).attributes("target")
    attributes |= {"n_targets": targets, "aggregate_function": how, "post_transform": transform}
    if base:
        attributes["base_values"] = [0.25 * k - 0.5 for k in range(targets)]
    if dtype == "f8":
        attributes = in_double(attributes, "nodes_values", "target_weights", "base_values")
    x = rows(seed, dtype, missing)
    agree(ml_model("TreeEnsembleRegressor", [x], [FLOAT], attributes), [x])


@settings(max_examples=60, deadline=None)
@given(labels=st.integers(2, 4), missing=st.booleans(), seed=st.integers(0, 1000),
       dtype=st.sampled_from(["f4", "f8", "i4", "i8"]), transform=st.sampled_from(TRANSFORMS),
       base=st.booleans(), positive=st.booleans(), strings=st.booleans(), data=st.data())  # fmt: skip
def test_classifiers(labels: int, missing: bool, seed: int, dtype: str, transform: str, base: bool,
                     positive: bool, strings: bool, data: st.DataObject) -> None:  # fmt: skip
    """Two labels: the weights are those of class 0 alone, as converters write them."""
    attributes = data.draw(forests(1 if labels == 2 else labels, missing)).attributes("class")
    if positive:
        attributes["class_weights"] = [abs(w) for w in attributes["class_weights"]]
    name = "classlabels_strings" if strings else "classlabels_int64s"
    names = list("abcd") if strings else [4, 5, 6, 7]
    attributes |= {name: names[:labels], "post_transform": transform}
    if base:
        attributes["base_values"] = [0.25] if labels == 2 else [0.25 * k for k in range(labels)]
    if dtype == "f8":
        attributes = in_double(attributes, "nodes_values", "class_weights", "base_values")
    x = rows(seed, dtype, missing)
    kind = TensorProto.STRING if strings else INT
    agree(ml_model("TreeEnsembleClassifier", [x], [kind, FLOAT], attributes), [x])


@pytest.mark.parametrize("modes", [("LEQ",), ALL], ids=["one-test", "all-tests"])
@pytest.mark.parametrize("how", ["SUM", "MIN", "MAX"])
def test_forests_through_c(modes: tuple[str, ...], how: str) -> None:
    forest = random_forest(3, trees=6, depth=5, targets=2, features=FEATURES, modes=modes,
                           missing=True)  # fmt: skip
    x = rows(1, "f4", True)
    attributes = forest.attributes("target") | {"n_targets": 2, "aggregate_function": how}
    agree(ml_model("TreeEnsembleRegressor", [x], [FLOAT], attributes), [x], through_c=True)


def tensors(dtype: str, **lists: list[float]) -> dict[str, Any]:
    return {
        name: numpy_helper.from_array(np.array(values, dtype)) for name, values in lists.items()
    }


SETS: dict[str, Any] = {  # nodes 0 and 2 test membership; node 1 has the sets' second branch
    "nodes_featureids": [0, 1, 2], "nodes_truenodeids": [1, 0, 2], "nodes_falsenodeids": [2, 1, 3],
    "nodes_trueleafs": [0, 1, 1], "nodes_falseleafs": [0, 1, 1], "tree_roots": [0],
    "leaf_targetids": [0, 1, 0, 1], "n_targets": 2,
    "nodes_modes": numpy_helper.from_array(np.array([6, 0, 6], np.uint8)),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("how", range(4))
@pytest.mark.parametrize("post, theirs", [(0, 0), (1, 2), (2, 1), (3, 3)])
def test_membership_in_sets(dtype: str, how: int, post: int, theirs: int) -> None:
    """onnxruntime swaps the numbers of SOFTMAX (1 in ONNX) and LOGISTIC (2)."""
    x = np.stack(np.meshgrid(*[[1.0, 2.0, 3.5, 7.0]] * 3, indexing="ij"), -1).reshape(-1, 3)
    x = x.astype(dtype)
    attributes = SETS | {"aggregate_function": how} | tensors(
        dtype, nodes_splits=[0, 2, 0], leaf_weights=[1, 2, -3, 4],
        membership_values=[1, 2, 7, np.nan, 2, np.nan],
    )  # fmt: skip
    kind = FLOAT if dtype == "f4" else TensorProto.DOUBLE
    ours, other = (
        ml_model("TreeEnsemble", [x], [kind], attributes | {"post_transform": number}, 5)
        for number in (post, theirs)
    )
    (expected,) = reference(other, {"x0": x})
    (found,) = interp.run(api.load(ours), {"x0": x}).values()
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6)


def test_children_may_be_shared() -> None:
    """As converters write sets of categories: a chain of tests that lead to one node if passed."""
    x = rows(5, "f4", False)
    attributes = {
        "nodes_treeids": [0] * 6, "nodes_nodeids": list(range(6)),
        "nodes_featureids": [0, 0, 1, 0, 0, 0], "nodes_values": [0.0, 1.0, 0.5, 0.0, 0.0, 0.0],
        "nodes_modes": ["BRANCH_EQ"] * 2 + ["BRANCH_LEQ"] + ["LEAF"] * 3,
        "nodes_truenodeids": [2, 2, 3, 0, 0, 0], "nodes_falsenodeids": [1, 5, 4, 0, 0, 0],
        "target_treeids": [0] * 3, "target_nodeids": [3, 4, 5], "target_ids": [0] * 3,
        "target_weights": [1.0, 2.0, 3.0], "n_targets": 1,
    }  # fmt: skip
    agree(ml_model("TreeEnsembleRegressor", [x], [FLOAT], attributes), [x])
