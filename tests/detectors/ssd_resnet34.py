"""SSD with a ResNet-34-like backbone, as the PyTorch reference implementation of MLPerf exports it."""

from __future__ import annotations

import numpy as np
import onnx

from detectors.boxes import best_of, decode_centres, prior_boxes, residual, rows_of
from detectors.network import FLOAT, INT64, Network, whole

SIZE, CLASSES, GRIDS = 96, 5, (12, 6, 3, 2)
SCALES = ((10.0, 16.0), (24.0, 32.0), (44.0, 60.0), (80.0, 90.0))
RATIOS = (1.0, 2.0)
PER_CELL, DETECTIONS = 4, 30


def ssd_resnet34(seed: int = 1) -> onnx.ModelProto:
    """image f32[1, 3, 96, 96] -> bboxes f32[1, N, 4], labels i64[1, N], scores f32[1, N]."""
    net = Network("ssd_resnet34", seed, 12)
    x = net.input("image", FLOAT, [1, 3, SIZE, SIZE])
    net.channels[x] = 3
    x = net.max_pool(net.relu(net.batch_norm(net.conv(x, 8, 7, 2))), 3, 2)
    for channels, stride in ((8, 1), (8, 1), (12, 2), (12, 1), (16, 1)):
        x = residual(net, x, channels, stride)
    features = [x]
    for stride in (2, 2, 2):
        features.append(net.relu(net.conv(net.relu(net.conv(features[-1], 8, 1)), 16, 3, stride)))

    background = [1.5] + [0.0] * (CLASSES - 1)
    deltas = [rows_of(net, net.conv(f, 4 * PER_CELL, gain=1.0), 4) for f in features]
    logits = [rows_of(net, net.conv(f, CLASSES * PER_CELL, gain=0.3, bias=background), CLASSES) for f in features]  # fmt: skip
    scores = net.op("Softmax", net.concat(logits, 1), axis=2)
    priors = np.concatenate([
        prior_boxes(SIZE, (grid,), (own,), RATIOS) for grid, own in zip(GRIDS, SCALES, strict=True)
    ])[None]  # fmt: skip
    boxes = decode_centres(net, net.concat(deltas, 1), priors, 2, variances=(0.1, 0.2))

    # the background is cut off, so that the first class of the selection is label 1
    by_class = net.op("Transpose", net.span(scores, 2, 1, CLASSES), perm=[0, 2, 1])
    selected = net.op(
        "NonMaxSuppression", boxes, by_class, whole(20), np.array([0.5], np.float32), np.array([0.86], np.float32)
    )  # fmt: skip
    sure, at = best_of(net, net.op("GatherND", by_class, selected), DETECTIONS)
    selected = net.op("Gather", selected, at)
    kind, box = net.column(selected, 1, 1), net.column(selected, 1, 2)
    net.output(net.op("Gather", boxes, box, axis=1), "bboxes", FLOAT, [1, "N", 4])
    net.output(net.unsqueeze(net.op("Add", kind, whole(1)), 0), "labels", INT64, [1, "N"])
    net.output(net.unsqueeze(sure, 0), "scores", FLOAT, [1, "N"])
    return net.model()
