"""``roi_max_pool``: regions of images pooled to one size, each bin its greatest pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.operator import Array, Arrays, Types
from dlc.ir.types import DType, TensorType
from dlc.ops.core.operator import CoreOperator, OnnxBody
from dlc.ops.emission import Access, Emission, Kernel, Operand, Result

_MOST = 1 << 20  # pixels from the corner that a region may reach


@dataclass(frozen=True, slots=True)
class RoiMaxPool(CoreOperator):
    """RoI pooling (Girshick 2015) of x[N,C,H,W] and rois[R,5]: [R,C,size...].

    A region is its image and left, top, right, bottom in pixels once multiplied by ``scale`` and
    rounded, the last inside. Bins overlap where they cut a pixel; one without pixels is 0, and NaN
    is never the greatest. An image out of range ends the run with status DLC_BAD_INDEX.

    C1: two operands of the shapes above, both f32 or both f64.
    C2: the sizes are positive.
    """

    name: ClassVar[str] = "roi_max_pool"
    size: tuple[int, int]
    scale: float = 1.0

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        types = [t for t in operands if t is not None]
        self.require(len(types) == len(operands) == 2, "C1", f"has {len(types)} operands")
        x, rois = types
        fits = x.rank == 4 and rois.rank == 2 and rois.shape[1] == 5 and x.dtype is rois.dtype
        self.require(fits and x.dtype in (DType.F32, DType.F64), "C1", f"cannot take {x}, {rois}")
        self.require(min(self.size) > 0, "C2", f"cannot pool to {self.size}")
        return (x.with_shape((rois.shape[0], x.shape[1], *self.size)),)

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        x, rois = (np.asarray(a) for a in operands)
        inside = bool(((rois[:, 0] >= 0) & (rois[:, 0] < len(x))).all())
        self.require(inside, "C1", f"an image is out of range for {len(x)}")
        dtype = x.dtype.type
        result = np.zeros((len(rois), x.shape[1], *self.size), x.dtype)
        for roi, bins in zip(rois, result, strict=True):
            away = np.copysign(np.floor(np.abs(roi[1:] * dtype(self.scale)) + dtype(0.5)), roi[1:])
            left, top, right, bottom = np.clip(np.nan_to_num(away, nan=-_MOST), -_MOST, _MOST)
            for i, j in np.ndindex(*self.size):
                rows = self._bin(i, top, bottom, self.size[0], x.shape[2])
                cols = self._bin(j, left, right, self.size[1], x.shape[3])
                pixels = x[int(roi[0])][:, rows, cols].reshape(x.shape[1], -1)
                if pixels.size:
                    bins[:, i, j] = np.fmax.reduce(pixels, axis=1)
        return (result,)

    def _bin(self, number: int, start: Array, end: Array, count: int, size: int) -> slice:
        dtype = start.dtype.type
        each = np.maximum(end - start + 1, 1) / dtype(count)
        first, last = np.floor(number * each) + start, np.ceil((number + 1) * each) + start
        return slice(int(np.clip(first, 0, size)), int(np.clip(last, 0, size)))

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        x, rois = operands
        buffers = (Access(Result()), Access(Operand(0)), Access(Operand(1)))
        sizes = (rois.shape[0], *x.shape, *self.size, float(self.scale))
        kernel = f"dlc_roi_max_pool_{x.dtype.value}"
        return Emission((Kernel(kernel, (*buffers, *sizes), fallible=True),))

    def to_onnx(self, body: OnnxBody, operands: Sequence[str], operand_types: Types,
                result_types: Sequence[TensorType]) -> Sequence[str]:  # fmt: skip
        return [body.node("MaxRoiPool", operands, pooled_shape=list(self.size),
                          spatial_scale=float(self.scale))]  # fmt: skip
