"""``conv_transpose``: the transpose (gradient) of ``conv`` over 1 to 3 spatial axes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dlc.errors import UnsupportedError
from dlc.ir.operator import Array
from dlc.ir.sizes import Dim, equal, less, maximum, product
from dlc.ir.types import DType, TensorType
from dlc.ops.core.epilogue import WithEpilogue, wide
from dlc.ops.core.operator import Condition, OnnxBody
from dlc.ops.emission import Emission
from dlc.ops.nest import not_negative
from dlc.ops.window import window_sizes, window_tiles


@dataclass(frozen=True, slots=True)
class ConvTranspose(WithEpilogue):
    """Operands x[N,C,spatial...], w[C,M/groups,kernel...], extras; result [N,M,out...].

    ``acc[n,m,i*stride - pad + k*dilation] += x[n,c,i] * w[c,m,k]`` over all i, k and the channels c
    of m's group; out = (in-1)*stride + (kernel-1)*dilation + 1 - pads. An end pad may be negative:
    that is ONNX's output_padding.

    C1: x and w have one rank, 3 to 5, and one dtype.
    C2: strides and dilations have one positive entry, pads two, a spatial axis, the begins not
        negative.
    C3: groups is positive and divides C, which is dim 0 of w.
    C4: the image and the kernel are not empty, and the result has elements.
    """

    name: ClassVar[str] = "conv_transpose"
    strides: tuple[int, ...]
    pads: tuple[Dim, ...]
    dilations: tuple[int, ...]
    groups: int = 1

    @property
    def main_operands(self) -> int:
        return 2

    def accumulated(self, main: Sequence[TensorType]) -> TensorType:
        x, w = main
        self.require(x.rank == w.rank and 3 <= x.rank <= 5, "C1", f"{x} and {w} need rank 3 to 5")
        self.require(x.dtype is w.dtype, "C1", f"{x} and {w} differ in dtype")
        rank = x.rank - 2
        self.require(
            len(self.strides) == len(self.dilations) == rank and len(self.pads) == 2 * rank
            and min(self.strides + self.dilations) > 0,
            "C2", f"strides, pads or dilations do not suit {rank} spatial axes",
        )  # fmt: skip
        self.require(self.groups > 0, "C3", f"{self.groups} groups do not suit {x} and {w}")
        out = [maximum(size - begin - end, 0) for size, begin, end in zip(
            self._full(x.shape[2:], w.shape[2:]), self.pads[:rank], self.pads[rank:], strict=True)]  # fmt: skip
        return TensorType(x.dtype, (x.shape[0], w.shape[1] * self.groups, *out))

    def main_conditions(self, main: Sequence[TensorType]) -> Iterator[Condition]:
        x, w = main
        yield not_negative(self.pads[: x.rank - 2]), "C2", "a begin of the pads is negative"
        whole, depth = equal(x.shape[1] % self.groups, 0), equal(x.shape[1], w.shape[0])
        yield (whole, depth), "C3", f"{self.groups} groups do not suit {x} and {w}"
        sizes = (*x.shape[2:], *w.shape[2:], *self.accumulated(main).shape[2:])
        yield (less(0, size) for size in sizes), "C4", f"{x} and {w} leave no result"

    def _full(self, image: Sequence[Dim], kernel: Sequence[Dim]) -> list[Dim]:
        """Spatial sizes before anything is cut off."""
        each = zip(image, self.strides, kernel, self.dilations, strict=True)
        return [(i - 1) * s + (k - 1) * d + 1 for i, s, k, d in each]

    def accumulate(self, main: Sequence[Array]) -> Array:
        x, w = (wide(a) for a in main)
        n, channels, *image = x.shape
        _, filters, *kernel = w.shape
        rank, groups, depth = len(image), self.groups, channels // self.groups
        weights = np.swapaxes(w.reshape(groups, depth, filters * math.prod(kernel)), 1, 2)
        products = weights @ x.reshape(n, groups, depth, math.prod(image))
        products = products.reshape(n, groups * filters, *kernel, *image)
        full, pads = self.fixed(self._full(image, kernel)), self.fixed(self.pads)
        beyond = [max(0, -end) for end in pads[rank:]]
        sums = np.zeros((n, groups * filters, *map(sum, zip(full, beyond, strict=True))), x.dtype)
        for k in np.ndindex(*kernel):
            starts = [i * d for i, d in zip(k, self.dilations, strict=True)]
            each = zip(starts, image, self.strides, strict=True)
            target: list[Any] = [slice(start, start + (i - 1) * s + 1, s) for start, i, s in each]
            sums[(Ellipsis, *target)] += products[(slice(None), slice(None), *k)]
        ends = zip(pads[:rank], full, pads[rank:], strict=True)
        cut: list[Any] = [slice(begin, size - end) for begin, size, end in ends]
        return sums[(Ellipsis, *cut)]

    def macs(self, main: Sequence[TensorType], result: TensorType) -> int:
        return main[0].capacity * math.prod(main[1].bounds[1:])

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        x, w, *_ = operands
        if x.dtype is not DType.F32:
            raise UnsupportedError(f"conv_transpose of {x.dtype.value} has no kernel; cast to f32")
        _, channels, *image = x.shape
        _, filters, *kernel = w.shape
        pixels, taps, depth = product(image), product(kernel), channels // self.groups
        sizes = window_sizes(image, kernel, self.strides, self.pads[: len(image)], self.dilations)
        tiles = window_tiles(
            "dlc_conv_transpose_tile_f32", operands, results[0], self.epilogue, groups=self.groups,
            main=[(channels * pixels, depth * pixels, 0), (0, depth * filters * taps, taps)],
            sizes=(depth, filters * taps, *sizes), rows_first=w.nbytes > x.nbytes,
        )  # fmt: skip
        return Emission((*self.checks(operands), *tiles))

    def accumulate_onnx(self, body: OnnxBody, main: Sequence[str], types: Sequence[TensorType],
                        result: TensorType) -> str:  # fmt: skip
        rank = len(self.strides)
        pads = self.fixed(self.pads)
        begins, ends = pads[:rank], pads[rank:]
        return body.node(
            "ConvTranspose", main, strides=self.strides, dilations=self.dilations, group=self.groups,
            pads=(*begins, *(max(end, 0) for end in ends)),
            output_padding=tuple(max(-end, 0) for end in ends),
        )  # fmt: skip
