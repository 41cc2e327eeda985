"""``depthwise_blocked``: each channel of a blocked image with a filter of its own, and a bias."""

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
    Windows,
    blocked_onnx,
    planar_onnx,
    to_blocked,
    to_planar,
)  # fmt: skip
from dlc.ops.core.operator import OnnxBody
from dlc.ops.emission import Acc, Access, Affine, Emission, Operand, Scratch, Tile


@dataclass(frozen=True, slots=True)
class DepthwiseBlocked(Windows):
    """Operands x[N,C/16,..,..,16], w[C/16,kh,kw,16], bias[C], extras; result as of conv_blocked.

    ``acc[n,c,oy,ox] = bias[c] + sum over ky, kx of
    x[n, c, start + o*stride + k*dilation along both axes] * w[c, ky, kx]``.

    C1: x, w and bias are f32, of rank 5, 4 and 1, with blocks of 16.
    C2: strides, dilations and size have two positive entries, starts two.
    C3: x, w and bias have the same channels.
    """

    name: ClassVar[str] = "depthwise_blocked"

    @property
    def main_operands(self) -> int:
        return 3

    def accumulated(self, main: Sequence[TensorType]) -> TensorType:
        x, w, bias = main
        ranks = (x.rank, w.rank, bias.rank) == (5, 4, 1)
        blocks = ranks and x.dims[4] == w.dims[3] == BLOCK
        self.require(blocks and {t.dtype for t in main} == {DType.F32}, "C1",
                     f"{x}, {w} and {bias} do not suit")  # fmt: skip
        alike = x.dims[1] == w.dims[0] and bias.dims == (x.dims[1] * BLOCK,)
        self.require(alike and w.dims[1:3] == tuple(self.kernel), "C3", f"{w} does not suit {x}")
        self.require_windows()
        return x.with_shape((*x.dims[:2], *self.size, BLOCK))

    def accumulate(self, main: Sequence[Array]) -> Array:
        x, w, bias = main
        view = self.windows_of(to_planar(x))
        filters = w.transpose(0, 3, 1, 2).reshape(-1, *self.kernel)
        sums = np.einsum("ncyxij,cij->ncyx", view, filters)
        return to_blocked(sums + bias[:, None, None])

    def macs(self, main: Sequence[TensorType], result: TensorType) -> int:
        return main[0].dims[0] * math.prod(self.size) * main[1].capacity

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        x, result = operands[0], results[0]
        if not any(self.pads_of(x.dims[2:4])):
            return self.emitted(self._tiles(operands, result), result)
        patch = self.patch_bytes(self.accumulated(operands[:3]).dims, BLOCK)
        return self.emitted(self._padded_tiles(operands, result), result, patch)

    def _padded_tiles(self, operands: Sequence[TensorType], result: TensorType) -> Iterator[Tile]:
        dims, taps = operands[0].dims, math.prod(self.kernel) * BLOCK
        sn, sb, *_ = strides_of(dims)
        for spot in self.spots(self.accumulated(operands[:3]).dims):
            yield self.tile(
                spot, (0, dims[1], 1), operands, result, "dlc_depthwise_padded_f32",
                (Acc(), spot.lines, spot.pixels, Access(Operand(0), Affine(0, (sn, 0, 0, sb))),
                 Access(Operand(1), Affine(0, (0, 0, 0, taps))),
                 Access(Operand(2), Affine(0, (0, 0, 0, BLOCK))),
                 Access(Scratch(), Affine(0, (0, 0, 0, 0))), *self.corner(spot),
                 *dims[2:4], *self.kernel, *self.strides, *self.dilations),
                blocks_first=True,
            )  # fmt: skip

    def _tiles(self, operands: Sequence[TensorType], result: TensorType) -> Iterator[Tile]:
        dims, taps = operands[0].dims, math.prod(self.kernel) * BLOCK
        sn, sb, row, *_ = strides_of(dims)
        down, step = self.strides[0] * row, self.strides[1] * BLOCK
        for spot in self.spots(self.accumulated(operands[:3]).dims):
            first = self.starts[0] * row + self.starts[1] * BLOCK + spot.y * down + spot.x * step
            walk = (sn, down * spot.lines, step * spot.pixels, sb)
            yield self.tile(
                spot, (0, dims[1], 1), operands, result, "dlc_depthwise_blocked_f32",
                (Acc(), spot.lines, spot.pixels, Access(Operand(0), Affine(first, walk)),
                 Access(Operand(1), Affine(0, (0, 0, 0, taps))),
                 Access(Operand(2), Affine(0, (0, 0, 0, BLOCK))), down, step,
                 self.kernel[0], self.dilations[0] * row, self.kernel[1], self.dilations[1] * BLOCK),
                blocks_first=True,
            )  # fmt: skip

    def accumulate_onnx(self, body: OnnxBody, main: Sequence[str], types: Sequence[TensorType],
                        result: TensorType) -> str:  # fmt: skip
        x, w, bias = main
        channels = types[2].dims[0]
        planar = planar_onnx(body, x, types[0].dims)
        planar = self.cut_to_windows(body, planar, types[0].dims[2:4], channels)
        shape = body.constant(np.array([channels, 1, *self.kernel], np.int64))
        filters = body.node("Reshape", [body.node("Transpose", [w], perm=(0, 3, 1, 2)), shape])
        found = body.node("Conv", [planar, filters, bias], strides=self.strides,
                          dilations=self.dilations, group=channels)  # fmt: skip
        return blocked_onnx(body, found, result.dims)
