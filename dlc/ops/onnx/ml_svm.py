"""Expansions of the support vector machines of ``ai.onnx.ml``: a kernel function of the rows and the
support vectors, then products with constant matrices.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from dlc.ir.graph import Value
from dlc.ir.operator import Array
from dlc.ir.types import DType
from dlc.ops.build import apply, cast, constant, contract, map_, reduce, reshape
from dlc.ops.core.pairwise_coupling import PairwiseCoupling
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.onnx.ml_linear import scores_of
from dlc.ops.onnx.ml_scores import (
    ML,
    best,
    chosen,
    labels,
    matrix,
    numbers,
    pick,
    table,
    transformed,
    two_scores,
    vector,
    width,
)


def _kernel(call: Call, x: Value, vectors: Array) -> Value:
    """The kernel function of each row of ``x`` and each support vector, [rows, vectors]."""
    kind, parameters = call.attr("kernel_type"), numbers(call, "kernel_params").tolist()
    gamma, offset, degree = [*parameters, 0.0, 0.0, 0.0][:3]
    if kind == "RBF":
        rows, features = x.type.shape
        distances = reduce("add", reshape(x, (rows, 1, features)), [2], constant(x, vectors),
                           element="(a0 - a1) * (a0 - a1)", keepdims=False)  # fmt: skip
        return map_(f"exp({-gamma} * a0)", distances)
    product = contract(x, constant(x, np.ascontiguousarray(vectors.T)))
    if kind == "LINEAR":
        return product
    inner = f"{gamma} * a0 + {offset}"
    if kind == "POLY":
        power = {1.0: "a0", 2.0: "a0 * a0", 3.0: "a0 * a0 * a0"}.get(degree, f"pow(a0, {degree})")
        return map_(power, map_(inner, product))
    if kind != "SIGMOID":
        raise call.unsupported(f"there is no kernel_type {kind!r}")
    return map_(f"tanh({inner})", product)


@expansion("SVMRegressor", domain=ML)
def svm_regressor(call: Call, x: Value) -> Value:
    """A one-class machine answers 1 or -1. Its ``post_transform`` does not count, as in onnxruntime."""
    x = cast(matrix(call, x), DType.F32)
    count, features = int(call.attr("n_supports")), width(call, x)
    bias = numbers(call, "rho")[:1]
    if count > 0:
        values = _kernel(call, x, table(call, "support_vectors", count, features))
        result = scores_of(values, table(call, "coefficients", 1, count), bias)
    else:
        result = scores_of(x, table(call, "coefficients", 1, features), bias)
    return map_("f32(select(lt(0.0, a0), 1.0, -1.0))", result) if call.attr("one_class") else result


@expansion("SVMClassifier", domain=ML)
def svm_classifier(call: Call, x: Value) -> Sequence[Value]:
    """One machine for each pair of classes, or (no ``vectors_per_class``) a linear one for each class."""
    x = cast(matrix(call, x), DType.F32)
    names = labels(call, "classlabels_strings", "classlabels_ints")
    kind, sizes = call.attr("post_transform"), list(call.attr("vectors_per_class") or ())
    if sum(sizes) == 0:
        return _linear(call, x, names)
    if len(sizes) != len(names) or min(sizes) < 0 or len(sizes) < 2:
        raise call.unsupported(f"vectors_per_class {sizes} for {len(names)} classes")
    values = _kernel(call, x, table(call, "support_vectors", sum(sizes), width(call, x)))
    pairs = list(combinations(range(len(sizes)), 2))
    weights = _pair_weights(table(call, "coefficients", len(sizes) - 1, sum(sizes)), sizes)
    scores = scores_of(values, weights, vector(call, "rho", len(pairs)))
    label = best(call, _votes(scores, pairs, len(sizes)), names)
    if call.attr("prob_a"):
        scores = _probabilities(call, scores, pairs, len(sizes))
    elif len(pairs) == 1:
        return label, two_scores(call, scores, kind, "-a0" if kind == "NONE" else "1.0 - a0")
    return label, transformed(call, scores, kind)


def _pair_weights(coefficients: Array, sizes: Sequence[int]) -> Array:
    """[pairs, vectors]: of classes i < j, row j - 1 weighs the vectors of i, row i those of j."""
    ends = np.cumsum(sizes)
    spans = [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]
    pairs = list(combinations(range(len(sizes)), 2))
    weights = np.zeros((len(pairs), ends[-1]), np.float32)
    for row, (i, j) in zip(weights, pairs, strict=True):
        row[spans[i]] = coefficients[j - 1, spans[i]]
        row[spans[j]] = coefficients[i, spans[j]]
    return weights


def _votes(scores: Value, pairs: Sequence[tuple[int, int]], classes: int) -> Value:
    """How many machines voted for each class: a positive score is a vote for the first of the pair."""
    first = np.zeros((classes, len(pairs)), np.float32)
    second = np.zeros_like(first)
    for k, (i, j) in enumerate(pairs):
        first[i, k] = second[j, k] = 1
    voted = cast(map_("lt(0.0, a0)", scores), DType.F32)
    return scores_of(voted, first - second, second.sum(1))


def _probabilities(
    call: Call, scores: Value, pairs: Sequence[tuple[int, int]], classes: int
) -> Value:
    """Platt's sigmoid of each pair, then the probabilities that agree with them best."""
    a, b = (constant(scores, vector(call, name, len(pairs))) for name in ("prob_a", "prob_b"))
    agreed = map_("min(max(sigmoid(-(a0 * a1 + a2)), 1e-07), 0.9999999)", scores, a, b)
    return apply(PairwiseCoupling(classes), agreed)


def _linear(call: Call, x: Value, names: Array) -> tuple[Value, Value]:
    """Of two labels onnxruntime takes the second where any score is positive (not below a half,
    where no coefficient is negative).
    """
    weights = table(call, "coefficients", len(names), width(call, x))
    bias = numbers(call, "rho")[:1]
    scores = scores_of(x, weights, np.repeat(bias, len(names)) if bias.size else None)
    label = best(call, scores, names)
    if len(names) == 2:
        below = np.nextafter(np.float32(0.5), np.float32(0)) if (weights >= 0).all() else 0
        above = chosen(reduce("max", scores, [1]), np.arange(2), float(below))
        second = best(call, scores, np.arange(2))
        label = pick(map_("max(a0, a1)", above, second), names)
    return label, transformed(call, scores, call.attr("post_transform"))
