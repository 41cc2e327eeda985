"""An operator of one's own, com.example.Squash (capsule networks), with a C kernel of one's own.

dlc compile model.onnx -o model_c --load custom_op.py
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import dlc
from dlc.ops.build import apply
from dlc.ops.core.operator import CoreOperator
from dlc.ops.emission import Access, Emission, Kernel, Operand, Result

dlc.kernel_path(Path(__file__).parent / "kernels")  # where squash_f32.h is


@dataclass(frozen=True)
class Squash(CoreOperator):
    """Rows along the last axis times n / (1 + n * n), n their Euclidean norm. C1: one f32 operand."""

    name = "squash"

    def infer(self, operands):
        self.require(self.only(operands).dtype.value == "f32", "C1", "the operand is not f32")
        return (operands[0],)

    def evaluate(self, operands):
        norm = np.linalg.norm(operands[0], axis=-1, keepdims=True)
        return (operands[0] * (norm / (1 + norm**2)),)

    def emission(self, operands, results):
        *rows, length = operands[0].dims
        args = (Access(Result()), Access(Operand(0)), math.prod(rows), length)
        return Emission((Kernel("squash_f32", args),))


@dlc.onnx_operator("Squash", domain="com.example")
def squash(call, x):
    """The ONNX operator is one Squash; it could be many core ops (see dlc.ops.build)."""
    return apply(Squash(), x)
