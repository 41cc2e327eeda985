"""How an element-wise named op computes the same on reshaped operands."""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np

from dlc.ir.graph import Op, Value
from dlc.ir.operator import Array
from dlc.ops.onnx.named import BROADCASTING, POINTWISE, onnx_operator

#: a broadcast constant is not written out beyond this to see whether it still broadcasts
_MAX_ELEMENTS = 1 << 20

Operands = list[Value | Array | None]


def is_elementwise(op: Op) -> bool:
    """Whether an op computes each element from the elements in the same (broadcast) place."""
    return op.operator.label in POINTWISE or op.operator.label in BROADCASTING


def in_shape(op: Op, main: Collection[Value], shape: tuple[int, ...]) -> Operands | str:
    """The operands of an element-wise op when the ``main`` ones come in another shape.

    Those of ``main`` stay in their places, to be replaced; constants are new arrays that broadcast
    to ``shape``. A string says why there are none.
    """
    if op.operator.label in POINTWISE:
        return list(op.operands) if op.operands[0] in main else "its first operand is not reshaped"
    if onnx_operator(op).version < 7:
        return "it broadcasts as before opset 7"
    found: Operands = []
    for index, value in enumerate(op.operands):
        if value is None or value in main:
            found.append(value)
        elif value.constant is not None:
            array = _rebroadcast(value.constant, op.types[0].dims, shape)
            if array is None:
                return f"constant operand {index} does not broadcast to {list(shape)}"
            found.append(array)
        elif value.type.is_static and value.type.capacity == 1 and value.type.rank <= len(shape):
            found.append(value)
        else:
            return f"operand {index} is neither reshaped nor constant"
    return found


def _rebroadcast(array: Array, before: tuple[int, ...], after: tuple[int, ...]) -> Array | None:
    """The array of equal size that broadcasts to ``after`` as ``array`` does to ``before``."""
    if array.size == 1:
        return array.reshape(())
    if math.prod(before) > _MAX_ELEMENTS or 0 in before:
        return None
    full = np.broadcast_to(array, before).reshape(after)
    for axis in range(full.ndim):
        first = full.take([0], axis)
        if np.array_equal(np.broadcast_to(first, full.shape), full):
            full = first
    return np.ascontiguousarray(full) if full.size <= array.size else None
