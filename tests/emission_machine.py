"""Runs an emission element by element in Python: what the C made of it must compute.

Kernels are written from the contracts in docs/architecture.md; every address is checked against its
buffer, and every element of the result must be stored exactly once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dlc.ir.types import DType, TensorType
from dlc.ops.core.operator import CoreOperator
from dlc.ops.core.reduce import identity
from dlc.ops.emission import (
    Acc,
    Access,
    Affine,
    Emission,
    Index,
    Kernel,
    Nest,
    Operand,
    Scratch,
    Tile,
)

COMBINE = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}


def at(affine: Affine, index: Sequence[int]) -> int:
    return affine.base + sum(i * s for i, s in zip(index, affine.strides, strict=True))


class Pointer:
    """An address in a flat array; indices out of the array fail."""

    def __init__(self, array: np.ndarray, start: int) -> None:
        self.array, self.start = array, start

    def __getitem__(self, index: int) -> Any:
        assert 0 <= self.start + index < self.array.size
        return self.array[self.start + index]

    def __setitem__(self, index: int, value: Any) -> None:
        assert 0 <= self.start + index < self.array.size
        self.array[self.start + index] = value


class ScratchPointer(Pointer):
    """An address in scratch, which has no more bytes than the emission asks for."""

    def __init__(self, elements: dict[int, Any], start: int, size: int) -> None:
        self.elements, self.start, self.size = elements, start, size

    def __getitem__(self, index: int) -> Any:
        return self.elements[self.start + index]

    def __setitem__(self, index: int, value: Any) -> None:
        value = np.asarray(value)
        assert 0 <= (self.start + index) * value.itemsize <= self.size - value.itemsize
        self.elements[self.start + index] = value


def inside(position: Sequence[int], sizes: Sequence[int]) -> bool:
    return all(0 <= p < s for p, s in zip(position, sizes, strict=True))


def flat(position: Sequence[int], sizes: Sequence[int]) -> int:
    index = 0
    for p, s in zip(position, sizes, strict=True):
        index = index * s + p
    return index


def conv(acc, rows, cols, x, w, od, oh, ox0, channels, *sizes):
    image, kernel, strides, pads, dilations = threes(sizes)
    taps = int(np.prod(kernel))
    for r, c in np.ndindex(rows, cols):
        total = np.float32(0)
        for channel in range(channels):
            for k in np.ndindex(*kernel):
                place = [
                    o * s - p + i * d
                    for o, s, p, i, d in zip(
                        (od, oh, ox0 + c), strides, pads, k, dilations, strict=True
                    )
                ]
                if inside(place, image):
                    weight = w[(r * channels + channel) * taps + flat(k, kernel)]
                    total += x[channel * int(np.prod(image)) + flat(place, image)] * weight
        acc[r * cols + c] = total


def conv_transpose(acc, rows, cols, x, w, od, oh, ox0, channels, w_channel, *sizes):
    image, kernel, strides, pads, dilations = threes(sizes)
    taps = int(np.prod(kernel))
    for r, c in np.ndindex(rows, cols):
        total = np.float32(0)
        for channel in range(channels):
            for k in np.ndindex(*kernel):
                full = [
                    o + p - i * d
                    for o, p, i, d in zip((od, oh, ox0 + c), pads, k, dilations, strict=True)
                ]
                place = [f // s for f, s in zip(full, strides, strict=True)]
                if all(f % s == 0 for f, s in zip(full, strides, strict=True)) and inside(
                    place, image
                ):
                    weight = w[channel * w_channel + r * taps + flat(k, kernel)]
                    total += x[channel * int(np.prod(image)) + flat(place, image)] * weight
        acc[r * cols + c] = total


def gemm(acc, rows, cols, depth, a, a_row, a_depth, b, b_depth, b_col):
    for i, j in np.ndindex(rows, cols):
        terms = [a[i * a_row + k * a_depth] * b[k * b_depth + j * b_col] for k in range(depth)]
        acc[i * cols + j] = sum(terms, np.float32(0))


def pooled(cols, x, od, oh, ox0, sizes, ends):
    """For each column the elements of the image, and the taps in the padded image."""
    image, kernel, strides, pads, dilations = threes(sizes)
    for c in range(cols):
        taps = [
            [
                o * s - p + i * d
                for o, s, p, i, d in zip(
                    (od, oh, ox0 + c), strides, pads, k, dilations, strict=True
                )
            ]
            for k in np.ndindex(*kernel)
        ]
        values = [x[flat(t, image)] for t in taps if inside(t, image)]
        padded = [i + p + e for i, p, e in zip(image, pads, ends, strict=True)]
        yield (
            c,
            values,
            sum(inside([t + p for t, p in zip(tap, pads, strict=True)], padded) for tap in taps),
        )


def max_pool(acc, cols, x, od, oh, ox0, *sizes):
    for c, values, _ in pooled(cols, x, od, oh, ox0, sizes, (0, 0, 0)):
        acc[c] = max(values, default=-np.inf)


def avg_pool(acc, cols, x, od, oh, ox0, *sizes):
    *sizes, ed, eh, ew, include = sizes
    for c, values, counted in pooled(cols, x, od, oh, ox0, sizes, (ed, eh, ew)):
        acc[c] = sum(values) / max(counted if include else len(values), 1)


def arg(y, x, outer, axis, inner, last, *, beats):
    for o, i in np.ndindex(outer, inner):
        best = 0
        for k in range(1, axis):
            value, champion = x[(o * axis + k) * inner + i], x[(o * axis + best) * inner + i]
            if beats(value, champion) or (last and value == champion):
                best = k
        y[o * inner + i] = best


def threes(sizes: Sequence[int]) -> list[Sequence[int]]:
    assert len(sizes) == 15
    return [sizes[i : i + 3] for i in range(0, 15, 3)]


KERNELS: dict[str, Callable[..., None]] = {
    "dlc_conv_tile_f32": conv, "dlc_conv_transpose_tile_f32": conv_transpose,
    "dlc_gemm_tile_f32": gemm, "dlc_max_pool_tile_f32": max_pool, "dlc_avg_pool_tile_f32": avg_pool,
    "dlc_arg_max_f32": lambda *a: arg(*a, beats=np.greater),
    "dlc_arg_min_f32": lambda *a: arg(*a, beats=np.less),
}  # fmt: skip


def run(operator: CoreOperator, operands: Sequence[np.ndarray]) -> np.ndarray:
    """The only result of an operator, through its emission."""
    types = [TensorType(DType.of(a), a.shape) for a in operands]
    (type,) = operator.infer(types)
    return execute(operator.emission(types, [type]), type, operands)


def execute(emission: Emission, type: TensorType, operands: Sequence[np.ndarray]) -> np.ndarray:
    """The only result, of this type, of an emission."""
    scratch = {}  # elements by index: its dtype is that of what is stored
    stored = np.zeros(type.capacity, type.dtype.numpy)
    times = np.zeros(type.capacity, int)
    flats = [np.ascontiguousarray(a).ravel() for a in operands]

    def address(access: Access, index: Sequence[int]) -> Pointer:
        if isinstance(access.buffer, Scratch):
            return ScratchPointer(scratch, at(access.index, index), emission.scratch)
        array = flats[access.buffer.index] if isinstance(access.buffer, Operand) else stored
        return Pointer(array, at(access.index, index))

    def store(access: Access, index: Sequence[int], value: Any) -> None:
        target = address(access, index)
        target[0] = value
        if not isinstance(target, ScratchPointer):
            times[target.start] += 1

    def argument(value: Any, index: Sequence[int], acc: Pointer | None) -> Any:
        if isinstance(value, Acc):
            return acc
        if isinstance(value, Access):
            return address(value, index)
        return at(value.value, index) if isinstance(value, Index) else value

    def nest(part: Nest) -> None:
        inner = part.accumulate.loops if part.accumulate else 0
        split = len(part.extents) - inner
        for outer in np.ndindex(part.extents[:split]):
            if part.accumulate is None:
                store(
                    part.write,
                    outer,
                    part.expr.evaluate([address(r, outer)[0] for r in part.reads]),
                )
                continue
            value: Any = None
            for loop in np.ndindex(part.extents[split:]):
                element = part.expr.evaluate([address(r, outer + loop)[0] for r in part.reads])
                value = (
                    element if value is None else COMBINE[part.accumulate.function](value, element)
                )
            if value is None:
                value = np.asarray(identity(part.accumulate.function, stored.dtype), stored.dtype)
            extras = [address(r, outer)[0] for r in part.accumulate.reads]
            store(part.write, outer, part.accumulate.epilogue.evaluate([value, *extras]))

    def tile(part: Tile) -> None:
        assert part.rows * part.cols <= 1024
        for outer in np.ndindex(part.outer):
            acc = np.full(part.rows * part.cols, np.nan, np.float32)
            KERNELS[part.kernel](*(argument(a, outer, Pointer(acc, 0)) for a in part.args))
            for cell in np.ndindex(part.rows, part.cols):
                reads = [address(r, (*outer, *cell))[0] for r in part.reads]
                value = acc[cell[0] * part.cols + cell[1]]
                store(part.write, (*outer, *cell), part.epilogue.evaluate([value, *reads]))

    for part in emission.parts:
        if isinstance(part, Kernel):
            KERNELS[part.kernel](*(argument(a, (), None) for a in part.args))
            times += 1
        else:
            nest(part) if isinstance(part, Nest) else tile(part)
    assert (times == 1).all(), "not every element is stored exactly once"
    return stored.reshape(type.dims)
