"""Expansions of ``ai.onnx.ml`` that prepare numbers: scalers, normalisers, thresholds, imputation."""

from __future__ import annotations

from dlc.ir.graph import Value
from dlc.ir.operator import Array
from dlc.ir.types import DType
from dlc.ops.build import cast, concat, constant, map_, pad, reduce, slice_
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.onnx.ml_scores import ML, matrix, numbers, real, width

#: what a row is divided by: function, element, epilogue of a reduction
_NORMS = {
    "MAX": ("max", "a0", "a0"),
    "L1": ("add", "abs(a0)", "a0"),
    "L2": ("add", "a0 * a0", "sqrt(a0)"),
}


def _for_each_feature(call: Call, x: Value, array: Array, name: str) -> Value:
    """One number, or one for each feature (the second axis, of a vector the first)."""
    axis = min(x.type.rank - 1, 1)
    if axis < 0 or len(array) not in (1, x.type.shape[axis]):
        raise call.unsupported(f"{name} has {len(array)} numbers for operand {x.type}")
    shape = [-1 if i == axis else 1 for i in range(x.type.rank)]
    return constant(x, array.reshape(shape), x.type.dtype)


@expansion("Scaler", domain=ML)
def scaler(call: Call, x: Value) -> Value:
    x = real(x)
    offset, scale = (
        _for_each_feature(call, x, numbers(call, name), name) for name in ("offset", "scale")
    )
    return cast(map_("(a0 - a1) * a2", x, offset, scale), DType.F32)


@expansion("Normalizer", domain=ML)
def normalizer(call: Call, x: Value) -> Value:
    """A row whose norm is 0 stays as it is."""
    if call.attr("norm") not in _NORMS:
        raise call.unsupported(f"there is no norm {call.attr('norm')!r}")
    if x.type.rank not in (1, 2):
        raise call.unsupported(f"its operand {x.type} is neither a row nor a matrix of rows")
    x = real(x)
    function, element, epilogue = _NORMS[call.attr("norm")]
    norm = reduce(function, x, [x.type.rank - 1], element=element, epilogue=epilogue)
    return cast(map_("select(eq(a1, 0.0), a0, a0 / a1)", x, norm), DType.F32)


@expansion("Binarizer", domain=ML)
def binarizer(call: Call, x: Value) -> Value:
    above = map_(f"lt({float(call.attr('threshold'))}, a0)", real(x))
    return cast(above, x.type.dtype)


@expansion("Imputer", domain=ML)
def imputer(call: Call, x: Value) -> Value:
    """NaN is replaced where NaN is the value to replace."""
    kind, dtype = ("float", DType.F32) if x.type.dtype.is_float else ("int64", DType.I64)
    replaced = call.attr(f"replaced_value_{kind}")
    found = numbers(call, f"imputed_value_{kind}s", dtype)
    if found.size == 0:
        raise call.unsupported(f"it has no imputed_value_{kind}s for operand {x.type}")
    missing = "isnan(a0)" if replaced != replaced else f"eq(a0, {replaced})"
    fitting = found if (found.size,) == x.type.shape[:2][-1:] else found[:1]
    values = _for_each_feature(call, x, fitting, "imputed_values")
    return map_(f"select({missing}, a1, a0)", x, values)


@expansion("FeatureVectorizer", domain=ML)
def feature_vectorizer(call: Call, *operands: Value) -> Value:
    """Operands side by side, each cut, or filled with 0, to its ``inputdimensions``."""
    parts = [cast(matrix(call, x), DType.F32) for x in operands]
    sizes = call.attr("inputdimensions") or [width(call, x) for x in parts]
    if len(sizes) != len(parts) or min(sizes) < 0:
        raise call.unsupported(f"{len(sizes)} inputdimensions for {len(parts)} operands")
    return concat(
        [_fitted(x, width(call, x), size) for x, size in zip(parts, sizes, strict=True)], 1
    )


def _fitted(x: Value, features: int, size: int) -> Value:
    cut = slice_(x, [0, 0], [x.type.shape[0], min(size, features)])
    return pad(cut, [0, 0], [0, max(size - features, 0)])
