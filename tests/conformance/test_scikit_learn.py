"""Estimators of scikit-learn, converted by skl2onnx, through C: what onnxruntime gives."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn")
skl2onnx = pytest.importorskip("skl2onnx")

import onnx  # noqa: E402
from single_node import reference  # noqa: E402
from sklearn.base import is_classifier  # noqa: E402
from sklearn.calibration import CalibratedClassifierCV  # noqa: E402
from sklearn.cluster import KMeans  # noqa: E402
from sklearn.compose import ColumnTransformer  # noqa: E402
from sklearn.datasets import make_classification, make_regression  # noqa: E402
from sklearn.decomposition import PCA, KernelPCA, TruncatedSVD  # noqa: E402
from sklearn.discriminant_analysis import (  # noqa: E402
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)
from sklearn.ensemble import (  # noqa: E402
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.feature_selection import SelectKBest, VarianceThreshold  # noqa: E402
from sklearn.impute import SimpleImputer  # noqa: E402
from sklearn.linear_model import (  # noqa: E402
    BayesianRidge,
    ElasticNet,
    HuberRegressor,
    Lasso,
    LinearRegression,
    LogisticRegression,
    Perceptron,
    PoissonRegressor,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.mixture import GaussianMixture  # noqa: E402
from sklearn.multiclass import OneVsRestClassifier  # noqa: E402
from sklearn.multioutput import MultiOutputRegressor  # noqa: E402
from sklearn.naive_bayes import BernoulliNB, ComplementNB, GaussianNB  # noqa: E402
from sklearn.neighbors import (  # noqa: E402
    KNeighborsClassifier,
    KNeighborsRegressor,
    LocalOutlierFactor,
    NearestNeighbors,
)
from sklearn.neural_network import MLPClassifier, MLPRegressor  # noqa: E402
from sklearn.pipeline import make_pipeline, make_union  # noqa: E402
from sklearn.preprocessing import (  # noqa: E402
    Binarizer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import (  # noqa: E402
    SVC,
    SVR,
    LinearSVC,
    LinearSVR,
    NuSVC,
    NuSVR,
    OneClassSVM,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor  # noqa: E402

from dlc import api  # noqa: E402

X2, Y2 = make_classification(200, 6, random_state=0)
X3, Y3 = make_classification(200, 6, n_informative=4, n_redundant=0, n_classes=3, random_state=0)
XR, YR = make_regression(200, 6, random_state=0)
TEXT = np.array(list("abc"))[Y3]
GRADES = np.random.default_rng(0).integers(0, 4, (200, 3))
LETTERS = np.array(list("abcd"), dtype=object)[GRADES]
BINARY, THREE, NAMED = (X2, Y2), (X3, Y3), (X3, TEXT)
REAL, TWICE = (XR, YR), (XR, np.stack([YR, 2 * YR + 1], 1))
ALONE, POSITIVE = (X3, None), (np.abs(X3), Y3)

#: estimator, what it is fitted to
CASES: list[tuple[Any, tuple[Any, Any]]] = [
    # trees
    (DecisionTreeClassifier(), BINARY), (DecisionTreeClassifier(), THREE),
    (DecisionTreeClassifier(), NAMED), (DecisionTreeRegressor(), REAL),
    (RandomForestClassifier(10), BINARY), (RandomForestClassifier(10), THREE),
    (RandomForestClassifier(10), NAMED), (RandomForestRegressor(10), REAL),
    (ExtraTreesClassifier(10), THREE), (ExtraTreesRegressor(10), REAL),
    (GradientBoostingClassifier(n_estimators=10), BINARY),
    (GradientBoostingClassifier(n_estimators=10), THREE),
    (GradientBoostingRegressor(n_estimators=10), REAL),
    (AdaBoostClassifier(n_estimators=5), THREE), (AdaBoostRegressor(n_estimators=5), REAL),
    (BaggingClassifier(n_estimators=4), THREE), (IsolationForest(n_estimators=10), ALONE),
    # linear models
    (LogisticRegression(), BINARY), (LogisticRegression(), THREE), (LogisticRegression(), NAMED),
    (LinearRegression(), REAL), (LinearRegression(), TWICE), (Ridge(), REAL), (Lasso(), REAL),
    (ElasticNet(), REAL), (BayesianRidge(), REAL), (HuberRegressor(), REAL),
    (PoissonRegressor(), (XR, np.abs(YR))), (SGDClassifier(), THREE),
    (SGDClassifier(loss="log_loss"), THREE), (SGDRegressor(), REAL), (RidgeClassifier(), THREE),
    (Perceptron(), THREE), (LinearDiscriminantAnalysis(), THREE),
    (QuadraticDiscriminantAnalysis(), THREE),
    # support vector machines
    (SVC(), BINARY), (SVC(), THREE), (SVC(), NAMED), (SVC(kernel="linear"), THREE),
    (SVC(kernel="poly"), THREE), (SVC(kernel="sigmoid"), THREE), (NuSVC(), THREE), (SVR(), REAL),
    (NuSVR(), REAL), (LinearSVC(), BINARY), (LinearSVC(), THREE), (LinearSVR(), REAL),
    (OneClassSVM(), ALONE),
    # preparation
    (StandardScaler(), ALONE), (MinMaxScaler(), ALONE), (MaxAbsScaler(), ALONE),
    (RobustScaler(), ALONE), (Normalizer(), ALONE), (Normalizer("max"), ALONE),
    (Normalizer("l1"), ALONE), (Binarizer(threshold=0.25), ALONE), (SimpleImputer(), ALONE),
    (PolynomialFeatures(2), ALONE), (PowerTransformer(), ALONE),
    (QuantileTransformer(n_quantiles=20), ALONE), (SelectKBest(k=3), THREE),
    (KBinsDiscretizer(4, encode="ordinal"), ALONE), (VarianceThreshold(0.1), ALONE),
    (OneHotEncoder(sparse_output=False), (GRADES, None)), (OrdinalEncoder(), (GRADES, None)),
    (OneHotEncoder(sparse_output=False, handle_unknown="ignore"), (GRADES, None)),
    (OneHotEncoder(sparse_output=False), (LETTERS, None)), (OrdinalEncoder(), (LETTERS, None)),
    # neighbours, networks, clusters, densities
    (KNeighborsClassifier(3), THREE), (KNeighborsRegressor(3), REAL),
    (NearestNeighbors(n_neighbors=3, radius=None), ALONE), (LocalOutlierFactor(novelty=True), ALONE),
    (MLPClassifier((8,), max_iter=20), BINARY), (MLPClassifier((8,), max_iter=20), THREE),
    (MLPRegressor(hidden_layer_sizes=(8,), max_iter=20), REAL), (KMeans(3), ALONE),
    (PCA(3), ALONE), (TruncatedSVD(3), ALONE), (KernelPCA(3, kernel="rbf"), ALONE),
    (GaussianNB(), THREE), (BernoulliNB(), THREE), (ComplementNB(), POSITIVE),
    (GaussianMixture(3), ALONE),
    # compositions
    (make_pipeline(StandardScaler(), PCA(3), LogisticRegression()), THREE),
    (make_pipeline(MinMaxScaler(), RandomForestClassifier(5)), THREE),
    (make_union(StandardScaler(), PCA(2)), ALONE),
    (ColumnTransformer([("s", StandardScaler(), [0, 1]), ("m", MinMaxScaler(), [2, 3])]), ALONE),
    (VotingClassifier([("a", LogisticRegression()), ("b", GaussianNB())], voting="soft",
                      flatten_transform=False), THREE),
    (VotingRegressor([("a", LinearRegression()), ("b", DecisionTreeRegressor())]), REAL),
    (StackingClassifier([("a", LogisticRegression()), ("b", DecisionTreeClassifier())]), THREE),
    (OneVsRestClassifier(LogisticRegression()), THREE),
    (MultiOutputRegressor(LinearRegression()), TWICE), (CalibratedClassifierCV(GaussianNB()), THREE),
]  # fmt: skip


def converted(estimator: Any, x: Any, y: Any) -> onnx.ModelProto:
    """Fitted, and exported for rows of floats, integers or strings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged, and deprecations
        np.random.seed(0)  # noqa: NPY002  # what estimators draw from
        estimator.fit(x, y)
        maps = is_classifier(estimator) and not isinstance(estimator, LinearSVC)
        options = {id(estimator): {"zipmap": False}} if maps else None
        opsets = {"": 18, "ai.onnx.ml": 3}
        model = skl2onnx.to_onnx(estimator, x[:1], options=options, target_opset=opsets)
    assert isinstance(model, onnx.ModelProto)
    return model


