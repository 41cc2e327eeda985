"""How a named op computes the same on operands whose axes come in another order.

``permuted(op, ...)``: given that operands are transposes by one permutation, the op on what they are
transposes of. ``perm`` is always that of ``Transpose``: axis ``a`` of the transposed value is axis
``perm[a]`` of the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dlc.ir.graph import Op, Value
from dlc.ir.operator import Array
from dlc.ops.onnx.named import (
    BROADCASTING,
    POINTWISE,
    axis_from_front,
    onnx_operator,
    pads_of,
    setting,
    with_attributes,
)
from dlc.ops.onnx.operator import OnnxOperator

Perm = tuple[int, ...]
#: permutations of the operands that are transposes
Moved = Mapping[Value, Perm]


@dataclass(frozen=True, slots=True)
class Permuted:
    """The op on untransposed operands; each of its results transposed by ``perm`` is the op's.

    An operand is a value as before (to be replaced if it is a transpose), or a new constant.
    """

    operator: OnnxOperator
    operands: tuple[Value | Array | None, ...]
    perm: Perm


def permuted(op: Op, moved: Moved) -> Permuted | str:
    """The op before the transposes instead of after them, or the reason why it cannot be.

    At least one operand of the op is in ``moved``.
    """
    kind = op.operator.label
    rule = _RULES.get(kind)
    if rule is None:
        return f"{kind} depends on the order of its axes"
    perms = {moved[value] for value in op.operands if value is not None and value in moved}
    if len(perms) > 1:
        return "its operands are transposed in different ways"
    return rule(op, moved, perms.pop())


def inverse(perm: Perm) -> Perm:
    """The permutation that undoes ``perm``."""
    return tuple(perm.index(axis) for axis in range(len(perm)))


def without(perm: Perm, axes: Sequence[int]) -> Perm:
    """What is left of ``perm`` when these axes of the transposed value go."""
    kept = [axis for i, axis in enumerate(perm) if i not in axes]
    return tuple(sorted(kept).index(axis) for axis in kept)


def _pointwise(op: Op, moved: Moved, perm: Perm) -> Permuted | str:
    if op.operands[0] not in moved:
        return "its first operand is not transposed"
    return Permuted(onnx_operator(op), op.operands, perm)


def _quantised(op: Op, moved: Moved, perm: Perm) -> Permuted | str:
    operator, scale = onnx_operator(op), op.operands[1]
    if scale is None or operator.attr("block_size", 0) or scale in moved:
        return "its scales come in blocks"
    if scale.type.rank == 0 or scale.type.capacity == 1:
        return Permuted(operator, op.operands, perm)
    axis = perm[axis_from_front(operator.attr("axis", 1), len(perm))]
    return Permuted(with_attributes(operator, axis=axis), op.operands, perm)


def _broadcasting(op: Op, moved: Moved, perm: Perm) -> Permuted | str:
    operator, rank = onnx_operator(op), len(perm)
    if operator.version < 7:
        return "it broadcasts as before opset 7"
    operands: list[Value | Array | None] = []
    for index, value in enumerate(op.operands):
        if value is None or value in moved:
            operands.append(value)
        elif value.type.rank > rank:
            return f"operand {index} has more axes"
        elif value.type.is_static and value.type.capacity == 1:
            operands.append(value)
        elif value.constant is None:
            return f"operand {index} is neither transposed nor constant"
        else:
            array = value.constant
            full = array.reshape((1,) * (rank - array.ndim) + array.shape)
            operands.append(full.transpose(inverse(perm)))
    return Permuted(operator, tuple(operands), perm)


def _concat(op: Op, moved: Moved, perm: Perm) -> Permuted | str:
    operands: list[Value | Array | None] = []
    for index, value in enumerate(op.operands):
        if value is None or value in moved:
            operands.append(value)
        elif value.constant is None:
            return f"operand {index} is neither transposed nor constant"
        else:
            operands.append(value.constant.transpose(inverse(perm)))
    return Permuted(_with_axis(op, perm), tuple(operands), perm)


def _along_axis(op: Op, moved: Moved, perm: Perm) -> Permuted | str:
    """Ops whose attribute ``axis`` says all there is to say, and which keep the shape's rank."""
    if onnx_operator(op).type.endswith("oftmax") and onnx_operator(op).version < 13:
        return "it works on all axes from one on before opset 13"
    return Permuted(_with_axis(op, perm), op.operands, perm)


