"""What the models of ``ai.onnx.ml`` share: rows of features in, transformed scores and labels out.

Where ONNX leaves a meaning open, it is that of onnxruntime.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dlc.ir.graph import Value
from dlc.ir.operator import Array, Data
from dlc.ir.types import DType
from dlc.ops.build import arg_reduce, cast, concat, constant, gather, map_, reduce, reshape
from dlc.ops.onnx.expansion import Call

#: the domain of classical machine learning
ML = "ai.onnx.ml"
#: an approximation by Winitzki (2008) of the quantile function of the normal distribution, as in
#: onnxruntime: sqrt(2) * erfinv(2 * a0 - 1)
_PROBIT_LOG = "log(4.0 * a0 * (1.0 - a0))"
_PROBIT_TERM = f"({2 / (np.pi * 0.147)} + 0.5 * {_PROBIT_LOG})"
_PROBIT = (
    f"{np.sqrt(2)} * select(lt(a0, 0.5), -1.0, 1.0) * sqrt(sqrt({_PROBIT_TERM} * {_PROBIT_TERM}"
    f" - {1 / 0.147} * {_PROBIT_LOG}) - {_PROBIT_TERM})"
)
_EACH = {"NONE": "a0", "LOGISTIC": "sigmoid(a0)", "PROBIT": _PROBIT}


def matrix(call: Call, x: Value) -> Value:
    """The operand as rows of features: [features] is one row."""
    if x.type.rank == 1:
        return reshape(x, (1, *x.type.shape))
    if x.type.rank != 2:
        raise call.unsupported(f"its operand {x.type} is not a matrix of rows of features")
    return x


def width(call: Call, x: Value) -> int:
    """How many features the rows of ``x`` have."""
    size = x.type.shape[-1]
    if not isinstance(size, int):
        raise call.unsupported(f"the number of features of its operand {x.type} is not fixed")
    return size


def real(x: Value) -> Value:
    """The operand as floats: integers become f32."""
    return x if x.type.dtype.is_float else cast(x, DType.F32)


def numbers(call: Call, name: str, dtype: DType = DType.F32) -> Array:
    """An attribute that is a list, or a tensor under its name ``..._as_tensor``; empty if absent."""
    found = call.attr(name) or call.attr(f"{name}_as_tensor") or ()
    array: Array = np.asarray(found.array if isinstance(found, Data) else found)
    return array.ravel().astype(dtype.numpy)


def table(call: Call, name: str, rows: int | None, cols: int) -> Array:
    """An attribute that lists the rows of an f32 matrix [rows, cols]; any number of them if None."""
    found = numbers(call, name)
    count = rows if rows is not None else len(found) // max(cols, 1)
    if found.size != count * cols or not found.size:
        size = "a matrix" if rows is None else f"{rows} rows"
        raise call.unsupported(f"{name} has {found.size} numbers where {size} of {cols} is meant")
    return found.reshape(count, cols)


def vector(call: Call, name: str, size: int) -> Array:
    """An attribute that lists ``size`` f32 numbers."""
    return table(call, name, 1, size).ravel()


def transformed(call: Call, scores: Value, kind: str) -> Value:
    """Scores [rows, n] after a ``post_transform``; a single score is only transformed by PROBIT."""
    if kind in ("SOFTMAX", "SOFTMAX_ZERO"):
        return scores if scores.type.shape[1] == 1 else _softmax(scores, kind == "SOFTMAX_ZERO")
    if kind not in _EACH:
        raise call.unsupported(f"there is no post_transform {kind!r}")
    if kind == "LOGISTIC" and scores.type.shape[1] == 1:
        return scores
    return map_(_EACH[kind], scores)


def _softmax(scores: Value, skip_zero: bool) -> Value:
    """``skip_zero``: scores that are 0 stay 0; where all are, all become a half."""
    most = reduce("max", scores, [1])
    if not skip_zero:
        powers = map_("exp(a0 - a1)", scores, most)
        return map_("a0 / a1", powers, reduce("add", powers, [1]))
    powers = map_("select(le(abs(a0), 1e-07), 0.0, exp(a0 - a1))", scores, most)
    return map_("select(eq(a1, 0.0), 0.5, a0 / a1)", powers, reduce("add", powers, [1]))


def labels(call: Call, *names: str) -> Array:
    """The class labels: the one of these attributes that lists any."""
    for name in names:
        found: Any = call.attr(name)
        if found:
            return np.array(found, dtype=object if isinstance(found[0], str) else np.int64)
    raise call.unsupported(f"it has no class labels; give {' or '.join(names)}")


def pick(index: Value, entries: Array) -> Value:
    """``entries[index]`` for an i64 index within them; no table where it is the index itself."""
    plain = entries.dtype == np.int64 and np.array_equal(entries, np.arange(len(entries)))
    return index if plain else gather(constant(index, entries), index, 0)


def best(call: Call, scores: Value, entries: Array) -> Value:
    """The label of the highest score in each row of [rows, n], of equals the first."""
    if scores.type.shape[1] != len(entries):
        raise call.unsupported(f"{len(entries)} labels for {scores.type.shape[1]} scores")
    return pick(reshape(arg_reduce("max", scores, 1), scores.type.shape[:1]), entries)


def chosen(score: Value, entries: Sequence[Any] | Array, least: float = 0.0) -> Value:
    """For scores [rows, 1] the second of two labels where they are greater than ``least``."""
    above = cast(map_(f"lt({least}, a0)", score), DType.I64)
    return pick(reshape(above, score.type.shape[:1]), np.asarray(entries))


def two_scores(call: Call, score: Value, kind: str, first: str) -> Value:
    """[rows, 2] from the score [rows, 1] of the second of two labels; the other scores ``first``.

    LOGISTIC makes them the sigmoids of -score and score; softmax of one score is not applied.
    """
    if kind == "PROBIT":
        raise call.unsupported("PROBIT of one score for two labels has no meaning")
    if kind == "LOGISTIC":
        return transformed(call, beside("-a0", score), kind)
    return beside(first, transformed(call, score, kind))


def beside(first: str, score: Value) -> Value:
    """[rows, 2]: a function of a score [rows, 1], and the score."""
    return concat([map_(first, score), score], 1)
