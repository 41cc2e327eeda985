"""Which ops may compute on channels in blocks (``assign-layout``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from dlc.ir.expr import A0, Call, Expr
from dlc.ir.graph import Op, Value
from dlc.ir.sizes import Dim
from dlc.ir.types import DType
from dlc.ops.core.blocked import BLOCK
from dlc.ops.core.concat import Concat
from dlc.ops.core.conv import Conv
from dlc.ops.core.epilogue import WithEpilogue
from dlc.ops.core.map import Map
from dlc.ops.core.pool import Pool
from dlc.ops.core.reduce import Reduce
from dlc.ops.core.resample import Resample
from dlc.ops.core.slice import Slice

_LEAST_FILTERS = 6
"""Convolutions of fewer filters would compute mostly what nobody reads."""

Chosen = dict[Value, None]
"""Values that are stored in blocks."""


def is_image(value: Value) -> bool:
    """Whether a value is a batch of f32 images of a fixed size."""
    type = value.type
    return type.rank == 4 and type.dtype is DType.F32 and type.is_static and 0 not in type.dims


def _fits(value: Value | None, like: Sequence[int]) -> bool:
    """Whether an element-wise op on blocked images of the dims ``like`` can read a value."""
    if value is None or value.type.dtype is not DType.F32 or not value.type.is_static:
        return False
    if value.type.rank > 4 or value.type.capacity == 0:
        return False
    dims = (1,) * (4 - value.type.rank) + value.shape
    return all(dim in (1, size) for dim, size in zip(dims, like, strict=True))


def _extras_fit(op: Op) -> bool:
    operator = op.operator
    assert isinstance(operator, WithEpilogue)
    extras = op.operands[operator.main_operands :]
    return all(_fits(v, op.types[0].dims) for v in extras)


def _all_fixed(dims: Sequence[Dim]) -> bool:
    return all(isinstance(dim, int) for dim in dims)


def _check_conv(op: Op, chosen: Chosen) -> bool:
    operator, (x, w, *_) = op.operator, op.operands
    assert isinstance(operator, Conv)
    if x is None or w is None or not is_image(x) or w.constant is None or not _extras_fit(op):
        return False
    if not _all_fixed(operator.pads):
        return False
    filters, depth = w.shape[:2]
    if operator.groups > 1:
        return depth == 1 and filters == operator.groups
    if _rounds(operator.epilogue) and (w.constant % 1).any():
        return False  # the blocked order of sums would round some bytes otherwise than onnxruntime
    return filters >= _LEAST_FILTERS


def _rounds(epilogue: Expr) -> bool:
    """Whether the value becomes a byte on its way."""
    return any(isinstance(e, Call) and e.function in ("i8", "u8") for e in epilogue.walk())


def _check_pool(op: Op, chosen: Chosen) -> bool:
    operator = op.operator
    assert isinstance(operator, Pool)
    fixed = _all_fixed((*operator.pads, *operator.overhang)) and set(operator.dilations) == {1}
    return op.operands[0] in chosen and fixed and _extras_fit(op)


def _check_reduce(op: Op, chosen: Chosen) -> bool:
    """Of whole images, the elements as they are or as the op that makes them may compute them."""
    operator, x = op.operator, op.operands[0]
    assert isinstance(operator, Reduce)
    if x not in chosen or operator.arity != 1:
        return False
    assert x is not None
    fusible = (
        isinstance(x.op.operator, Conv | Pool) and x.user is op and operator.element.size <= 32
    )
    return (
        operator.axes == (2, 3) and operator.keepdims and operator.function in ("add", "max")
        and (operator.element == A0 or fusible) and _extras_fit(op)
        and operator.element.dtype_of([DType.F32]) is DType.F32
    )  # fmt: skip


def drops_image(op: Op, chosen: Chosen) -> bool:
    """Whether an op reduces whole images to a matrix."""
    operator = op.operator
    return (
        isinstance(operator, Reduce) and op.operands[0] in chosen and len(op.operands) == 1
        and operator.axes == (2, 3) and not operator.keepdims and op.types[0].is_static
    )  # fmt: skip


def _check_map(op: Op, chosen: Chosen) -> bool:
    like = op.types[0].dims
    full = any(v in chosen and v.shape == like for v in op.operands if v is not None)
    return full and all(_fits(v, like) for v in op.operands)


def _check_concat(op: Op, chosen: Chosen) -> bool:
    operator = op.operator
    assert isinstance(operator, Concat)
    images = [v for v in op.operands if v is not None]
    return (
        operator.axis == 1 and any(v in chosen for v in images)
        and all(v.shape[1] % BLOCK == 0 for v in images)
    )  # fmt: skip


def _check_slice(op: Op, chosen: Chosen) -> bool:
    """Whole blocks of channels, and all of the other axes."""
    operator, x = op.operator, op.operands[0]
    assert isinstance(operator, Slice)
    if x not in chosen or not _all_fixed((*operator.starts, *operator.steps)):
        return False
    assert x is not None
    first, count = operator.fixed(operator.starts)[1], op.types[0].dims[1]
    others = [axis for axis in range(4) if axis != 1]
    return (
        first % BLOCK == count % BLOCK == 0 and set(operator.steps) == {1}
        and all(op.types[0].dims[axis] == x.shape[axis] for axis in others)
    )  # fmt: skip


def _check_resample(op: Op, chosen: Chosen) -> bool:
    operator = op.operator
    assert isinstance(operator, Resample)
    return op.operands[0] in chosen and operator.axis in (2, 3)


CHECKS: Mapping[type, Callable[[Op, Chosen], bool]] = {
    Conv: _check_conv, Pool: _check_pool, Reduce: _check_reduce, Map: _check_map,
    Concat: _check_concat, Resample: _check_resample, Slice: _check_slice,
}  # fmt: skip
