"""YOLOv4-tiny with a CSP backbone, as PyTorch implementations export it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from detectors.boxes import suppressed
from detectors.network import FLOAT, INT64, Network, single, whole

SIZE, CLASSES, STRETCH = 96, 3, 1.05
ANCHORS = (((30.0, 34.0), (56.0, 40.0), (60.0, 80.0)), ((6.0, 8.0), (14.0, 10.0), (18.0, 28.0)))


def yolov4_tiny(seed: int = 5) -> onnx.ModelProto:
    """input f32[1, 3, 96, 96] -> boxes f32[N, 4] in fractions, labels i64[N], scores f32[N]."""
    net = Network("yolov4_tiny", seed, 13)
    x = net.input("input", FLOAT, [1, 3, SIZE, SIZE])
    net.channels[x] = 3
    x = block(net, block(net, x, 8, 3, 2), 12, 3, 2)
    for channels in (12, 16, 24):
        x, route = cross_stage(net, x, channels)
    x = block(net, block(net, x, 24), 16, 1)
    coarse = head(net, block(net, x, 24))
    larger = net.op(
        "Resize", block(net, x, 8, 1), None, np.array([1, 1, 2, 2], np.float32), mode="nearest",
        coordinate_transformation_mode="asymmetric", nearest_mode="floor",
    )  # fmt: skip
    net.channels[larger] = 8
    fine = head(net, block(net, net.join(larger, route), 24))
    found = [decode(net, grid, own) for grid, own in zip((coarse, fine), ANCHORS, strict=True)]
    boxes, confidences = (net.concat(column, 1) for column in zip(*found, strict=True))
    detections(net, boxes, confidences)
    return net.model()


def block(net: Network, x: str, channels: int, kernel: int = 3, stride: int = 1) -> str:
    return net.leaky(net.batch_norm(net.conv(x, channels, kernel, stride)))


def cross_stage(net: Network, x: str, channels: int) -> tuple[str, str]:
    """A cross-stage partial block, pooled, and what it hands to the finer scale."""
    x = block(net, x, channels)
    _, half = net.ops(2, "Split", x, whole(channels // 2, channels // 2), axis=1)
    net.channels[half] = channels // 2
    first = block(net, half, channels // 2)
    second = block(net, first, channels // 2)
    route = block(net, net.join(second, first), channels, 1)
    return net.max_pool(net.join(x, route), 2, 2), route


def head(net: Network, x: str) -> str:
    bias = ([0.0] * 4 + [-1.0] + [0.0] * CLASSES) * 3
    return net.conv(x, 3 * (5 + CLASSES), 1, gain=2.0, bias=bias)


def decode(net: Network, grid: str, anchors: Sequence[tuple[float, float]]) -> tuple[str, str]:
    """Corners f32[1, A, 4] in fractions of the image and confidences f32[1, A, CLASSES]."""
    shape = net.op("Shape", grid)
    rows, columns = (net.column(shape, 0, axis) for axis in (2, 3))
    last = net.concat(
        [whole(1, 3, 5 + CLASSES), net.unsqueeze(rows, 0), net.unsqueeze(columns, 0)], 0
    )
    cells = net.op("Transpose", net.op("Reshape", grid, last), perm=[0, 1, 3, 4, 2])
    zero, one = np.array(0, np.int64), np.array(1, np.int64)
    middle = net.op("Sub", net.op("Mul", net.op("Sigmoid", net.span(cells, 4, 0, 2)), single(STRETCH)),
                    single((STRETCH - 1) / 2))  # fmt: skip
    sizes = net.op("Exp", net.span(cells, 4, 2, 4))
    corners: list[list[str]] = [[], []]
    for axis, (count, form) in enumerate(((columns, (1, 1, 1, -1, 1)), (rows, (1, 1, -1, 1, 1)))):
        steps = net.op("Reshape", net.cast(net.op("Range", zero, count, one), FLOAT), whole(*form))
        own = np.array([anchor[axis] for anchor in anchors], np.float32).reshape(1, 3, 1, 1, 1)
        centre = net.op("Add", net.span(middle, 4, axis, axis + 1), steps)
        centre = net.op("Div", centre, net.cast(count, FLOAT))
        half = net.op("Mul", net.span(sizes, 4, axis, axis + 1), own / (2 * SIZE))
        for side, op in zip(corners, ("Sub", "Add"), strict=True):
            side.append(net.op(op, centre, half))
    boxes = net.op("Reshape", net.concat([*corners[0], *corners[1]], 4), whole(1, -1, 4))
    sure = net.op("Sigmoid", net.span(cells, 4, 4, 5))
    confidences = net.op("Mul", net.op("Sigmoid", net.span(cells, 4, 5, 5 + CLASSES)), sure)
    return boxes, net.op("Reshape", confidences, whole(1, -1, CLASSES))


def detections(net: Network, boxes: str, confidences: str) -> None:
    """The likeliest class of each box; classes moved apart so that one suppression serves all."""
    best = net.squeeze(net.op("ReduceMax", confidences, axes=[2], keepdims=0), 0)
    kinds = net.squeeze(net.op("ArgMax", confidences, axis=2, keepdims=0), 0)
    likely = net.true_positions(net.op("Greater", best, single(0.75)))
    boxes = net.op("Gather", net.squeeze(boxes, 0), likely)
    best, kinds = net.op("Gather", best, likely), net.op("Gather", kinds, likely)
    apart = net.op("Mul", net.unsqueeze(net.cast(kinds, FLOAT), 1), single(8))
    kept = suppressed(net, net.op("Add", boxes, apart), best, 1000, 0.5)
    kept = net.span(kept, 0, 0, 25)
    net.output(net.op("Gather", boxes, kept), "boxes", FLOAT, ["N", 4])
    net.output(net.op("Gather", kinds, kept), "labels", INT64, ["N"])
    net.output(net.op("Gather", best, kept), "scores", FLOAT, ["N"])
