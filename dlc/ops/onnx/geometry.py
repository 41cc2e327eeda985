"""Expansions of AffineGrid, Det, Col2Im, MaxUnpool and CenterCropPad."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from dlc.ir.graph import Value
from dlc.ir.sizes import bound_of, equal, low_of, minimum, product
from dlc.ir.types import Dim, DType, strides_of
from dlc.ops.build import (
    apply,
    assume,
    broadcast,
    cast,
    concat,
    constant,
    contract,
    iota,
    map_,
    pad,
    reshape,
    scatter,
    sizes,
    slice_,
    transpose,
)
from dlc.ops.core.det import Det
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.onnx.padding import window_of
from dlc.ops.onnx.precision import in_f32
from dlc.ops.symbols import held, settled

_MOST = 3  # rows of a matrix whose determinant is written as a sum of products


_MANY = 1 << 31  # more channels than there are


@expansion("AffineGrid")
@in_f32
def affine_grid(call: Call, theta: Value, size: Value) -> Value:
    """``theta`` applied to the points of the image, each coordinate in -1 .. 1, x first."""
    batch, rank = theta.type.shape[0], _rank(call, theta)
    (_, *low, _), (_, *high, _) = call.intervals(rank + 2, [1])
    asked = call.sizes(1, [low_of(batch), 0, *low], [bound_of(batch), _MANY, *high], joint=None)
    assert asked is not None
    batch, *_ = held(call.graph, "batch", [batch, asked[0]], [equal(batch, asked[0])])
    batch, *image, _ = settled(call.graph, "grid", [batch, *asked[2:], rank],
                               _room(call, 1, [batch, *asked[2:], rank]))  # fmt: skip
    line = "f64(a0) * 2.0 / f64(max(a1 - 1, 1)) - 1.0"
    if not call.attr("align_corners"):
        line = "(f64(a0) + 0.5) * 2.0 / f64(a1) - 1.0"
    columns = [constant(theta, np.ones([1] * (rank + 1)), DType.F64)]
    for i, dim in enumerate(image):
        at = [dim if i == k else 1 for k in range(rank)]
        columns.insert(0, reshape(map_(line, iota(theta, dim), sizes(theta, dim)), [*at, 1]))
    base = concat([broadcast(column, [*image, 1]) for column in columns], rank)
    base = cast(reshape(base, [product(image), rank + 1]), theta.type.dtype)
    points = contract(base, assume(theta, [batch, rank, rank + 1]), transpose_rhs=True)
    return reshape(points, [batch, *image, rank])


def _room(call: Call, index: int, dims: Sequence[Dim]) -> int:
    """The most elements a result of these dims may have, which operand ``index`` says."""
    most = bound_of(product(dims))
    if call.known(index) is not None or all(isinstance(dim, int) for dim in dims):
        return most
    return min(most, call.most())


def _rank(call: Call, theta: Value) -> int:
    """The number of the image's axes."""
    rank = theta.type.shape[1]
    if not isinstance(rank, int):
        raise call.unsupported(f"theta of type {theta.type}: its second size must be fixed")
    return rank


@expansion("Det")
@in_f32
def determinant(call: Call, x: Value) -> Value:
    """For small matrices the sum over permutations, each product with its sign."""
    *batch, size, _ = x.shape
    if not 0 < size <= _MOST:
        return apply(Det(), x)
    starts = [0] * len(batch)
    elements = [reshape(slice_(x, [*starts, i, j], [*batch, 1, 1]), batch)
                for i in range(size) for j in range(size)]  # fmt: skip
    terms = []
    for order in itertools.permutations(range(size)):
        odd = sum(a > b for a, b in itertools.combinations(order, 2)) % 2
        factors = " * ".join(f"a{i * size + j}" for i, j in enumerate(order))
        terms.append(f"{'-1.0' if odd else '1.0'} * {factors}")
    return map_(" + ".join(terms), *elements)


