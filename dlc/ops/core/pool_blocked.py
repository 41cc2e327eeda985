"""``pool_blocked``: maximum, mean or sum of the windows of a blocked image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.operator import Array
from dlc.ir.types import DType, TensorType, strides_of
from dlc.ops.core.blocked import (
    BLOCK,
    BlockedOperator,
    blocked_onnx,
    cut_onnx,
    planar_onnx,
    to_blocked,
    to_planar,
)  # fmt: skip
from dlc.ops.core.operator import OnnxBody
from dlc.ops.core.pool import Pool
from dlc.ops.emission import Acc, Access, Affine, Emission, Index, Operand, Tile


@dataclass(frozen=True, slots=True)
class PoolBlocked(BlockedOperator):
    """As ``pool`` of two axes, operand x[N,C/16,..,..,16], result [N,C/16,H,W,16] in a border.

    ``inset`` is the width of the border of x, which is not read. ``add`` (the sum of a window's
    elements) is a third kind.

    C1: x is f32 of rank 5 with blocks of 16; the kind is max, avg or add, and add has no pads.
    C2: the image inside the inset is not empty, and suits a pool of these kernel, strides, pads and
        overhang.
    """

    name: ClassVar[str] = "pool_blocked"
    kind: str
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[int, ...]
    overhang: tuple[int, ...]
    include_pad: bool = False
    inset: int = 0

    def _planar(self) -> Pool:
        kind = "avg" if self.kind == "add" else self.kind
        return Pool(kind, self.kernel, self.strides, self.pads, (1, 1), self.overhang,
                    self.include_pad)  # fmt: skip

    def _image(self, x: TensorType) -> TensorType:
        """The planar image inside the inset."""
        n, blocks, height, width, block = x.dims
        less = 2 * self.inset
        return x.with_shape((n, blocks * block, height - less, width - less))

    def accumulated(self, main: Sequence[TensorType]) -> TensorType:
        (x,) = main
        self.require(x.dtype is DType.F32 and x.rank == 5 and x.dims[4] == BLOCK, "C1",
                     f"{x} does not suit")  # fmt: skip
        pads = (*self.pads, *self.overhang)
        self.require(self.kind in ("max", "avg") or (self.kind == "add" and not any(pads)), "C1",
                     f"kind {self.kind!r} does not suit")  # fmt: skip
        image = self._image(x)
        self.require(self.inset >= 0 and min(image.dims[2:]) > 0, "C2", f"no image inside {x}")
        n, channels, height, width = self._planar().accumulated([image]).dims
        return x.with_shape((n, channels // BLOCK, height, width, BLOCK))

    def accumulate(self, main: Sequence[Array]) -> Array:
        x, i = to_planar(main[0]), self.inset
        x = x[:, :, i : x.shape[2] - i, i : x.shape[3] - i]
        result = to_blocked(self._planar().accumulate([x]))
        scale = np.float32(np.prod(self.kernel)) if self.kind == "add" else np.float32(1)
        return result * scale

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        return self.emitted(self._tiles(operands, results[0]), results[0])

    def _tiles(self, operands: Sequence[TensorType], result: TensorType) -> Iterator[Tile]:
        dims = operands[0].dims
        sn, sb, row, *_ = strides_of(dims)
        height, width = self._image(operands[0]).dims[2:]
        counted: tuple[int, ...] = ()
        if self.kind == "avg":
            counted = self.pads if self.include_pad else (0, 0, 0, 0)
        for spot in self.spots(self.accumulated(operands[:1]).dims, lines=1):
            yield self.tile(
                spot, (0, dims[1], 1), operands, result, f"dlc_pool_blocked_{self.kind}_f32",
                (Acc(), spot.pixels,
                 Access(Operand(0), Affine(self.inset * (row + BLOCK), (sn, 0, 0, sb))),
                 Index(Affine(spot.y, (0, 1, 0, 0))), Index(Affine(spot.x, (0, 0, spot.pixels, 0))),
                 row, height, width, *self.kernel, *self.strides, *self.pads[:2], *counted),
                blocks_first=True,
            )  # fmt: skip

    def accumulate_onnx(self, body: OnnxBody, main: Sequence[str], types: Sequence[TensorType],
                        result: TensorType) -> str:  # fmt: skip
        image, i = self._image(types[0]), self.inset
        planar = planar_onnx(body, main[0], types[0].dims)
        if i:
            planar = cut_onnx(body, planar, [i, i], [i + dim for dim in image.dims[2:]], [2, 3])
        n, _, height, width, _ = result.dims
        planar_result = image.with_shape((n, image.dims[1], height, width))
        found = self._planar().accumulate_onnx(body, [planar], [image], planar_result)
        if self.kind == "add":
            count = body.constant(np.array(np.prod(self.kernel), np.float32))
            found = body.node("Mul", [found, count])
        return blocked_onnx(body, found, result.dims)
