"""Models of ``ai.onnx.ml`` that are malformed or meant to harm: refused in a sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from ml_models import ml_model, random_forest
from onnx import TensorProto

from dlc import api
from dlc.errors import ModelError, UnsupportedError, VerifyError
from dlc.ir.graph import Graph
from dlc.ir.types import DType, TensorType
from dlc.ops.core.pairwise_coupling import PairwiseCoupling
from dlc.ops.core.tree_ensemble import TreeEnsemble

FLOAT, INT = TensorProto.FLOAT, TensorProto.INT64
X = np.zeros((2, 3), np.float32)


def forest(**changes: Any) -> onnx.ModelProto:
    found = random_forest(1, trees=2, depth=3, targets=1, features=3, modes=("LEQ",))
    attributes = found.attributes("target") | {"n_targets": 1}
    for name, value in changes.items():
        attributes[name] = value(list(attributes[name])) if callable(value) else value
    return ml_model("TreeEnsembleRegressor", [X], [FLOAT], attributes)


def test_a_forest_is_accepted() -> None:
    api.load(forest())


@pytest.mark.parametrize("name, change, sentence", [
    ("nodes_truenodeids", lambda ids: [0, *ids[1:]], "cycle"),
    ("nodes_truenodeids", lambda ids: [99, *ids[1:]], "there is no node"),
    ("nodes_falsenodeids", lambda ids: [-1, *ids[1:]], "there is no node"),
    ("nodes_featureids", lambda ids: [3, *ids[1:]], "feature that is not one of 3"),
    ("nodes_featureids", lambda ids: [-1, *ids[1:]], "feature that is not one of 3"),
    ("nodes_featureids", lambda ids: [2**40, *ids[1:]], "32 bits"),
    ("nodes_featureids", lambda ids: ids[1:], "differ in length"),
    ("nodes_nodeids", lambda ids: [ids[1], *ids[1:]], "listed twice"),
    ("nodes_modes", lambda modes: ["BRANCH_MAYBE", *modes[1:]], "no node mode 'BRANCH_MAYBE'"),
    ("nodes_modes", lambda modes: modes[1:], "nodes_modes for"),
    ("nodes_missing_value_tracks_true", [1], "missing-value flags"),
    ("target_ids", lambda ids: [1, *ids[1:]], "target that is not one of 1"),
    ("target_ids", lambda ids: [-1, *ids[1:]], "target that is not one of 1"),
    ("target_nodeids", lambda ids: [99, *ids[1:]], "which is none"),
    ("target_weights", lambda weights: weights[1:], "weights for"),
    ("n_targets", 2**31, "n_targets is 2147483648"), ("n_targets", -1, "n_targets is -1"),
    ("aggregate_function", "MEDIAN", "no aggregate_function 'MEDIAN'"),
    ("post_transform", "CUBE", "no post_transform 'CUBE'"),
    ("base_values", [1.0, 2.0], "2 base_values for 1 scores"),
])  # fmt: skip
def test_attributes_that_form_no_forest(name: str, change: Any, sentence: str) -> None:
    with pytest.raises((ModelError, UnsupportedError), match=sentence):
        api.load(forest(**{name: change}))


def test_a_long_chain_of_nodes_is_no_recursion() -> None:
    count = 5000
    attributes = {
        "nodes_treeids": [0] * (2 * count + 1), "nodes_nodeids": list(range(2 * count + 1)),
        "nodes_featureids": [0] * (2 * count + 1), "nodes_values": [0.0] * (2 * count + 1),
        "nodes_modes": ["BRANCH_LEQ"] * count + ["LEAF"] * (count + 1),
        "nodes_truenodeids": [*range(1, count), 2 * count] + [0] * (count + 1),
        "nodes_falsenodeids": [*range(count, 2 * count)] + [0] * (count + 1), "n_targets": 1,
        "target_treeids": [0], "target_nodeids": [2 * count], "target_ids": [0],
        "target_weights": [5.0],
    }  # fmt: skip
    graph = api.load(ml_model("TreeEnsembleRegressor", [X], [FLOAT], attributes))
    assert graph.outputs[0].type.dims == (2, 1)


@pytest.mark.parametrize("op, attributes, sentence", [
    ("LinearClassifier", {"coefficients": [1.0] * 5, "classlabels_ints": [0, 1]}, "rows? of 3|matrix of 3"),
    ("LinearClassifier", {"coefficients": [1.0] * 6}, "no class labels"),
    ("LinearClassifier", {"coefficients": [1.0] * 6, "classlabels_ints": [1]}, "1 labels for 2"),
    ("LinearClassifier", {"coefficients": [1.0] * 3, "classlabels_ints": [1]}, "it needs two"),
    ("LinearClassifier", {"coefficients": [1.0] * 6, "intercepts": [1.0], "classlabels_ints": [0, 1]},
     "1 intercepts"),
    ("SVMClassifier", {"coefficients": [1.0], "vectors_per_class": [1, 1], "support_vectors": [1.0] * 6,
                       "classlabels_ints": [0, 1], "rho": [0.0]}, "coefficients has 1 numbers"),
    ("SVMClassifier", {"coefficients": [1.0] * 2, "vectors_per_class": [1, 1],
                       "support_vectors": [1.0] * 5, "classlabels_ints": [0, 1], "rho": [0.0]},
     "support_vectors has 5 numbers"),
    ("SVMClassifier", {"coefficients": [1.0] * 2, "vectors_per_class": [3, -1],
                       "support_vectors": [1.0] * 6, "classlabels_ints": [0, 1], "rho": [0.0]},
     "vectors_per_class"),
    ("SVMRegressor", {"coefficients": [1.0] * 2, "support_vectors": [1.0] * 6, "n_supports": 2,
                      "kernel_type": "TREE", "rho": [0.0]}, "no kernel_type 'TREE'"),
    ("Scaler", {"offset": [0.0], "scale": [1.0, 2.0]}, "scale has 2 numbers"),
    ("Normalizer", {"norm": "L3"}, "no norm 'L3'"),
    ("Imputer", {"imputed_value_int64s": [1]}, "no imputed_value_floats"),
    ("OneHotEncoder", {"cats_strings": ["a"]}, "no categories"),
    ("LabelEncoder", {"keys_strings": ["a"], "values_floats": [1.0]}, "keys are of another kind"),
    ("LabelEncoder", {"keys_floats": [1.0], "values_floats": [1.0, 2.0]}, "1 keys for 2 values"),
    ("LabelEncoder", {"keys_floats": [1.0]}, "it has no values"),
    ("FeatureVectorizer", {"inputdimensions": [2**50]}, "too large to be meant"),
    ("FeatureVectorizer", {"inputdimensions": [-3]}, "inputdimensions"),
    ("ZipMap", {"classlabels_int64s": [0, 1, 2]}, "zipmap"),
])  # fmt: skip
def test_attributes_that_do_not_fit(op: str, attributes: dict[str, Any], sentence: str) -> None:
    model = ml_model(op, [X], [INT, FLOAT][-1 if "Classifier" not in op else 0 :], attributes)
    with pytest.raises((ModelError, UnsupportedError), match=sentence):
        api.load(model)


def tables() -> list[np.ndarray[Any, Any]]:
    """One node between two leaves of one weight each."""
    return [
        np.array([[0, 0, -1, -2]], np.int32), np.zeros(1, np.float32), np.array([0], np.int32),
        np.array([0, 1, 2], np.int32), np.array([0, 0], np.int32), np.ones(2, np.float32),
    ]  # fmt: skip


@pytest.mark.parametrize("table, value, constraint", [
    (0, [[0, 0, 0, -2]], "C4"), (0, [[0, 0, 1, -2]], "C4"), (0, [[0, 0, -3, -2]], "C4"),
    (0, [[3, 0, -1, -2]], "C4"), (0, [[0, 6, -1, -2]], "C4"), (0, [[0, 16, -1, -2]], "C4"),
    (2, [1], "C4"), (2, [-3], "C4"), (3, [0, 2, 1], "C5"), (3, [0, 1, 3], "C5"),
    (3, [-1, 1, 2], "C5"), (4, [0, 1], "C5"), (4, [0, -1], "C5"), (3, [0], "C2"), (4, [0], "C2"),
])  # fmt: skip
def test_tables_of_a_walk_that_would_leave_them(table: int, value: Any, constraint: str) -> None:
    arrays = tables()
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.F32, (2, 3)))
    operator = TreeEnsemble(1)
    graph.add(operator, [x, *map(graph.add_constant, arrays)])  # these are fine
    arrays[table] = np.array(value, np.int32)
    with pytest.raises(VerifyError, match=rf"\({constraint}\)"):
        graph.add(operator, [x, *map(graph.add_constant, arrays)])


def test_tables_must_be_constants() -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.F32, (2, 3)))
    values = list(map(graph.add_constant, tables()))
    values[0] = graph.add_input("nodes", values[0].type)
    with pytest.raises(VerifyError, match="not constants"):
        graph.add(TreeEnsemble(1), [x, *values])


@pytest.mark.parametrize("operator, shape", [
    (PairwiseCoupling(3), (2, 2)), (PairwiseCoupling(1), (2, 0)), (PairwiseCoupling(2), (2,)),
])  # fmt: skip
def test_pairs_of_classes(operator: PairwiseCoupling, shape: tuple[int, ...]) -> None:
    with pytest.raises(VerifyError):
        operator.infer([TensorType(DType.F32, shape)])
