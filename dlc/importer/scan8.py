"""Scan of opset 8, which has a batch axis, as two of opset 9: one over the batch, one inside it."""

from __future__ import annotations

import onnx
from onnx import helper

from dlc.errors import ModelError, UnsupportedError


def is_batched(node: onnx.NodeProto, version: int) -> bool:
    """Whether a node is a Scan of opset 8 (and not made here)."""
    made_here = any(a.name == "scan_input_axes" for a in node.attribute)
    return node.op_type == "Scan" and version < 9 and not made_here


def unbatched(node: onnx.NodeProto, label: str) -> onnx.NodeProto:
    """The Scan of opset 9 over the batch whose body holds the one over the sequence.

    UnsupportedError where sequences of a batch may differ in length.
    """
    if not node.input or node.input[0]:
        raise UnsupportedError("Scan of opset 8 with sequence_lens; give all sequences one length")
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    body, scans = attributes.get("body"), attributes.get("num_scan_inputs", 0)
    if not isinstance(body, onnx.GraphProto) or not 0 < scans < len(node.input):
        raise ModelError(f"node {label!r} has no body, or nothing to scan")
    operands = list(node.input[1:])
    inputs = [f"{label} x{i}" for i in range(len(operands))]
    outputs = [f"{label} y{i}" for i in range(len(body.output))]
    inner = helper.make_node(
        "Scan", inputs, outputs, name=label, body=body, num_scan_inputs=scans,
        scan_input_axes=[0] * scans,
        scan_input_directions=attributes.get("directions") or [0] * scans,
    )  # fmt: skip
    outer = helper.make_graph(
        [inner], f"{body.name}_batch", [onnx.ValueInfoProto(name=name) for name in inputs],
        [onnx.ValueInfoProto(name=name) for name in outputs],
    )  # fmt: skip
    return helper.make_node(
        "Scan", operands, list(node.output), name=node.name, body=outer,
        num_scan_inputs=len(operands), scan_input_axes=[0] * len(operands),
    )  # fmt: skip
