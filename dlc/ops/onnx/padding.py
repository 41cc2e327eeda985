"""The window attributes conv and pool ops share: strides, dilations, pads, auto_pad."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dlc.ir.sizes import Dim, ceildiv, maximum
from dlc.ops.onnx.expansion import Call

Sizes = tuple[int, ...]
Dims = tuple[Dim, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """Attributes of a sliding window with defaults filled in; pads as written (0 for auto_pad)."""

    kernel: Sizes
    strides: Sizes
    dilations: Sizes
    pads: Sizes
    auto_pad: str

    @property
    def spread(self) -> Sizes:
        """Positions each window spans, dilation included."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))


def window_of(call: Call, kernel: Sequence[int]) -> Window:
    """The window attributes of a call whose kernel has these sizes."""
    rank, auto_pad = len(kernel), call.attr("auto_pad", "NOTSET")
    ones = (1,) * rank
    strides, dilations = call.attr("strides") or ones, call.attr("dilations") or ones
    pads = call.attr("pads") if auto_pad == "NOTSET" else None
    window = Window(tuple(kernel), tuple(strides), tuple(dilations),
                    tuple(pads or (0,) * (2 * rank)), auto_pad)  # fmt: skip
    lengths = (len(window.strides), len(window.dilations), len(window.pads))
    if lengths != (rank, rank, 2 * rank) or min((1, *window.strides, *window.dilations)) < 1:
        raise call.unsupported(f"strides, dilations or pads do not suit the kernel {list(kernel)}")
    return window


def split(total: Sequence[Dim], more_at_end: bool) -> Dims:
    """Begins and ends that share ``total`` padding, the odd element going to one side."""
    small, large = tuple(t // 2 for t in total), tuple(t - t // 2 for t in total)
    return small + large if more_at_end else large + small


def resolve_pads(window: Window, image: Sequence[Dim]) -> Dims:
    """Explicit pads; SAME_UPPER and SAME_LOWER give ceil(image / stride) windows."""
    if not window.auto_pad.startswith("SAME"):
        return window.pads
    each = zip(image, window.strides, window.spread, strict=True)
    total: list[Dim] = []
    for size, step, spread in each:
        needed = (ceildiv(size, step) - 1) * step + spread - size
        # never negative where windows overlap or touch: the result's size stays in normal form
        total.append(needed if spread >= step else maximum(needed, 0))
    return split(total, window.auto_pad == "SAME_UPPER")