def _arg(op: Op, moved: Moved, perm: Perm) -> Permuted | str:
    operator = onnx_operator(op)
    axis = axis_from_front(operator.attr("axis", 0), len(perm))
    result = perm if operator.attr("keepdims") else without(perm, [axis])
    return Permuted(_with_axis(op, perm), op.operands, result)


def _reduce(op: Op, moved: Moved, perm: Perm) -> Permuted | str:
    operator, rank = onnx_operator(op), len(perm)
    found = setting(op, 1, "axes", ())
    if found is None:
        return "its axes are not constant"
    axes = [axis_from_front(int(axis), rank) for axis in found]
    operands: tuple[Value | Array | None, ...] = op.operands
    if not axes:  # nothing to rename: it reduces all axes, or none
        axes = [] if operator.attr("noop_with_empty_axes", 0) else list(range(rank))
    elif len(op.operands) > 1:
        operands = (op.operands[0], np.array(_sorted(axes, perm), np.int64))
    else:
        operator = with_attributes(operator, axes=_sorted(axes, perm))
    return Permuted(operator, operands, perm if operator.attr("keepdims") else without(perm, axes))


def _squeeze(op: Op, moved: Moved, perm: Perm) -> Permuted | str:
    (x, *_), operator = op.operands, onnx_operator(op)
    assert x is not None
    found = setting(op, 1, "axes", [i for i, dim in enumerate(x.type.shape) if dim == 1])
    if found is None:
        return "its axes are not constant"
    axes = [axis_from_front(int(axis), len(perm)) for axis in found]
    operands: tuple[Value | Array | None, ...] = op.operands
    if operator.version < 13:
        operator = with_attributes(operator, axes=_sorted(axes, perm))
    else:
        operands = (x, np.array(_sorted(axes, perm), np.int64))
    return Permuted(operator, operands, without(perm, axes))


def _pad(op: Op, moved: Moved, perm: Perm) -> Permuted | str:
    pads, operator = pads_of(op), onnx_operator(op)
    if pads is None:
        return "its pads are not constant"
    back = inverse(perm)
    flat = tuple(side[axis] for side in pads for axis in back)
    if operator.version < 11:
        return Permuted(with_attributes(operator, pads=flat), op.operands, perm)
    rest = op.operands[2:3]
    return Permuted(operator, (op.operands[0], np.array(flat, np.int64), *rest), perm)


def _slice(op: Op, moved: Moved, perm: Perm) -> Permuted | str:
    operator = onnx_operator(op)
    starts = setting(op, 1, "starts")
    if starts is None:
        return "its bounds are not constant"
    axes = setting(op, 3, "axes", range(len(starts)))
    if axes is None:
        return "its axes are not constant"
    there = tuple(perm[axis_from_front(int(axis), len(perm))] for axis in axes)
    if operator.version < 10:  # onnx infers its shape only for axes in order
        bounds = zip(there, operator.attr("starts"), operator.attr("ends"), strict=True)
        ordered, begins, ends = zip(*sorted(bounds), strict=True)
        moved_bounds = with_attributes(operator, axes=ordered, starts=begins, ends=ends)
        return Permuted(moved_bounds, op.operands, perm)
    head = (*op.operands[:3], np.array(there, np.int64))
    return Permuted(operator, (*head, *op.operands[4:]), perm)


def _with_axis(op: Op, perm: Perm) -> OnnxOperator:
    operator = onnx_operator(op)
    default = -1 if operator.type.endswith("oftmax") else 0
    return with_attributes(
        operator, axis=perm[axis_from_front(operator.attr("axis", default), len(perm))]
    )


def _sorted(axes: Sequence[int], perm: Perm) -> tuple[int, ...]:
    return tuple(sorted(perm[axis] for axis in axes))


Rule = Callable[[Op, Moved, Perm], Permuted | str]
_REDUCTIONS = ("Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "LogSum", "LogSumExp", "SumSquare")
_RULES: dict[str, Rule] = {
    **dict.fromkeys(POINTWISE, _pointwise),
    **dict.fromkeys(BROADCASTING - POINTWISE, _broadcasting),
    **dict.fromkeys((f"onnx.Reduce{kind}" for kind in _REDUCTIONS), _reduce),
    **dict.fromkeys(("onnx.Softmax", "onnx.LogSoftmax", "onnx.Split"), _along_axis),
    **dict.fromkeys(("onnx.ArgMax", "onnx.ArgMin"), _arg),
    **dict.fromkeys(("onnx.QuantizeLinear", "onnx.DequantizeLinear"), _quantised),
    "onnx.Concat": _concat, "onnx.Squeeze": _squeeze, "onnx.Pad": _pad, "onnx.Slice": _slice,
}  # fmt: skip
