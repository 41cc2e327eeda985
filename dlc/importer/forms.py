"""Whether a node has the operands and attributes that its schema asks for.

Named ops are held against it by onnx's shape inference; nodes that leave no op behind, here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import defs

from dlc.errors import ModelError
from dlc.ops.onnx.operator import attribute_kind

_OPTION = defs.OpSchema.FormalParameterOption


def check_form(schema: defs.OpSchema, node: onnx.NodeProto, operands: Sequence[object]) -> None:
    """Raise ModelError for operands too many or too few, and attributes missing or of another kind."""
    if not schema.min_input <= len(operands) <= schema.max_input:
        raise ModelError(f"{node.op_type} has {len(operands)} operands")
    for index, operand in enumerate(operands):
        declared = schema.inputs[min(index, len(schema.inputs) - 1)]
        if operand is None and declared.option != _OPTION.Optional:
            raise ModelError(f"operand {index} of {node.op_type} is absent")
    given = {attribute.name: attribute for attribute in node.attribute}
    for name, attribute in given.items():
        known = schema.attributes.get(name)
        if known is None or attribute_kind(known) != attribute.type:
            raise ModelError(f"{node.op_type} has no attribute {name!r} of such a kind")
    for name, known in schema.attributes.items():
        if known.required and name not in given:
            raise ModelError(f"{node.op_type} lacks the attribute {name!r}")


def whole_number(array: np.ndarray[Any, Any]) -> int:
    """The one integer or truth value in an array; ModelError when it holds anything else."""
    if array.size != 1 or array.dtype.kind not in "iub":
        raise ModelError(f"{array.dtype}{list(array.shape)} where one integer is needed")
    return int(array.reshape(-1)[0])
