"""Blocked layout: images [N,C/16,H,W,16], channels in blocks so that a vector holds one pixel's.

A value of C channels has ceil(C/16) blocks; what the channels beyond C hold nobody may rely on. It
may have a border, ``border`` positions wide around each image and zero, so that a convolution that
pads reads it without a test. ``BlockedOperator`` is what the ops that produce such values share:
their result is computed in tiles of pixels of one or more blocks, the border is stored besides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dlc.ir.expr import Call, Const
from dlc.ir.operator import Array, Arrays, Types
from dlc.ir.types import DType, TensorType, strides_of
from dlc.ops.core.epilogue import WithEpilogue
from dlc.ops.core.operator import Condition, OnnxBody
from dlc.ops.emission import (
    Access,
    Affine,
    Argument,
    Emission,
    Index,
    Nest,
    Operand,
    Part,
    Result,
    Tile,
)  # fmt: skip
from dlc.ops.nest import merge_loops
from dlc.ops.window import pad_image, windows

BLOCK = 16
PIXELS = 14
"""Pixels of a tile: what 32 vector registers hold the sums of, with two vectors of channels each."""
CACHED = 1 << 18
"""Weights of more bytes are read once for all pixels, others once for each tile of pixels."""


def blocks_of(channels: int) -> int:
    """How many blocks hold so many channels."""
    return -(-channels // BLOCK)


def to_blocked(x: Array) -> Array:
    """[N,C,H,W] as [N,C/16,H,W,16], channels that are missing 0."""
    n, channels, height, width = x.shape
    blocks = blocks_of(channels)
    padded = np.pad(x, [(0, 0), (0, blocks * BLOCK - channels), (0, 0), (0, 0)])
    return padded.reshape(n, blocks, BLOCK, height, width).transpose(0, 1, 3, 4, 2)


def to_planar(x: Array) -> Array:
    """[N,C/16,H,W,16] as [N,C,H,W]."""
    n, blocks, height, width, block = x.shape
    return x.transpose(0, 1, 4, 2, 3).reshape(n, blocks * block, height, width)


def planar_onnx(body: OnnxBody, name: str, dims: Sequence[int]) -> str:
    """As ``to_planar``, of a value of these dims, in ONNX nodes."""
    n, blocks, height, width, block = dims
    moved = body.node("Transpose", [name], perm=(0, 1, 4, 2, 3))
    shape = body.constant(np.array([n, blocks * block, height, width], np.int64))
    return body.node("Reshape", [moved, shape])


def blocked_onnx(body: OnnxBody, name: str, dims: Sequence[int]) -> str:
    """A planar value of whole blocks as one of the (blocked) ``dims``, in ONNX nodes."""
    n, blocks, height, width, block = dims
    shape = body.constant(np.array([n, blocks, block, height, width], np.int64))
    return body.node("Transpose", [body.node("Reshape", [name, shape])], perm=(0, 1, 3, 4, 2))


def cut_onnx(body: OnnxBody, name: str, starts: Sequence[int], ends: Sequence[int],
             axes: Sequence[int]) -> str:  # fmt: skip
    """A part of a value, in ONNX nodes."""
    bounds = [body.constant(np.array(values, np.int64)) for values in (starts, ends, axes)]
    return body.node("Slice", [name, *bounds])


@dataclass(frozen=True, slots=True)
class Spot:
    """Tiles of one size of a blocked image: ``lines`` x ``pixels`` positions at every index of
    (image, lines of tiles, columns of tiles), the first at (``y``, ``x``).
    """

    extents: tuple[int, int, int]
    lines: int
    pixels: int
    y: int
    x: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockedOperator(WithEpilogue):
    """``WithEpilogue`` whose result is a blocked image within a border of zeros.

    The accumulated value and the operands of the epilogue are without border; an extra operand of
    the result's rank may have one of its own, which is not read.

    E4: the result is f32, the border is not negative.
    """

    border: int = 0

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        (inside,) = super(BlockedOperator, self).infer(operands)
        self.require(inside.dtype is DType.F32 and self.border >= 0, "E4", f"cannot store {inside}")
        n, blocks, height, width, block = inside.dims
        more = 2 * self.border
        return (inside.with_shape((n, blocks, height + more, width + more, block)),)

    def conditions(self, operands: Sequence[TensorType]) -> Iterator[Condition]:
        main, extras = operands[: self.main_operands], operands[self.main_operands :]
        value = self.accumulated(main)
        inner = [t.with_shape(cropped(t.dims, value.dims)) for t in extras]
        yield from super(BlockedOperator, self).conditions([*main, *inner])

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        arrays = [np.asarray(a) for a in operands]
        main, extras = arrays[: self.main_operands], arrays[self.main_operands :]
        dims = self.accumulated([TensorType(DType.of(a), a.shape) for a in main]).dims
        inner = []
        for extra in extras:
            inset = inset_of(extra.shape, dims)
            inner.append(extra[:, :, inset:-inset, inset:-inset] if inset else extra)
        (result,) = super(BlockedOperator, self).evaluate([*main, *inner])
        b = self.border
        return (np.pad(result, [(0, 0), (0, 0), (b, b), (b, b), (0, 0)]),)

    def to_onnx(self, body: OnnxBody, operands: Sequence[str], operand_types: Types,
                result_types: Sequence[TensorType]) -> Sequence[str]:  # fmt: skip
        count, b = self.main_operands, self.border
        types = [t for t in operand_types if t is not None]
        dims = self.accumulated(types[:count]).dims
        names = list(operands)
        for i in range(count, len(types)):
            inset = inset_of(types[i].dims, dims)
            if inset:
                ends = [dim - inset for dim in types[i].dims[2:4]]
                names[i] = cut_onnx(body, names[i], [inset, inset], ends, [2, 3])
                types[i] = types[i].with_shape(cropped(types[i].dims, dims))
        names = list(super(BlockedOperator, self).to_onnx(body, names, types, result_types))
        if b:
            pads = body.constant(np.array([0, 0, b, b, 0, 0, 0, b, b, 0], np.int64))
            names = [body.node("Pad", [names[0], pads])]
        return names

    def spots(
        self, dims: Sequence[int], *, flat: bool = False, lines: int = PIXELS
    ) -> Iterator[Spot]:
        """The tiles, of at most so many lines, that cover an image of these dims.

        ``flat``: as if the image were one line.
        """
        n, _, height, width, _ = dims
        if flat:
            height, width = 1, height * width
        pixels = _divisor(width, PIXELS) or -(-width // -(-width // PIXELS))
        most = min(height, lines, PIXELS // pixels) if pixels == width else 1
        lines = max(n for n in range(1, most + 1) if height % n == 0)
        for y, down, tall in _cut(height, lines):
            for x, across, wide in _cut(width, pixels):
                yield Spot((n, down, across), tall, wide, y, x)

    def tile(self, spot: Spot, blocks: tuple[int, int, int], operands: Sequence[TensorType],
             result: TensorType, kernel: str, args: Sequence[Argument], *,
             blocks_first: bool = False) -> Tile:  # fmt: skip
        """The tiles of a spot for ``blocks``: the first one, how many tiles, blocks of a tile.

        Accesses among the arguments have strides for (image, lines, columns, blocks).
        """
        n, _, height, width, _ = self.accumulated(operands[: self.main_operands]).dims
        inside = (n, result.dims[1], height, width, BLOCK)
        places = []
        for dims in (result.dims, *(t.dims for t in operands[self.main_operands :])):
            inset = inset_of(dims, inside)
            lead = (1,) * (5 - len(dims)) + tuple(dims)
            sn, sb, sy, sx, sc = (
                0 if dim == 1 else stride
                for dim, stride in zip(lead, strides_of(lead), strict=True)
            )
            base = (inset + spot.y) * sy + (inset + spot.x) * sx + blocks[0] * sb
            walk = (sn, sy * spot.lines, sx * spot.pixels, sb * blocks[2])
            places.append((Affine(base, walk), (sb, sy, sx, sc)))
        order = (3, 0, 1, 2) if blocks_first else (0, 1, 2, 3)
        extents = (*spot.extents, blocks[1])

        def turned(affine: Affine, inner: tuple[int, ...] = ()) -> Affine:
            return Affine(affine.base, (*(affine.strides[i] for i in order), *inner))

        write, *reads = (turned(affine, inner) for affine, inner in places)
        count = self.main_operands
        return Tile(
            tuple(extents[i] for i in order), spot.pixels, BLOCK, kernel,
            tuple(_with_index(a, turned) for a in args), Access(Result(), write), self.epilogue,
            tuple(Access(Operand(count + i), a) for i, a in enumerate(reads)),
            planes=(blocks[2], spot.lines),
        )  # fmt: skip

    def border_parts(self, result: TensorType) -> Iterator[Part]:
        """Stores of zeros around the images of the result."""
        n, blocks, height, width, _ = result.dims
        plane, line, side = height * width * BLOCK, width * BLOCK, self.border * BLOCK
        if not side:
            return
        ends = self.border * line + side
        inner = height - 2 * self.border
        for start, extents, strides in (
            (0, (n * blocks, ends), (plane, 1)),
            (ends + line - 2 * side, (n * blocks, inner - 1, 2 * side), (plane, line, 1)),
            (plane - ends, (n * blocks, ends), (plane, 1)),
        ):
            loops, (write,) = merge_loops(extents, [Affine(start, strides)])
            if math.prod(extents):
                yield Nest(loops, (), Access(Result(), write), Call("f32", (Const(0),)))

    def emitted(self, tiles: Iterable[Tile], result: TensorType, scratch: int = 0) -> Emission:
        """The border, then the tiles."""
        return Emission((*self.border_parts(result), *tiles), scratch)


@dataclass(frozen=True, slots=True)
class Windows(BlockedOperator):
    """Convolutions: window element k of output o is at start + o*stride + k*dilation; x is 0 outside.

    Where no tap is outside, no kernel tests for it.

    C2: kernel, strides, dilations and size have two positive entries, starts two.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    starts: tuple[int, ...]
    size: tuple[int, ...]

    def spread(self, counts: Sequence[int]) -> tuple[int, ...]:
        """Positions from the first to the last that so many windows read, along each axis."""
        return tuple(
            (count - 1) * stride + (taps - 1) * dilation + 1
            for count, stride, taps, dilation in zip(
                counts, self.strides, self.kernel, self.dilations, strict=True
            )
        )

    def pads_of(self, image: Sequence[int]) -> tuple[int, ...]:
        """How far windows reach out of an image of this height and width: begins, then ends."""
        ends = zip(self.starts, self.spread(self.size), image, strict=True)
        return (*(max(0, -start) for start in self.starts),
                *(max(0, start + spread - dim) for start, spread, dim in ends))  # fmt: skip

    def require_windows(self) -> None:
        """Check C2."""
        positive = (self.kernel, self.strides, self.dilations, self.size)
        self.require(all(len(v) == 2 and min(v) > 0 for v in positive) and len(self.starts) == 2,
                     "C2", "kernel, strides, dilations, starts or size do not suit two axes")  # fmt: skip

    def patch_bytes(self, dims: Sequence[int], channels: int) -> int:
        """Bytes of the largest part of an image that a tile of a result of these dims reads."""
        areas = (math.prod(self.spread((s.lines, s.pixels))) for s in self.spots(dims))
        return max(areas) * channels * DType.F32.nbytes

    def corner(self, spot: Spot) -> tuple[Index, Index]:
        """Line and column of the first tap of each tile, as kernel arguments."""
        (top, left), (down, step) = self.starts, self.strides
        return (Index(Affine(top + spot.y * down, (0, spot.lines * down, 0, 0))),
                Index(Affine(left + spot.x * step, (0, 0, spot.pixels * step, 0))))  # fmt: skip

    def windows_of(self, x: Array) -> Array:
        """A view (N, C, oy, ox, ky, kx) of a planar image."""
        pads = self.pads_of(x.shape[2:])
        top, left = (start + more for start, more in zip(self.starts, pads[:2], strict=True))
        x = pad_image(x, pads, 0)[:, :, top:, left:]
        view = windows(x, self.kernel, self.strides, self.dilations)
        return view[:, :, : self.size[0], : self.size[1]]

    def cut_to_windows(self, body: OnnxBody, name: str, image: Sequence[int], channels: int) -> str:
        """What the windows read of the channels of a planar image, in ONNX nodes."""
        pads = self.pads_of(image)
        if any(pads):
            sides = body.constant(np.array([0, 0, *pads[:2], 0, 0, *pads[2:]], np.int64))
            name = body.node("Pad", [name, sides])
        starts = [start + more for start, more in zip(self.starts, pads[:2], strict=True)]
        ends = [start + size for start, size in zip(starts, self.spread(self.size), strict=True)]
        return cut_onnx(body, name, [0, *starts], [channels, *ends], [1, 2, 3])


