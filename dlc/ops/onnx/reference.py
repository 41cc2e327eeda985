"""Running one named op through onnx's reference implementation, corrected where it is wrong.

The reference follows the newest version of each operator; ``_CORRECTIONS`` holds the forms of older
versions (and the grouped ConvTranspose) that it lacks or gets wrong.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from dlc.errors import UnsupportedError
from dlc.ir.operator import Array, Arrays
from dlc.ir.types import DType, TensorType

if TYPE_CHECKING:
    from onnx.reference import ReferenceEvaluator

    from dlc.ops.onnx.operator import OnnxOperator

#: gives the results, or None where the reference implementation is right
Correction = Callable[["OnnxOperator", Arrays], "Sequence[Array] | None"]


def run_node(operator: OnnxOperator, operands: Arrays) -> Sequence[Any]:
    """Results of one op without regions; UnsupportedError when the reference has no answer."""
    correction = None if operator.domain else _CORRECTIONS.get(operator.type)
    with np.errstate(all="ignore"):
        found = correction(operator, operands) if correction is not None else None
        return _run(operator, operands) if found is None else found


def _run(operator: OnnxOperator, operands: Arrays) -> Sequence[Any]:
    runner = _runner(operator, tuple(array is not None for array in operands))
    feeds = {f"i{k}": array for k, array in enumerate(operands) if array is not None}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its own use of numpy is not our concern
            return list(runner.run(None, feeds))
    except Exception as error:  # the reference implementations raise whatever comes up
        raise UnsupportedError(
            f"{operator.label}: onnx's reference implementation fails: {error}"
        ) from error


@lru_cache(maxsize=1024)
def _runner(operator: OnnxOperator, present: tuple[bool, ...]) -> ReferenceEvaluator:
    from onnx.reference import ReferenceEvaluator  # slow to import

    operands = [f"i{k}" if there else "" for k, there in enumerate(present)]
    node = operator.node(operands, operator.results)
    graph = onnx.GraphProto(name="node", node=[node])
    graph.input.extend(onnx.ValueInfoProto(name=name) for name in operands if name)
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in node.output)
    try:
        return ReferenceEvaluator(graph, opsets={"": 18} | {operator.domain: operator.version})
    except Exception as error:  # it knows many kinds of "not implemented"
        raise UnsupportedError(f"{operator.label} has no reference implementation") from error


def _batch_normalization(operator: OnnxOperator, operands: Arrays) -> Sequence[Array] | None:
    """Before version 14 the number of results tells inference from training."""
    if operator.version >= 14 or operator.results > 1:
        return None
    x, *others = (array for array in operands if array is not None)
    if operator.attr("spatial", 1):
        others = [array.reshape(-1, *[1] * (x.ndim - 2)) for array in others]
    scale, bias, mean, variance = others
    return [scale * (x - mean) / np.sqrt(variance + np.float32(operator.attr("epsilon"))) + bias]


def _conv_transpose(operator: OnnxOperator, operands: Arrays) -> Sequence[Array] | None:
    """Group by group."""
    groups = operator.attr("group")
    if groups == 1:
        return None
    one = replace(operator, attrs=tuple(a for a in operator.attrs if a[0] != "group"))
    x, w, *bias = operands
    assert x is not None
    assert w is not None
    parts = [np.split(x, groups, 1), np.split(w, groups, 0)]
    if bias and bias[0] is not None:
        parts.append(np.split(bias[0], groups))
    return [np.concatenate([_run(one, group)[0] for group in zip(*parts, strict=True)], 1)]


def _dequantize(operator: OnnxOperator, operands: Arrays) -> Sequence[Array] | None:
    return None if operator.version >= 19 else _run(replace(operator, version=19), operands)


def _along_rest(operator: OnnxOperator, operands: Arrays) -> Sequence[Array] | None:
    """Softmax and its kin before version 13 work on all dims from the axis on, as one."""
    (x,) = operands
    if operator.version >= 13 or x is None:
        return None
    axis = operator.attr("axis") % max(x.ndim, 1)
    flat = x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))
    newer = replace(operator, version=13, attrs=(("axis", 1),))
    return [np.asarray(_run(newer, [flat])[0]).reshape(x.shape)]


def _max_pool(operator: OnnxOperator, operands: Arrays) -> Sequence[Array] | None:
    """Wrong for pads that differ between the ends of an axis, for ceil_mode and for three axes."""
    (x,), kernel = operands, operator.attr("kernel_shape")
    if operator.results > 1 or x is None or operator.attr("auto_pad") != "NOTSET":
        return None
    rank = len(kernel)
    ones, begins = (1,) * rank, (operator.attr("pads") or (0,) * rank)[:rank]
    strides, dilations = operator.attr("strides") or ones, operator.attr("dilations") or ones
    spread = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    # as far as the last window reaches, with ceil_mode beyond the padding
    (result,) = operator.infer([TensorType(DType.of(x), x.shape)])
    if 0 in result.dims:
        return [np.empty(result.dims, x.dtype)]
    reach = zip(result.dims[2:], strides, spread, x.shape[2:], begins, strict=True)
    more = [max((n - 1) * step + span - size - front, 0) for n, step, span, size, front in reach]
    least = -np.inf if np.issubdtype(x.dtype, np.floating) else np.iinfo(x.dtype).min
    around = [(0, 0), (0, 0), *zip(begins, more, strict=True)]
    padded = np.pad(x, around, constant_values=x.dtype.type(least))
    windows = np.lib.stride_tricks.sliding_window_view(padded, spread, tuple(range(2, x.ndim)))
    every = [slice(None, None, step) for step in strides]
    inside = [slice(None, None, step) for step in dilations]
    found = windows[(slice(None), slice(None), *every, *inside)].max(tuple(range(-rank, 0)))
    return [found[tuple(slice(size) for size in result.dims)]]


def _one_hot(operator: OnnxOperator, operands: Arrays) -> Sequence[Array] | None:
    """A depth of shape [1] is a scalar too."""
    indices, depth, values = operands
    assert depth is not None
    return _run(operator, [indices, depth.reshape(()), values])


def _pad(operator: OnnxOperator, operands: Arrays) -> Sequence[Array] | None:
    """Negative pads crop."""
    x, *rest = operands
    given = rest[0] if rest else np.array(operator.attr("pads"))
    assert x is not None
    if given is None or (given >= 0).all():
        return None
    axes = rest[2] if len(rest) > 2 and rest[2] is not None else np.arange(x.ndim)
    before, after = np.split(np.minimum(given, 0), 2)
    for axis, first, last in zip(axes, before, after, strict=True):
        x = np.take(x, np.arange(-first, x.shape[axis] + last), axis)
    kept = np.maximum(given, 0)
    if rest:
        return _run(operator, [x, kept, *rest[1:]])
    pads = tuple(int(pad) for pad in kept)
    attrs = tuple((name, pads if name == "pads" else value) for name, value in operator.attrs)
    return _run(replace(operator, attrs=attrs), [x])


def _resize(operator: OnnxOperator, operands: Arrays) -> Sequence[Array] | None:
    """Upsample and Resize before version 11: no regions, no shift of coordinates."""
    if operator.type == "Resize" and operator.version >= 11:
        return None
    scales = operands[1] if len(operands) > 1 else np.array(operator.attr("scales"), np.float32)
    attrs = (
        ("coordinate_transformation_mode", "asymmetric"),
        ("mode", operator.attr("mode", "nearest")),
        ("nearest_mode", "floor"),
    )
    newer = replace(operator, type="Resize", version=11, attrs=attrs)
    return _run(newer, [operands[0], np.zeros(0, np.float32), scales])


def _group_normalization(operator: OnnxOperator, operands: Arrays) -> Sequence[Array] | None:
    """The reference needs types it is not given; statistics are in float32 or wider."""
    x, scale, bias = (array for array in operands if array is not None)
    groups, channels = operator.attr("num_groups"), x.shape[1]
    wide = x.astype(np.promote_types(x.dtype, np.float32))
    grouped = wide.reshape(x.shape[0], groups, -1)
    mean = grouped.mean(2, keepdims=True)
    variance = np.square(grouped - mean).mean(2, keepdims=True)
    normal = ((grouped - mean) / np.sqrt(variance + np.float32(operator.attr("epsilon")))).reshape(
        x.shape
    )
    repeat = channels // scale.size  # one of each group before version 21, of each channel since
    scale, bias = (np.repeat(a, repeat).reshape(-1, *[1] * (x.ndim - 2)) for a in (scale, bias))
    return [scale * normal + bias]


def _scatter(operator: OnnxOperator, operands: Arrays) -> Sequence[Array] | None:
    return _run(replace(operator, type="ScatterElements", version=11), operands)


_CORRECTIONS: dict[str, Correction] = {
    "BatchNormalization": _batch_normalization,
    "ConvTranspose": _conv_transpose,
    "DequantizeLinear": _dequantize,
    "GroupNormalization": _group_normalization,
    "Hardmax": _along_rest,
    "LogSoftmax": _along_rest,
    "MaxPool": _max_pool,
    "OneHot": _one_hot,
    "Pad": _pad,
    "Resize": _resize,
    "Scatter": _scatter,
    "Softmax": _along_rest,
    "Upsample": _resize,
}
