"""Expansions of activations: scalar expressions with the op's attributes filled in."""

from __future__ import annotations

from dlc.ir.graph import Value
from dlc.ops.build import scalar_like
from dlc.ops.onnx.elementwise import compute
from dlc.ops.onnx.expansion import Call, Expansion, expansion

_SOFTPLUS = "max(a0, 0.0) + log1p(exp(-abs(a0)))"  # no overflow, and exact far below 0
# {name} is the attribute's value
ACTIVATIONS = {
    "Relu": "max(a0, 0)",
    "LeakyRelu": "select(lt(a0, 0), {alpha} * a0, a0)",
    "ThresholdedRelu": "select(lt({alpha}, a0), a0, 0.0)",
    "Elu": "select(lt(a0, 0.0), {alpha} * (exp(a0) - 1.0), a0)",
    "Selu": "{gamma} * select(lt(a0, 0.0), {alpha} * (exp(a0) - 1.0), a0)",
    "Celu": "max(a0, 0.0) + min({alpha} * (exp(a0 / {alpha}) - 1.0), 0.0)",
    "HardSigmoid": "max(min({alpha} * a0 + {beta}, 1.0), 0.0)",
    "HardSwish": f"a0 * max(min({1 / 6} * a0 + 0.5, 1.0), 0.0)",
    "Swish": "a0 * sigmoid({alpha} * a0)",
    "Softplus": _SOFTPLUS,
    "Softsign": "a0 / (1.0 + abs(a0))",
    "Mish": f"a0 * tanh({_SOFTPLUS})",
    "Shrink": "select(lt(a0, -({lambd})), a0 + {bias}, select(lt({lambd}, a0), a0 - {bias}, 0))",
}
_GELU = {
    "none": f"0.5 * a0 * (1.0 + erf({0.5**0.5} * a0))",
    # sqrt(2 / pi)
    "tanh": "0.5 * a0 * (1.0 + tanh(0.7978845608028654 * (a0 + 0.044715 * a0 * a0 * a0)))",
}


def _activation(text: str) -> Expansion:
    def expand(call: Call, x: Value) -> Value:
        attributes = call.operator.schema.attributes
        return compute(text.format(**{name: call.attr(name) for name in attributes}), x)

    return expand


for _type, _text in ACTIVATIONS.items():
    expansion(_type)(_activation(_text))


@expansion("Gelu")
def gelu(call: Call, x: Value) -> Value:
    return compute(_GELU[call.attr("approximate")], x)


@expansion("Clip")
def clip(call: Call, x: Value, low: Value | None = None, high: Value | None = None) -> Value:
    """Bounds are attributes before opset 11, operands since; a bound may be absent."""
    if call.version < 11:
        written = dict(call.operator.attrs)
        low, high = (scalar_like(x, written[k]) if k in written else None for k in ("min", "max"))
    text, operands = "a0", [x]
    for function, bound in (("max", low), ("min", high)):
        if bound is not None:
            text = f"{function}({text}, a{len(operands)})"
            operands.append(bound)
    return compute(text, *operands)
