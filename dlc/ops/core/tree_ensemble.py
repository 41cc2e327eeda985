"""``tree_ensemble``: every row of a matrix walks down decision trees, whose leaves' weights combine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.ir.operator import Array, Arrays, Cost, Types
from dlc.ir.types import DType, TensorType
from dlc.ops.core.operator import CoreOperator
from dlc.ops.emission import Access, Argument, Emission, Kernel, Operand, Result

#: tests of a node by their numbers, here and in dlc_tree_ensemble.h
TESTS = ("LEQ", "LT", "GTE", "GT", "EQ", "NEQ")
#: added to a test that NaN passes
MISSING = 8
FUNCTIONS = ("add", "min", "max")


@dataclass(frozen=True, slots=True)
class TreeEnsemble(CoreOperator):
    """Operands x[N,F] and tables of the trees; result [N, ``targets``], of the dtype of x.

    The tables are nodes i32[n,4], thresholds[n], roots i32[trees], starts i32[leaves+1],
    ids i32[k], weights[k]. A row of ``nodes`` is the feature that is tested, the test (the position
    in LEQ, LT, GTE, GT, EQ, NEQ, plus 8 where NaN passes) of feature against threshold, and where
    to go if it passes and if not: to that node, or, if negative, to leaf ``-1 - where``. The leaf
    ``l`` gives ``weights[j]`` to target ``ids[j]``, for j from ``starts[l]`` to ``starts[l+1] - 1``.

    Weights are combined tree by tree by ``function``. A target that was given none is 0 for add,
    NaN for min and max. ``test`` is the test of all nodes where they have the same one, else -1.

    C1: seven operands, x f32 or f64; thresholds and weights have its dtype, the other tables are i32.
    C2: the shapes are those above, none empty.
    C3: function is add, min or max; targets is positive.
    C4: the tables are known when compiling, features and tests exist, and nodes lead to leaves and
        to later nodes only, so that every walk ends.
    C5: leaves lie one after the other in the weights, whose targets exist.
    """

    name: ClassVar[str] = "tree_ensemble"
    targets: int
    function: str = "add"
    test: int = -1

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        types = [t for t in operands if t is not None]
        self.require(len(types) == len(operands) == 7, "C1", "needs seven operands")
        x, nodes, thresholds, roots, starts, ids, weights = types
        dtypes = [t.dtype for t in (thresholds, weights)] == [x.dtype] * 2
        integers = {t.dtype for t in (nodes, roots, starts, ids)} == {DType.I32}
        floats = x.dtype in (DType.F32, DType.F64)
        self.require(dtypes and integers and floats, "C1", f"cannot take {_listed(types)}")
        ranks = [t.rank for t in types] == [2, 2, 1, 1, 1, 1, 1]
        sizes = ranks and nodes.shape == (*thresholds.shape, 4) and ids.shape == weights.shape
        filled = sizes and 0 not in [d for t in types[1:] for d in t.dims] and starts.dims[0] > 1
        self.require(filled, "C2", f"cannot take the shapes of {_listed(types)}")
        self.require(self.function in FUNCTIONS and self.targets > 0, "C3",
                     f"cannot combine {self.targets} targets by {self.function!r}")  # fmt: skip
        return (x.with_shape((x.shape[0], self.targets)),)

    def infer_from(self, operands: Types, constants: Arrays) -> tuple[TensorType, ...]:
        result = self.infer(operands)
        assert operands[0] is not None
        tables = [array for array in constants[1:] if array is not None]
        self.require(len(tables) == 6, "C4", "has tables that are not constants")
        features = operands[0].shape[1]
        self.require(isinstance(features, int), "C2", f"{operands[0]} has no fixed features")
        assert isinstance(features, int)
        self._check(features, tables)
        return result

    def _check(self, features: int, tables: Sequence[Array]) -> None:
        nodes, _, roots, starts, ids, _ = tables
        count, leaves = len(nodes), len(starts) - 1
        own = np.arange(count, dtype=np.int64)[:, np.newaxis]
        feature, test, next_ = nodes[:, 0], nodes[:, 1], nodes[:, 2:]
        exists = (feature >= 0) & (feature < features)
        self.require(bool(exists.all()), "C4", f"tests a feature that is not one of {features}")
        known = (test >= 0) & (test < 2 * MISSING) & (test % MISSING < len(TESTS))
        same = self.test == -1 or bool((test == self.test).all())
        self.require(same and bool(known.all()), "C4", "has a node of an unknown test")
        later = (next_ >= -leaves) & (next_ < count) & ((next_ < 0) | (next_ > own))
        begins = (roots >= -leaves) & (roots < count)
        ends = bool(later.all()) and bool(begins.all())
        self.require(ends, "C4", "has a node that leads to no later node or leaf")
        ordered = starts[0] >= 0 and bool((np.diff(starts) >= 0).all()) and starts[-1] <= len(ids)
        self.require(ordered, "C5", "has leaves whose weights are not one after the other")
        known = (ids >= 0) & (ids < self.targets)
        self.require(bool(known.all()), "C5", f"has a target that is not one of {self.targets}")

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        x, *tables = (np.asarray(array) for array in operands)
        self._check(x.shape[1], tables)
        _, _, roots, starts, ids, weights = tables
        leaves = _walk(x, *tables[:3])
        y = np.full((len(x), self.targets), 0 if self.function == "add" else np.nan, x.dtype)
        with np.errstate(all="ignore"):
            for tree in range(len(roots)):
                first, end = starts[leaves[:, tree]], starts[leaves[:, tree] + 1]
                for step in range(int((end - first).max(initial=0))):
                    (rows,) = np.nonzero(first + step < end)
                    at = (rows, ids[first[rows] + step])
                    y[at] = _combine(self.function, y[at], weights[first[rows] + step])
        return (y,)

    def cost(self, operands: Types, results: Sequence[TensorType]) -> Cost:
        # a row touches a path of each tree only, but which is not known
        return Cost(0, sum(t.nbytes for t in [*operands, *results] if t is not None))

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        x, roots = operands[0], operands[3]
        reads = [Access(Operand(i)) for i in range(7)]
        sizes: list[Argument] = [*x.shape, roots.dims[0], self.targets, self.test]
        kernel = f"dlc_tree_ensemble_{self.function}_{x.dtype.value}"
        return Emission((Kernel(kernel, (Access(Result()), *reads, *sizes)),))


def _walk(x: Array, nodes: Array, thresholds: Array, roots: Array) -> Array:
    """The number of the leaf that each row reaches in each tree."""
    rows = np.arange(len(x))[:, np.newaxis]
    at = np.broadcast_to(roots, (len(x), len(roots))).astype(np.int64)
    while (at >= 0).any():
        feature, test, yes, no = np.moveaxis(nodes[np.maximum(at, 0)], -1, 0)
        value, threshold = x[rows, feature], thresholds[np.maximum(at, 0)]
        passed = np.choose(test % MISSING, [
            value <= threshold, value < threshold, value >= threshold, value > threshold,
            value == threshold, value != threshold,
        ]) | ((test >= MISSING) & np.isnan(value))  # fmt: skip
        at = np.where(at < 0, at, np.where(passed, yes, no))
    return -1 - at


def _combine(function: str, sofar: Array, weight: Array) -> Array:
    if function == "add":
        return np.asarray(sofar + weight)
    keep = sofar <= weight if function == "min" else sofar >= weight
    return np.where(keep, sofar, weight)


def _listed(types: Sequence[TensorType]) -> str:
    return ", ".join(map(str, types))
