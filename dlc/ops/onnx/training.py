"""Expansions of the optimisers of ai.onnx.preview.training: one step, by the operators' definitions.

Operands are the learning rate, the number of steps done, and then lists: the tensors, their
gradients and their states. Results are the new tensors and states.
"""

from __future__ import annotations

from collections.abc import Sequence

from dlc.ir.graph import Value
from dlc.ir.types import DType
from dlc.ops.build import cast, map_, reshape
from dlc.ops.onnx.expansion import Call, expansion

_DOMAIN = "ai.onnx.preview.training"


def _lists(values: Sequence[Value], count: int) -> list[Sequence[Value]]:
    """The operands after the first two, one row a tensor: itself, its gradient, its states."""
    each = len(values) // count
    return [values[i::each] for i in range(each)]


def _columns(rows: Sequence[Sequence[Value]]) -> list[Value]:
    return [value for column in zip(*rows, strict=True) for value in column]


def _regularised(call: Call, x: Value, gradient: Value) -> Value:
    return map_(f"{call.attr('norm_coefficient')!r} * a0 + a1", x, gradient)


def _step(x: Value, count: Value) -> Value:
    """The number of steps done as a scalar of the dtype of ``x``."""
    return cast(reshape(count, ()), x.type.dtype)


@expansion("Adagrad", domain=_DOMAIN)
def adagrad(call: Call, rate: Value, count: Value, *values: Value) -> list[Value]:
    """Duchi, Hazan and Singer (2011)."""
    rows = []
    for x, gradient, squares in _lists(values, 3):
        g = _regularised(call, x, gradient)
        squares = map_("a0 + a1 * a1", squares, g)
        slower = map_(f"a0 / (1.0 + a1 * {call.attr('decay_factor')!r})",
                      cast(reshape(rate, ()), x.type.dtype), _step(x, count))  # fmt: skip
        moved = map_(f"a0 - a1 * a2 / (sqrt(a3) + {call.attr('epsilon')!r})", x, slower, g, squares)
        rows.append([moved, squares])
    return _columns(rows)


@expansion("Adam", domain=_DOMAIN)
def adam(call: Call, rate: Value, count: Value, *values: Value) -> list[Value]:
    """Kingma and Ba (2014); before the first step the rate has no correction."""
    alpha, beta = float(call.attr("alpha")), float(call.attr("beta"))
    rows = []
    for x, gradient, means, squares in _lists(values, 4):
        g = _regularised(call, x, gradient)
        means = map_(f"{alpha!r} * a0 + {1 - alpha!r} * a1", means, g)
        squares = map_(f"{beta!r} * a0 + {1 - beta!r} * (a1 * a1)", squares, g)
        corrected = f"a0 * sqrt(1.0 - pow({beta!r}, a1)) / (1.0 - pow({alpha!r}, a1))"
        plain = cast(reshape(rate, ()), DType.F64)  # 1 - beta**t loses digits
        exact = map_(
            f"select(lt(0.0, a1), {corrected}, a0)", plain, cast(reshape(count, ()), DType.F64)
        )
        moved = f"a0 - a1 * (a2 / (sqrt(a3) + {call.attr('epsilon')!r}))"
        if call.attr("norm_coefficient_post"):
            moved = f"{1 - call.attr('norm_coefficient_post')!r} * ({moved})"
        rows.append([map_(moved, x, cast(exact, x.type.dtype), means, squares), means, squares])
    return _columns(rows)


@expansion("Momentum", domain=_DOMAIN)
def momentum(call: Call, rate: Value, count: Value, *values: Value) -> list[Value]:
    """Standard, or Nesterov's; the first gradient counts whole."""
    alpha, beta = float(call.attr("alpha")), float(call.attr("beta"))
    move = f"a3 + {alpha!r} * a2" if call.attr("mode") == "nesterov" else "a2"
    rows = []
    for x, gradient, speed in _lists(values, 3):
        g = _regularised(call, x, gradient)
        share = f"select(lt(0.0, a2), {beta!r}, 1.0)"
        speed = map_(f"{alpha!r} * a0 + {share} * a1", speed, g, _step(x, count))
        scaled = cast(reshape(rate, ()), x.type.dtype)
        rows.append([map_(f"a0 - a1 * ({move})", x, scaled, speed, g), speed])
    return _columns(rows)
