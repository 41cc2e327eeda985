"""Steps that several detectors share: residual blocks, anchors, decoding, the best of a selection."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detectors.network import Network, Tensor, single, whole


def residual(net: Network, x: str, channels: int, stride: int) -> str:
    """The basic block of ResNet-18 and 34."""
    y = net.relu(net.batch_norm(net.conv(x, channels, 3, stride)))
    y = net.batch_norm(net.conv(y, channels, gain=1.0))
    if stride != 1 or net.channels[x] != channels:
        x = net.batch_norm(net.conv(x, channels, 1, stride, gain=1.0))
    return net.relu(net.add(y, x))


def bottleneck(net: Network, x: str, channels: int, stride: int) -> str:
    """The block of ResNet-50: ``channels`` inside, four times as many outside."""
    y = net.relu(net.batch_norm(net.conv(x, channels, 1)))
    y = net.relu(net.batch_norm(net.conv(y, channels, 3, stride)))
    y = net.batch_norm(net.conv(y, 4 * channels, 1, gain=1.0))
    if stride != 1 or net.channels[x] != 4 * channels:
        x = net.batch_norm(net.conv(x, 4 * channels, 1, stride, gain=1.0))
    return net.relu(net.add(y, x))


def rows_of(net: Network, x: str, width: int) -> str:
    """A head's [1, A * width, H, W] as [1, H * W * A, width], the rows in the order of the anchors."""
    return net.op("Reshape", net.op("Transpose", x, perm=[0, 2, 3, 1]), whole(1, -1, width))


def prior_boxes(size: int, grids: Sequence[int], scales: Sequence[Sequence[float]],
                ratios: Sequence[float]) -> np.ndarray:  # fmt: skip
    """Constant centres and sizes, f32[A, 4], in fractions of the image."""
    boxes = [
        (
            (column + 0.5) / grid,
            (row + 0.5) / grid,
            scale / size * ratio**0.5,
            scale / size / ratio**0.5,
        )
        for grid, own in zip(grids, scales, strict=True)
        for row in range(grid)
        for column in range(grid)
        for scale in own
        for ratio in ratios
    ]
    return np.array(boxes, np.float32)


def decode_centres(net: Network, deltas: str, anchors: Tensor, axis: int, *, limit: float | None = None,
                   variances: tuple[float, float] = (1.0, 1.0)) -> str:  # fmt: skip
    """Corners x0, y0, x1, y1 from offsets to anchors of the form (centre, size)."""
    moved, grown = net.ops(2, "Split", deltas, *_halves(net), axis=axis, **_parts(net))
    centres, extents = net.span(anchors, axis, 0, 2), net.span(anchors, axis, 2, 4)
    moved = net.op("Mul", net.op("Mul", moved, single(variances[0])), extents)
    grown = net.op("Mul", grown, single(variances[1]))
    if limit is not None:
        grown = net.op("Clip", grown, None, single(limit))
    half = net.op("Mul", net.op("Mul", net.op("Exp", grown), extents), single(0.5))
    middle = net.op("Add", moved, centres)
    return net.concat([net.op("Sub", middle, half), net.op("Add", middle, half)], axis)


def _halves(net: Network) -> list[Tensor]:
    return [whole(2, 2)] if net.opset >= 13 else []


def _parts(net: Network) -> dict[str, list[int]]:
    return {} if net.opset >= 13 else {"split": [2, 2]}


def best_of(net: Network, scores: str, most: int) -> tuple[str, str]:
    """The ``most`` highest scores of a vector, or all where there are fewer, and where they are."""
    number = net.op("Min", net.op("Shape", scores), whole(most))
    top, at = net.ops(2, "TopK", scores, number, axis=0)
    return top, at


def suppressed(net: Network, boxes: str, scores: str, most: int, overlap: float) -> str:
    """Numbers of the boxes of one class that non-maximum suppression keeps, best first: i64[count]."""
    selected = net.op(
        "NonMaxSuppression", net.unsqueeze(boxes, 0), net.unsqueeze(scores, 0, 1),
        np.array([most], np.int64), np.array([overlap], np.float32),
    )  # fmt: skip
    return net.squeeze(net.span(selected, 1, 2, 3), 1)
