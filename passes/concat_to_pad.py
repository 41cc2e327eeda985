"""Concatenation with one repeated number as padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dlc.ir.graph import Op, Value
from dlc.ir.operator import Data
from dlc.ir.types import DType
from dlc.ops.onnx.named import axis_from_front, onnx_operator
from dlc.ops.onnx.operator import OnnxOperator
from dlc.rewrite.driver import Rule, RulePass
from dlc.rewrite.pattern import Match, OpPattern, op


@dataclass(frozen=True, slots=True)
class ConcatToPad(RulePass):
    """Make a Concat of one value with arrays of one repeated number a Pad.

    Such arrays are constants, or a ConstantOfShape too large to be worth storing. All of them must
    hold the same number. Exact.

    Before:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[1,2]
          %1 = constant() {value = dense<f32[1,1] 0.0>} : f32[1,1]
          %2 = onnx.Concat(%0, %1) {axis = 1} "concat" : f32[1,3]
          output(%2) {names = ["y"]}
        }

    After:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[1,2]
          %1 = constant() {value = dense<i64[4] 0 0 0 1>} "concat" : i64[4]
          %2 = constant() {value = dense<f32[] 0.0>} "concat" : f32[]
          %3 = onnx.Pad(%0, %1, %2) "concat" : f32[1,3]
          output(%3) {names = ["y"]}
        }
    """

    name: ClassVar[str] = "concat-to-pad"
    contract: ClassVar[str] = "exact"

    def rules(self) -> Sequence[Rule]:
        return [PadOfConcat()]


#: what every version of Pad takes
_DTYPES = (DType.F16, DType.F32, DType.F64)
#: the opset from which Pad has pads and value as operands
_OPERANDS = 11


class PadOfConcat(Rule):
    """``concat(x, zeros)``."""

    name: ClassVar[str] = "concat-to-pad"
    pattern: ClassVar[OpPattern] = op("onnx.Concat", ...)

    def check(self, match: Match) -> str | None:
        if onnx_operator(match.root).version < 4:
            return "Concat and Pad have other attributes before opset 4"
        if match.root.types[0].dtype not in _DTYPES:
            return f"Pad does not take {match.root.types[0].dtype.value} in every opset"
        found = _parts(match.root)
        if isinstance(found, str):
            return found
        if onnx_operator(match.root).version < _OPERANDS and found[3].dtype == np.float64:
            return f"before opset {_OPERANDS} the number is an attribute of 32 bits"
        return None

    def rewrite(self, match: Match) -> Value:
        found, root, graph = _parts(match.root), match.root, match.graph
        assert not isinstance(found, str)
        x, before, after, fill = found
        rank = root.types[0].rank
        operator = onnx_operator(root)
        axis = axis_from_front(operator.attr("axis"), rank)
        pads = np.zeros((2, rank), np.int64)
        pads[:, axis] = before, after
        flat = pads.reshape(-1)
        if operator.version < _OPERANDS:
            attrs = (("pads", tuple(flat.tolist())), ("value", float(fill)))
            return graph.add(
                OnnxOperator("Pad", operator.version, attrs), [x], types=root.types
            ).result
        operands = [x, graph.add_constant(flat), graph.add_constant(fill)]
        return graph.add(OnnxOperator("Pad", operator.version), operands, types=root.types).result


def _parts(concat: Op) -> tuple[Value, int, int, Any] | str:
    """The value, how many places come before and after it, and what they hold; or why not."""
    rank = concat.types[0].rank
    axis = axis_from_front(onnx_operator(concat).attr("axis"), rank)
    x: Value | None = None
    sizes, fills = [0, 0], []
    for operand in concat.operands:
        assert operand is not None
        fill, size = _fill(operand), operand.type.shape[axis]
        if fill is None:
            if x is not None:
                return "several of its operands are no repeated number"
            x = operand
        elif not isinstance(size, int):
            return "the size of an operand is not fixed"
        else:
            fills.append(fill)
            sizes[x is not None] += size
    if x is None or not fills:
        return "none of its operands is one repeated number" if x else "all are repeated numbers"
    if len({fill.tobytes() for fill in fills}) > 1:
        return "its operands hold different numbers"
    return x, sizes[0], sizes[1], fills[0]


def _fill(value: Value) -> Any:
    """The number that a value repeats, as an array of no dims."""
    array = value.constant
    if array is not None:
        words = array.reshape(-1).view(f"V{array.itemsize}")  # by bits: -0.0 and NaN count
        same = array.size > 0 and bool((words == words[:1]).all())
        return array.reshape(-1)[0].reshape(()) if same else None
    if value.op.operator.label != "onnx.ConstantOfShape":
        return None
    given = dict(onnx_operator(value.op).attrs).get("value")
    return given.array.reshape(()) if isinstance(given, Data) else np.zeros((), np.float32)
