"""How named ops compute the same when channels of what they read have been taken out.

``kept_by(op, channels)``: given which channels of its operands stay, the op that computes the
channels of its result that stay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dlc.ir.graph import Op, Value
from dlc.ir.operator import Array, Operator
from dlc.ir.types import TensorType
from dlc.ops.onnx.named import onnx_operator, pads_of, setting, with_attributes
from dlc.ops.onnx.operator import is_onnx


@dataclass(frozen=True, slots=True)
class Channels:
    """Which channels of a value stay; ``block`` features on axis 1 belong to each of them.

    ``zero``: those that go are zero, so that a product with them can be left out.
    """

    keep: Array
    block: int = 1
    zero: bool = True

    @property
    def features(self) -> Array:
        """What stays along axis 1."""
        return np.repeat(self.keep, self.block)

    def type(self, type: TensorType) -> TensorType:
        return type.with_shape((type.shape[0], int(self.features.sum()), *type.shape[2:]))


@dataclass(frozen=True, slots=True)
class Kept:
    """What becomes of an op: its operands, arrays being new constants, and its result's channels."""

    operator: Operator
    operands: Sequence[Value | Array | None]
    result: Channels | None


Given = Mapping[Value, Channels]
Rule = Callable[[Op, Given], "Kept | str"]


def kept_by(op: Op, given: Given) -> Kept | str:
    """The op on operands without those channels; else the reason, to be read after its name.

    Every operand that lost channels is in ``given``, at least one is.
    """
    rule = _RULES.get(op.operator.label)
    return "needs all of its channels" if rule is None else rule(op, given)


def conv_operands(op: Op) -> tuple[Value | None, Value | None, Value | None]:
    """The operands of a conv, None for an absent bias."""
    x, w, b, *_ = (*op.operands, None)
    return x, w, b


def picked(value: Value | None, keep: Array, axis: int) -> Array | None:
    """What stays of a constant along an axis."""
    if value is None:
        return None
    assert value.constant is not None
    return np.ascontiguousarray(value.constant.compress(keep, axis))


def _of_first(op: Op, given: Given) -> Channels:
    """The channels of operand 0 that stay."""
    (x, *_) = op.operands
    assert x is not None
    return given[x]


# ---- ops that give channels on ------------------------------------------------------------------


def _keeps_zero(op: Op, given: Given) -> Kept | str:
    if op.operands[0] not in given or len(op.results) > 1:
        return "needs all of its channels"
    return Kept(op.operator, op.operands, _of_first(op, given))


def _fills_zero(op: Op, given: Given) -> Kept | str:
    """f(0) is not 0: what was zero may be multiplied by zero later."""
    cut = _of_first(op, given)
    return Kept(op.operator, op.operands, Channels(cut.keep, cut.block, zero=False))


def _clip(op: Op, given: Given) -> Kept | str:
    low, high = setting(op, 1, "min", -np.inf), setting(op, 2, "max", np.inf)
    around = low is not None and high is not None and low.item() <= 0 <= high.item()
    return _keeps_zero(op, given) if around else _fills_zero(op, given)


def _pad(op: Op, given: Given) -> Kept | str:
    pads, fill = pads_of(op), setting(op, 2, "value", 0.0)
    if pads is None or any(pads[0][:2] + pads[1][:2]):
        return "pads its channels"
    zero = onnx_operator(op).attr("mode") != "constant" or (fill is not None and not fill.any())
    return _keeps_zero(op, given) if zero else _fills_zero(op, given)


def _arithmetic(op: Op, given: Given) -> Kept | str:
    """Of two values with the same channels, or of one and a constant."""
    kind, rank = onnx_operator(op).type, op.types[0].rank
    a, b = op.operands
    assert a is not None
    assert b is not None
    cut = given[a] if a in given else given[b]
    if kind == "Div" and (a not in given or b in given):
        return "divides by its channels"
    operands: list[Value | Array] = []
    zeros = []
    for value in (a, b):
        if value in given:
            other = given[value]
            if value.type.rank != rank or not np.array_equal(other.features, cut.features):
                return "joins it with a value of other channels"
            operands.append(value)
            zeros.append(other.zero)
        elif value.constant is None:
            return "joins it with a value that has all channels"
        else:
            stays, goes = _parted(value.constant, cut.features, rank)
            factor = kind in ("Mul", "Div")
            if factor and not (np.isfinite(goes).all() and (kind == "Mul" or goes.all())):
                return "multiplies zeros by what is not finite"
            operands.append(value if stays is value.constant else stays)
            zeros.append(False if kind == "Div" else not goes.any())
    zero = any(zeros) if kind in ("Mul", "Div") else all(zeros)
    return Kept(op.operator, operands, Channels(cut.keep, cut.block, zero))


def _parted(array: Array, features: Array, rank: int) -> tuple[Array, Array]:
    """What a constant that broadcasts to ``rank`` axes adds to the features that stay, and go."""
    axis = array.ndim - rank + 1
    if axis < 0 or array.shape[axis] == 1:
        return array, array
    return array.compress(features, axis), array.compress(~features, axis)