def check(estimator: Any, x: Any, y: Any, rows: int = 5) -> None:
    x = x.astype(np.float32) if x.dtype.kind == "f" else x
    model = converted(estimator, x, y)
    (name,) = (info.name for info in model.graph.input)
    feeds = {name: x[:rows]}
    expected = reference(model, feeds)
    found = api.compile(model, shapes={name: feeds[name].shape}).run(feeds)
    for ours, theirs in zip(found.values(), map(np.asarray, expected), strict=True):
        if theirs.dtype == object:
            assert ours.tolist() == theirs.tolist()
        else:
            assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
            most = 1 + np.abs(theirs, dtype=np.float64).max()
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5 * most)


def case_name(case: tuple[Any, tuple[Any, Any]]) -> str:
    return type(case[0]).__name__


@pytest.mark.parametrize("case", [
    case for case in CASES if case_name(case) in (
        "RandomForestClassifier", "RandomForestRegressor", "GradientBoostingClassifier",
        "LogisticRegression", "SVC", "SVR", "StandardScaler", "OneHotEncoder", "Pipeline",
        "IsolationForest", "KMeans", "KNeighborsClassifier", "MLPClassifier", "GaussianNB",
    )
], ids=case_name)  # fmt: skip
def test_estimators(case: tuple[Any, tuple[Any, Any]]) -> None:
    check(case[0], *case[1])


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_every_estimator(case: tuple[Any, tuple[Any, Any]]) -> None:
    check(case[0], *case[1], rows=9)
