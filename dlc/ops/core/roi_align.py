"""``roi_align``: regions of images pooled to one size, sampled between pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.operator import Array, Arrays, Types
from dlc.ir.sizes import less
from dlc.ir.types import DType, TensorType
from dlc.ops.core.operator import Condition, CoreOperator, OnnxBody
from dlc.ops.emission import Access, Emission, Kernel, Operand, Result
from dlc.ops.nest import same_shape

_MOST = 4096  # samples of a bin along an axis


@dataclass(frozen=True, slots=True)
class RoiAlign(CoreOperator):
    """RoiAlign (He et al. 2017) of x[N,C,H,W], rois[R,4] and image i64[R]: [R,C,size...].

    A region is left, top, right, bottom in pixels once multiplied by ``scale``. Every bin of it is
    the mean, or for the ``kind`` "max" the greatest weighted pixel, of ``ratio`` by ``ratio``
    bilinear samples (0: one for each pixel of the bin's size, up to 4096). ``half_pixel`` places
    pixels at their centres; without it a region is at least 1 by 1. An image out of range ends the
    run with status DLC_BAD_INDEX.

    C1: three operands of the shapes above, x and rois both f32 or both f64, image i64.
    C2: kind is avg or max, the sizes are positive and the images not empty, ratio >= 0.
    """

    name: ClassVar[str] = "roi_align"
    size: tuple[int, int]
    kind: str = "avg"
    ratio: int = 0
    scale: float = 1.0
    half_pixel: bool = True

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        types = [t for t in operands if t is not None]
        self.require(len(types) == len(operands) == 3, "C1", f"has {len(types)} operands")
        x, rois, image = types
        fits = (x.rank, rois.rank, image.rank, image.dtype) == (4, 2, 1, DType.I64)
        fits = fits and x.dtype is rois.dtype and x.dtype in (DType.F32, DType.F64)
        self.require(fits, "C1", f"cannot take {x}, {rois} and {image}")
        known = self.kind in ("avg", "max") and self.ratio >= 0 and min(self.size) > 0
        self.require(known, "C2", f"cannot pool {x} to {self.size}")
        self.require_sizes(types)
        return (x.with_shape((*image.shape, x.shape[1], *self.size)),)

    def conditions(self, operands: Sequence[TensorType]) -> Iterator[Condition]:
        x, rois, image = operands
        four = same_shape(rois.shape, (*image.shape, 4))
        yield four, "C1", f"cannot take {x}, {rois} and {image}"
        yield (less(0, dim) for dim in x.shape[2:]), "C2", f"cannot pool {x} to {self.size}"

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        x, rois, image = (np.asarray(a) for a in operands)
        bound = len(x)
        inside = bool(((image >= 0) & (image < bound)).all())
        self.require(inside, "C1", f"an image is out of range for {bound}")
        dtype = x.dtype.type
        result = np.zeros((len(rois), x.shape[1], *self.size), x.dtype)
        offset = dtype(0.5 if self.half_pixel else 0)
        for roi, number, bins in zip(rois, image, result, strict=True):
            left, top, right, bottom = roi * dtype(self.scale) - offset
            high, wide = bottom - top, right - left
            if not self.half_pixel:
                high, wide = (v if v > 1 else dtype(1) for v in (high, wide))
            axes = [self._samples(start, extent / dtype(count), count, size)
                    for start, extent, count, size in zip((top, left), (high, wide), self.size,
                                                          x.shape[2:], strict=True)]  # fmt: skip
            bins[...] = self._pool(x[number], *axes)
        return (result,)

    def _samples(self, start: Array, each: Array, count: int, size: int) -> list[Array]:
        """Per bin and sample: the pixels before and after, and their weights, 0 outside."""
        dtype = each.dtype.type
        wanted = np.ceil(each)
        number = self.ratio or (int(np.minimum(wanted, _MOST)) if wanted > 0 else 0)
        bins, steps = np.arange(count, dtype=dtype)[:, None], np.arange(number, dtype=dtype)
        at = start + bins * each + (steps + dtype(0.5)) * each / dtype(max(number, 1))
        inside = (at >= -1) & (at <= size)
        at = np.where(inside, np.maximum(at, 0), 0)
        low = np.minimum(at.astype(np.int64), size - 1)
        part = np.where(low < size - 1, at - low.astype(dtype), dtype(0))
        return [low, np.minimum(low + 1, size - 1), (1 - part) * inside, part * inside]

    def _pool(self, x: Array, rows: list[Array], cols: list[Array]) -> Array:
        """The bins of one region, [C,size...]."""
        shape = (len(x), *self.size)
        if rows[0].shape[1] * cols[0].shape[1] == 0:
            return np.zeros(shape, x.dtype)
        weighted = []
        for i in range(2):
            for j in range(2):
                picked = x[:, rows[i][:, None, :, None], cols[j][None, :, None, :]]
                weight = rows[2 + i][:, None, :, None] * cols[2 + j][None, :, None, :]
                weighted.append(picked * weight.astype(x.dtype))
        if self.kind == "max":
            return np.asarray(np.max(weighted, axis=0).max(axis=(-2, -1)))
        return np.asarray(np.sum(weighted, axis=0).mean(axis=(-2, -1)))

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        x, _, image = operands
        buffers = (Access(Result()), *(Access(Operand(i)) for i in range(3)))
        sizes = (image.count, *x.shape, *self.size, self.ratio)
        numbers = (float(self.scale), 0.5 if self.half_pixel else 0.0, int(self.kind == "max"))
        kernel = f"dlc_roi_align_{x.dtype.value}"
        call = Kernel(kernel, (*buffers, *sizes, *numbers), fallible=True)
        return Emission((*self.checks(operands), call))

    def to_onnx(self, body: OnnxBody, operands: Sequence[str], operand_types: Types,
                result_types: Sequence[TensorType]) -> Sequence[str]:  # fmt: skip
        mode = "half_pixel" if self.half_pixel else "output_half_pixel"
        return [body.node(
            "RoiAlign", operands, mode=self.kind, output_height=self.size[0],
            output_width=self.size[1], sampling_ratio=self.ratio, spatial_scale=float(self.scale),
            coordinate_transformation_mode=mode,
        )]  # fmt: skip
