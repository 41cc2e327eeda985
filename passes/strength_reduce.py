"""Cheaper arithmetic of the same result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.graph import Op, Value
from dlc.ir.operator import Array
from dlc.ops.onnx.named import apply, onnx_operator, scalar_of
from dlc.ops.onnx.operator import OnnxOperator
from dlc.ops.onnx.ranges import is_non_negative
from dlc.rewrite.driver import Rule, RulePass
from dlc.rewrite.pattern import Match, OpPattern, constant, op, value


@dataclass(frozen=True, slots=True)
class StrengthReduce(RulePass):
    """Replace powers and divisions by cheaper ops, and drop arithmetic that changes nothing.

    `x^2` and `x^3` become products, `x^0.5` a Sqrt, `x^-1` a Reciprocal, `x^1` goes; a division by
    powers of two becomes a product, which is the same to the last bit; `x * -1` becomes a Neg; `x * 1`,
    `x / 1`, `x - 0` and a Relu, Abs, Floor ... of itself go. So does `x + 0`, unless it is a `+ 0.0`
    of floats, which turns -0.0 into 0.0: `signed_zeros=false` says that nobody minds. `x^0.5` of
    minus infinity is infinity, its square root NaN: it stays unless x cannot be negative, or
    `infinities=false`. `x * 0` stays, for it keeps NaN and infinity. A power is rounded once, and a
    product of three factors twice.

    Before:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[4]
          %1 = constant() {value = dense<f32[] 2.0>} "two" : f32[]
          %2 = onnx.Pow(%0, %1) "square" : f32[4]
          %3 = constant() {value = dense<f32[] 8.0>} "eight" : f32[]
          %4 = onnx.Div(%2, %3) "scale" : f32[4]
          output(%4) {names = ["y"]}
        }

    After:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[4]
          %1 = onnx.Mul(%0, %0) "square" : f32[4]
          %2 = constant() {value = dense<f32[] 0.125>} "eight" : f32[]
          %3 = onnx.Mul(%1, %2) "scale" : f32[4]
          output(%3) {names = ["y"]}
        }
    """

    name: ClassVar[str] = "strength-reduce"
    contract: ClassVar[str] = "reassociates"
    infinities: bool = True
    signed_zeros: bool = True

    def rules(self) -> Sequence[Rule]:
        return [
            ReducePow(self.infinities), DropNeutral(self.signed_zeros), MulToNeg(), DivToMul(),
            DropRepeated(),
        ]  # fmt: skip


class ReducePow(Rule):
    """A power with a small constant exponent."""

    name: ClassVar[str] = "reduce-pow"
    pattern: ClassVar[OpPattern] = op("onnx.Pow", value("x"), constant("c"))

    def __init__(self, infinities: bool = True) -> None:
        self.infinities = infinities

    def check(self, match: Match) -> str | None:
        x, exponent, root = match["x"], scalar_of(match["c"]), match.root
        if exponent not in (1, 2, 3, 0.5, -1):
            return f"there is nothing cheaper for the exponent {'of several' if exponent is None else exponent}"
        if x.type != root.types[0]:
            return "it changes the type"
        if exponent in (0.5, -1) and not x.type.dtype.is_float:
            return "an integer has no square root or reciprocal"
        if exponent == 0.5 and self.infinities and not is_non_negative(x):
            return "its base may be -inf, whose square root is NaN"
        return None

    def rewrite(self, match: Match) -> Value:
        x, exponent = match["x"], scalar_of(match["c"])
        version = onnx_operator(match.root).version
        if exponent in (1, 2, 3):
            power = x
            for _ in range(int(exponent) - 1):
                power = apply("Mul", power, x, version=version)
            return power
        return apply("Sqrt" if exponent == 0.5 else "Reciprocal", x, version=version)


#: what an op leaves its other operand alone with, and whether the constant may come first
_NEUTRAL = {"Add": (0, True), "Sub": (0, False), "Mul": (1, True), "Div": (1, False)}


class DropNeutral(Rule):
    """``x + 0``, ``x - 0``, ``x * 1`` and ``x / 1``."""

    name: ClassVar[str] = "drop-neutral"
    pattern: ClassVar[OpPattern] = op(tuple(f"onnx.{type}" for type in _NEUTRAL), ...)

    def __init__(self, signed_zeros: bool = True) -> None:
        self.signed_zeros = signed_zeros

    def check(self, match: Match) -> str | None:
        operator = onnx_operator(match.root)
        neutral, either_side = _NEUTRAL[operator.type]
        x, array = _beside_constant(match.root, either_side)
        if x is None or array is None:
            return (
                "neither operand is constant"
                if either_side
                else "its second operand is not constant"
            )
        if not (array == neutral).all():
            if operator.type == "Mul" and not array.any():
                return "x * 0 keeps NaN, infinity and the sign"
            return f"its constant is not {neutral}"
        if x.type != match.root.types[0]:
            return "it changes the type"
        # x + -0.0 and x - 0.0 are x for every x
        exact = np.signbit(array).all() if operator.type == "Add" else not np.signbit(array).any()
        if neutral == 0 and self.signed_zeros and x.type.dtype.is_float and not exact:
            return "it turns -0.0 into 0.0"
        return None

    def rewrite(self, match: Match) -> Value:
        x, _ = _beside_constant(match.root, _NEUTRAL[onnx_operator(match.root).type][1])
        assert x is not None
        return x


class MulToNeg(Rule):
    """``x * -1``."""

    name: ClassVar[str] = "mul-to-neg"
    pattern: ClassVar[OpPattern] = op("onnx.Mul", value("x"), constant("c"), commutative=True)

    def check(self, match: Match) -> str | None:
        x, array = match["x"], match["c"].constant
        assert array is not None
        if array.dtype.kind == "u" or not (array == -1).all():
            return "its constant is not -1"
        return None if x.type == match.root.types[0] else "it changes the type"

    def rewrite(self, match: Match) -> Value:
        return apply("Neg", match["x"], version=onnx_operator(match.root).version)


class DivToMul(Rule):
    """A division by powers of two: their reciprocals are exact."""

    name: ClassVar[str] = "div-to-mul"
    pattern: ClassVar[OpPattern] = op("onnx.Div", value("x"), constant("c"))

    def check(self, match: Match) -> str | None:
        divisor = match["c"].constant
        assert divisor is not None
        if divisor.dtype.kind != "f":
            return f"{match['c'].type.dtype.value} has no exact reciprocals"
        mantissa, _ = np.frexp(np.abs(divisor))
        with np.errstate(all="ignore"):
            factor = np.abs(np.reciprocal(divisor))
        # a runtime may treat subnormal numbers as zero
        usual = np.isfinite(factor) & (factor >= np.finfo(divisor.dtype).tiny)
        if not ((mantissa == 0.5) & usual).all():
            return "its divisor is not a power of two"
        return None

    def rewrite(self, match: Match) -> Value:
        operator, divisor = onnx_operator(match.root), match["c"]
        assert divisor.constant is not None
        factor = match.graph.add_constant(np.reciprocal(divisor.constant), divisor.op.label)
        product = OnnxOperator("Mul", operator.version, operator.attrs)
        return match.graph.add(product, [match["x"], factor], types=match.root.types).result


_IDEMPOTENT = ("onnx.Relu", "onnx.Abs", "onnx.Floor", "onnx.Ceil", "onnx.Round", "onnx.Sign")


class DropRepeated(Rule):
    """A Relu of a Relu, and so on."""

    name: ClassVar[str] = "drop-repeated"
    pattern: ClassVar[OpPattern] = op(_IDEMPOTENT, value("x"))

    def check(self, match: Match) -> str | None:
        before = match["x"].op.operator.label
        here = match.root.operator.label
        return None if before == here else f"its operand is no result of {here}"

    def rewrite(self, match: Match) -> Value:
        return match["x"]


def _beside_constant(op: Op, either_side: bool) -> tuple[Value | None, Array | None]:
    """The operand that is no constant, and the constant beside it."""
    a, b = op.operands
    if b is not None and b.constant is not None:
        return a, b.constant
    return (b, a.constant) if either_side and a is not None else (None, None)
