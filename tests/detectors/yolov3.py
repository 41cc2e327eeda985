"""YOLOv3 with a Darknet-53-like backbone, as keras2onnx writes it: boxes in a letterboxed image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from detectors.network import FLOAT, INT32, Network, single, whole

CLASSES = 3
ANCHORS = (((40.0, 30.0), (52.0, 66.0), (80.0, 72.0)), ((10.0, 24.0), (20.0, 15.0), (20.0, 40.0)),
           ((4.0, 5.0), (6.0, 10.0), (11.0, 8.0)))  # fmt: skip


def yolov3(seed: int = 4) -> onnx.ModelProto:
    """input_1 f32[1, 3, H, W] (multiples of 32), image_shape f32[1, 2] (before the letterbox) ->

    boxes f32[N, 4] (y0, x0, y1, x1), scores f32[N], classes i32[N].
    """
    net = Network("yolov3", seed, 12)
    x = net.input("input_1", FLOAT, [1, 3, "H", "W"])
    image_shape = net.input("image_shape", FLOAT, [1, 2])
    net.channels[x] = 3
    box = net.cast(net.span(net.op("Shape", x), 0, 2, 4), FLOAT)
    x = block(net, x, 4)
    stages = []
    for channels, blocks in ((8, 1), (8, 2), (12, 2), (16, 2), (16, 1)):
        x = block(net, x, channels, 3, 2)
        for _ in range(blocks):
            x = net.add(x, block(net, block(net, x, channels // 2, 1), channels))
        stages.append(x)
    boxes, scores = [], []
    for number, anchors in enumerate(ANCHORS):
        if number:
            larger = net.same(x, net.op(
                "Resize", block(net, x, 8, 1), np.zeros(0, np.float32), np.array([1, 1, 2, 2], np.float32), mode="nearest",
                coordinate_transformation_mode="asymmetric", nearest_mode="floor"))  # fmt: skip
            net.channels[larger] = 8
            x = net.join(larger, stages[-1 - number])
        for width, kernel in ((8, 1), (16, 3), (8, 1)):
            x = block(net, x, width, kernel)
        bias = ([0.0] * 4 + [-1.0] + [0.0] * CLASSES) * 3
        grid = net.conv(block(net, x, 16), 3 * (5 + CLASSES), 1, gain=0.05, bias=bias)
        own_boxes, own_scores = decode(net, grid, anchors, image_shape, box)
        boxes.append(own_boxes)
        scores.append(own_scores)
    detections(net, net.concat(boxes, 0), net.concat(scores, 0))
    return net.model()


def block(net: Network, x: str, channels: int, kernel: int = 3, stride: int = 1) -> str:
    return net.leaky(net.batch_norm(net.conv(x, channels, kernel, stride)))


def decode(
    net: Network, grid: str, anchors: Sequence[tuple[float, float]], image_shape: str, box: str
) -> tuple[str, str]:
    """Boxes f32[A, 4] in the image as it was and scores f32[A, CLASSES] of one scale.

    ``box``: height and width of the letterboxed image, f32[2].
    """
    cells = net.op("Transpose", grid, perm=[0, 2, 3, 1])
    size = net.span(net.op("Shape", cells), 0, 1, 3)
    rows, columns = (net.column(size, 0, i) for i in range(2))
    zero, one = np.array(0, np.int64), np.array(1, np.int64)
    y = net.op("Reshape", net.op("Range", zero, rows, one), whole(-1, 1, 1, 1))
    x = net.op("Reshape", net.op("Range", zero, columns, one), whole(1, -1, 1, 1))
    y = net.op("Tile", y, net.concat([whole(1), net.unsqueeze(columns, 0), whole(1, 1)], 0))
    x = net.op("Tile", x, net.concat([net.unsqueeze(rows, 0), whole(1, 1, 1)], 0))
    corner = net.cast(net.concat([x, y], 3), FLOAT)
    shape = net.concat([whole(-1), size, whole(3, 5 + CLASSES)], 0)
    cells = net.op("Reshape", cells, shape)
    extents = net.cast(net.op("Slice", size, whole(-1), whole(-3), whole(0), whole(-1)), FLOAT)
    middle = net.op(
        "Div", net.op("Add", net.op("Sigmoid", net.span(cells, 4, 0, 2)), corner), extents
    )
    priors = net.op("Div", np.array(anchors, np.float32).reshape(1, 1, 1, 3, 2), flipped(net, box))
    sizes = net.op("Mul", net.op("Exp", net.span(cells, 4, 2, 4)), priors)
    sure = net.op("Sigmoid", net.span(cells, 4, 4, 5))
    scores = net.op("Mul", sure, net.op("Sigmoid", net.span(cells, 4, 5, 5 + CLASSES)))

    # from the letterbox to the image: the longer side fills it, the shorter one is centred
    extent = net.squeeze(image_shape, 0)
    scale = net.op("ReduceMin", net.op("Div", box, extent), axes=[0], keepdims=1)
    filled = net.op("Round", net.op("Mul", extent, scale))
    offset = net.op("Div", net.op("Div", net.op("Sub", box, filled), single(2)), box)
    stretch = net.op("Div", box, filled)
    middle = net.op("Mul", net.op("Sub", flipped(net, middle), offset), stretch)
    half = net.op("Div", net.op("Mul", flipped(net, sizes), stretch), single(2))
    corners = [net.op(op, middle, half) for op in ("Sub", "Add")]
    boxes = net.op("Mul", net.concat(corners, 4), net.concat([extent, extent], 0))
    return net.op("Reshape", boxes, whole(-1, 4)), net.op("Reshape", scores, whole(-1, CLASSES))


def flipped(net: Network, x: str) -> str:
    """The last axis, of x and y, as y and x."""
    return net.op("Slice", x, whole(-1), whole(-3), whole(-1), whole(-1))


def detections(net: Network, boxes: str, scores: str) -> None:
    by_class = net.unsqueeze(net.op("Transpose", scores, perm=[1, 0]), 0)
    selected = net.op(
        "NonMaxSuppression", net.unsqueeze(boxes, 0), by_class, whole(10),
        np.array([0.45], np.float32), np.array([0.5], np.float32),
    )  # fmt: skip
    kind, number = net.column(selected, 1, 1), net.column(selected, 1, 2)
    net.output(net.op("Gather", boxes, number), "boxes", FLOAT, ["N", 4])
    net.output(net.op("GatherND", by_class, selected), "scores", FLOAT, ["N"])
    net.output(net.cast(kind, INT32), "classes", INT32, ["N"])
