"""Removal of ops that change nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dlc.ir.expr import A0, CASTS, Call
from dlc.ir.graph import Op, Value
from dlc.ir.operator import Data
from dlc.ir.sizes import low_of
from dlc.ops.core.map import Map
from dlc.ops.core.pad import Pad
from dlc.ops.core.reshape import Reshape
from dlc.ops.core.slice import Slice
from dlc.ops.core.transpose import Transpose
from dlc.ops.onnx.named import reshaped
from dlc.ops.onnx.operator import OnnxOperator
from dlc.rewrite.driver import Rule, RulePass
from dlc.rewrite.pattern import Match, OpPattern, op, value


@dataclass(frozen=True, slots=True)
class DropIdentity(RulePass):
    """Remove ops that return their operand unchanged, and pairs that cancel or merge.

    Identity, Dropout in inference, casts to the same dtype, reshapes and expands to the same shape,
    transposes that keep the order, padding by nothing, slices of everything, a concat of one;
    transpose of a transpose, reshape of a reshape, and a cast there and back that loses nothing. A
    transpose that moves only dims of 1 becomes a reshape, which needs no copy: a named one beside a
    reshape, which takes it in, and every core one.

    Before:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[2,3]
          %1 = onnx.Identity(%0) : f32[2,3]
          %2 = onnx.Transpose(%1) {perm = [1, 0]} : f32[3,2]
          %3 = onnx.Transpose(%2) {perm = [1, 0]} : f32[2,3]
          %4 = onnx.Relu(%3) : f32[2,3]
          output(%4) {names = ["y"]}
        }

    After:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[2,3]
          %1 = onnx.Relu(%0) : f32[2,3]
          output(%1) {names = ["y"]}
        }
    """

    name: ClassVar[str] = "drop-identity"

    def rules(self) -> Sequence[Rule]:
        return [
            DropNoOp(), DropDropout(), DropCastPair(), MergeTransposes(), MergeReshapes(),
            TransposeToReshape(), TransposeBesideReshape(),
        ]  # fmt: skip


#: these keep their operand's elements in order, so they change nothing if the type stays
_KEEP_ORDER = (
    "onnx.Identity", "onnx.Cast", "onnx.CastLike", "onnx.Reshape", "onnx.Flatten", "onnx.Squeeze",
    "onnx.Unsqueeze", "onnx.Expand", "onnx.Tile", "reshape", "broadcast",
)  # fmt: skip
#: these return their operand when it is the only one
_VARIADIC = ("onnx.Concat", "onnx.Sum", "onnx.Max", "onnx.Min", "onnx.Mean", "concat")
_TRANSPOSES = ("onnx.Transpose", "transpose")
_RESHAPES = ("onnx.Reshape", "onnx.Flatten", "onnx.Squeeze", "onnx.Unsqueeze")


class DropNoOp(Rule):
    """An op that gives back its first operand."""

    name: ClassVar[str] = "drop-no-op"
    pattern: ClassVar[OpPattern] = op(
        (*_KEEP_ORDER, *_VARIADIC, *_TRANSPOSES, "onnx.Pad", "pad", "onnx.Slice", "slice", "map"),
        value("x"), ...,
    )  # fmt: skip

    def check(self, match: Match) -> str | None:
        op, x = match.root, match["x"]
        kind = op.operator.label
        if op.types != (x.type,):
            return "it changes the type"
        if kind in _KEEP_ORDER:
            return None
        if kind in _VARIADIC:
            return f"it joins {len(op.operands)} operands" if len(op.operands) > 1 else None
        return _CHECKS[kind](op, x)

    def rewrite(self, match: Match) -> Value:
        return match["x"]


def _check_map(op: Op, x: Value) -> str | None:
    assert isinstance(op.operator, Map)
    expr = op.operator.expr
    if isinstance(expr, Call) and CASTS.get(expr.function) is x.type.dtype:
        expr = expr.args[0]
    return None if expr == A0 else "it computes something"


def _check_transpose(op: Op, x: Value) -> str | None:
    moved = [axis for axis in _perm(op) if x.type.shape[axis] != 1]
    return None if moved == sorted(moved) else "it changes the order"


def _check_pad(op: Op, x: Value) -> str | None:
    if isinstance(op.operator, Pad):
        return None  # sizes are not negative, so the same shape means no padding
    pads = _setting(op, 1, "pads")
    return None if pads is not None and not np.any(pads) else "it may shift its operand"


def _check_slice(op: Op, x: Value) -> str | None:
    if isinstance(op.operator, Slice):
        steps: Any = [low_of(step) for step in op.operator.steps]
    elif not x.type.is_static:
        return "the shape is not fixed"
    else:
        absent = len(op.operands) < 5 or op.operands[4] is None
        steps = (1,) if absent else _setting(op, 4, "steps")
    return None if steps is not None and min(steps, default=1) > 0 else "it may run backwards"


_CHECKS: dict[str, Callable[[Op, Value], str | None]] = {
    "map": _check_map,
    "transpose": _check_transpose, "onnx.Transpose": _check_transpose,
    "pad": _check_pad, "onnx.Pad": _check_pad,
    "slice": _check_slice, "onnx.Slice": _check_slice,
}  # fmt: skip


class DropDropout(Rule):
    """A Dropout that is not training."""

    name: ClassVar[str] = "drop-dropout"
    pattern: ClassVar[OpPattern] = op("onnx.Dropout", value("x"), ...)

    def check(self, match: Match) -> str | None:
        op, operator = match.root, match.root.operator
        assert isinstance(operator, OnnxOperator)
        if any(result.uses for result in op.results[1:]):
            return "its mask is read"
        if len(op.operands) > 2 and op.operands[2] is not None:
            mode = op.operands[2].constant
            return None if mode is not None and not mode.any() else "it may be in training mode"
        if operator.version < 7 and not operator.attr("is_test"):
            return "it is in training mode (is_test=0)"
        return None if op.types[0] == match["x"].type else "it changes the type"

    def rewrite(self, match: Match) -> Sequence[Value | None]:
        return [match["x"], *[None] * len(match.root.results[1:])]


class MergeTransposes(Rule):
    """A transpose of a transpose is one transpose."""

    name: ClassVar[str] = "merge-transposes"
    pattern: ClassVar[OpPattern] = op(_TRANSPOSES, op(_TRANSPOSES, value("x"), name="inner"))

    def check(self, match: Match) -> str | None:
        same = match.root.operator.label == match.op("inner").operator.label
        return None if same else "one is a named op, the other a core op"

    def rewrite(self, match: Match) -> Value:
        outer, inner, x = match.root, match.op("inner"), match["x"]
        perm = tuple(_perm(inner)[axis] for axis in _perm(outer))
        operator = outer.operator
        if isinstance(operator, OnnxOperator):
            merged = OnnxOperator("Transpose", operator.version, (("perm", perm),))
            return match.graph.add(merged, [x], types=outer.types).result
        return match.graph.add(Transpose(perm), [x]).result


class TransposeToReshape(Rule):
    """A transpose that moves only dims of 1 leaves the elements where they are."""

    name: ClassVar[str] = "transpose-to-reshape"
    pattern: ClassVar[OpPattern] = op("transpose", value("x"))

    def check(self, match: Match) -> str | None:
        return _check_transpose(match.root, match["x"])

    def rewrite(self, match: Match) -> Value:
        return match.graph.add(Reshape(match.root.types[0].shape), [match["x"]]).result


class TransposeBesideReshape(Rule):
    """A named Transpose that moves only dims of 1, as a Reshape that another Reshape takes in."""

    name: ClassVar[str] = "transpose-beside-reshape"
    pattern: ClassVar[OpPattern] = op("onnx.Transpose", value("x"))

    def check(self, match: Match) -> str | None:
        x, result = match["x"], match.root.result
        if not x.type.is_static or 0 in x.type.shape:
            return "the shape is not fixed, or has a zero"
        reason = _check_transpose(match.root, x)
        if reason is not None:
            return reason
        if x.type.with_shape(result.type.shape) != result.type:
            return "it changes more of the type than the shape"
        after = result.uses and all(use.op.operator.label in _RESHAPES for use in result.uses)
        return None if after or x.op.operator.label in _RESHAPES else "no reshape is beside it"

    def rewrite(self, match: Match) -> Value:
        operator = match.root.operator
        assert isinstance(operator, OnnxOperator)
        return reshaped(match["x"], match.root.types[0].shape, operator.version)


class MergeReshapes(Rule):
    """Of two reshapes in a row the first does not matter."""

    name: ClassVar[str] = "merge-reshapes"
    pattern: ClassVar[OpPattern] = op(
        (*_RESHAPES, "reshape"), op((*_RESHAPES, "reshape"), value("x"), ..., name="inner"), ...
    )

    def check(self, match: Match) -> str | None:
        outer, inner = match.root.operator, match.op("inner").operator
        if isinstance(outer, OnnxOperator) is not isinstance(inner, OnnxOperator):
            return "one is a named op, the other a core op"
        named = isinstance(outer, OnnxOperator)
        if named and (not match.root.types[0].is_static or 0 in match.root.types[0].shape):
            return "the shape is not fixed, or has a zero"
        return None

    def rewrite(self, match: Match) -> Value:
        graph, outer, x = match.graph, match.root, match["x"]
        operator = outer.operator
        if not isinstance(operator, OnnxOperator):
            return graph.add(Reshape(outer.types[0].shape), [x]).result
        shape = outer.types[0].dims
        if operator.version < 5:
            merged = OnnxOperator("Reshape", operator.version, (("shape", shape),))
            return graph.add(merged, [x], types=outer.types).result
        target = graph.add_constant(np.array(shape, np.int64))
        merged = OnnxOperator("Reshape", operator.version)
        return graph.add(merged, [x, target], types=outer.types).result


class DropCastPair(Rule):
    """A cast to a wider dtype and back."""

    name: ClassVar[str] = "drop-cast-pair"
    pattern: ClassVar[OpPattern] = op("onnx.Cast", op("onnx.Cast", value("x"), name="inner"))

    def check(self, match: Match) -> str | None:
        x, middle = match["x"].type, match.op("inner").types[0].dtype
        if match.root.types[0] != x:
            return "the type is not that before the first cast"
        if not np.can_cast(x.dtype.numpy, middle.numpy, "safe"):
            return f"{middle.value} does not hold every {x.dtype.value}"
        return None

    def rewrite(self, match: Match) -> Value:
        return match["x"]


def _perm(op: Op) -> tuple[int, ...]:
    operator = op.operator
    if isinstance(operator, Transpose):
        return operator.perm
    assert isinstance(operator, OnnxOperator)
    rank = op.types[0].rank
    return tuple(operator.attr("perm") or range(rank)[::-1])


def _setting(op: Op, index: int, name: str) -> Any:
    """A setting that is an operand in later versions of an ONNX op and was an attribute before."""
    operator = op.operator
    assert isinstance(operator, OnnxOperator)
    if index < len(op.operands):
        operand = op.operands[index]
        return None if operand is None else operand.constant
    found = operator.attributes().get(name)
    return found.array if isinstance(found, Data) else found
