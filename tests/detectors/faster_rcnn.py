"""Faster R-CNN with a ResNet-50-like backbone and FPN, as torchvision exports it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from detectors.boxes import best_of, bottleneck, decode_centres, suppressed
from detectors.network import FLOAT, INT64, Network, single, whole

WIDTH, CLASSES = 8, 4  # class 0 is the background
STRIDES, RATIOS = (4, 8, 16, 32, 64), (0.5, 1.0, 2.0)
BEFORE_NMS, AFTER_NMS, DETECTIONS = 60, 40, 20
POOLED, LOG_LIMIT = 4, float(np.log(1000 / 16))


def faster_rcnn(seed: int = 3) -> onnx.ModelProto:
    """image f32[3, height, width] -> boxes f32[N, 4], labels i64[N], scores f32[N], number i64."""
    net = Network("faster_rcnn", seed, 16)
    image = net.input("image", FLOAT, [3, "height", "width"])
    mean = np.array([0.485, 0.456, 0.406], np.float32).reshape(3, 1, 1)
    scaled = net.unsqueeze(net.op("Div", net.op("Sub", image, mean), single(0.225)), 0)
    net.channels[scaled] = 3
    extent = net.cast(net.op("Gather", net.op("Shape", image), whole(2, 1)), FLOAT)
    levels = feature_pyramid(net, backbone(net, scaled))
    proposals = region_proposals(net, levels, extent)
    features = pool_regions(net, levels[:4], proposals)
    classify(net, features, proposals, extent)
    return net.model()


def backbone(net: Network, x: str) -> list[str]:
    """Stages of strides 4, 8, 16 and 32."""
    x = net.max_pool(net.relu(net.batch_norm(net.conv(x, 8, 7, 2))), 3, 2)
    stages = []
    for stage, blocks in enumerate((1, 2, 1, 1)):
        for block in range(blocks):
            x = bottleneck(net, x, 4 << min(stage, 2), 2 if stage and not block else 1)
        stages.append(x)
    return stages


def feature_pyramid(net: Network, stages: Sequence[str]) -> list[str]:
    """From the top down: the coarser level enlarged to the size of the finer one and added."""
    top = net.conv(stages[-1], WIDTH, 1, gain=1.0)
    levels = [net.conv(top, WIDTH, gain=1.0)]
    for stage in reversed(stages[:-1]):
        lateral = net.conv(stage, WIDTH, 1, gain=1.0)
        size = net.span(net.op("Shape", lateral), 0, 2, 4)
        shape = net.concat([whole(1, WIDTH), size], 0)
        larger = net.op("Resize", top, None, None, shape, mode="nearest",
                        coordinate_transformation_mode="asymmetric", nearest_mode="floor")  # fmt: skip
        top = net.add(lateral, larger)
        levels.insert(0, net.conv(top, WIDTH, gain=1.0))
    return [*levels, net.max_pool(levels[-1], 1, 2)]


def region_proposals(net: Network, levels: Sequence[str], extent: str) -> str:
    """Boxes that may hold something, f32[P, 4] with P known at run time only."""
    shared, objectness, deltas = (
        net.normal(channels, WIDTH, kernel, kernel, scale=(gain / (WIDTH * kernel**2)) ** 0.5)
        for channels, kernel, gain in ((WIDTH, 3, 2.0), (3, 1, 1.0), (12, 1, 0.1))
    )
    found, scores = [], []
    for level, stride in zip(levels, STRIDES, strict=True):
        hidden = net.op("Relu", net.op("Conv", level, shared, pads=[1] * 4))
        logits = net.op("Transpose", net.op("Conv", hidden, objectness), perm=[0, 2, 3, 1])
        logits = net.op("Reshape", logits, whole(-1))
        top, at = best_of(net, logits, BEFORE_NMS)
        offsets = net.op("Reshape", net.op("Conv", hidden, deltas), whole(1, 3, 4, -1))
        offsets = net.op("Reshape", net.op("Transpose", offsets, perm=[0, 3, 1, 2]), whole(-1, 4))
        boxes = decode_centres(
            net, net.op("Gather", offsets, at), centred(net, net.op("Gather", anchors(net, level, stride), at)),
            1, limit=LOG_LIMIT,
        )  # fmt: skip
        boxes = inside_image(net, boxes, extent)
        large = net.true_positions(large_enough(net, boxes))
        boxes, top = net.op("Gather", boxes, large), net.op("Gather", top, large)
        kept = suppressed(net, boxes, top, AFTER_NMS, 0.7)
        found.append(net.op("Gather", boxes, kept))
        scores.append(net.op("Gather", top, kept))
    _, at = best_of(net, net.op("Sigmoid", net.concat(scores, 0)), AFTER_NMS)
    return net.op("Gather", net.concat(found, 0), at)


def anchors(net: Network, level: str, stride: int) -> str:
    """Three boxes of one area around each cell of a level, row by row: f32[H * W * 3, 4]."""
    shape = net.op("Shape", level)
    rows, columns = (
        net.op("Range", np.array(0, np.int64), net.column(shape, 0, axis), np.array(1, np.int64))
        for axis in (2, 3)
    )
    size = net.span(shape, 0, 2, 4)
    steps = np.array(stride, np.int64)
    y = net.op("Expand", net.unsqueeze(net.op("Mul", rows, steps), 1), size)
    x = net.op("Expand", net.unsqueeze(net.op("Mul", columns, steps), 0), size)
    x, y = (net.op("Reshape", net.cast(v, FLOAT), whole(-1, 1)) for v in (x, y))
    shifts = net.op("Reshape", net.concat([x, y, x, y], 1), whole(-1, 1, 4))
    half = [(4 * stride / ratio**0.5 / 2, 4 * stride * ratio**0.5 / 2) for ratio in RATIOS]
    cell = np.round(np.array([[-w, -h, w, h] for w, h in half], np.float32)).reshape(1, 3, 4)
    return net.op("Reshape", net.op("Add", shifts, cell), whole(-1, 4))


def centred(net: Network, boxes: str) -> str:
    """Corners as centres and sizes."""
    low, high = net.span(boxes, 1, 0, 2), net.span(boxes, 1, 2, 4)
    size = net.op("Sub", high, low)
    return net.concat([net.op("Add", low, net.op("Mul", size, single(0.5))), size], 1)


def inside_image(net: Network, boxes: str, extent: str) -> str:
    """Corners no further out than the image, whose width and height are ``extent``."""
    return net.op("Max", net.op("Min", boxes, net.concat([extent, extent], 0)), single(0))


def large_enough(net: Network, boxes: str) -> str:
    """Whether a box has an extent both ways: bool[N]."""
    x0, y0, x1, y1 = (net.column(boxes, 1, i) for i in range(4))
    wide, high = (
        net.op("GreaterOrEqual", net.op("Sub", b, a), single(1e-2)) for a, b in ((x0, x1), (y0, y1))
    )
    return net.op("And", wide, high)


def pool_regions(net: Network, levels: Sequence[str], proposals: str) -> str:
    """What RoiAlign reads of each proposal in the level of its size: f32[P, WIDTH, 4, 4]."""
    low, high = net.span(proposals, 1, 0, 2), net.span(proposals, 1, 2, 4)
    x, y = net.ops(2, "Split", net.op("Sub", high, low), whole(1, 1), axis=1)
    root = net.op("Sqrt", net.squeeze(net.op("Mul", x, y), 1))
    octave = net.op("Div", net.op("Log", net.op("Div", root, single(48))), single(np.log(2)))
    level_of = net.op("Floor", net.op("Add", octave, single(2 + 1e-6)))
    level_of = net.cast(net.op("Clip", level_of, single(0), single(3)), INT64)
    count = net.op("Shape", level_of)
    pooled = net.op(
        "ConstantOfShape", net.concat([count, whole(WIDTH, POOLED, POOLED)], 0),
        value=onnx.numpy_helper.from_array(np.zeros(1, np.float32)),
    )  # fmt: skip
    for number, (level, stride) in enumerate(zip(levels, STRIDES, strict=False)):
        mine = net.true_positions(net.op("Equal", level_of, np.array(number, np.int64)))
        aligned = net.op(
            "RoiAlign", level, net.op("Gather", proposals, mine),
            net.op("ConstantOfShape", net.op("Shape", mine),
                   value=onnx.numpy_helper.from_array(np.zeros(1, np.int64))),
            output_height=POOLED, output_width=POOLED, sampling_ratio=2, spatial_scale=1 / stride,
            coordinate_transformation_mode="output_half_pixel",
        )  # fmt: skip
        index = net.op("Reshape", mine, whole(-1, 1, 1, 1))
        index = net.op("Expand", index, net.op("Shape", aligned))
        pooled = net.op("ScatterElements", pooled, index, aligned, axis=0)
    return pooled


def classify(net: Network, features: str, proposals: str, extent: str) -> None:
    """The box head, the boxes of each class, and non-maximum suppression class by class."""
    hidden = net.op("Relu", net.gemm(net.op("Flatten", features), WIDTH * POOLED**2, 32, gain=0.5))
    hidden = net.op("Relu", net.gemm(hidden, 32, 32, gain=2.0))
    scores = net.op(
        "Softmax", net.gemm(hidden, 32, CLASSES, gain=2.0, bias=[1.5, 0, 0, 0]), axis=-1
    )
    deltas = net.op("Reshape", net.gemm(hidden, 32, CLASSES * 4, gain=0.02), whole(-1, CLASSES, 4))
    boxes = decode_centres(
        net, deltas, net.unsqueeze(centred(net, proposals), 1), 2, limit=LOG_LIMIT
    )
    boxes = inside_image(net, boxes, extent)
    found: list[tuple[str, str, str]] = []
    for label in range(1, CLASSES):
        own, sure = net.column(boxes, 1, label), net.column(scores, 1, label)
        likely = net.op("And", net.op("Greater", sure, single(0.5)), large_enough(net, own))
        likely = net.true_positions(likely)
        own, sure = net.op("Gather", own, likely), net.op("Gather", sure, likely)
        kept = suppressed(net, own, sure, AFTER_NMS, 0.5)
        labels = net.op("Expand", whole(label), net.op("Shape", kept))
        found.append((net.op("Gather", own, kept), labels, net.op("Gather", sure, kept)))
    boxes, labels, scores = (net.concat(column, 0) for column in zip(*found, strict=True))
    scores, at = best_of(net, scores, DETECTIONS)
    labels = net.op("Gather", labels, at)
    known = net.op("Where", net.op("Less", labels, whole(CLASSES)), whole(1), whole(0))
    net.output(net.op("Gather", boxes, at), "boxes", FLOAT, ["N", 4])
    net.output(labels, "labels", INT64, ["N"])
    net.output(scores, "scores", FLOAT, ["N"])
    net.output(net.with_axes("ReduceSum", known, [0], keepdims=0), "number", INT64, [])
