"""Expansions of operators that draw random numbers, and of Dropout.

Numbers come from ``random`` under a key made of ``seed``, or of the node's name where it has none,
so they are the same in every run. Uniform ones are multiples of 2**-24 (f64: 2**-53) below 1.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

import numpy as np

from dlc.ir.graph import Value
from dlc.ir.types import Dim, DType
from dlc.ops.build import broadcast, cast, constant, contract, map_, reduce, reshape, slice_
from dlc.ops.core.random import Random
from dlc.ops.onnx.expansion import Call, expansion


def _words(call: Call, count: int, shape: Sequence[Dim]) -> list[Value]:
    """So many tensors of random u32."""
    seed = call.attr("seed")
    if seed is None:
        key = zlib.crc32(call.op.label.encode()) << 32
    elif isinstance(seed, float):
        key = int(np.float32(seed).view(np.uint32))
    else:  # of Dropout
        key = int(seed) % (1 << 64)
    drawn = call.graph.add(Random((count, *shape), key), ()).result
    rows = [[k] + [0] * len(shape) for k in range(count)]
    return [reshape(slice_(drawn, row, [1, *shape]), shape) for row in rows]


def uniform(call: Call, count: int, shape: Sequence[Dim], dtype: DType) -> list[Value]:
    """So many tensors of independent numbers in [0, 1), f32 or, for a ``dtype`` of f64, f64."""
    if dtype is not DType.F64:
        return [map_(f"f32(shr(a0, 8)) * {2.0**-24!r}", word)
                for word in _words(call, count, shape)]  # fmt: skip
    words = _words(call, 2 * count, shape)
    both = f"f64(a0) * {2.0**-32!r} + f64(shr(a1, 11)) * {2.0**-53!r}"
    return [map_(both, *words[k : k + 2]) for k in range(0, 2 * count, 2)]


def _shape(call: Call, like: Value | None) -> Sequence[Dim]:
    return call.shape if like is None else like.type.shape


@expansion("RandomUniform", "RandomUniformLike")
def random_uniform(call: Call, like: Value | None = None) -> Value:
    low, high = float(call.attr("low")), float(call.attr("high"))
    (drawn,) = uniform(call, 1, _shape(call, like), call.dtype)
    return cast(map_(f"a0 * {high - low!r} + {low!r}", drawn), call.dtype)


@expansion("RandomNormal", "RandomNormalLike")
def random_normal(call: Call, like: Value | None = None) -> Value:
    """Two uniform numbers make a normal one (Box and Muller 1958)."""
    radius, turn = uniform(call, 2, _shape(call, like), call.dtype)
    text = f"sqrt(-2.0 * log(1.0 - a0)) * cos({2 * math.pi!r} * a1)"
    scale, mean = float(call.attr("scale")), float(call.attr("mean"))
    return cast(map_(f"{text} * {scale!r} + {mean!r}", radius, turn), call.dtype)


@expansion("Multinomial")
def multinomial(call: Call, x: Value) -> Value:
    """How many classes' cumulated probabilities a uniform number exceeds; ``x`` are logarithms."""
    (batch, classes), samples = x.type.shape, int(call.attr("sample_size"))
    if not isinstance(classes, int):
        raise call.unsupported("a number of classes known only at run time")
    x = cast(x, DType.F32)
    weights = map_("exp(a0 - a1)", x, reduce("max", x, [1]))
    sums = contract(weights, constant(x, np.triu(np.ones((classes, classes))), DType.F32))
    total = slice_(sums, [0, classes - 1], [batch, 1])
    (drawn,) = uniform(call, 1, (batch, samples), DType.F32)
    inner = slice_(sums, [0, 0], [batch, classes - 1])  # all classes before the last
    passed = map_("select(le(a0, a1), f32(1.0), 0.0)", reshape(inner, [batch, 1, classes - 1]),
                  reshape(map_("a0 * a1", drawn, total), [batch, samples, 1]))  # fmt: skip
    return cast(reduce("add", passed, [2], keepdims=False), call.dtype)


@expansion("Dropout")
def dropout(call: Call, x: Value, ratio: Value | None = None,
            training: Value | None = None) -> Sequence[Value]:  # fmt: skip
    """In training, elements whose number is below ``ratio`` become 0 and the others grow."""
    masks = [call.dtype_of(k) for k in range(1, call.results)]
    shape = x.type.shape
    if training is None or (training.constant is not None and not training.constant.any()):
        return [
            x,
            *(broadcast(constant(x, np.ones([1] * len(shape)), dtype), shape) for dtype in masks),
        ]
    (drawn,) = uniform(call, 1, shape, DType.F32)
    share = constant(x, 0.5, DType.F32) if ratio is None else cast(reshape(ratio, ()), DType.F32)
    if training.constant is None:  # a share of nothing where it is off
        share = map_("select(a0, a1, 0.0)", reshape(training, ()), share)
    mask = map_("le(a0, a1)", share, drawn)
    wide = DType.F64 if x.type.dtype is DType.F64 else DType.F32
    scaled = f"select(a1, {wide.value}(a0) / (1.0 - {wide.value}(a2)), 0.0)"
    return [cast(map_(scaled, x, mask, share), x.type.dtype), *(cast(mask, d) for d in masks)]
