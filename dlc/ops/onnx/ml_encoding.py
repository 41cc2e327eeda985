"""Expansions of ``ai.onnx.ml`` that look values up: encoders, mappers and picked columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dlc.ir.graph import Value
from dlc.ir.operator import Array, Data
from dlc.ir.types import DType
from dlc.ops.build import cast, constant, gather, map_, reduce, reshape
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.onnx.ml_scores import ML, matrix

#: operators whose expansion only says what to do instead
REFUSED = frozenset({"ZipMap"})
_KINDS = {"strings": object, "int64s": np.int64, "floats": np.float32}


def _position(x: Value, keys: Array) -> Value:
    """Where in ``keys`` each element of ``x`` stands first, i64; their number where nowhere."""
    count = len(keys)
    if keys.dtype.kind == "i" and np.array_equal(keys, np.arange(count)):
        x = cast(x, DType.I64)
        return map_(f"select(and_(le(0, a0), lt(a0, {count})), a0, {count})", x)
    column = reshape(x, (*x.type.shape, 1))
    equal = "eq(a0, a1)"
    if keys.dtype.kind == "f" and np.isnan(keys).any():
        equal = "or_(eq(a0, a1), and_(isnan(a0), isnan(a1)))"
    steps = constant(x, np.arange(count), DType.I64)
    return reduce("min", column, [x.type.rank], constant(x, keys, x.type.dtype), steps,
                  element=f"select({equal}, a2, {count})", keepdims=False)  # fmt: skip


def _look_up(call: Call, x: Value, keys: Array, values: Array, default: Any) -> Value:
    """``values`` where ``x`` is one of ``keys``, else the default."""
    if len(keys) != len(values) or not len(keys):
        raise call.unsupported(f"{len(keys)} keys for {len(values)} values")
    text = keys.dtype == object, x.type.dtype is DType.STRING
    if text[0] != text[1]:
        raise call.unsupported(f"its keys are of another kind than its operand {x.type}")
    entries = np.empty(len(values) + 1, values.dtype)
    entries[:-1], entries[-1] = values, default
    return gather(constant(x, entries), _position(x, keys), 0)


def _attribute(call: Call, what: str) -> tuple[str, Array]:
    """The keys or values of a LabelEncoder: their kind, and them."""
    for kind, dtype in _KINDS.items():
        found = call.attr(f"{what}_{kind}")
        if found:
            return kind, np.array(found, dtype=dtype)
    tensor = call.attr(f"{what}_tensor")
    if isinstance(tensor, Data):
        return "tensor", tensor.array.ravel()
    raise call.unsupported(f"it has no {what}")


@expansion("LabelEncoder", domain=ML)
def label_encoder(call: Call, x: Value) -> Value:
    if call.version < 2:
        return _between(call, x, call.attr("classes_strings") or (), None)
    _, keys = _attribute(call, "keys")
    kind, values = _attribute(call, "values")
    default: Any = call.attr("default_tensor")
    if isinstance(default, Data) and default.array.size:
        default = default.array.ravel()[0]
    elif kind == "tensor":
        kind = {"O": "strings", "f": "floats"}.get(values.dtype.kind, "int64s")
    if not isinstance(default, np.generic | str):
        default = call.attr(f"default_{kind.removesuffix('s')}")
    return _look_up(call, x, keys, values, default)


@expansion("CategoryMapper", domain=ML)
def category_mapper(call: Call, x: Value) -> Value:
    return _between(call, x, call.attr("cats_strings") or (), call.attr("cats_int64s") or ())


def _between(call: Call, x: Value, texts: Sequence[str], ints: Sequence[int] | None) -> Value:
    """From strings to integers (their positions if None), or back, whichever ``x`` asks for."""
    strings = np.array(texts, dtype=object)
    found = np.arange(len(strings)) if ints is None else np.array(ints, dtype=np.int64)
    if x.type.dtype is DType.STRING:
        return _look_up(call, x, strings, found, call.attr("default_int64"))
    return _look_up(call, x, found, strings, call.attr("default_string"))


@expansion("OneHotEncoder", domain=ML)
def one_hot_encoder(call: Call, x: Value) -> Value:
    """A category that is not listed gives zeros; if ``zeros`` is 0 it ends the run as a bad index."""
    text = x.type.dtype is DType.STRING
    keys = np.array(call.attr("cats_strings" if text else "cats_int64s") or (),
                    dtype=object if text else np.int64)  # fmt: skip
    if not len(keys):
        raise call.unsupported(f"it has no categories for operand {x.type}")
    x = x if text else cast(x, DType.I64)
    position = _position(x, keys)
    hot = gather(constant(x, np.ones(len(keys), np.float32)), position, 0) if (
        not call.attr("zeros")) else constant(x, np.float32(1))  # fmt: skip
    shape = (*x.type.shape, 1)
    columns = constant(x, np.arange(len(keys)), DType.I64)
    if hot.type.rank:
        hot = reshape(hot, shape)
    return map_("select(eq(a0, a1), a2, 0.0)", reshape(position, shape), columns, hot)


@expansion("ArrayFeatureExtractor", domain=ML)
def array_feature_extractor(call: Call, x: Value, indices: Value) -> Value:
    """Columns of the last axis; a vector is one row."""
    x = matrix(call, x) if x.type.rank == 1 else x
    return gather(x, reshape(indices, [-1]), x.type.rank - 1)


@expansion(*REFUSED, domain=ML)
def zip_map(call: Call, x: Value) -> Value:
    raise call.unsupported(
        "its result is a list of dictionaries, and values are tensors; convert the model without "
        "it (skl2onnx: options={'zipmap': False}, onnxmltools: zipmap=False)"
    )
