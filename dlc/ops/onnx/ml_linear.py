"""Expansions of the linear models of ``ai.onnx.ml``: a matrix product, then transformed scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dlc.ir.graph import Value
from dlc.ir.operator import Array
from dlc.ir.types import DType
from dlc.ops.build import cast, constant, contract
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.onnx.ml_scores import (
    ML,
    best,
    chosen,
    labels,
    matrix,
    numbers,
    table,
    transformed,
    two_scores,
    width,
)


def scores_of(x: Value, weights: Array, bias: Array | None = None) -> Value:
    """``x @ weights.T + bias`` in f32."""
    extras = [] if bias is None else [constant(x, bias, DType.F32)]
    columns = constant(x, np.ascontiguousarray(weights.T), DType.F32)
    return contract(x, columns, *extras, epilogue="a0 + a1" if extras else "a0")


@expansion("LinearRegressor", domain=ML)
def linear_regressor(call: Call, x: Value) -> Value:
    """Intercepts count only if there is one for each target."""
    x = cast(matrix(call, x), DType.F32)
    targets = int(call.attr("targets"))
    bias = numbers(call, "intercepts")
    weights = table(call, "coefficients", targets, width(call, x))
    scores = scores_of(x, weights, bias if len(bias) == targets else None)
    return transformed(call, scores, call.attr("post_transform"))


@expansion("LinearClassifier", domain=ML)
def linear_classifier(call: Call, x: Value) -> Sequence[Value]:
    """One score for two labels stands for the second; the first then scores one minus it."""
    x = cast(matrix(call, x), DType.F32)
    weights = table(call, "coefficients", None, width(call, x))
    bias = numbers(call, "intercepts")
    if len(bias) not in (0, len(weights)):
        raise call.unsupported(f"{len(bias)} intercepts for {len(weights)} rows of coefficients")
    scores = scores_of(x, weights, bias if len(bias) else None)
    names = labels(call, "classlabels_strings", "classlabels_ints")
    kind = call.attr("post_transform")
    if len(weights) > 1:
        return best(call, scores, names), transformed(call, scores, kind)
    if len(names) != 2:
        raise call.unsupported(f"{len(names)} labels for one row of coefficients; it needs two")
    return chosen(scores, names), two_scores(call, scores, kind, "1.0 - a0")
