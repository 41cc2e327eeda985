"""Expansions of DFT and STFT: products with matrices of roots of unity, large lengths taken apart.

A length up to ``_DIRECT`` is one matrix product. A composite one is split in two shorter transforms
with a twist between (Cooley and Tukey 1965), a large prime becomes a convolution, done by transforms
of a power of two (Bluestein 1970). Complex numbers are pairs along the last axis.
"""

from __future__ import annotations

import numpy as np

from dlc.errors import UnsupportedError
from dlc.ir.graph import Value
from dlc.ir.operator import Array
from dlc.ir.sizes import bound_of, equal, less, low_of, maximum, product, select
from dlc.ir.types import Dim
from dlc.ops.build import (
    assume,
    cast,
    constant,
    contract,
    gather,
    iota,
    map_,
    pad,
    reshape,
    sizes,
    slice_,
    transpose,
)
from dlc.ops.onnx.axes import normal_axis
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.onnx.precision import in_f32
from dlc.ops.symbols import held, settled
from dlc.ops.take import take

_DIRECT = 64  # lengths up to it are one product; a power of two
_LONGEST = 1 << 24  # the roots of unity are constants
_WHOLE = 1 << 14  # elements of a matrix that may stand for a transform as it is


@expansion("DFT")
@in_f32
def dft(call: Call, x: Value, length: Value | None = None, axis: Value | None = None) -> Value:
    """``length`` is a constant; an inverse ``onesided`` transform gives reals."""
    if axis is None or axis.constant is not None:
        written = call.attr("axis", -2) if axis is None else call.constant(2).item()  # type: ignore[union-attr]
        return _along(call, x, normal_axis(call, int(written), x.type.rank))
    return _along_chosen(call, x)


def _along_chosen(call: Call, x: Value) -> Value:
    """The transform along an axis known at run time: one of those along each axis is selected.

    Only those are made that give the shape the model declares. Others end the run with a status.
    """
    rank, declared = x.type.rank, call.declared() or ()
    stated = [dim if isinstance(dim, int) else None for dim in declared] or [None] * rank
    shapes = {at: _shape(call, x, at) for at in range(rank - 1)}
    shapes = {
        at: shape
        for at, shape in shapes.items()
        if shape[at] != 0 and len(stated) == rank
        and all(s in (None, dim) for s, dim in zip(stated, shape, strict=True))
    }  # fmt: skip
    if not shapes:
        raise call.unsupported(f"no axis of {x.type} gives a result of the shape {declared}")
    asked = call.sizes(2, -rank, rank - 2)
    assert asked is not None
    chosen = select(less(asked[0], 0), asked[0] + rank, asked[0])
    known = [sum((equal(chosen, at) for at in shapes), start=0)]
    (chosen,) = held(call.graph, "axis", [chosen], known)
    here = {at: equal(chosen, at) for at in shapes}
    (first, dims), *others = shapes.items()
    most = max(bound_of(product(shape)) for shape in shapes.values())
    result = _flat(_along(call, x, first), most)
    for at, shape in others:
        result = map_("select(eq(a0, 1), a1, a2)", sizes(x, here[at]),
                      _flat(_along(call, x, at), most), result)  # fmt: skip
        dims = tuple(select(here[at], *both) for both in zip(shape, dims, strict=True))
    if not all(isinstance(dim, int) for dim in dims):
        dims = tuple(settled(call.graph, "dft", dims, most))
    return reshape(slice_(result, [0], [product(dims)]), dims)


def _flat(x: Value, most: int) -> Value:
    """The elements in order, filled up with zeros."""
    count = product(x.type.shape)
    return pad(reshape(x, [count]), [0], [most - count])


def _fixed(dim: Dim) -> int:
    if not isinstance(dim, int):
        raise UnsupportedError(
            f"a transform along an axis of {dim} elements: its size must be fixed"
        )
    return dim


def _count(call: Call, x: Value, at: int) -> int:
    """The length of the transform along an axis."""
    size = call.constant(1)
    both = call.attr("inverse") and call.attr("onesided")
    given = _fixed(x.type.shape[at])
    if size is not None:
        return int(size.item())
    return 2 * (given - 1) if both else given


def _shape(call: Call, x: Value, at: int) -> tuple[Dim, ...]:
    """The shape of the transform along an axis."""
    count, inverse, onesided = _count(call, x, at), call.attr("inverse"), call.attr("onesided")
    kept = count // 2 + 1 if onesided and not inverse else count
    return (*x.type.shape[:at], kept, *x.type.shape[at + 1 : -1], 1 if onesided and inverse else 2)


