"""``pairwise_coupling``: probabilities of classes from those of one class against another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import numpy as np

from dlc.ir.operator import Array, Arrays, Cost, Types
from dlc.ir.types import DType, TensorType
from dlc.ops.core.operator import CoreOperator
from dlc.ops.emission import Access, Emission, Kernel, Operand, Result, Scratch

#: rounds of the iteration at most; it ends when the error is below this, divided by the classes
ROUNDS, ERROR = 100, np.float32(0.005)


@dataclass(frozen=True, slots=True)
class PairwiseCoupling(CoreOperator):
    """Operand r f32[N, pairs]; result f32[N, ``classes``], rows that sum to 1.

    Pairs of classes i < j in lexicographic order: ``r`` is the probability of i where it is i or j.
    The result p minimises the sum over pairs of (r_ji p_i - r_ij p_j)^2 (the second method of Wu,
    Lin and Weng, Probability Estimates for Multi-class Classification by Pairwise Coupling, 2004),
    with the iteration of libsvm, and its stopping rule.

    C1: one operand, f32 of rank 2.
    C2: two classes or more, as many columns as they have pairs.
    """

    name: ClassVar[str] = "pairwise_coupling"
    classes: int

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        r = self.only(operands)
        self.require(r.dtype is DType.F32 and r.rank == 2, "C1", f"cannot take {r}")
        pairs = self.classes * (self.classes - 1) // 2
        fits = self.classes > 1 and r.shape[1] == pairs
        self.require(fits, "C2", f"{r} has not the pairs of {self.classes} classes")
        return (r.with_shape((r.shape[0], self.classes)),)

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        (r,) = (np.asarray(a) for a in operands)
        with np.errstate(all="ignore"):
            rows = [self._couple(row) for row in r]
        return (np.array(rows, np.float32).reshape(len(r), self.classes),)

    def _couple(self, agreed: Array) -> Array:
        n = self.classes
        r = np.zeros((n, n), np.float32)
        for (i, j), probability in zip(combinations(range(n), 2), agreed, strict=True):
            r[i, j], r[j, i] = probability, 1 - probability
        q = -r.T * r
        q[np.diag_indices(n)] = (r * r).sum(0)
        p = np.full(n, 1 / n, np.float32)
        for _ in range(ROUNDS):
            qp = q @ p
            pqp = p @ qp
            if np.abs(qp - pqp).max() < ERROR / np.float32(n):
                break
            for i in range(n):
                step = (pqp - qp[i]) / q[i, i]
                p[i] += step
                pqp = (pqp + step * (step * q[i, i] + 2 * qp[i])) / (1 + step) / (1 + step)
                qp = (qp + step * q[i]) / (1 + step)
                p /= 1 + step
        return p

    def cost(self, operands: Types, results: Sequence[TensorType]) -> Cost:
        moved = sum(t.nbytes for t in [*operands, *results] if t is not None)
        return Cost(results[0].capacity * self.classes, moved)

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        classes = self.classes
        arguments = (Access(Result()), Access(Operand(0)), Access(Scratch()))
        kernel = Kernel("dlc_pairwise_coupling_f32", (*arguments, results[0].shape[0], classes))
        return Emission((kernel,), scratch=4 * classes * (classes + 1))
