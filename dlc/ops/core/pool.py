"""``pool``: the maximum or the mean of sliding windows over 1 to 3 spatial axes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.errors import UnsupportedError
from dlc.ir.expr import A0, Arg, Call, Const
from dlc.ir.operator import Array
from dlc.ir.sizes import Dim, less, product
from dlc.ir.types import DType, TensorType, strides_of
from dlc.ops.core.epilogue import WithEpilogue, wide
from dlc.ops.core.operator import Condition, OnnxBody
from dlc.ops.core.reduce import identity
from dlc.ops.emission import Emission, Nest
from dlc.ops.nest import not_negative
from dlc.ops.window import (
    output_sizes,
    pad_image,
    three,
    window_nest,
    window_sizes,
    window_tiles,
    windows,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pool(WithEpilogue):
    """Operand x[N,C,spatial...], extras; result [N,C,out...] of the max or mean of each window.

    ``pads`` (begins of all axes, then ends) never win a maximum; they count in the divisor of a
    mean if ``include_pad``. ``overhang`` is how far windows may reach beyond the padding at the end
    of each axis (ONNX's ceil_mode): those positions never count. A window without any element that
    counts gives the least value of the dtype (-inf) as a maximum, 0 as a mean.

    C1: x has rank 3 to 5; a mean needs a float dtype.
    C2: kernel, strides and dilations have one positive entry, overhang one and pads two
        non-negative ones, a spatial axis.
    C3: the spread of the kernel fits into the padded image.
    """

    name: ClassVar[str] = "pool"
    kind: str
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[Dim, ...]
    dilations: tuple[int, ...]
    overhang: tuple[Dim, ...]
    include_pad: bool = False

    def _reach(self) -> tuple[Dim, ...]:
        """Pads, overhang included."""
        rank = len(self.kernel)
        ends = zip(self.pads[rank:], self.overhang, strict=True)
        return (*self.pads[:rank], *(pad + more for pad, more in ends))

    def accumulated(self, main: Sequence[TensorType]) -> TensorType:
        (x,) = main
        self.require(3 <= x.rank <= 5, "C1", f"{x} needs rank 3 to 5")
        self.require(self.kind == "max" or (self.kind == "avg" and x.dtype.is_float), "C1",
                     f"kind {self.kind!r} does not suit {x}")  # fmt: skip
        rank = x.rank - 2
        positive = (self.kernel, self.strides, self.dilations)
        self.require(
            all(len(values) == rank and min(values) > 0 for values in positive)
            and len(self.overhang) == rank and len(self.pads) == 2 * rank,
            "C2", f"kernel, strides, pads or dilations do not suit {rank} spatial axes",
        )  # fmt: skip
        out = output_sizes(x.shape[2:], self.kernel, self.strides, self._reach(), self.dilations)
        return x.with_shape((*x.shape[:2], *out))

    def main_conditions(self, main: Sequence[TensorType]) -> Iterator[Condition]:
        yield not_negative((*self.pads, *self.overhang)), "C2", "a pad is negative"
        message = f"kernel {self.kernel} does not fit into {main[0]}"
        yield (less(0, size) for size in self.accumulated(main).shape[2:]), "C3", message

    def accumulate(self, main: Sequence[Array]) -> Array:
        x, rank = main[0], len(self.kernel)
        if self.kind == "avg":
            x = wide(x)
        fill = identity("max", x.dtype) if self.kind == "max" else 0
        view = windows(
            pad_image(x, self.fixed(self._reach()), fill), self.kernel, self.strides, self.dilations
        )
        combine = np.maximum if self.kind == "max" else np.add
        each = (view[(Ellipsis, *k)] for k in np.ndindex(*self.kernel))
        result = np.array(next(each))
        for window in each:
            combine(result, window, out=result)
        if self.kind == "max":
            return result
        return result / np.maximum(self._counts(x.shape[-rank:], x.dtype), 1)

    def _counts(self, image: Sequence[int], dtype: np.dtype[np.generic]) -> Array:
        """How many elements each window of the image divides by."""
        padded = pad_image(np.ones(image, dtype), self.fixed(self.pads), int(self.include_pad))
        padded = pad_image(padded, (0,) * len(image) + self.fixed(self.overhang), 0)
        view = windows(padded, self.kernel, self.strides, self.dilations)
        counts: Array = view.sum(axis=tuple(range(len(image), 2 * len(image))))
        return counts

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        x, result, rank = operands[0], results[0], len(self.kernel)
        checks = self.checks(operands)
        if x.dtype is not DType.F32:
            return Emission((*checks, self._nest(operands, result)))
        image = x.shape[2:]
        sizes = window_sizes(image, self.kernel, self.strides, self.pads[:rank], self.dilations)
        if self.kind == "avg":
            sizes += (*three(self.pads[rank:], 0), int(self.include_pad))
        pixels = product(image)
        tiles = window_tiles(
            f"dlc_{self.kind}_pool_tile_f32", operands, result, self.epilogue, groups=x.shape[1],
            main=[(x.shape[1] * pixels, pixels, 0)], sizes=sizes, rows=False,
        )  # fmt: skip
        return Emission((*checks, *tiles))

    def _nest(self, operands: Sequence[TensorType], result: TensorType) -> Nest:
        x = operands[0]
        if any(pad != 0 for pad in self._reach()):
            raise UnsupportedError(
                f"{self.kind} pool of {x.dtype.value} with padding has no kernel"
            )
        sn, sc, *steps = strides_of(x.shape)
        moved = [s * step for s, step in zip(steps, self.strides, strict=True)]
        spread = [s * step for s, step in zip(steps, self.dilations, strict=True)]
        whole, epilogue = Const(1.0 / math.prod(self.kernel)), self.epilogue
        if self.kind == "avg":
            mean = Call("mul", (A0, whole))
            epilogue = epilogue.substitute(lambda i: Arg(i) if i else mean)
        return window_nest(
            operands, result, epilogue, groups=x.shape[1], main=[(sn, sc, 0, *moved, *spread)],
            inner=self.kernel, expr=A0, function="max" if self.kind == "max" else "add",
        )  # fmt: skip

    def accumulate_onnx(self, body: OnnxBody, main: Sequence[str], types: Sequence[TensorType],
                        result: TensorType) -> str:  # fmt: skip
        means = {"count_include_pad": int(self.include_pad)} if self.kind == "avg" else {}
        return body.node(
            "AveragePool" if means else "MaxPool", main, kernel_shape=self.kernel,
            strides=self.strides, pads=self.fixed(self.pads), dilations=self.dilations,
            ceil_mode=int(any(self.fixed(self.overhang))), **means,
        )  # fmt: skip