def _along(call: Call, x: Value, at: int) -> Value:
    inverse, onesided = bool(call.attr("inverse")), bool(call.attr("onesided"))
    count = _count(call, x, at)
    if at == x.type.rank - 1 or x.type.shape[-1] not in (1, 2) or not 0 < count <= _LONGEST:
        raise call.unsupported(f"a transform of length {count} along axis {at} of {x.type}")
    order = [i for i in range(x.type.rank - 1) if i != at]
    rows = transpose(x, [*order, at, x.type.rank - 1])  # the axis beside the pairs
    result = _transform(rows, count, inverse, onesided)
    back = [*order, at]
    return transpose(result, [*(back.index(i) for i in range(len(back))), len(back)])


@expansion("STFT")
@in_f32
def stft(call: Call, signal: Value, step: Value, window: Value | None = None,
         length: Value | None = None) -> Value:  # fmt: skip
    """Frames gathered from the signal, weighted by the window, and transformed."""
    if signal.type.rank != 3:
        raise call.unsupported(f"a signal of type {signal.type}")
    whole = signal.type.shape[1]
    size: Dim = window.type.shape[0] if window else whole
    if length is not None:
        low, high = low_of(size) if window else 1, bound_of(size)
        for bins in (call.declared() or ())[2:3]:
            if isinstance(bins, int):  # what the model declares leaves at most two lengths
                some = (2 * bins - 2, 2 * bins - 1) if call.attr("onesided") else (bins, bins)
                low, high = max(low, some[0]), min(high, some[1])
        asked = call.sizes(3, low, high)
        assert asked is not None
        size = asked[0]
    if low_of(whole - size) < 0 or low_of(size) < 1:
        (size,) = held(call.graph, "frame", [size], [less(0, size), 1 - less(whole, size)])
    return _frames(call, signal, step, window, size)


def _frames(call: Call, signal: Value, step: Value, window: Value | None, size: Dim) -> Value:
    """The transforms of frames of a size."""
    batch, whole, parts = signal.type.shape
    asked = call.sizes(1, 1, max(bound_of(whole), 1), clamp=True)
    assert asked is not None
    stride = maximum(asked[0], 1)
    count = (whole - size) // stride + 1
    if isinstance(count, int) and isinstance(size, int) and isinstance(stride, int):
        places = np.arange(count)[:, None] * stride + np.arange(size)
        frames = take(signal, {1: places.ravel()})
    else:
        room = [dim for dim in (call.declared() or ())[1:2] if isinstance(dim, int)]
        most = bound_of(product([batch, min([bound_of(count), *room]), size]))
        batch, count, size = settled(call.graph, "frames", [batch, count, size], most)
        starts, inside = reshape(iota(signal, count), [count, 1]), iota(signal, size)
        index = map_("a0 * a1 + a2", starts, sizes(signal, stride), inside)
        frames = gather(signal, reshape(index, [count * size]), 1)
    frames = reshape(frames, [batch, count, size, parts])
    if window is not None:
        frames = map_("a0 * a1", frames, reshape(assume(window, [size]), [size, 1]))
    onesided = bool(call.attr("onesided"))
    if isinstance(size, int):
        return _transform(frames, size, False, onesided)
    bins = size // 2 + 1 if onesided else size
    matrix = cast(_run_time_matrix(frames, size, bins), frames.type.dtype)
    spectrum = contract(reshape(frames, [batch, count, size * _fixed(parts)]), matrix)
    return reshape(spectrum, [batch, count, bins, 2])


def _run_time_matrix(x: Value, count: Dim, results: Dim) -> Value:
    """As ``_matrix`` of a transform of ``count`` elements ``[..., count, parts]``, not known before.

    A quarter of a turn leads from a real part to the imaginary one.
    """
    parts = _fixed(x.type.shape[-1])
    each = (count, parts, results, 2)
    j, p, k, q = (
        reshape(iota(x, dim), [dim if i == at else 1 for i in range(4)])
        for at, dim in enumerate(each)
    )
    turn = f"f64(fmod(a0 * a2, a4)) / f64(a4) * {2 * np.pi!r}"
    angle = f"{turn} + f64(a3 - a1) * {np.pi / 2!r}"
    elements = map_(f"cos({angle})", j, p, k, q, sizes(x, count))
    return reshape(elements, [count * parts, results * 2])


