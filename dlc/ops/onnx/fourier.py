"""Expansions of DFT and STFT: products with matrices of roots of unity, large lengths taken apart.

A length up to ``_DIRECT`` is one matrix product. A composite one is split in two shorter transforms
with a twist between (Cooley and Tukey 1965), a large prime becomes a convolution, done by transforms
of a power of two (Bluestein 1970). Complex numbers are pairs along the last axis.
"""

from __future__ import annotations

import numpy as np

from dlc.ir.graph import Value
from dlc.ir.operator import Array
from dlc.ops.build import constant, contract, map_, pad, reshape, slice_, transpose
from dlc.ops.onnx.axes import normal_axis
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.onnx.precision import in_f32
from dlc.ops.take import take

_DIRECT = 64  # lengths up to it are one product; a power of two
_WHOLE = 1 << 14  # elements of a matrix that may stand for a transform as it is


@expansion("DFT")
@in_f32
def dft(call: Call, x: Value, length: Value | None = None, axis: Value | None = None) -> Value:
    """``length`` and ``axis`` are constants; an inverse ``onesided`` transform gives reals."""
    written = call.constant(2)
    at = normal_axis(
        call, int(call.attr("axis", -2) if written is None else written.item()), x.type.rank
    )
    size = call.constant(1)
    inverse, onesided = bool(call.attr("inverse")), bool(call.attr("onesided"))
    count = x.shape[at] if size is None else int(size.item())
    if size is None and inverse and onesided:
        count = 2 * (count - 1)
    if at == x.type.rank - 1 or x.shape[-1] not in (1, 2) or count < 1:
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
    batch, whole = signal.shape[:2]
    stride, written = call.constant(1), call.constant(3)
    assert stride is not None
    size = whole if window is None else window.shape[0]
    size = size if written is None else int(written.item())
    hop = max(int(stride.item()), 1)
    if not 0 < size <= whole or signal.type.rank != 3:
        raise call.unsupported(f"frames of {size} steps of {signal.type}")
    starts = np.arange((whole - size) // hop + 1) * hop
    places = (starts[:, None] + np.arange(size)).ravel()
    frames = reshape(take(signal, {1: places}), [batch, len(starts), size, signal.shape[2]])
    if window is not None:
        frames = map_("a0 * a1", frames, reshape(window, [size, 1]))
    return _transform(frames, size, False, bool(call.attr("onesided")))


def _transform(x: Value, count: int, inverse: bool, onesided: bool) -> Value:
    """The transform of axis -2 cut or filled up to ``count``; pairs (or reals, 1) on axis -1."""
    *lead, given, width = x.shape
    inputs = count // 2 + 1 if inverse and onesided else count
    if given != inputs:  # zeros add nothing
        x = slice_(x, [0] * x.type.rank, [*lead, min(given, inputs), width])
    used = x.shape[-2]
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
    result = slice_(result, [0, 0, 0], [result.shape[0], results, columns // results])
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
    rows, n, _ = x.shape
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
    rows, n, _ = x.shape
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
