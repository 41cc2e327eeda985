"""Strategies for sliding windows: whole cases of convolution, its transpose, and pooling."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import strategies as st

from dlc.testing.shapes import dilations, pads, strides

Sizes = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Window:
    """A window over an image; every tuple has one entry a spatial axis, ``pads`` as in ONNX.

    ``pads`` holds the begins of all axes, then the ends.
    """

    image: Sizes
    kernel: Sizes
    strides: Sizes
    pads: Sizes
    dilations: Sizes

    @property
    def rank(self) -> int:
        return len(self.image)

    @property
    def extents(self) -> Sizes:
        """How far a window reaches along each axis."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    @property
    def padded(self) -> Sizes:
        """The image with its padding."""
        begins, ends = self.pads[: self.rank], self.pads[self.rank :]
        return tuple(map(sum, zip(begins, self.image, ends, strict=True)))


@dataclass(frozen=True, slots=True)
class ConvCase(_Window):
    """A convolution of x[batch, groups*channels, *image] with w[groups*filters, channels, *kernel]."""

    batch: int
    groups: int
    channels: int
    """Input channels of one group."""
    filters: int
    """Output channels of one group."""

    @property
    def x_shape(self) -> Sizes:
        return (self.batch, self.groups * self.channels, *self.image)

    @property
    def w_shape(self) -> Sizes:
        return (self.groups * self.filters, self.channels, *self.kernel)

    @property
    def out(self) -> Sizes:
        """Spatial sizes of the result."""
        return tuple(
            (size - extent) // stride + 1
            for size, extent, stride in zip(self.padded, self.extents, self.strides, strict=True)
        )


@dataclass(frozen=True, slots=True)
class ConvTransposeCase(_Window):
    """A transposed convolution.

    Of x[batch, groups*channels, *image] with w[groups*channels, filters, *kernel].
    """

    batch: int
    groups: int
    channels: int
    filters: int
    output_padding: Sizes

    @property
    def x_shape(self) -> Sizes:
        return (self.batch, self.groups * self.channels, *self.image)

    @property
    def w_shape(self) -> Sizes:
        return (self.groups * self.channels, self.filters, *self.kernel)

    @property
    def out(self) -> Sizes:
        """Spatial sizes of the result."""
        cut = (a + b for a, b in zip(self.pads[: self.rank], self.pads[self.rank :], strict=True))
        rows = zip(self.image, self.strides, self.extents, self.output_padding, cut, strict=True)
        return tuple((i - 1) * s + extent + extra - c for i, s, extent, extra, c in rows)


@dataclass(frozen=True, slots=True)
class PoolCase(_Window):
    """Pooling of x[batch, channels, *image]; ``overhang`` as ONNX's ceil_mode makes it."""

    batch: int
    channels: int
    overhang: Sizes
    include_pad: bool

    @property
    def x_shape(self) -> Sizes:
        return (self.batch, self.channels, *self.image)

    @property
    def out(self) -> Sizes:
        """Spatial sizes of the result."""
        rows = zip(self.padded, self.overhang, self.extents, self.strides, strict=True)
        return tuple((size + more - extent) // s + 1 for size, more, extent, s in rows)


@st.composite
def _windows(draw: st.DrawFn, rank: int, largest: int) -> dict[str, Sizes]:
    """Fields of a window that fits into its padded image; kernels may exceed the image."""
    kernel = draw(st.tuples(*[st.integers(1, 4)] * rank))
    spread = draw(dilations(rank))
    extents = tuple((k - 1) * d + 1 for k, d in zip(kernel, spread, strict=True))
    image = draw(st.tuples(*[st.integers(1, largest)] * rank))
    begins, ends = draw(pads(extents)), draw(pads(extents))
    ends = tuple(
        max(end, extent - size - begin)
        for end, extent, size, begin in zip(ends, extents, image, begins, strict=True)
    )
    return {"image": image, "kernel": kernel, "strides": draw(strides(rank)),
            "pads": (*begins, *ends), "dilations": spread}  # fmt: skip


@st.composite
def conv_cases(
    draw: st.DrawFn, min_rank: int = 1, max_rank: int = 3, largest: int = 9, channels: int = 5
) -> ConvCase:
    """Convolutions over ``min_rank`` to ``max_rank`` spatial axes of up to ``largest`` elements.

    Groups (depthwise among them), strides, dilations, asymmetric pads that may exceed the kernel, and
    kernels larger than the image; up to ``channels`` channels and filters a group.
    """
    window = draw(_windows(draw(st.integers(min_rank, max_rank)), largest))
    return ConvCase(**window, batch=draw(st.integers(1, 2)), groups=draw(st.integers(1, 3)),
                    channels=draw(st.integers(1, channels)),
                    filters=draw(st.integers(1, channels)))  # fmt: skip


@st.composite
def conv_transpose_cases(
    draw: st.DrawFn, min_rank: int = 1, max_rank: int = 3, largest: int = 7, channels: int = 5
) -> ConvTransposeCase:
    """Transposed convolutions; pads are cut down until something of the result is left."""
    rank = draw(st.integers(min_rank, max_rank))
    window = draw(_windows(rank, largest))
    extra = draw(st.tuples(*(st.integers(0, s - 1) for s in window["strides"])))
    case = ConvTransposeCase(**window, batch=1, groups=draw(st.integers(1, 3)),
                             channels=draw(st.integers(1, channels)),
                             filters=draw(st.integers(1, channels)), output_padding=extra)  # fmt: skip
    cut = list(case.pads)
    for axis, size in enumerate(case.out):
        for side in (axis, axis + rank):
            less = min(cut[side], max(0, 1 - size))
            cut[side] -= less
            size += less
    return replace(case, pads=tuple(cut))


@st.composite
def pool_cases(draw: st.DrawFn, min_rank: int = 1, max_rank: int = 3, largest: int = 9) -> PoolCase:
    """Poolings, with padding that may hold whole windows and with overhanging last windows."""
    window = draw(_windows(draw(st.integers(min_rank, max_rank)), largest))
    overhang = draw(st.tuples(*(st.integers(0, s - 1) for s in window["strides"])))
    return PoolCase(**window, batch=draw(st.integers(1, 2)), channels=draw(st.integers(1, 3)),
                    overhang=overhang, include_pad=draw(st.booleans()))  # fmt: skip
