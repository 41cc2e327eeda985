"""Builders of object detectors as exporters write them, small and with seeded random weights.

Each is one graph from an image to boxes, labels and scores, post-processing included.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import onnx

from detectors.faster_rcnn import faster_rcnn
from detectors.ssd_mobilenet import ssd_mobilenet
from detectors.ssd_resnet34 import ssd_resnet34
from detectors.yolov3 import yolov3
from detectors.yolov4_tiny import yolov4_tiny
from dlc.ir.sizes import AtMost

DETECTORS: dict[str, Callable[[], onnx.ModelProto]] = {
    builder.__name__: builder
    for builder in (faster_rcnn, ssd_resnet34, ssd_mobilenet, yolov3, yolov4_tiny)
}
#: sizes of inputs that a detector leaves open
BOUNDS: Mapping[str, Mapping[str, Any]] = {
    "faster_rcnn": {"height": AtMost(128), "width": AtMost(128)},
    "yolov3": {"H": AtMost(128), "W": AtMost(128)},
}
