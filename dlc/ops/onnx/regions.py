"""Expansions of RoiAlign and MaxRoiPool."""

from __future__ import annotations

from dlc.ir.graph import Value
from dlc.ir.types import DType
from dlc.ops.build import apply, cast
from dlc.ops.core.roi_align import RoiAlign
from dlc.ops.core.roi_max_pool import RoiMaxPool
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.onnx.precision import in_f32


@expansion("RoiAlign")
@in_f32
def roi_align(call: Call, x: Value, rois: Value, image: Value) -> Value:
    """Before opset 16 pixels were not at their centres."""
    operator = RoiAlign(
        (call.attr("output_height"), call.attr("output_width")), call.attr("mode").lower(),
        max(call.attr("sampling_ratio"), 0), call.attr("spatial_scale"),
        half_pixel=call.attr("coordinate_transformation_mode", "") == "half_pixel",
    )  # fmt: skip
    return apply(operator, x, rois, cast(image, DType.I64))


@expansion("MaxRoiPool")
@in_f32
def max_roi_pool(call: Call, x: Value, rois: Value) -> Value:
    height, width = call.attr("pooled_shape")
    return apply(RoiMaxPool((height, width), call.attr("spatial_scale")), x, rois)
