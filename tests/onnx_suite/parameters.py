"""Operands that say how, not what, as initializers: they are in almost every exported model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

PARAMETERS = {
    "AffineGrid": [1], "CenterCropPad": [1], "Col2Im": [1, 2], "ConstantOfShape": [0], "DFT": [1, 2],
    "Dropout": [1, 2], "Expand": [1], "OneHot": [1], "Pad": [1, 3], "Range": [0, 1, 2],
    "ReduceL1": [1], "ReduceL2": [1], "ReduceLogSum": [1], "ReduceLogSumExp": [1], "ReduceMax": [1],
    "ReduceMean": [1], "ReduceMin": [1], "ReduceProd": [1], "ReduceSum": [1],
    "ReduceSumSquare": [1], "Reshape": [1], "Resize": [1, 2, 3], "Slice": [1, 2, 3, 4],
    "Split": [1], "Squeeze": [1], "STFT": [1, 3], "Tile": [1], "TopK": [1], "Unsqueeze": [1],
    "Upsample": [1], "BlackmanWindow": [0], "HannWindow": [0], "HammingWindow": [0],
    "MelWeightMatrix": [0, 1, 2, 3, 4], "MaxUnpool": [2], "SequenceAt": [1], "SequenceErase": [1],
    "SequenceInsert": [2], "SplitToSequence": [1],
}  # fmt: skip


def with_parameters(model: onnx.ModelProto, given: Mapping[str, Any]) -> onnx.ModelProto:
    """The model with the operands that say how as initializers of the given values."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    names = parameter_names(model) & set(given)
    fixed.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(given[name]), name) for name in sorted(names)
    )
    kept = [info for info in model.graph.input if info.name not in names]
    del fixed.graph.input[:]
    fixed.graph.input.extend(kept)
    return fixed


def parameter_names(model: onnx.ModelProto) -> set[str]:
    """Inputs of the model that some node takes as an operand that says how."""
    inputs = {info.name for info in model.graph.input}
    used = {node.input[i] for node in model.graph.node for i in _parameters(node, model)
            if i < len(node.input)}  # fmt: skip
    return used & inputs


def _parameters(node: onnx.NodeProto, model: onnx.ModelProto) -> list[int]:
    plain = all(info.type.HasField("tensor_type") for info in model.graph.output)
    if node.op_type in ("If", "Loop") and not plain:  # they say how long sequences become
        return [0] if node.op_type == "If" else [0, 1]
    return PARAMETERS.get(node.op_type, [])
