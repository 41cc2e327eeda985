"""``conv_blocked``: two-dimensional convolution into blocked layout, with a bias."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.operator import Array
from dlc.ir.types import DType, TensorType, strides_of
from dlc.ops.core.blocked import (
    BLOCK,
    CACHED,
    Windows,
    blocked_onnx,
    planar_onnx,
    to_blocked,
    to_planar,
)  # fmt: skip
from dlc.ops.core.operator import OnnxBody
from dlc.ops.emission import Acc, Access, Affine, Emission, Operand, Scratch, Tile


@dataclass(frozen=True, slots=True)
class ConvBlocked(Windows):
    """Operands x, w[], bias[M], extras; result [N,M/16,H+2*border,W+2*border,16].

    x is blocked, [N,C/16,..,..,16], or planar, [N,C,..,..]; it is 0 outside; ``size`` is (H, W);
    ``acc[n,m,oy,ox] = bias[m] + sum over c, ky, kx of
    x[n, c, start + o*stride + k*dilation along both axes] * filter[m, c, ky, kx]``. The filters lie
    as ``pack_filters`` puts them, C times M of them; of a blocked x the channels from C on are not
    read.

    C1: x, w and bias are f32, w and bias of rank 1; x of rank 4, or 5 with blocks of 16.
    C2: kernel, strides, dilations and size have two positive entries, starts two.
    C3: M is a multiple of 16, w has whole filters, which suit the channels of x.
    """

    name: ClassVar[str] = "conv_blocked"

    @property
    def main_operands(self) -> int:
        return 3

    def accumulated(self, main: Sequence[TensorType]) -> TensorType:
        x, w, bias = main
        image = x.dims
        self.require({t.dtype for t in main} == {DType.F32} and w.rank == bias.rank == 1
                     and (x.rank == 4 or (x.rank == 5 and image[4] == BLOCK)),
                     "C1", f"{x}, {w} and {bias} do not suit")  # fmt: skip
        self.require_windows()
        (filters,), channels = bias.dims, self._channels(main)
        fits = channels == image[1] if x.rank == 4 else 0 <= image[1] * BLOCK - channels < BLOCK
        whole = w.dims[0] == channels * filters * math.prod(self.kernel)
        self.require(filters > 0 and filters % BLOCK == 0 and whole and fits, "C3",
                     f"{w} and {bias} do not suit {x}")  # fmt: skip
        return x.with_shape((image[0], filters // BLOCK, *self.size, BLOCK))

    def _channels(self, main: Sequence[TensorType]) -> int:
        return main[1].capacity // max(main[2].capacity * math.prod(self.kernel), 1)

    def accumulate(self, main: Sequence[Array]) -> Array:
        x, packed, bias = main
        planar = x if x.ndim == 4 else to_planar(x)
        filters = len(bias)
        channels = packed.size // (filters * math.prod(self.kernel))
        w = unpack_filters(packed, (filters, channels, *self.kernel))
        view = self.windows_of(planar[:, :channels])
        sums = np.tensordot(view, w, axes=((1, 4, 5), (1, 2, 3)))  # [n, oy, ox, m]
        return to_blocked(np.moveaxis(sums + bias, 3, 1))

    def macs(self, main: Sequence[TensorType], result: TensorType) -> int:
        return main[0].dims[0] * math.prod(self.size) * main[1].capacity

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        x, result = operands[0], results[0]
        if x.rank == 5 and not any(self.pads_of(x.dims[2:4])):
            return self.emitted(self._tiles(operands, result), result)
        channels = x.dims[1] * math.prod(x.dims[4:])
        patch = self.patch_bytes(self.accumulated(operands[:3]).dims, channels)
        return self.emitted(self._padded_tiles(operands, result), result, patch)

    def _padded_tiles(self, operands: Sequence[TensorType], result: TensorType) -> Iterator[Tile]:
        x, w, *_ = operands
        channels = self._channels(operands)
        taps = channels * math.prod(self.kernel)
        inside = self.accumulated(operands[:3]).dims
        kernel = "dlc_conv_planar_f32" if x.rank == 4 else "dlc_conv_padded_f32"
        for spot in self.spots(inside):
            for start, count, blocks in filter_groups(inside[1]):
                filters = blocks * BLOCK
                yield self.tile(
                    spot, (start, count, blocks), operands, result, kernel,
                    (Acc(), spot.lines, spot.pixels, filters,
                     Access(Operand(0), Affine(0, (math.prod(x.dims[1:]), 0, 0, 0))),
                     Access(Operand(1), Affine(start * BLOCK * taps, (0, 0, 0, filters * taps))),
                     Access(Operand(2), Affine(start * BLOCK, (0, 0, 0, filters))),
                     Access(Scratch(), Affine(0, (0, 0, 0, 0))), *self.corner(spot),
                     channels, *x.dims[2:4], *self.kernel, *self.strides, *self.dilations),
                    blocks_first=w.nbytes > CACHED,
                )  # fmt: skip

    def _tiles(self, operands: Sequence[TensorType], result: TensorType) -> Iterator[Tile]:
        x, w, _, *extras = operands
        inside = self.accumulated(operands[:3])
        unit, channels = BLOCK, self._channels(operands)
        pixels = x.dims[2] * x.dims[3]
        sn, row = strides_of(x.dims)[0], x.dims[3] * unit
        down, step = self.strides[0] * row, self.strides[1] * unit
        plane = result.dims[2] * result.dims[3]
        flat = (
            self.kernel == self.strides == (1, 1)
            and self.starts == (0, 0)
            and {x.dims[2:4], result.dims[2:4]} == {tuple(self.size)}
            and all(t.rank < 4 or math.prod(t.dims[2:4]) in (1, plane) for t in extras)
        )
        taps = channels * math.prod(self.kernel)
        for spot in self.spots(inside.dims, flat=flat):
            first = self.starts[0] * row + self.starts[1] * unit + spot.y * down + spot.x * step
            walk = (sn, down * spot.lines, step * spot.pixels, 0)
            for start, count, blocks in filter_groups(inside.dims[1]):
                filters = blocks * BLOCK
                yield self.tile(
                    spot, (start, count, blocks), operands, result, "dlc_conv_blocked_f32",
                    (Acc(), spot.lines, spot.pixels, filters,
                     Access(Operand(0), Affine(first, walk)),
                     Access(Operand(1), Affine(start * BLOCK * taps, (0, 0, 0, filters * taps))),
                     Access(Operand(2), Affine(start * BLOCK, (0, 0, 0, filters))),
                     down, step, channels, pixels * BLOCK, 1,
                     self.kernel[0], self.dilations[0] * row,
                     self.kernel[1], self.dilations[1] * unit),
                    blocks_first=w.nbytes > CACHED,
                )  # fmt: skip

    def accumulate_onnx(self, body: OnnxBody, main: Sequence[str], types: Sequence[TensorType],
                        result: TensorType) -> str:  # fmt: skip
        x, w, bias = main
        filters, channels = types[2].dims[0], self._channels(types)
        shape = (filters, channels, *self.kernel)
        order = np.argsort(pack_filters(np.arange(math.prod(shape)).reshape(shape)))
        unpacked = body.node("Gather", [w, body.constant(order.reshape(shape))], axis=0)
        planar = x if types[0].rank == 4 else planar_onnx(body, x, types[0].dims)
        planar = self.cut_to_windows(body, planar, types[0].dims[2:4], channels)
        found = body.node("Conv", [planar, unpacked, bias], strides=self.strides,
                          dilations=self.dilations)  # fmt: skip
        return blocked_onnx(body, found, result.dims)


def filter_groups(blocks: int) -> Iterator[tuple[int, int, int]]:
    """Blocks of filters in pairs, and one that is left: (first block, how many groups, blocks each)."""
    if blocks > 1:
        yield 0, blocks // 2, 2
    if blocks % 2:
        yield blocks - 1, 1, 1


def pack_filters(w: Array) -> Array:
    """Filters [M,C,kh,kw], M a multiple of 16, in the order ``dlc_conv_blocked_f32`` reads them.

    Pairs of blocks of filters, and one that is left over: each [C/16][kh][kw][16 channels][filters],
    the last block of channels shorter where C is no multiple of 16.
    """
    filters, channels = w.shape[:2]
    parts = []
    for first, groups, blocks in filter_groups(filters // BLOCK):
        for group in range(groups):
            start = (first + group * blocks) * BLOCK
            some = w[start : start + blocks * BLOCK]
            parts += [
                some[:, c : c + BLOCK].transpose(2, 3, 1, 0).ravel()
                for c in range(0, channels, BLOCK)
            ]
    return np.concatenate(parts)


def unpack_filters(packed: Array, shape: tuple[int, ...]) -> Array:
    """The filters of this shape that ``pack_filters`` packed."""
    order = pack_filters(np.arange(packed.size).reshape(shape))
    result = np.empty_like(packed)
    result[order] = packed
    return result.reshape(shape)
