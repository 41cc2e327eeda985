"""SSD with a MobileNet backbone, as tf2onnx writes TensorFlow's detection models."""

from __future__ import annotations

import numpy as np
import onnx

from detectors.boxes import best_of, prior_boxes, rows_of
from detectors.network import FLOAT, UINT8, Network, single, whole

SIZE, CLASSES, GRIDS = 64, 4, (8, 4, 2)
SCALES, RATIOS = ((12.0,), (24.0,), (44.0,)), (0.5, 1.0, 2.0)
DETECTIONS = 20


def ssd_mobilenet(seed: int = 2) -> onnx.ModelProto:
    """image_tensor u8[1, 80, 72, 3] -> the 20 best detections, with zeros after the last of them.

    detection_boxes f32[1, 20, 4] (y0, x0, y1, x1 in fractions of the image), detection_classes and
    detection_scores f32[1, 20], num_detections f32[1].
    """
    net = Network("ssd_mobilenet", seed, 13)
    image = net.input("image_tensor", UINT8, [1, 80, 72, 3])
    x = net.op("Transpose", net.cast(image, FLOAT), perm=[0, 3, 1, 2])
    shape = net.concat([net.span(net.op("Shape", x), 0, 0, 2), whole(SIZE, SIZE)], 0)
    x = net.op(
        "Resize", x, None, None, shape, mode="linear", coordinate_transformation_mode="half_pixel"
    )
    x = net.op("Sub", net.op("Mul", x, single(2 / 255)), single(1))
    net.channels[x] = 3
    x = net.relu6(net.batch_norm(net.conv(x, 8, 3, 2)))
    features = []
    for channels, stride in ((12, 1), (16, 2), (16, 1), (24, 2), (24, 1), (32, 2), (32, 2)):
        x = net.relu6(net.batch_norm(net.conv(x, net.channels[x], 3, stride, depthwise=True)))
        x = net.relu6(net.batch_norm(net.conv(x, channels, 1)))
        if channels >= 24 and (stride == 1 or channels == 32):
            features.append(x)
    heads = [(rows_of(net, net.conv(f, 12, 1, gain=20.0), 4),
              rows_of(net, net.conv(f, 3 * CLASSES, 1, gain=20.0, bias=-1.0), CLASSES))
             for f in features]  # fmt: skip
    deltas, logits = (net.concat(column, 1) for column in zip(*heads, strict=True))
    priors = np.concatenate([
        prior_boxes(SIZE, (grid,), (own,), RATIOS) for grid, own in zip(GRIDS, SCALES, strict=True)
    ])  # fmt: skip
    boxes = decode(net, net.squeeze(deltas, 0), priors)
    scores = net.op("Transpose", net.op("Sigmoid", logits), perm=[0, 2, 1])
    detections(net, boxes, scores)
    return net.model()


def decode(net: Network, deltas: str, priors: np.ndarray) -> str:
    """Corners y0, x0, y1, x1 inside the image, column by column as TensorFlow's box coder unstacks."""
    dy, dx, dh, dw = (net.op("Squeeze", v, whole(0)) for v in net.ops(
        4, "Split", net.op("Transpose", deltas, perm=[1, 0]), whole(1, 1, 1, 1), axis=0))  # fmt: skip
    x, y, w, h = (np.ascontiguousarray(priors[:, i]) for i in range(4))
    corners: list[list[str]] = [[], []]
    for offset, growth, centre, extent in ((dy, dh, y, h), (dx, dw, x, w)):
        middle = net.op("Add", net.op("Mul", net.op("Div", offset, single(10)), extent), centre)
        half = net.op(
            "Div", net.op("Mul", net.op("Exp", net.op("Div", growth, single(5))), extent), single(2)
        )
        for side, op in zip(corners, ("Sub", "Add"), strict=True):
            inside = net.op("Max", net.op("Min", net.op(op, middle, half), single(1)), single(0))
            side.append(net.unsqueeze(inside, 1))
    return net.concat([*corners[0], *corners[1]], 1)


def detections(net: Network, boxes: str, scores: str) -> None:
    """Suppression class by class, the best of all, and zeros up to the number that is promised."""
    selected = net.op(
        "NonMaxSuppression", net.unsqueeze(boxes, 0), scores, whole(DETECTIONS),
        np.array([0.6], np.float32), np.array([0.5], np.float32),
    )  # fmt: skip
    best, at = best_of(net, net.op("GatherND", scores, selected), DETECTIONS)
    selected = net.op("Gather", selected, at)
    kind = net.squeeze(net.span(selected, 1, 1, 2), 1)
    kept = net.op("Gather", boxes, net.squeeze(net.span(selected, 1, 2, 3), 1))
    count = net.op("Shape", best)
    missing = net.op("Sub", whole(DETECTIONS), count)
    after = net.concat([whole(0), missing], 0)
    classes = net.op("Add", net.cast(kind, FLOAT), single(1))
    rows = net.concat([whole(0, 0), missing, whole(0)], 0)
    for name, value, pads, shape in (
        ("detection_boxes", kept, rows, [1, DETECTIONS, 4]),
        ("detection_classes", classes, after, [1, DETECTIONS]),
        ("detection_scores", best, after, [1, DETECTIONS]),
    ):
        net.output(net.unsqueeze(net.op("Pad", value, pads), 0), name, FLOAT, shape)
    net.output(net.cast(count, FLOAT), "num_detections", FLOAT, [1])
