"""Expansions of normalisations, each to means and element-wise maps."""

from __future__ import annotations

from collections.abc import Sequence

from dlc.ir.graph import Value
from dlc.ir.sizes import product
from dlc.ops import build
from dlc.ops.onnx.axes import normal_axis
from dlc.ops.onnx.conv import per_channel
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.onnx.precision import in_f32


def _standardise(x: Value, axes: Sequence[int], epsilon: float) -> tuple[Value, Value, Value]:
    """``(x - mean) / sqrt(variance + epsilon)`` along axes, the mean, and 1 / that root."""
    mean = build.mean(x, axes)
    variance = build.mean(x, axes, mean, element="(a0 - a1) * (a0 - a1)")
    inverse = build.map_(f"1.0 / sqrt(a0 + {epsilon})", variance)
    return build.map_("(a0 - a1) * a2", x, mean, inverse), mean, inverse


def _scaled(x: Value, scale: Value, bias: Value | None) -> Value:
    return (
        build.map_("a0 * a1", x, scale)
        if bias is None
        else build.map_("a0 * a1 + a2", x, scale, bias)
    )


@expansion("BatchNormalization")
@in_f32
def batch_normalization(call: Call, x: Value, scale: Value, bias: Value, mean: Value,
                        variance: Value) -> Value | Sequence[Value]:  # fmt: skip
    """One scale and one shift a channel (or an activation, opset 7 and 8's spatial=0)."""
    if call.attr("training_mode", 0) or call.results > 1:
        return _trained(call, x, scale, bias, mean, variance)
    factor = build.map_(f"a0 / sqrt(a1 + {call.attr('epsilon')})", scale, variance)
    shift = build.map_("a0 - a1 * a2", bias, mean, factor)
    ones = (1,) * (x.type.rank - 1 - scale.type.rank)
    factor, shift = (build.reshape(v, (*v.type.shape, *ones)) for v in (factor, shift))
    return _scaled(x, factor, shift)


def _trained(call: Call, x: Value, scale: Value, bias: Value, mean: Value,
             variance: Value) -> list[Value]:  # fmt: skip
    """Statistics of the batch itself, and mixed with those of before; before opset 14 also alone."""
    axes = [0, *range(2, x.type.rank)] if call.attr("spatial", 1) else [0]
    momentum, epsilon = float(call.attr("momentum")), call.attr("epsilon")
    own = build.mean(x, axes)
    spread = build.mean(x, axes, own, element="(a0 - a1) * (a0 - a1)")
    shape = own.type.shape  # channels where they are in x
    factors = [build.reshape(v, shape) for v in (scale, bias)]
    text = f"(a0 - a1) / sqrt(a2 + {epsilon}) * a3 + a4"
    result = build.map_(text, x, own, spread, *factors)
    mixed = f"a0 * {momentum!r} + a1 * {1 - momentum!r}"
    alone = [build.reshape(v, scale.type.shape) for v in (own, spread)]
    running = [
        build.map_(mixed, old, new) for old, new in zip((mean, variance), alone, strict=True)
    ]
    return [result, *running, *alone][: call.results]


@expansion("InstanceNormalization")
@in_f32
def instance_normalization(call: Call, x: Value, scale: Value, bias: Value) -> Value:
    normal, *_ = _standardise(x, range(2, x.type.rank), call.attr("epsilon"))
    return _scaled(normal, per_channel(scale, x), per_channel(bias, x))


@expansion("LayerNormalization")
@in_f32
def layer_normalization(
    call: Call, x: Value, scale: Value, bias: Value | None = None
) -> list[Value]:
    axis = normal_axis(call, call.attr("axis"), x.type.rank)
    normal, *statistics = _standardise(x, range(axis, x.type.rank), call.attr("epsilon"))
    return [_scaled(normal, scale, bias), *statistics][: call.results]


@expansion("GroupNormalization")
@in_f32
def group_normalization(call: Call, x: Value, scale: Value, bias: Value) -> Value:
    """Scale and bias have one entry a group before opset 21, one a channel since."""
    groups, (n, channels, *rest) = call.attr("num_groups"), x.type.shape
    if groups < 1 or channels % groups != 0:
        raise call.unsupported(f"{groups} groups do not divide {channels} channels")
    grouped = build.reshape(x, (n, groups, channels // groups, *rest))
    normal, *_ = _standardise(grouped, range(2, len(rest) + 3), call.attr("epsilon"))
    if call.version < 21:
        return build.reshape(
            _scaled(normal, per_channel(scale, grouped), per_channel(bias, grouped)), x.type.shape
        )
    return _scaled(build.reshape(normal, x.type.shape), per_channel(scale, x), per_channel(bias, x))


@expansion("RMSNormalization")
@in_f32
def rms_normalization(call: Call, x: Value, scale: Value) -> Value:
    axis = normal_axis(call, call.attr("axis"), x.type.rank)
    square = build.mean(x, range(axis, x.type.rank), element="a0 * a0")
    return build.map_(f"a0 / sqrt(a1 + {call.attr('epsilon')}) * a2", x, square, scale)


@expansion("LpNormalization")
@in_f32
def lp_normalization(call: Call, x: Value) -> Value:
    axis = normal_axis(call, call.attr("axis"), x.type.rank)
    element, epilogue = {1: ("abs(a0)", "a0"), 2: ("a0 * a0", "sqrt(a0)")}[call.attr("p")]
    norm = build.reduce("add", x, [axis], element=element, epilogue=epilogue)
    return build.map_("select(eq(a1, 0.0), 0.0, a0 / a1)", x, norm)


@expansion("MeanVarianceNormalization")
@in_f32
def mean_variance_normalization(call: Call, x: Value) -> Value:
    axes = sorted({normal_axis(call, axis, x.type.rank) for axis in call.attr("axes") or (0, 2, 3)})
    mean = build.mean(x, axes)
    variance = build.mean(x, axes, mean, element="(a0 - a1) * (a0 - a1)")
    return build.map_("(a0 - a1) / (sqrt(a2) + 1e-9)", x, mean, variance)


@expansion("LRN")
@in_f32
def lrn(call: Call, x: Value) -> Value:
    """The mean square of neighbouring channels is a pool along an axis of channels."""
    n, channels, *rest = x.type.shape
    size, alpha, beta = call.attr("size"), call.attr("alpha"), call.attr("beta")
    squares = build.reshape(build.map_("a0 * a0", x), (n, 1, channels, product(rest)))
    means = build.pool(
        "avg", squares, (size, 1), pads=((size - 1) // 2, 0, size // 2, 0), include_pad=True
    )
    root = f"pow({call.attr('bias')} + {alpha} * a1, {beta})"
    return build.map_(f"a0 / {root}", x, build.reshape(means, x.type.shape))