def _with_index(argument: Argument, change: Callable[[Affine], Affine]) -> Argument:
    if isinstance(argument, Access):
        return Access(argument.buffer, change(argument.index))
    return Index(change(argument.value)) if isinstance(argument, Index) else argument


def _divisor(extent: int, most: int) -> int:
    """The largest size of tiles that leave no remainder, which would read all weights again.

    0 where tiles would have less than half of what they may.
    """
    sizes = [n for n in range(min(extent, most), 0, -1) if extent % n == 0]
    return sizes[0] if sizes[0] >= min(extent, most // 2) else 0


def _cut(extent: int, step: int) -> Iterator[tuple[int, int, int]]:
    """Tiles of ``step`` and a remainder: (start, how many, size)."""
    whole = extent // step
    if whole:
        yield 0, whole, step
    if extent % step:
        yield whole * step, 1, extent % step


def inset_of(dims: Sequence[int], inside: Sequence[int]) -> int:
    """Width of the border of an operand around images of the dims ``inside``."""
    if len(dims) != 5 or dims[2] == 1 or dims[2] <= inside[2]:
        return 0
    return (dims[2] - inside[2]) // 2


def cropped(dims: Sequence[int], inside: Sequence[int]) -> tuple[int, ...]:
    """Dims of an operand without its border."""
    inset = inset_of(dims, inside)
    if not inset:
        return tuple(dims)
    return (*dims[:2], dims[2] - 2 * inset, dims[3] - 2 * inset, *dims[4:])
