"""Expansions of element-wise ONNX ops: tables of scalar expressions over the operands a0, a1, ..."""

from __future__ import annotations

import numpy as np

from dlc.errors import VerifyError
from dlc.ir.expr import NO_LITERAL, Arg, Call, Const, Expr
from dlc.ir.graph import Value
from dlc.ir.types import DType
from dlc.ops.build import constant, expression, map_
from dlc.ops.onnx.expansion import Call as OnnxCall
from dlc.ops.onnx.expansion import Expansion, expansion

# C has no arithmetic on these: they are computed in f32 and rounded once
_HALVES = (DType.F16, DType.BF16)

UNARY = {
    "Abs": "abs(a0)", "Neg": "-a0", "Sign": "sign(a0)", "Reciprocal": "1.0 / a0",
    "Exp": "exp(a0)", "Log": "log(a0)", "Sqrt": "sqrt(a0)", "Erf": "erf(a0)",
    "Floor": "floor(a0)", "Ceil": "ceil(a0)", "Round": "round(a0)",
    "Sigmoid": "sigmoid(a0)", "Tanh": "tanh(a0)",
    "Sin": "sin(a0)", "Cos": "cos(a0)", "Tan": "sin(a0) / cos(a0)", "Atan": "atan(a0)",
    # (1 - x) * (1 + x) keeps the digits that 1 - x * x loses near 1
    "Asin": "atan(a0 / sqrt((1.0 - a0) * (1.0 + a0)))",
    "Acos": "2.0 * atan(sqrt((1.0 - a0) / (1.0 + a0)))",
    # exp(x / 2) twice reaches further than exp(x); through tanh, no digits cancel near 0
    "Sinh": "select(lt(abs(a0), 0.5),"
            " tanh(a0) / sqrt((1.0 - tanh(a0)) * (1.0 + tanh(a0))),"
            " 0.5 * exp(0.5 * a0) * exp(0.5 * a0) - 0.5 * exp(-0.5 * a0) * exp(-0.5 * a0))",
    "Cosh": "0.5 * exp(0.5 * a0) * exp(0.5 * a0) + 0.5 * exp(-0.5 * a0) * exp(-0.5 * a0)",
    "Asinh": "sign(a0) * log1p(abs(a0) + abs(a0) / (1.0 / abs(a0) + sqrt(1.0 / a0 / a0 + 1.0)))",
    "Acosh": "log1p((a0 - 1.0) + sqrt((a0 - 1.0) * (a0 + 1.0)))",
    "Atanh": "0.5 * sign(a0) * log1p(2.0 * abs(a0) / (1.0 - abs(a0)))",
    "Not": "not_(a0)", "IsNaN": "isnan(a0)",
}  # fmt: skip
BINARY = {
    "Add": "a0 + a1", "Sub": "a0 - a1", "Mul": "a0 * a1", "Div": "a0 / a1",
    "And": "and_(a0, a1)", "Or": "or_(a0, a1)", "Xor": "xor(a0, a1)",
    "Equal": "eq(a0, a1)", "Less": "lt(a0, a1)", "LessOrEqual": "le(a0, a1)",
    "Greater": "lt(a1, a0)", "GreaterOrEqual": "le(a1, a0)",
    "Where": "select(a0, a1, a2)", "PRelu": "select(lt(a0, 0), a0 * a1, a0)",
}  # fmt: skip
_VARIADIC = {"Max": "max", "Min": "min", "Sum": "add"}


def compute(expr: str | Expr, *values: Value) -> Value:
    """A ``map`` whose scalar constants are part of the expression, and whose halves are f32 inside.

    Raises VerifyError when the dtypes of the values do not fit the expression.
    """
    expr = expression(expr)
    result = expr.dtype_of([value.type.dtype for value in values])
    kept = [value for value in values if not _is_scalar(value)]
    rank = max((value.type.rank for value in kept), default=-1)
    kept = [value for value in values if not (_is_scalar(value) and value.type.rank <= rank)]
    plain = [_argument(value, kept, typed=False) for value in values]
    typed = [_argument(value, kept, typed=True) for value in values]
    inner = expr.substitute(plain.__getitem__)
    if _dtype(inner, kept) is not _dtype(expr.substitute(typed.__getitem__), kept):
        inner = expr.substitute(typed.__getitem__)
    return map_(Call(result.value, (inner,)) if result in _HALVES else inner, *kept)


