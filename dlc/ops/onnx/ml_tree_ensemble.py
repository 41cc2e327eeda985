"""Expansions of the tree ensembles of ``ai.onnx.ml``: ``tree_ensemble``, then transformed scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dlc.ir.graph import Value
from dlc.ir.operator import Array
from dlc.ir.types import DType
from dlc.ops.build import apply, cast, constant, map_, slice_
from dlc.ops.core.tree_ensemble import TreeEnsemble
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.onnx.ml_forest import Forest, forest_of_indices, forest_of_keys
from dlc.ops.onnx.ml_scores import (
    ML,
    beside,
    best,
    chosen,
    labels,
    matrix,
    numbers,
    transformed,
    two_scores,
)

_POST = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")
#: more are a mistake or an attack
MOST_TARGETS = 1 << 20
_AGGREGATES = ("AVERAGE", "SUM", "MIN", "MAX")


def _combined(x: Value, forest: Forest, targets: int, function: str = "add") -> Value:
    """The ensemble of the rows of ``x``, a float matrix."""
    dtype = x.type.dtype
    tables = (
        constant(x, forest.nodes), constant(x, forest.thresholds, dtype),
        constant(x, forest.roots), constant(x, forest.starts), constant(x, forest.ids),
        constant(x, forest.weights, dtype),
    )  # fmt: skip
    return apply(TreeEnsemble(targets, function, forest.test), x, *tables)


def _aggregated(x: Value, forest: Forest, targets: int, how: str) -> Value:
    """A target of no weight has 0."""
    if how in ("MIN", "MAX"):
        return map_("select(isnan(a0), 0.0, a0)", _combined(x, forest, targets, how.lower()))
    total = _combined(x, forest, targets)
    return map_(f"a0 / {float(len(forest.roots))}", total) if how == "AVERAGE" else total


def _targets(call: Call) -> int:
    targets = int(call.attr("n_targets") or 1)
    if not 0 < targets <= MOST_TARGETS:
        raise call.unsupported(f"n_targets is {targets}, not one of 1 to {MOST_TARGETS}")
    return targets


def _features(call: Call, x: Value) -> Value:
    """The operand as an f32 matrix, or f64 if it is."""
    x = matrix(call, x)
    return x if x.type.dtype is DType.F64 else cast(x, DType.F32)


def _with_base(call: Call, scores: Value, base: Array) -> Value:
    if base.size == 0:
        return scores
    if base.size not in (1, scores.type.shape[1]):
        raise call.unsupported(f"{base.size} base_values for {scores.type.shape[1]} scores")
    return map_("a0 + a1", scores, constant(scores, base, scores.type.dtype))


@expansion("TreeEnsemble", domain=ML)
def tree_ensemble(call: Call, x: Value) -> Value:
    rows = _features(call, x)
    targets, how = _targets(call), int(call.attr("aggregate_function"))
    post = int(call.attr("post_transform"))
    if not (0 <= how < len(_AGGREGATES) and 0 <= post < len(_POST)):
        raise call.unsupported(f"there is no aggregate_function {how} or post_transform {post}")
    scores = _aggregated(rows, forest_of_indices(call.operator), targets, _AGGREGATES[how])
    return cast(transformed(call, scores, _POST[post]), x.type.dtype)


@expansion("TreeEnsembleRegressor", domain=ML)
def tree_ensemble_regressor(call: Call, x: Value) -> Value:
    x = _features(call, x)
    targets, how = _targets(call), call.attr("aggregate_function")
    if how not in _AGGREGATES:
        raise call.unsupported(f"there is no aggregate_function {how!r}")
    scores = _aggregated(x, forest_of_keys(call.operator, "target"), targets, how)
    scores = _with_base(call, scores, numbers(call, "base_values", x.type.dtype))
    return cast(transformed(call, scores, call.attr("post_transform")), DType.F32)


@expansion("TreeEnsembleClassifier", domain=ML)
def tree_ensemble_classifier(call: Call, x: Value) -> Sequence[Value]:
    """Two labels and weights for one class only: a single score tells which, see ``_binary``."""
    x = _features(call, x)
    names = labels(call, "classlabels_strings", "classlabels_int64s")
    forest, kind = forest_of_keys(call.operator, "class"), call.attr("post_transform")
    base = numbers(call, "base_values", x.type.dtype)
    scores = _combined(x, forest, len(names))
    classes = np.unique(forest.ids)
    if len(names) == 2 and len(classes) == 1:
        positive = bool((forest.weights >= 0).all())
        label, scores = _binary(call, scores, base, int(classes[0]), positive, names)
    else:
        scores = _with_base(call, scores, base)
        plain = np.array(["0", "1"] if names.dtype == object else [0, 1], names.dtype)
        label = best(call, scores, names) if len(names) > 1 else chosen(scores, plain)
        scores = transformed(call, scores, kind)
    return label, cast(scores, DType.F32)


def _binary(call: Call, scores: Value, base: Array, voted: int, positive: bool,
            names: Array) -> tuple[Value, Value]:  # fmt: skip
    """As in onnxruntime: the score is that of the second label, whichever class has the weights.

    Where all weights are ``positive`` it is a probability, else 0 divides the labels. Weights of
    class 0 score the labels 1 - s and s, or -s and s; of class 1, 0 and s.
    """
    kind, rows = call.attr("post_transform"), scores.type.shape[0]
    score = slice_(scores, [0, voted], [rows, 1])
    score = _with_base(call, score, base[:1] if voted == 0 else base[1:])
    label = chosen(score, names, 0.5 if positive else 0.0)
    if voted == 1:
        return label, transformed(call, beside("0.0 * a0", score), kind)
    return label, two_scores(call, score, kind, "1.0 - a0" if positive else "-a0")
