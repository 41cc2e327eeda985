"""Nested graphs of If, Loop and Scan as ONNX writes them: what they read, what is passed in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import onnx

from dlc.errors import ModelError
from dlc.ir.types import DType, TensorType


def free_names(graph: onnx.GraphProto) -> dict[str, None]:
    """Names a nested graph reads but does not define, in the order it reads them."""
    defined = {info.name for info in graph.input} | {tensor.name for tensor in graph.initializer}
    free: dict[str, None] = {}

    def read(names: Iterable[str]) -> None:
        free.update((name, None) for name in names if name and name not in defined)

    for node in graph.node:
        read(node.input)
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                read(free_names(attribute.g))
        defined.update(node.output)
    read(info.name for info in graph.output)
    return free


def fed(kind: str, operands: Sequence[TensorType | None], attrs: Mapping[str, object],
        label: str) -> list[TensorType]:  # fmt: skip
    """Types of the values an If, Loop or Scan (9 on) passes into its body, captures apart.

    Raises ModelError when operands and attributes do not agree.
    """
    if kind == "If":
        return []
    types = list(operands)
    if kind == "Loop":
        types = [TensorType(DType.I64, ()), TensorType(DType.BOOL, ()), *types[2:]]
    else:
        scans = attrs.get("num_scan_inputs", 0)
        assert isinstance(scans, int)
        first = len(types) - scans
        axes = attrs.get("scan_input_axes") or (0,) * scans
        if not isinstance(axes, tuple) or scans < 1 or first < 0 or len(axes) != scans:
            raise ModelError(f"node {label!r}: its operands and num_scan_inputs do not agree")
        for index, axis in enumerate(axes, first):
            type = types[index]
            if type is None or not -type.rank <= axis < type.rank:
                raise ModelError(f"node {label!r}: operand {index} has no axis {axis} to scan")
            axis %= type.rank
            types[index] = type.with_shape((*type.shape[:axis], *type.shape[axis + 1 :]))
    present = [type for type in types if type is not None]
    if len(present) < len(types):
        raise ModelError(f"node {label!r}: a value that its body needs is absent")
    return present
