"""Reshapes past element-wise ops towards the inputs, to meet other reshapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.graph import Op, Value
from dlc.ops.onnx.named import POINTWISE, RESHAPES, onnx_operator, reshaped
from dlc.ops.onnx.reshaping import Operands, in_shape, is_elementwise
from dlc.rewrite.driver import Rule, RulePass
from dlc.rewrite.pattern import Match, OpPattern, op


@dataclass(frozen=True, slots=True)
class HoistReshape(RulePass):
    """Move a reshape up a chain of element-wise ops to the reshape that the chain begins with.

    Of the two, one is left, or none. For chains that `sink-reshape` leaves alone, since the reshape
    they begin with has other readers. Only when there is one: otherwise an activation would
    move away from the conv it can be fused into. The ops of the chain have no other readers, and
    their other operands are scalars, or constants that broadcast in the new shape too.

    Before:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[2,6]
          %1 = constant() {value = dense<i64[1] 12>} : i64[1]
          %2 = onnx.Reshape(%0, %1) "flat" : f32[12]
          %3 = onnx.Relu(%2) "relu" : f32[12]
          %4 = constant() {value = dense<i64[2] 2 6>} : i64[2]
          %5 = onnx.Reshape(%3, %4) "back" : f32[2,6]
          output(%2, %5) {names = ["flat", "y"]}
        }

    After:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[2,6]
          %1 = constant() {value = dense<i64[1] 12>} : i64[1]
          %2 = onnx.Reshape(%0, %1) "flat" : f32[12]
          %3 = onnx.Relu(%0) "relu" : f32[2,6]
          output(%2, %3) {names = ["flat", "y"]}
        }
    """

    name: ClassVar[str] = "hoist-reshape"
    contract: ClassVar[str] = "exact"

    def rules(self) -> Sequence[Rule]:
        return [HoistPast()]


class HoistPast(Rule):
    """``reshape(f(reshape(x)))`` is ``f(reshape(x))``."""

    name: ClassVar[str] = "hoist-reshape"
    pattern: ClassVar[OpPattern] = op(RESHAPES, ...)

    def check(self, match: Match) -> str | None:
        type = match.root.types[0]
        if not type.is_static or 0 in type.shape:
            return "its shape is not fixed, or has a zero"
        chain = _chain(match.root)
        return chain if isinstance(chain, str) else None

    def rewrite(self, match: Match) -> Value:
        root, graph, chain = match.root, match.graph, _chain(match.root)
        assert not isinstance(chain, str)
        start = _main(chain[-1][0])
        assert start is not None
        shape = root.types[0].shape
        value = reshaped(start, shape, onnx_operator(root).version)
        for member, operands in reversed(chain):
            main = _main(member)
            reads = [
                value if operand is main
                else graph.add_constant(operand, member.label) if isinstance(operand, np.ndarray)
                else operand
                for operand in operands
            ]  # fmt: skip
            types = [member.types[0].with_shape(shape)]
            value = graph.add(member.operator, reads, types=types, label=member.label).result
        return value


def _chain(reshape: Op) -> list[tuple[Op, Operands]] | str:
    """The element-wise ops between a reshape and the one above it, last first, as they would read."""
    shape, reader = reshape.types[0].dims, reshape
    chain: list[tuple[Op, Operands]] = []
    value = reshape.operands[0]
    while value is not None and value.op.operator.label not in RESHAPES:
        member = value.op
        if not is_elementwise(member):
            return f"the chain begins with {member.operator.label}, no reshape to meet"
        if value.user is not reader:
            return f"the result of {member.operator.label} {member.label!r} has other readers"
        main = _main(member)
        if main is None:
            return f"{member.operator.label} {member.label!r} reads no other value of its shape, or several"
        operands = in_shape(member, [main], shape)
        if isinstance(operands, str):
            return operands
        chain.append((member, operands))
        value, reader = main, member
    return chain or "there is nothing between it and the reshape above"


def _main(member: Op) -> Value | None:
    """The one operand that is computed and has the shape of the result."""
    if member.operator.label in POINTWISE:
        return member.operands[0]
    shape = member.types[0].shape
    found = {
        v for v in member.operands if v is not None and v.constant is None and v.type.shape == shape
    }
    return found.pop() if len(found) == 1 else None
