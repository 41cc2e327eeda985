"""Result types of named ONNX ops: onnx's own shape inference on one node, and what it leaves out.

The few operators whose result onnx does not infer are in ``_RULES``. Sizes that depend on values
are for the operator's expansion to find (``dlc.ops.onnx.expand``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto, TypeProto, checker, defs, helper, shape_inference

from dlc.errors import UnsupportedError, VerifyError
from dlc.ir.operator import Array, Arrays, Types
from dlc.ir.types import Dim, DType, TensorType

if TYPE_CHECKING:
    from dlc.ops.onnx.operator import OnnxOperator

#: constants with more elements are never sizes, axes or scales, so inference has no use for them
SMALL = 4096
#: operators whose sizes may follow from floats; for all others a float is no size
_FLOAT_SIZES = frozenset({"Range", "Resize", "Upsample", "OneHot"})
#: a value beyond this size is a mistake or an attack
MAX_BYTES = 1 << 40

Known = tuple[int, tuple[int, ...], bytes] | None
Rule = Callable[
    ["OnnxOperator", Sequence[TensorType], Sequence[Array | None]], Sequence[TensorType]
]


class UnknownSizeError(UnsupportedError):
    """Result types follow from values or sizes known only at run time."""


def infer_dtypes(operator: OnnxOperator, operands: Types) -> list[DType | None]:
    """Element types of the results, also where their shapes are not known."""
    protos = _protos(operator, operands, [None] * len(operands))
    numbers = [0 if proto is None else proto.tensor_type.elem_type for proto in protos]
    return [DType.of(number) if number else None for number in numbers]


def infer_node(
    operator: OnnxOperator, operands: Types, constants: Arrays
) -> tuple[TensorType, ...]:
    """Result types of one op without regions, given operand types and the values known.

    Raises VerifyError when the operands do not fit the operator, UnsupportedError when the result
    types cannot be known when compiling.
    """
    return _infer(operator, tuple(operands), tuple(_known(operator, a) for a in constants))


def _known(operator: OnnxOperator, array: Array | None) -> Known:
    if array is None or array.size > SMALL:
        return None
    dtype = DType.of(array)
    if array.dtype.kind not in "iufb" and dtype is not DType.BF16:
        return None
    if dtype.is_float and operator.type not in _FLOAT_SIZES:
        return None
    return dtype.onnx, array.shape, array.tobytes()


_Shape = tuple[Dim | None, ...]
_Result = tuple[DType, _Shape] | None


@lru_cache(maxsize=8192)
def _infer(
    operator: OnnxOperator, operands: tuple[TensorType | None, ...], known: tuple[Known, ...]
) -> tuple[TensorType, ...]:
    rule = None if operator.domain else _RULES.get(operator.type)
    try:
        results = _onnx_results(operator, operands, known)
    except VerifyError:
        if rule is not _same_as_first:  # superseded operators, which onnx refuses as deprecated
            raise
        results = [None for _ in range(operator.results)]
    if not all(map(_is_complete, results)) and rule is not None:
        present = [t if t is not None else TensorType(DType.BOOL, ()) for t in operands]
        rows = rule(operator, present, [_array(value) for value in known])
        ruled: list[_Result] = [(t.dtype, t.shape) for t in rows]
        ruled += [None] * (len(results) - len(ruled))
        results = [r if _is_complete(r) else ruled[k] for k, r in enumerate(results)]
    return tuple(_final(operator, result) for result in results)


def _is_complete(result: _Result) -> bool:
    return result is not None and None not in result[1]


def _final(operator: OnnxOperator, result: _Result) -> TensorType:
    shape = () if result is None else tuple(dim for dim in result[1] if dim is not None)
    if result is None or len(shape) < len(result[1]):
        raise UnknownSizeError(
            f"{operator.label}: the shape of its result is not known when compiling; sizes, axes "
            f"and repeats must follow from constants and input shapes"
        )
    type = TensorType(result[0], shape)
    if type.nbytes > MAX_BYTES:
        raise VerifyError(f"{operator.label}: a result of type {type} is too large to be meant")
    return type


def _onnx_results(
    operator: OnnxOperator, operands: Sequence[TensorType | None], known: Sequence[Known]
) -> list[_Result]:
    return [_convert(proto, operands) for proto in _protos(operator, operands, known)]


def _protos(
    operator: OnnxOperator, operands: Sequence[TensorType | None], known: Sequence[Known]
) -> list[TypeProto | None]:
    names = ["" if t is None else f"i{k}" for k, t in enumerate(operands)]
    node = _explicit(operator).node(names, operator.results)
    types = {name: type_proto(t) for name, t in zip(names, operands, strict=True) if t is not None}
    data = {
        name: helper.make_tensor(name, value[0], value[1], value[2], raw=True)
        for name, value in zip(names, known, strict=True)
        if value is not None
    }
    opsets = [helper.make_opsetid(operator.domain, operator.version)]
    if operator.domain:
        opsets.append(helper.make_opsetid("", 18))
    try:
        found = shape_inference.infer_node_outputs(
            _schema(operator), node, types, data, None, opsets
        )
    except (
        shape_inference.InferenceError,
        checker.ValidationError,
        RuntimeError,
        ValueError,
    ) as error:
        text = " ".join(str(error).split()).removeprefix("[ShapeInferenceError] ")
        shapes = ", ".join("absent" if t is None else str(t) for t in operands)
        raise VerifyError(f"{operator.label}({shapes}): {text}") from None
    return [found.get(name) for name in node.output]


def _explicit(operator: OnnxOperator) -> OnnxOperator:
    """The operator with ``onesided`` of STFT written out: onnx infers as if its default were 0."""
    if operator.type != "STFT" or operator.domain:
        return operator
    return replace(operator, attrs=(("onesided", operator.attr("onesided")),))


def _schema(operator: OnnxOperator) -> defs.OpSchema:
    """The operator's schema; of pools at least 22: before, ceil_mode counts windows in the padding.

    Kernels (onnxruntime's and ours) never have them.
    """
    pools = operator.type in ("MaxPool", "AveragePool", "LpPool") and not operator.domain
    return replace(operator, version=max(operator.version, 22)).schema if pools else operator.schema


def type_proto(type: TensorType) -> TypeProto:
    """The ONNX type of a tensor type; symbols become ``dim_param``."""
    shape = [dim if isinstance(dim, int) else str(dim) for dim in type.shape]
    return helper.make_tensor_type_proto(type.dtype.onnx, shape)


def _convert(proto: TypeProto | None, operands: Sequence[TensorType | None]) -> _Result:
    if proto is None or proto.WhichOneof("value") is None:
        return None
    if not proto.HasField("tensor_type"):
        kind = str(proto.WhichOneof("value")).removesuffix("_type")
        raise UnsupportedError(f"values of kind {kind} are not supported, only tensors are")
    tensor = proto.tensor_type
    if tensor.elem_type == TensorProto.UNDEFINED or not tensor.HasField("shape"):
        return None
    symbols = {
        str(dim): dim
        for t in operands
        if t is not None
        for dim in t.shape
        if not isinstance(dim, int)
    }
    shape: list[Dim | None] = []
    for dim in tensor.shape.dim:
        if dim.HasField("dim_value"):
            if dim.dim_value < 0:
                raise VerifyError(f"a result has the negative size {dim.dim_value}")
            shape.append(dim.dim_value)
        else:
            shape.append(symbols.get(dim.dim_param))
    return DType.of(tensor.elem_type), tuple(shape)


def _array(known: Known) -> Array | None:
    if known is None:
        return None
    number, shape, data = known
    return np.frombuffer(data, DType.of(number).numpy).reshape(shape)


def _same_as_first(
    operator: OnnxOperator, operands: Sequence[TensorType], values: Sequence[Array | None]
) -> Sequence[TensorType]:
    return [operands[0]] * operator.results


def _dropout(
    operator: OnnxOperator, operands: Sequence[TensorType], values: Sequence[Array | None]
) -> Sequence[TensorType]:
    x = operands[0]
    return [x, x.with_dtype(DType.BOOL) if operator.version >= 10 else x]


def _batch_normalization(
    operator: OnnxOperator, operands: Sequence[TensorType], values: Sequence[Array | None]
) -> Sequence[TensorType]:
    return [operands[0], *[operands[1]] * (operator.results - 1)]  # statistics of each channel


def _max_unpool(
    operator: OnnxOperator, operands: Sequence[TensorType], values: Sequence[Array | None]
) -> Sequence[TensorType]:
    shape = values[2] if len(values) > 2 else None
    if shape is None or shape.shape != (operands[0].rank,) or (shape < 0).any():
        return []
    return [operands[0].with_shape(map(int, shape))]


def _range(
    operator: OnnxOperator, operands: Sequence[TensorType], values: Sequence[Array | None]
) -> Sequence[TensorType]:
    if any(value is None or value.size != 1 for value in values):
        return []
    start, limit, delta = (float(value.item()) for value in values if value is not None)
    count = (limit - start) / delta if delta else math.nan
    return [operands[0].with_shape((max(math.ceil(count), 0),))] if math.isfinite(count) else []


def _attention(
    operator: OnnxOperator, operands: Sequence[TensorType], values: Sequence[Array | None]
) -> Sequence[TensorType]:
    """Keys and values with what went before, and products of the heads' queries and keys."""
    query, key, value, *rest = operands
    if {query.rank, key.rank, value.rank} - {3, 4} or not all(t.is_static for t in operands):
        return []
    heads = [operator.attr(name, 1) for name in ("q_num_heads", "kv_num_heads", "kv_num_heads")]
    lines = [
        t.dims if t.rank == 4 else (t.dims[0], count, t.dims[1], t.dims[2] // max(count, 1))
        for t, count in zip((query, key, value), heads, strict=True)
    ]
    before = rest[1].dims[2] if len(rest) > 1 and rest[1].rank == 4 else 0
    steps = before + lines[1][2]
    present = [(*line[:2], steps, line[3]) for line in lines[1:]]
    products = (*lines[0][:3], steps)
    result = (*query.dims[:-1], lines[2][3] * (1 if query.rank == 4 else lines[0][1]))
    return [query.with_shape(shape) for shape in (result, *present, products)]


_RULES: dict[str, Rule] = {
    "Attention": _attention,
    "MaxUnpool": _max_unpool,
    "Range": _range,  # of halves
    "MeanVarianceNormalization": _same_as_first,
    "GroupNormalization": _same_as_first,
    "Scatter": _same_as_first,
    "Dropout": _dropout,
    "BatchNormalization": _batch_normalization,
}
