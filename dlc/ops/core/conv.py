"""``conv``: cross-correlation over 1 to 3 spatial axes, with groups and an epilogue."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.errors import UnsupportedError
from dlc.ir.expr import parse_expr
from dlc.ir.operator import Array
from dlc.ir.sizes import Dim, equal, less, product
from dlc.ir.types import DType, TensorType, strides_of
from dlc.ops.core.epilogue import WithEpilogue, wide
from dlc.ops.core.operator import Condition, OnnxBody
from dlc.ops.emission import Acc, Access, Affine, Emission, Nest, Operand, Part, Result, Tile
from dlc.ops.nest import broadcast_strides, merge_loops, not_negative
from dlc.ops.tiling import blocks
from dlc.ops.window import (
    output_sizes,
    pad_image,
    window_nest,
    window_sizes,
    window_tiles,
    windows,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Conv(WithEpilogue):
    """Operands x[N,C,spatial...], w[M,C/groups,kernel...], extras; result [N,M,out...].

    ``acc[n,m,o] = sum over c, k of x[n, c, o*stride - pad + k*dilation] * w[m, c, k]``, c running
    over the channels of m's group, x being 0 outside; out = (in + pads - (kernel-1)*dilation - 1)
    // stride + 1. ``pads`` has the begins of all axes, then the ends.

    C1: x and w have one rank, 3 to 5, and one dtype.
    C2: strides and dilations have one positive entry, pads two non-negative ones, a spatial axis.
    C3: groups is positive, divides M, and C is groups times dim 1 of w.
    C4: the kernel is not empty and its spread fits into the padded image.
    """

    name: ClassVar[str] = "conv"
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
        out = output_sizes(x.shape[2:], w.shape[2:], self.strides, self.pads, self.dilations)
        return TensorType(x.dtype, (x.shape[0], w.shape[0], *out))

    def main_conditions(self, main: Sequence[TensorType]) -> Iterator[Condition]:
        x, w = main
        yield not_negative(self.pads), "C2", "a pad is negative"
        whole = equal(w.shape[0] % self.groups, 0)
        depth = equal(x.shape[1], w.shape[1] * self.groups)
        yield (whole, depth), "C3", f"{self.groups} groups do not suit {x} and {w}"
        yield (less(0, k) for k in w.shape[2:]), "C4", f"the kernel of {w} is empty"
        message = f"the kernel of {w} does not fit into the padded image of {x}"
        yield (less(0, size) for size in self.accumulated(main).shape[2:]), "C4", message

    def accumulate(self, main: Sequence[Array]) -> Array:
        x, w = (wide(a) for a in main)
        n, groups, rank = len(x), self.groups, x.ndim - 2
        filters, depth, *kernel = w.shape
        view = windows(pad_image(x, self.fixed(self.pads), 0), kernel, self.strides, self.dilations)
        out = view.shape[2 : 2 + rank]
        columns = np.moveaxis(view, range(2, 2 + rank), range(-rank, 0))
        columns = columns.reshape(n, groups, depth * math.prod(kernel), math.prod(out))
        sums = w.reshape(groups, filters // groups, columns.shape[2]) @ columns
        return sums.reshape(n, filters, *out)

    def macs(self, main: Sequence[TensorType], result: TensorType) -> int:
        return result.capacity * math.prod(main[1].bounds[1:])

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        checks = self.checks(operands)
        if operands[0].dtype is not DType.F32:
            return Emission((*checks, self._nest(operands, results[0])))
        unpadded = all(pad == 0 for pad in self.pads)
        if unpadded and product(operands[1].shape[2:]) == 1:
            return Emission((*checks, *self._pointwise(operands, results[0])))
        return Emission((*checks, *self._windows(operands, results[0])))

    def _windows(self, operands: Sequence[TensorType], result: TensorType) -> tuple[Part, ...]:
        x, w, *_ = operands
        _, channels, *image = x.shape
        filters, depth, *kernel = w.shape
        pixels, taps = product(image), product(kernel)
        sizes = window_sizes(image, kernel, self.strides, self.pads[: len(kernel)], self.dilations)
        per_group = filters // self.groups
        return window_tiles(
            "dlc_conv_tile_f32", operands, result, self.epilogue, groups=self.groups,
            main=[(channels * pixels, depth * pixels, 0),
                  (0, per_group * depth * taps, depth * taps)],
            sizes=(depth, *sizes), rows_first=w.nbytes > x.nbytes,
        )  # fmt: skip

    def _pointwise(self, operands: Sequence[TensorType], result: TensorType) -> tuple[Part, ...]:
        """A matrix product over pixels, as many of their axes as possible taken for one."""
        x, w, *extras = operands
        (n, channels, *image), (filters, depth, *_) = x.shape, w.shape
        pixels, per_group = product(image), filters // self.groups
        steps = [s * step for s, step in zip(strides_of(x.shape)[2:], self.strides, strict=True)]
        stored = [strides_of(result.shape)]
        stored += [broadcast_strides(t.shape, result.shape) for t in extras]
        loops, merged = merge_loops(
            result.shape[2:], [Affine(0, tuple(steps)), *(Affine(0, s[2:]) for s in stored)]
        )
        if not loops:
            loops, merged = (1,), [Affine(0, (0,)) for _ in merged]
        at, *spots = (a.strides for a in merged)
        lines, column = (0,) * (len(loops) - 1), at[-1]

        # loops: image, group, lines of pixels..., row (filter), column (pixel)
        weights = Affine(0, (0, per_group * depth, *lines, depth, 0))
        source = Affine(0, (channels * pixels, depth * pixels, *at[:-1], 0, column))
        cells = [
            Affine(0, (s[0], s[1] * per_group, *spot[:-1], s[1], spot[-1]))
            for s, spot in zip(stored, spots, strict=True)
        ]
        return tuple(
            Tile(
                block.outer, block.rows, block.cols, "dlc_gemm_tile_f32",
                (Acc(), block.rows, block.cols, depth,
                 Access(Operand(1), block.corner(weights)), depth, 1,
                 Access(Operand(0), block.corner(source)), pixels, column),
                Access(Result(), block.element(cells[0])), self.epilogue,
                tuple(Access(Operand(2 + i), block.element(c)) for i, c in enumerate(cells[1:])),
            )
            for block in blocks((n, self.groups, *loops[:-1]), per_group, loops[-1])
        )  # fmt: skip

    def _nest(self, operands: Sequence[TensorType], result: TensorType) -> Nest:
        x, w, *_ = operands
        if any(pad != 0 for pad in self.pads):
            raise UnsupportedError(f"conv of {x.dtype.value} with padding has no kernel; pad first")
        filters, depth, *kernel = w.shape
        sn, sc, *sx = strides_of(x.shape)
        per_group, none = filters // self.groups, (0,) * len(kernel)
        steps = tuple(s * step for s, step in zip(sx, self.strides, strict=True))
        spread = tuple(s * step for s, step in zip(sx, self.dilations, strict=True))
        wm, wc, *wk = strides_of(w.shape)
        return window_nest(
            operands, result, self.epilogue, groups=self.groups,
            main=[(sn, depth * sc, 0, *steps, sc, *spread), (0, per_group * wm, wm, *none, wc, *wk)],
            inner=(depth, *kernel), expr=parse_expr("a0 * a1"), function="add",
        )  # fmt: skip

    def accumulate_onnx(self, body: OnnxBody, main: Sequence[str], types: Sequence[TensorType],
                        result: TensorType) -> str:  # fmt: skip
        return body.node("Conv", main, strides=self.strides, pads=self.fixed(self.pads),
                         dilations=self.dilations, group=self.groups)  # fmt: skip
