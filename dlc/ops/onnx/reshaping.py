"""How an element-wise named op computes the same on reshaped operands."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator

from dlc.ir.graph import Op, Value
from dlc.ir.operator import Array
from dlc.ops.onnx.named import BROADCASTING, POINTWISE, onnx_operator

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
    """The elements of ``array`` so that they broadcast to ``after`` as they do to ``before``."""
    if array.size == 1:
        return array.reshape(())
    own = (1,) * (len(before) - array.ndim) + array.shape
    shape: tuple[int, ...] = ()
    for old, new in _groups(before, after):
        size = math.prod(own[old])
        if size not in (1, math.prod(before[old])):
            return None  # it varies along some of these axes only, which are mixed now
        shape += after[new] if size > 1 else (1,) * len(after[new])
    return array.reshape(shape)


def _groups(before: tuple[int, ...], after: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    """The smallest runs of axes that hold as many elements in both shapes, which have no zeros."""
    i = j = 0
    while i < len(before) and j < len(after):
        start, p, q = (i, j), before[i], after[j]
        i, j = i + 1, j + 1
        while p != q:
            if p < q:
                p, i = p * before[i], i + 1
            else:
                q, j = q * after[j], j + 1
        yield slice(start[0], i), slice(start[1], j)
    yield slice(i, len(before)), slice(j, len(after))  # ones
