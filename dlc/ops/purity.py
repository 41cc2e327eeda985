"""Which operators give the same results whenever they are given the same operands."""

from __future__ import annotations

from dlc.ir.operator import Operator

#: random by nature; Dropout and BatchNormalization only as their attributes and operands say, so
#: Dropout counts as random always: in inference `drop-identity` removes it anyway
_RANDOM = frozenset({
    "random", "onnx.RandomNormal", "onnx.RandomNormalLike", "onnx.RandomUniform",
    "onnx.RandomUniformLike", "onnx.Multinomial", "onnx.Bernoulli", "onnx.Dropout",
})  # fmt: skip


def is_pure(operator: Operator) -> bool:
    """Whether equal operands give equal results, as far as can be told without reading bodies."""
    return operator.label not in _RANDOM and next(iter(operator.regions()), None) is None