@expansion("Col2Im")
@in_f32
def col2im(call: Call, x: Value, *_: Value) -> Value:
    """Blocks added to the places they were cut from; what lies in the padding is added nowhere."""
    most = 1 if call.known(1) is not None else call.most()
    image, kernel = call.sizes(1, 0, most, joint=most), call.sizes(2, 1, x.type.bounds[1])
    assert image is not None
    assert kernel is not None
    rank, batch = len(image), x.type.shape[0]
    kernel = settled(call.graph, "kernel", kernel, x.type.bounds[1])
    channels = x.type.shape[1] // product(kernel)
    strides, dilations = (call.attr(name) or [1] * rank for name in ("strides", "dilations"))
    pads = call.attr("pads") or [0] * (2 * rank)
    padded = [size + pads[i] + pads[rank + i] for i, size in enumerate(image)]
    spreads = [(taps - 1) * step + 1 for taps, step in zip(kernel, dilations, strict=True)]
    blocks = [(padded[i] - spreads[i]) // strides[i] + 1 for i in range(rank)]
    blocks = settled(call.graph, "blocks", blocks, x.type.bounds[2])
    index: Value | None = None
    for i, step in enumerate(strides_of(padded)):
        at: list[list[Dim]] = [[1] * (2 * rank) for _ in range(2)]
        at[0][i], at[1][rank + i] = kernel[i], blocks[i]
        tap, block = (
            reshape(iota(x, shape[k]), shape) for shape, k in zip(at, (i, rank + i), strict=True)
        )
        place = map_(f"(a0 * {dilations[i]} + a1 * {strides[i]}) * a2", tap, block, sizes(x, step))
        index = place if index is None else map_("a0 + a1", index, place)
    assert index is not None
    count = batch * channels
    updates = transpose(reshape(x, [count, index.type.count]), (1, 0))
    zeros = broadcast(constant(x, np.zeros((1, 1)), x.type.dtype), [product(padded), count])
    summed = scatter("add", zeros, reshape(index, [index.type.count]), updates)
    whole = reshape(transpose(summed, (1, 0)), [batch, channels, *padded])
    return slice_(whole, [0, 0, *pads[:rank]], [batch, channels, *image])


@expansion("MaxUnpool")
def max_unpool(call: Call, x: Value, indices: Value, shape: Value | None = None) -> Value:
    """Elements put where MaxPool's indices say they came from, 0 elsewhere.

    Indices count in the shape that follows from the window; the rest of an ``output_shape`` is 0.
    """
    window = window_of(call, call.attr("kernel_shape"))
    rank = len(window.kernel)
    image = [
        (size - 1) * window.strides[i] - window.pads[i] - window.pads[rank + i] + window.kernel[i]
        for i, size in enumerate(x.type.shape[2:])
    ]
    inner = [*x.type.shape[:2], *image]
    count = product(inner)
    zeros = broadcast(constant(x, np.zeros(1), x.type.dtype), [count])
    places = cast(reshape(assume(indices, x.type.shape), [-1]), DType.I64)
    places = map_("select(lt(a0, 0), a1, a0)", places, sizes(x, count))  # none counts from the end
    result = reshape(scatter("set", zeros, places, reshape(x, [-1])), inner)
    if shape is None:
        return result
    whole = call.sizes(2, *call.intervals(rank + 2, [2]))
    assert whole is not None
    whole = settled(call.graph, "unpooled", whole, _room(call, 2, whole))
    kept = [minimum(own, size) for own, size in zip(inner, whole, strict=True)]
    more = [size - own for size, own in zip(whole, kept, strict=True)]
    return pad(slice_(result, [0] * len(kept), kept), [0] * len(kept), more)


@expansion("CenterCropPad")
def center_crop_pad(call: Call, x: Value, shape: Value) -> Value:
    """The middle of each axis, or zeros around it; of an odd rest the smaller half comes first."""
    rank = x.type.rank
    axes = [int(axis) % rank for axis in call.attr("axes") or range(rank)]
    bounds = [] if shape.sizes is not None else [call.bound(0, axis) for axis in axes]
    wanted = call.sizes(1, 0, bounds, joint=call.most() if bounds else None)
    assert wanted is not None
    sizes = list(x.type.shape)
    starts: list[Dim] = [0] * rank
    before, after = starts.copy(), starts.copy()
    for axis, size in zip(axes, wanted, strict=True):
        kept = minimum(sizes[axis], size)
        starts[axis] = (sizes[axis] - kept) // 2
        before[axis] = (size - kept) // 2
        after[axis] = size - kept - before[axis]
        sizes[axis] = kept
    return pad(slice_(x, starts, sizes), before, after)
