"""What is known of the numbers a value can hold, from the ops that compute it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dlc.ir.graph import Op, Value
from dlc.ops.onnx.named import RESHAPES, onnx_operator, scalar_of, setting

#: deeper chains than this are not followed
_DEPTH = 24
#: never negative, whatever they read
_ALWAYS = frozenset(
    f"onnx.{type}"
    for type in ("Relu", "Abs", "Exp", "Sigmoid", "Sqrt", "Softmax", "Softplus", "HardSigmoid",
                 "ReduceL1", "ReduceL2", "ReduceSumSquare", "ThresholdedRelu")
)  # fmt: skip
#: not negative if operand 0 is not
_FIRST = frozenset({
    *RESHAPES, "onnx.Identity", "onnx.Transpose", "onnx.Slice", "onnx.Split", "onnx.Expand",
    "onnx.Tile", "onnx.Gather", "onnx.MaxPool", "onnx.AveragePool", "onnx.GlobalAveragePool",
    "onnx.GlobalMaxPool", "onnx.ReduceMean", "onnx.ReduceSum", "onnx.ReduceMin",
    "onnx.ReduceProd", "onnx.DepthToSpace", "onnx.SpaceToDepth",
})  # fmt: skip
#: not negative if no operand is
_ALL = frozenset({"onnx.Add", "onnx.Mul", "onnx.Concat", "onnx.Sum", "onnx.Mean", "onnx.Min"})


def is_non_negative(value: Value | None, depth: int = _DEPTH) -> bool:
    """Whether no element can be below zero: each is zero (of either sign), above it, or NaN.

    Conservative: False where the producers do not tell.
    """
    if value is None or depth == 0:
        return False
    if value.constant is not None:
        array = value.constant
        return array.dtype.kind in "iufb" and not bool((array < 0).any())
    if value.type.dtype.is_integer and not value.type.dtype.is_signed:
        return True
    op, kind = value.op, value.op.operator.label
    if kind in _ALWAYS:
        return kind != "onnx.ThresholdedRelu" or onnx_operator(op).attr("alpha") >= 0
    if kind in _FIRST:
        return is_non_negative(op.operands[0], depth - 1)
    rule = _RULES.get(kind)
    if rule is not None and rule(op, depth - 1):
        return True
    return kind in _ALL and _all(op, depth - 1)


def _all(op: Op, depth: int) -> bool:
    # two branches of one depth would double the work at each level
    return all(is_non_negative(value, depth // 2) for value in op.operands)


def _mul(op: Op, depth: int) -> bool:
    return op.operands[0] is op.operands[1]  # a square


def _max(op: Op, depth: int) -> bool:
    return any(is_non_negative(value, depth // 2) for value in op.operands)


def _div(op: Op, depth: int) -> bool:
    divisor = scalar_of(op.operands[1])
    return divisor is not None and divisor > 0 and is_non_negative(op.operands[0], depth)


def _pow(op: Op, depth: int) -> bool:
    exponent = scalar_of(op.operands[1])
    return exponent is not None and exponent % 2 == 0


def _clip(op: Op, depth: int) -> bool:
    # an upper bound below the lower one wins
    bounds = setting(op, 1, "min"), setting(op, 2, "max", np.inf)
    return all(bound is not None and bound.size == 1 and bound.item() >= 0 for bound in bounds)


_RULES: dict[str, Callable[[Op, int], bool]] = {
    "onnx.Mul": _mul, "onnx.Max": _max, "onnx.Div": _div, "onnx.Pow": _pow, "onnx.Clip": _clip,
}  # fmt: skip