def _is_scalar(value: Value) -> bool:
    array = value.constant
    return array is not None and array.size == 1 and value.type.dtype not in NO_LITERAL


def _argument(value: Value, kept: list[Value], typed: bool) -> Expr:
    """The operand of an expression that stands for a value; literals are cast if ``typed``."""
    dtype = DType.F32 if value.type.dtype in _HALVES else value.type.dtype
    if value in kept:
        argument = Arg(kept.index(value))
        return argument if dtype is value.type.dtype else Call(dtype.value, (argument,))
    assert value.constant is not None
    literal = Const(value.constant.item())
    return Call(dtype.value, (literal,)) if typed else literal


def _dtype(expr: Expr, values: list[Value]) -> DType | None:
    try:
        return expr.dtype_of([value.type.dtype for value in values])
    except VerifyError:
        return None


def _mapping(text: str) -> Expansion:
    def expand(call: OnnxCall, *operands: Value) -> Value:
        return compute(text, *operands)

    return expand


for _type, _text in (UNARY | BINARY).items():
    expansion(_type)(_mapping(_text))


@expansion("Max", "Min", "Sum", "Mean")
def variadic(call: OnnxCall, *operands: Value) -> Value:
    function = _VARIADIC.get(call.operator.type, "add")
    terms: list[Expr] = [Arg(i) for i in range(len(operands))]
    while len(terms) > 1:  # a balanced tree: what walks expressions is recursive
        pairs = [Call(function, (a, b)) for a, b in zip(terms[::2], terms[1::2], strict=False)]
        terms = [*pairs, *terms[len(pairs) * 2 :]]
    expr = terms[0]
    if call.operator.type == "Mean" and len(operands) > 1:
        expr = Call("div", (expr, Const(float(len(operands)))))
    return compute(expr, *operands)


@expansion("Pow")
def pow_(call: OnnxCall, base: Value, exponent: Value) -> Value:
    """Computed in the base's dtype, except an integer to a float power, computed in that float's."""
    power = exponent.constant
    if power is not None and power.size == 1 and exponent.type.rank <= base.type.rank:
        short = {1: "a0", 2: "a0 * a0", 3: "a0 * a0 * a0"}.get(power.item())
        if short is not None:
            return compute(short, base)
    x, y = base.type.dtype, exponent.type.dtype
    if x is y:
        return compute("pow(a0, a1)", base, exponent)
    if y.is_float and not x.is_float:
        return compute(f"{x.value}(pow({y.value}(a0), a1))", base, exponent)
    return compute(f"pow(a0, {x.value}(a1))", base, exponent)


@expansion("Mod")
def mod(call: OnnxCall, *operands: Value) -> Value:
    """``fmod=1``: the sign of the dividend (C's); else that of the divisor (Python's), zeros too."""
    if call.attr("fmod"):
        return compute("fmod(a0, a1)", *operands)
    differ = "and_(not_(eq(fmod(a0, a1), 0)), xor(lt(fmod(a0, a1), 0), lt(a1, 0)))"
    found = f"select({differ}, fmod(a0, a1) + a1, fmod(a0, a1))"
    if call.dtype.is_float:
        found = f"select(eq(fmod(a0, a1), 0), select(lt(a1, 0), -0.0, 0.0), {found})"
    return compute(found, *operands)


@expansion("IsInf")
def is_inf(call: OnnxCall, x: Value) -> Value:
    tests = {"detect_negative": "eq(a0, -inf)", "detect_positive": "eq(a0, inf)"}
    asked = [test for attribute, test in tests.items() if call.attr(attribute)]
    if not asked:
        return constant(x, np.zeros(call.shape, dtype=bool))
    return compute(asked[0] if len(asked) == 1 else "eq(abs(a0), inf)", x)