def _transform(x: Value, count: int, inverse: bool, onesided: bool) -> Value:
    """The transform of axis -2 cut or filled up to ``count``; pairs (or reals, 1) on axis -1."""
    *lead, given, width = x.type.shape
    given, width = _fixed(given), _fixed(width)
    inputs = count // 2 + 1 if inverse and onesided else count
    if given != inputs:  # zeros add nothing
        x = slice_(x, [0] * x.type.rank, [*lead, min(given, inputs), width])
    used = min(given, inputs)
    real, half = inverse and onesided, onesided and not inverse
    results = count // 2 + 1 if half else count
    columns = results * (1 if real else 2)
    if count <= _DIRECT or used * width * columns <= _WHOLE:
        matrix = constant(x, _matrix(count, used, width, inverse, onesided), x.type.dtype)
        product = contract(reshape(x, [*lead, 1, used * width]), matrix)
        return reshape(product, [*lead, results, columns // results])
    x = pad(x, [0] * x.type.rank, [*[0] * len(lead), inputs - used, 2 - width])
    if real:
        x = _mirrored(x, count)
    result = _fast(reshape(x, [-1, count, 2]), 1 if inverse else -1)
    result = slice_(result, [0, 0, 0], [result.type.shape[0], results, columns // results])
    if inverse:
        result = map_(f"a0 * {1 / count!r}", result)
    return reshape(result, [*lead, results, columns // results])


def _matrix(count: int, used: int, width: int, inverse: bool, onesided: bool) -> Array:
    """The transform of each unit vector: a matrix [used * width, results * parts]."""
    units = np.zeros((used * width, used), np.complex128)
    units.reshape(used, width, used)[np.arange(used), 0, np.arange(used)] = 1
    if width == 2:
        units.reshape(used, width, used)[np.arange(used), 1, np.arange(used)] = 1j
    if inverse and onesided:
        return np.asarray(np.fft.irfft(units, count, axis=1))
    found = (np.fft.ifft if inverse else np.fft.fft)(units, count, axis=1)
    found = found[:, : count // 2 + 1] if onesided else found
    return np.stack([found.real, found.imag], axis=-1).reshape(used * width, -1)


def _mirrored(x: Value, count: int) -> Value:
    """All of a spectrum of reals, from its first half: element n - k is the conjugate of k."""
    places = np.arange(count)
    places = np.minimum(places, count - places)
    signs = np.ones((count, 2))
    signs[count // 2 + 1 :, 1] = -1
    signs[[0, count // 2] if count % 2 == 0 else [0], 1] = 0  # these are real
    whole = take(x, {x.type.rank - 2: places})
    return map_("a0 * a1", whole, constant(x, signs, x.type.dtype))


def _fast(x: Value, sign: int) -> Value:
    """``sum_k x[:, k] * exp(sign * 2j * pi * k * m / n)`` for pairs x [rows, n, 2]."""
    rows, n, _ = x.type.shape
    n = _fixed(n)
    if n <= _DIRECT:
        angles = 2 * np.pi * (np.outer(np.arange(n), np.arange(n)) % n) / n
        c, s = np.cos(angles), sign * np.sin(angles)
        matrix = np.stack([np.stack([c, s], -1), np.stack([-s, c], -1)], 1)  # [n, 2, n, 2]
        weights = constant(x, matrix.reshape(2 * n, 2 * n), x.type.dtype)
        return reshape(contract(reshape(x, [rows, 2 * n]), weights), [rows, n, 2])
    first = max((d for d in range(2, _DIRECT + 1) if n % d == 0), default=1)
    if first == 1:
        return _convolved(x, sign)
    rest = n // first
    columns = transpose(reshape(x, [rows, first, rest, 2]), (0, 2, 1, 3))
    part = _fast(reshape(columns, [rows * rest, first, 2]), sign)
    turns = np.exp(sign * 2j * np.pi * np.outer(np.arange(rest), np.arange(first)) / n)
    part = _turned(reshape(part, [rows, rest, first, 2]), turns)
    part = _fast(reshape(transpose(part, (0, 2, 1, 3)), [rows * first, rest, 2]), sign)
    return reshape(transpose(reshape(part, [rows, first, rest, 2]), (0, 2, 1, 3)), [rows, n, 2])


def _convolved(x: Value, sign: int) -> Value:
    """For a prime: ``2 k m == k**2 + m**2 - (m - k)**2`` makes the sum a convolution."""
    rows, n, _ = x.type.shape
    n = _fixed(n)
    size = 1 << (2 * n - 2).bit_length()
    chirp = np.exp(sign * 1j * np.pi * (np.arange(n) ** 2 % (2 * n)) / n)
    around = np.zeros(size, np.complex128)
    around[:n] = around[(size - np.arange(n)) % size] = chirp.conj()
    spread = pad(_turned(x, chirp), (0, 0, 0), (0, size - n, 0))
    product = _turned(_fast(spread, -1), np.fft.fft(around) / size)
    return _turned(slice_(_fast(product, 1), (0, 0, 0), (rows, n, 2)), chirp)


def _turned(x: Value, factors: Array) -> Value:
    """Pairs times constant complex numbers."""
    swapped = take(x, {x.type.rank - 1: np.array([1, 0])})
    real = np.stack([factors.real, factors.real], -1)
    imaginary = np.stack([-factors.imag, factors.imag], -1)
    weights = [constant(x, part, x.type.dtype) for part in (real, imaginary)]
    return map_("a0 * a2 + a1 * a3", x, swapped, *weights)
