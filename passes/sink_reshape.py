"""Reshapes past element-wise ops towards the outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.graph import Op, Value
from dlc.ops.onnx.named import BROADCASTING, POINTWISE, RESHAPES, onnx_operator, reshaped
from dlc.ops.onnx.reshaping import Operands, in_shape
from dlc.rewrite.driver import Rule, RulePass
from dlc.rewrite.pattern import Match, OpPattern, op


@dataclass(frozen=True, slots=True)
class SinkReshape(RulePass):
    """Move Reshape, Flatten, Squeeze and Unsqueeze behind the element-wise ops that read them.

    Where it meets another, one is left, or none. All other operands must be reshaped from the same
    shape, be scalars, or be constants that broadcast in the new shape too. A reshape that has other
    readers stays. What it sinks past can then be fused into the op before it.

    Before:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[1,2,3,4]
          %1 = constant() {value = dense<i64[3] 1 2 12>} : i64[3]
          %2 = onnx.Reshape(%0, %1) "flat" : f32[1,2,12]
          %3 = constant() {value = dense<f32[2,1] 5.0 6.0>} "bias" : f32[2,1]
          %4 = onnx.Add(%2, %3) "add" : f32[1,2,12]
          %5 = constant() {value = dense<i64[4] 1 2 3 4>} : i64[4]
          %6 = onnx.Reshape(%4, %5) "back" : f32[1,2,3,4]
          output(%6) {names = ["y"]}
        }

    After:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[1,2,3,4]
          %1 = constant() {value = dense<f32[1,2,1,1] 5.0 6.0>} "bias" : f32[1,2,1,1]
          %2 = onnx.Add(%0, %1) "add" : f32[1,2,3,4]
          output(%2) {names = ["y"]}
        }
    """

    name: ClassVar[str] = "sink-reshape"
    contract: ClassVar[str] = "exact"

    def rules(self) -> Sequence[Rule]:
        return [SinkPast(), MergeReshaped()]


class SinkPast(Rule):
    """``f(reshape(x))`` is ``reshape(f(x))``."""

    name: ClassVar[str] = "sink-reshape"
    pattern: ClassVar[OpPattern] = op(tuple(sorted(POINTWISE | BROADCASTING)), ...)

    def check(self, match: Match) -> str | None:
        found = self.operands(match)
        return found if isinstance(found, str) else None

    def operands(self, match: Match) -> Operands | str:
        """What the op would read without the reshapes."""
        root = match.root
        type = root.types[0]
        if not type.is_static or 0 in type.shape:
            return "its shape is not fixed, or has a zero"
        main = _views(root)
        if not main:
            return "it reads no reshape of its own shape"
        shapes = {_source(value).type.shape for value in main}
        if len(shapes) > 1:
            return "its operands are reshaped from different shapes"
        if not _source(main[0]).type.is_static:
            return "the shape it would have is not fixed"
        if not any(value.user is root for value in main):
            return "the reshape has other readers"
        found = in_shape(root, main, _source(main[0]).type.dims)
        if isinstance(found, str):
            return found
        return [_source(v) if isinstance(v, Value) and v in main else v for v in found]

    def rewrite(self, match: Match) -> Value:
        found = self.operands(match)
        assert not isinstance(found, str)
        root, graph = match.root, match.graph
        view = _views(root)[0]
        values = [
            graph.add_constant(v, old.op.label if old is not None else "")
            if isinstance(v, np.ndarray)
            else v
            for v, old in zip(found, root.operands, strict=True)
        ]
        types = [root.types[0].with_shape(_source(view).type.shape)]
        inner = graph.add(root.operator, values, types=types).result
        with graph.labelled(view.op.label):
            return reshaped(inner, root.types[0].shape, onnx_operator(view.op).version)


class MergeReshaped(Rule):
    """A reshape of a reshape is one reshape, or none."""

    name: ClassVar[str] = "merge-reshaped"
    pattern: ClassVar[OpPattern] = op(RESHAPES, op(RESHAPES, ...), ...)

    def check(self, match: Match) -> str | None:
        type = match.root.types[0]
        return (
            None
            if type.is_static and 0 not in type.shape
            else "its shape is not fixed, or has a zero"
        )

    def rewrite(self, match: Match) -> Value:
        x = match.root.operands[0]
        assert x is not None
        return reshaped(x, match.root.types[0].shape, onnx_operator(match.root).version)


def _views(op: Op) -> list[Value]:
    """The operands that are reshapes, of the result's shape."""
    return [
        value
        for value in op.operands
        if value is not None
        and value.op.operator.label in RESHAPES
        and value.type.shape == op.types[0].shape
    ]


def _source(view: Value) -> Value:
    """What a reshape reads."""
    source = view.op.operands[0]
    assert source is not None
    return source
