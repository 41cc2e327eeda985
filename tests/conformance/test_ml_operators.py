"""Operators of ``ai.onnx.ml`` against onnxruntime: every attribute, interpreted and through C."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from ml_models import agree, ml_model, random_forest
from node_suite import cases, run_batch
from onnx import TensorProto, numpy_helper
from single_node import reference

from dlc import AtMost, api, interp
from dlc.errors import DlcError, ModelError

FLOAT, INT, STRING, DOUBLE = (
    TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING, TensorProto.DOUBLE,
)  # fmt: skip
RNG = np.random.default_rng(11)
X = RNG.standard_normal((5, 3)).astype(np.float32)
COUNTS = RNG.integers(-3, 4, (5, 3))
WITH_GAPS = np.where(np.abs(X) < 0.5, np.float32(np.nan), X)
TEXT = np.array([["a", "b", "z"], ["z", "c", "a"]], dtype=object)


def numbers(*shape: int) -> list[float]:
    return [float(v) for v in RNG.standard_normal(shape).astype(np.float32).ravel()]


#: operator, operand, result types, attributes, version
PREPARATION: list[tuple[str, Any, list[int], dict[str, Any], int]] = [
    ("Scaler", X, [FLOAT], {"offset": [0.1, 0.2, 0.3], "scale": [1.0, 2.0, 3.0]}, 1),
    ("Scaler", COUNTS, [FLOAT], {"offset": [0.1], "scale": [2.0]}, 1),
    ("Scaler", X.astype(np.float64), [FLOAT], {"offset": [0.1], "scale": [2.0]}, 1),
    *[("Normalizer", x, [FLOAT], {"norm": norm}, 1)
      for norm, x in itertools.product(("MAX", "L1", "L2"), (X, COUNTS, X * 0, X[0]))],
    ("Binarizer", X, [FLOAT], {"threshold": 0.25}, 1),
    ("Imputer", WITH_GAPS, [FLOAT],
     {"imputed_value_floats": [1.0, 2.0, 3.0], "replaced_value_float": float("nan")}, 1),
    ("Imputer", COUNTS, [INT], {"imputed_value_int64s": [7], "replaced_value_int64": 1}, 1),
    ("OneHotEncoder", COUNTS, [FLOAT], {"cats_int64s": [-3, 1, 0, 2]}, 1),
    ("OneHotEncoder", COUNTS, [FLOAT], {"cats_int64s": list(range(-3, 4)), "zeros": 0}, 1),
    ("OneHotEncoder", X, [FLOAT], {"cats_int64s": [0, 1, 2]}, 1),
    ("OneHotEncoder", TEXT, [FLOAT], {"cats_strings": ["a", "c"]}, 1),
    ("LabelEncoder", TEXT, [INT], {"classes_strings": ["a", "b"]}, 1),
    ("LabelEncoder", COUNTS, [STRING], {"classes_strings": ["a", "b"]}, 1),
    ("LabelEncoder", COUNTS, [FLOAT], {"keys_int64s": [0, 1], "values_floats": [0.5, 2.5]}, 2),
    ("LabelEncoder", COUNTS, [STRING], {"keys_int64s": [0, 7, 1], "values_strings": list("abc")}, 2),
    ("LabelEncoder", WITH_GAPS.round(), [INT],
     {"keys_floats": [1.0, float("nan")], "values_int64s": [4, 5], "default_int64": 9}, 4),
    ("LabelEncoder", TEXT, [STRING], {"keys_strings": ["a"], "values_strings": ["A"]}, 2),
    ("LabelEncoder", TEXT, [INT], {"keys_strings": ["a", "b"], "values_int64s": [4, 5]}, 2),
    ("LabelEncoder", COUNTS.astype(np.float64), [DOUBLE], {
        "keys_tensor": numpy_helper.from_array(np.array([1.0, 2.0])),
        "values_tensor": numpy_helper.from_array(np.array([0.1, 0.2])),
        "default_tensor": numpy_helper.from_array(np.array([0.3])),
     }, 4),
    ("CategoryMapper", TEXT, [INT], {"cats_strings": ["a", "b"], "cats_int64s": [5, 6]}, 1),
    ("CategoryMapper", COUNTS, [STRING], {"cats_strings": ["a", "b"], "cats_int64s": [0, 2]}, 1),
]  # fmt: skip


@pytest.mark.parametrize("through_c", [False, True], ids=["interpreted", "c"])
@pytest.mark.parametrize("case", PREPARATION, ids=lambda case: case[0])
def test_preparation(case: Any, through_c: bool) -> None:
    op, x, results, attributes, version = case
    agree(ml_model(op, [x], results, attributes, version), [x], through_c=through_c)


@pytest.mark.parametrize("sizes", [None, [2, 5], [3, 3]])
def test_features_side_by_side(sizes: list[int] | None) -> None:
    attributes = {"inputdimensions": sizes or [3, 3]}
    agree(ml_model("FeatureVectorizer", [X, X + 1], [FLOAT], attributes), [X, X + 1])


@pytest.mark.parametrize("x", [X, X[0], COUNTS, TEXT], ids=["rows", "row", "ints", "text"])
def test_columns_are_picked(x: Any) -> None:
    result = {"f": FLOAT, "i": INT, "O": STRING}[x.dtype.kind]
    agree(ml_model("ArrayFeatureExtractor", [x, np.array([[2, 0]])], [result], {}),
          [x, np.array([[2, 0]])])  # fmt: skip


def test_an_unknown_category_ends_the_run() -> None:
    model = ml_model("OneHotEncoder", [COUNTS], [FLOAT], {"cats_int64s": [0, 1], "zeros": 0})
    with pytest.raises(DlcError, match="index"):
        interp.run(api.load(model), {"x0": COUNTS})
    with pytest.raises(DlcError):
        api.compile(model).run({"x0": COUNTS})


TRANSFORMS = ("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT")


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("targets", [1, 2])
def test_linear_regressors(transform: str, targets: int) -> None:
    weights = [0.05 * v for v in numbers(targets, 3)]  # scores near a half, where PROBIT is defined
    attributes = {"coefficients": weights, "intercepts": [0.5] * targets, "targets": targets,
                  "post_transform": transform}  # fmt: skip
    agree(ml_model("LinearRegressor", [X], [FLOAT], attributes), [X])


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("rows, labels", [(1, 2), (2, 2), (3, 3)])
@pytest.mark.parametrize("strings", [False, True])
def test_linear_classifiers(transform: str, rows: int, labels: int, strings: bool) -> None:
    if rows == 1 and transform == "PROBIT":
        return  # onnxruntime leaves half of the result unwritten; refused
    weights = [0.05 * v for v in numbers(rows, 3)]
    named = {"classlabels_strings": list("abc")[:labels]} if strings else (
        {"classlabels_ints": [4, 5, 6][:labels]})  # fmt: skip
    attributes = {"coefficients": weights, "intercepts": [0.5] * rows, "post_transform": transform}
    results = [STRING if strings else INT, FLOAT]
    agree(ml_model("LinearClassifier", [X], results, attributes | named), [X])


KERNELS = [("LINEAR", 0.0), ("POLY", 2.0), ("POLY", 3.0), ("POLY", 4.0), ("RBF", 0.0),
           ("SIGMOID", 0.0)]  # fmt: skip


@pytest.mark.parametrize("kernel, degree", KERNELS)
@pytest.mark.parametrize("one_class", [0, 1])
def test_support_vector_regressors(kernel: str, degree: float, one_class: int) -> None:
    attributes = {"coefficients": numbers(4), "kernel_params": [0.25, 0.125, degree], "rho": [0.25],
                  "kernel_type": kernel, "n_supports": 4, "one_class": one_class,
                  "support_vectors": numbers(4, 3)}  # fmt: skip
    agree(ml_model("SVMRegressor", [X], [FLOAT], attributes), [X])


def machine(classes: int, kernel: str, degree: float, transform: str) -> dict[str, Any]:
    sizes, pairs = [2, 3, 1, 2][:classes], classes * (classes - 1) // 2
    return {
        "coefficients": numbers(classes - 1, sum(sizes)), "kernel_type": kernel, "rho": numbers(pairs),
        "kernel_params": [0.25, 0.125, degree], "support_vectors": numbers(sum(sizes), 3),
        "vectors_per_class": sizes, "classlabels_ints": [7, 8, 9, 10][:classes],
        "post_transform": transform,
    }  # fmt: skip


@pytest.mark.parametrize("kernel, degree", KERNELS)
@pytest.mark.parametrize("classes", [2, 3, 4])
@pytest.mark.parametrize("probable", [False, True])
def test_support_vector_classifiers(
    kernel: str, degree: float, classes: int, probable: bool
) -> None:
    attributes = machine(classes, kernel, degree, "NONE")
    if probable:
        pairs = len(attributes["rho"])
        attributes |= {"prob_a": numbers(pairs), "prob_b": numbers(pairs)}
    through_c = probable and kernel == "RBF"
    agree(ml_model("SVMClassifier", [X], [INT, FLOAT], attributes), [X], through_c=through_c)


@pytest.mark.parametrize("transform", TRANSFORMS[:4])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("linear", [False, True])
def test_scores_of_support_vectors(transform: str, classes: int, linear: bool) -> None:
    attributes = machine(classes, "RBF", 0.0, transform)
    if linear:
        attributes |= {"coefficients": numbers(classes, 3), "vectors_per_class": [0], "rho": [0.25]}
    agree(ml_model("SVMClassifier", [X], [INT, FLOAT], attributes), [X])


def test_node_cases_through_c() -> None:
    wanted = [name for name, case in cases().items()
              if {node.domain for node in case.model.graph.node} == {"ai.onnx.ml"}]  # fmt: skip
    outcomes = run_batch(wanted, parameters=False)
    assert not {name: reason for name, reason in outcomes.items() if reason}
    assert len(outcomes) >= 8


def test_rows_of_a_number_known_at_run_time() -> None:
    """A forest and a machine with probabilities, the batch bounded only."""
    forest = random_forest(2, trees=4, depth=3, targets=3, features=3, modes=("LEQ",))
    labels = {"classlabels_strings": list("abc")}
    machines = machine(3, "RBF", 0.0, "NONE") | {"prob_a": numbers(3), "prob_b": numbers(3)}
    for op, attributes in (("TreeEnsembleClassifier", forest.attributes("class") | labels),
                           ("SVMClassifier", machines)):  # fmt: skip
        model = ml_model(op, [X], [STRING if "Tree" in op else INT, FLOAT], attributes)
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"
        module = api.compile(model, dims={"N": AtMost(5)})
        for rows in (1, 4, 5):
            found, want = module.run({"x0": X[:rows]}), reference(model, {"x0": X[:rows]})
            assert found["y0"].tolist() == want[0].tolist()
            np.testing.assert_allclose(found["y1"], want[1], rtol=2e-5, atol=2e-6)


def test_a_wrong_shape_declared_for_an_output_is_but_told() -> None:
    """Converters declare one row: of classical models only, and a wrong dtype never passes."""
    forest = random_forest(2, trees=1, depth=2, targets=2, features=3, modes=("LEQ",))
    attributes = forest.attributes("target") | {"n_targets": 2}
    model = ml_model("TreeEnsembleRegressor", [X], [FLOAT], attributes)
    declared = model.graph.output[0].type.tensor_type
    declared.shape.dim.add().dim_value = 1
    told: list[str] = []
    graph = api.load(model, notify=told.append)
    assert graph.outputs[0].type.dims == (5, 2)
    assert told == ["'y0' is declared as f32[1], but it is f32[5,2]"]
    declared.elem_type = INT
    with pytest.raises(ModelError, match="declared as i64"):
        api.load(model)


def test_check_compares_with_onnxruntime() -> None:
    forest = random_forest(2, trees=2, depth=2, targets=1, features=3, modes=("LEQ",))
    attributes = forest.attributes("target") | {"n_targets": 1}
    report = api.check(ml_model("TreeEnsembleRegressor", [X], [FLOAT], attributes))
    assert report.ok
    assert report.reference.startswith("onnxruntime")
