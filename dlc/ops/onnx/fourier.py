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
from dlc.ir.types import Dim, DType
from dlc.ops.build import cast, constant, contract, gather, map_, pad, reshape, slice_, transpose
from dlc.ops.onnx.axes import normal_axis
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.onnx.precision import in_f32
from dlc.ops.take import take

_DIRECT = 64  # lengths up to it are one product; a power of two
_LONGEST = 1 << 24  # the roots of unity are constants
_WHOLE = 1 << 14  # elements of a matrix that may stand for a transform as it is


@expansion("DFT")
@in_f32
def dft(call: Call, x: Value, length: Value | None = None, axis: Value | None = None) -> Value:
    """``length`` is a constant; an inverse ``onesided`` transform gives reals.

    Along an axis known at run time only, the transforms along all axes that give the result's shape
    are made, and the right one is selected.
    """
    if axis is None or axis.constant is not None:
        written = call.attr("axis", -2) if axis is None else call.constant(2).item()  # type: ignore[union-attr]
        return _along(call, x, normal_axis(call, int(written), x.type.rank))
    wanted, chosen, result = call.stated(), cast(reshape(axis, ()), DType.I64), None
    for at in range(x.type.rank - 1):
        if _shape(call, x, at) == wanted:
            other = _along(call, x, at)
            here = f"or_(eq(a0, {at}), eq(a0, {at - x.type.rank}))"
            result = (
                other if result is None else map_(f"select({here}, a1, a2)", chosen, other, result)
            )
    if result is None:
        raise call.unsupported(f"no axis of {x.type} gives a result of the shape {list(wanted)}")
    return result


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
    """Frames gathered from the signal, weighted by the window, and transformed.

    Of a length known at run time only, those two are tried that give so many frequencies.
    """
    onesided = bool(call.attr("onesided"))
    if signal.type.rank != 3:
        raise call.unsupported(f"a signal of type {signal.type}")
    if length is None:
        default = window.shape[0] if window else _fixed(signal.type.shape[1])
        return _frames(call, signal, step, window, default)
    if length.constant is not None:
        return _frames(call, signal, step, window, int(length.constant.item()))
    bins = call.stated()[2]
    low, high = (2 * bins - 2, 2 * bins - 1) if onesided else (bins, bins)
    call.sizes(3, low, high)
    sizes = {window.shape[0]} if window else {max(low, 1), high}
    first, *others = (_frames(call, signal, step, window, size) for size in sorted(sizes))
    for other in others:
        first = map_(
            f"select(eq(a0, {high}), a1, a2)", cast(reshape(length, ()), DType.I64), other, first
        )
    return first


def _frames(call: Call, signal: Value, step: Value, window: Value | None, size: int) -> Value:
    """The transforms of frames of a size; beyond the signal its last element stands."""
    batch, whole, parts = signal.type.shape
    whole = _fixed(whole)
    if not 0 < size <= whole:
        raise call.unsupported(f"frames of {size} steps of {signal.type}")
    if step.constant is not None:
        stride = max(int(step.constant.item()), 1)
        starts = np.arange((whole - size) // stride + 1) * stride
        count, places = len(starts), (starts[:, None] + np.arange(size)).ravel()
        frames = take(signal, {1: places})
    else:
        count = call.stated()[1]
        at = f"min(a0 * a1 + a2, {whole - 1})"
        index = map_(at, constant(signal, np.arange(count).reshape(-1, 1), DType.I64),
                     cast(reshape(step, ()), DType.I64), constant(signal, np.arange(size), DType.I64))  # fmt: skip
        frames = gather(signal, reshape(index, [-1]), 1)
    frames = reshape(frames, [batch, count, size, parts])
    if window is not None:
        frames = map_("a0 * a1", frames, reshape(window, [size, 1]))
    return _transform(frames, size, False, bool(call.attr("onesided")))


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