def _depthwise(op: Op, given: Given) -> Kept | str:
    x, w, b = conv_operands(op)
    cut, operator = _of_first(op, given), onnx_operator(op)
    if w is None or w.constant is None or (b is not None and b.constant is None):
        return "has weights that are not constant"
    if len(w.constant) != len(cut.keep) or operator.attr("group") != len(cut.keep):
        return "has groups of several channels"
    stays_zero = cut.zero and (b is None or b.constant is None or not b.constant[~cut.keep].any())
    parameters = [picked(v, cut.keep, 0) for v in (w, b)[: len(op.operands) - 1]]
    grouped = with_attributes(operator, group=int(cut.keep.sum()))
    return Kept(grouped, [x, *parameters], Channels(cut.keep, 1, stays_zero))


def _batch_normalization(op: Op, given: Given) -> Kept | str:
    x, *parameters = op.operands
    if len(op.results) > 1 or any(v is None or v.constant is None for v in parameters):
        return "has parameters that are not constant"
    cut = _of_first(op, given)
    _, bias, mean, _ = (v.constant for v in parameters if v is not None)
    shifted = bias is None or mean is None or bias[~cut.keep].any() or mean[~cut.keep].any()
    return Kept(op.operator, [x, *(picked(v, cut.keep, 0) for v in parameters)],
                Channels(cut.keep, 1, cut.zero and not shifted))  # fmt: skip


def _flatten(op: Op, given: Given) -> Kept | str:
    x, type = op.operands[0], op.types[0]
    assert x is not None
    cut = _of_first(op, given)
    if not x.type.is_static or type.rank != 2 or type.shape[0] != x.shape[0] or not x.type.capacity:
        return "does not keep channels together"
    block = cut.block * int(np.prod(x.shape[2:]))
    flat = Channels(cut.keep, block, cut.zero)
    if is_onnx(op, "Flatten"):
        return Kept(op.operator, op.operands, flat)
    if len(op.operands) < 2:
        return "has its shape as an attribute"
    return Kept(op.operator, [x, np.array(flat.type(type).dims, np.int64)], flat)


# ---- ops that multiply channels by weights and add ------------------------------------------------


def _conv(op: Op, given: Given) -> Kept | str:
    if op.operands[0] not in given:
        return "has weights that are computed"
    if onnx_operator(op).attr("group") != 1:
        return _depthwise(op, given)
    return _weighted(op, given, axis=1 if is_onnx(op, "Conv") else 0)


def _product(op: Op, given: Given) -> Kept | str:
    a, operator = op.operands[0], onnx_operator(op)
    if a not in given or a is None or a.type.rank != 2 or op.types[0].rank != 2:
        return "is no product of its features by a matrix"
    if operator.type == "Gemm" and operator.attr("transA"):
        return "reads its features transposed"
    return _weighted(op, given, axis=1 if operator.attr("transB") else 0)


def _weighted(op: Op, given: Given, axis: int) -> Kept | str:
    x, w, *rest = op.operands
    cut = _of_first(op, given)
    if w is None or w.constant is None or any(v in given for v in rest if v is not None):
        return "has weights that are not constant"
    if not cut.zero:
        return "reads channels that are not zero any more (fold-bn, if it was a normalisation)"
    if not np.isfinite(w.constant.compress(~cut.features, axis)).all():
        return "has weights that are not finite"
    return Kept(op.operator, [x, picked(w, cut.features, axis), *rest], None)


_KEEP_ZERO = (
    "Relu", "LeakyRelu", "Abs", "Neg", "Sign", "Sqrt", "Tanh", "Erf", "Floor", "Ceil", "Round", "Sin",
    "Tan", "Asin", "Atan", "Sinh", "Asinh", "Atanh", "Elu", "Selu", "Celu", "HardSwish", "Swish",
    "Softsign", "Mish", "Gelu", "Identity", "Cast", "MaxPool", "AveragePool", "GlobalAveragePool",
    "GlobalMaxPool",
)  # fmt: skip
_FILL_ZERO = ("Sigmoid", "HardSigmoid", "Exp", "Cos", "Softplus")
_RULES: dict[str, Rule] = {
    **dict.fromkeys((f"onnx.{type}" for type in _KEEP_ZERO), _keeps_zero),
    **dict.fromkeys((f"onnx.{type}" for type in _FILL_ZERO), _fills_zero),
    **dict.fromkeys((f"onnx.{type}" for type in ("Add", "Sub", "Mul", "Div")), _arithmetic),
    "onnx.Clip": _clip, "onnx.Pad": _pad, "onnx.BatchNormalization": _batch_normalization,
    "onnx.Flatten": _flatten, "onnx.Reshape": _flatten,
    "onnx.Conv": _conv, "onnx.ConvTranspose": _conv, "onnx.Gemm": _product, "onnx.MatMul": _product,
}  # fmt: skip
