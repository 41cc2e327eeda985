"""The tables of ``tree_ensemble`` from the attributes of ``ai.onnx.ml``: nodes numbered so that
children come after parents, the leaves' weights one leaf after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from dlc.errors import UnsupportedError, VerifyError
from dlc.ir.operator import Array, Data
from dlc.ops.core.tree_ensemble import MISSING, TESTS
from dlc.ops.onnx.operator import OnnxOperator

_MEMBER = len(TESTS)  # the mode of TreeEnsemble that tests membership in a set


@dataclass(frozen=True, slots=True)
class Forest:
    """Tables as ``tree_ensemble`` takes them, thresholds and weights as wide as in the model."""

    nodes: Array
    thresholds: Array
    roots: Array
    starts: Array
    ids: Array
    weights: Array

    @property
    def test(self) -> int:
        """The test of all nodes, -1 where they differ."""
        first = int(self.nodes[0, 1])
        return first if bool((self.nodes[:, 1] == first).all()) else -1


def _numbers(operator: OnnxOperator, name: str) -> Array:
    """A list of numbers, or the tensor under the same name; empty if absent."""
    found = operator.attr(name) or operator.attr(f"{name}_as_tensor") or ()
    if isinstance(found, Data):
        return found.array.ravel()
    whole = all(isinstance(number, int) for number in found)
    return np.asarray(found, dtype=np.int64 if found and whole else np.float32)


def _columns(operator: OnnxOperator, *names: str) -> list[Array]:
    """Attributes that list one entry for each node, or each weight."""
    columns = [_numbers(operator, name) for name in names]
    if len({len(column) for column in columns}) > 1:
        sizes = ", ".join(f"{len(c)} {n}" for n, c in zip(names, columns, strict=True))
        raise VerifyError(f"{operator.label}: its attributes differ in length: {sizes}")
    return columns


@lru_cache(maxsize=8)  # types are inferred more than once
def forest_of_keys(operator: OnnxOperator, prefix: str) -> Forest:
    """Of TreeEnsembleRegressor (``prefix`` target) and TreeEnsembleClassifier (class): nodes are known
    by numbers of tree and node, leaves are nodes, the first node of a tree is its root.

    Raises VerifyError for attributes that form no trees.
    """
    trees, numbers, features, values, yes, no = _columns(
        operator, *(f"nodes_{name}" for name in (
            "treeids", "nodeids", "featureids", "values", "truenodeids", "falsenodeids",
        ))
    )  # fmt: skip
    modes = operator.attr("nodes_modes") or ()
    if len(modes) != len(trees) or not len(trees):
        raise VerifyError(f"{operator.label}: {len(modes)} nodes_modes for {len(trees)} nodes")
    keys = list(zip(trees.tolist(), numbers.tolist(), strict=True))
    index = {key: i for i, key in enumerate(keys)}
    if len(index) != len(keys):
        raise VerifyError(f"{operator.label}: a node is listed twice")
    is_leaf = np.array([mode == "LEAF" for mode in modes])
    # where to go: to node i, or to leaf l as -1 - l
    place = np.where(is_leaf, -np.cumsum(is_leaf), np.arange(len(keys)))

    def go(next_: Array) -> Array:
        wanted = zip(trees.tolist(), next_.tolist(), is_leaf.tolist(), strict=True)
        try:
            return place[[0 if leaf else index[tree, node] for tree, node, leaf in wanted]]
        except KeyError as error:
            raise VerifyError(f"{operator.label}: there is no node {error}") from None

    roots = np.sort(np.unique(trees, return_index=True)[1])
    tests = np.array([0 if mode == "LEAF" else _test_of(operator, mode) for mode in modes])
    ids = np.array(operator.attr(f"{prefix}_ids") or (), np.int64)
    owners = zip(*_columns(operator, f"{prefix}_treeids", f"{prefix}_nodeids"), strict=True)
    try:
        owner = place[[index[int(tree), int(node)] for tree, node in owners]]
    except KeyError as error:
        raise VerifyError(f"{operator.label}: a weight of node {error}, which is none") from None
    weights = _numbers(operator, f"{prefix}_weights")
    if not len(owner) == len(ids) == len(weights) > 0:
        raise VerifyError(f"{operator.label}: {len(weights)} weights for {len(ids)} {prefix}_ids")
    kept = owner < 0  # what inner nodes weigh does not count
    return _forest(
        operator, [features, tests + _missing(operator, len(keys)), values, go(yes), go(no)],
        place[roots], int(is_leaf.sum()), -1 - owner[kept], ids[kept], weights[kept],
    )  # fmt: skip


def _test_of(operator: OnnxOperator, mode: str) -> int:
    name = mode.removeprefix("BRANCH_")
    if name == mode or name not in TESTS:
        raise VerifyError(f"{operator.label}: there is no node mode {mode!r}")
    return TESTS.index(name)


def _missing(operator: OnnxOperator, count: int) -> Array:
    """What to add to tests that NaN passes."""
    flags = np.array(operator.attr("nodes_missing_value_tracks_true") or (0,) * count, np.int64)
    if len(flags) != count:
        raise VerifyError(f"{operator.label}: {len(flags)} missing-value flags for {count} nodes")
    return np.where(flags != 0, MISSING, 0)


@lru_cache(maxsize=8)
def forest_of_indices(operator: OnnxOperator) -> Forest:
    """Of TreeEnsemble: nodes and leaves are known by their positions.

    Raises VerifyError for attributes that form no trees.
    """
    features, modes, splits, yes, no, yes_leaf, no_leaf = _columns(
        operator, *(f"nodes_{name}" for name in (
            "featureids", "modes", "splits", "truenodeids", "falsenodeids", "trueleafs",
            "falseleafs",
        ))
    )  # fmt: skip
    count = len(features)
    ids, weights = _columns(operator, "leaf_targetids", "leaf_weights")
    roots = np.array(operator.attr("tree_roots") or (), np.int64)

    def go(next_: Array, leaf: Array) -> Array:
        limit = np.where(leaf != 0, len(weights), count)
        if not ((next_ >= 0) & (next_ < limit)).all():
            raise VerifyError(f"{operator.label}: a node leads to a node or leaf that is none")
        return np.where(leaf != 0, -1 - next_, next_)

    known = (modes >= 0) & (modes <= _MEMBER)
    if not (count and len(roots) and known.all() and ((roots >= 0) & (roots < count)).all()):
        raise VerifyError(f"{operator.label}: its modes or roots are not those of trees")
    columns = [features, modes.astype(np.int64) + _missing(operator, count), splits,
               go(yes, yes_leaf), go(no, no_leaf)]  # fmt: skip
    if (modes == _MEMBER).any():
        columns = _unfold_sets(operator, columns, modes == _MEMBER)
    return _forest(operator, columns, roots, len(weights), np.arange(len(ids)), ids, weights)


def _unfold_sets(operator: OnnxOperator, columns: list[Array], member: Array) -> list[Array]:
    """A test of membership as a chain of tests for equality, all with the same way to go if passed."""
    values = _numbers(operator, "membership_values")
    sets = np.split(values, np.flatnonzero(np.isnan(values)) + 1)
    lists = [[*group[~np.isnan(group)]] for group in sets]
    nodes = np.flatnonzero(member).tolist()
    if len(lists) - (not lists[-1]) < len(nodes):
        raise VerifyError(f"{operator.label}: {len(lists)} sets for {len(nodes)} nodes")
    equal = TESTS.index("EQ") - _MEMBER
    features, tests, splits, yes, no = (column.copy() for column in columns)
    more: list[tuple[object, ...]] = []
    for node, group in zip(nodes, lists, strict=False):
        tests[node] += equal
        first, *rest = group or [np.nan]  # nothing equals NaN
        splits[node], at, last = first, node, no[node]
        for value in rest:
            following = len(tests) + len(more)
            if at == node:
                no[node] = following
            else:
                more[-1] = (*more[-1][:4], following)
            more.append((features[node], tests[node], value, yes[node], last))
            at = following
    added = zip(*more, strict=True) if more else [()] * 5
    old = (features, tests, splits, yes, no)
    return [np.concatenate([a, np.array(b, a.dtype)]) for a, b in zip(old, added, strict=True)]


def _forest(operator: OnnxOperator, columns: Sequence[Array], roots: Array, leaves: int,
            owner: Array, ids: Array, weights: Array) -> Forest:  # fmt: skip
    """``columns``: feature, test, threshold, where to go; ``owner``: the leaf of each weight."""
    features, tests, values, yes, no = columns
    order = _parents_first(operator, yes.tolist(), no.tolist(), roots.tolist())
    rank = np.full(len(features), -1)
    rank[order] = np.arange(len(order))

    def renumbered(where: Array) -> Array:
        return np.where(where < 0, where, rank[np.maximum(where, 0)])

    parts = [features[order], tests[order], renumbered(yes[order]), renumbered(no[order])]
    nodes, thresholds = np.stack(parts, 1), values[order]
    if not order:  # single leaves; no table is empty
        nodes, thresholds = np.array([[0, 0, -1, -1]]), np.zeros(1, values.dtype)
    by_leaf = np.argsort(owner, kind="stable")
    starts = np.searchsorted(owner[by_leaf], np.arange(leaves + 1))
    tables: list[Array] = [nodes, renumbered(roots), starts, ids[by_leaf]]
    if any(array.size and np.abs(array).max() >= 2**31 for array in tables):
        raise VerifyError(f"{operator.label}: a number in its trees has more than 32 bits")
    if not ids.size:
        raise UnsupportedError(f"{operator.label}: no leaf has a weight")
    rows, heads, firsts, targets = (array.astype(np.int32) for array in tables)
    return Forest(rows, thresholds, heads, firsts, targets, weights[by_leaf])


def _parents_first(
    operator: OnnxOperator, yes: Sequence[int], no: Sequence[int], roots: Sequence[int]
) -> list[int]:
    """Nodes in the order of a walk that goes where tests pass first, each after all its parents.

    Nodes may share children, as converters do for sets of categories; VerifyError for a cycle.
    """
    order: list[int] = []
    state = bytearray(len(yes))  # 1 entered, 2 done
    for root in reversed(roots):
        stack = [root] if root >= 0 else []
        while stack:
            node = stack[-1]
            if state[node] == 0:
                state[node] = 1
                for child in (yes[node], no[node]):
                    if child >= 0 and state[child] == 1:
                        raise VerifyError(f"{operator.label}: its nodes form a cycle, not trees")
                    if child >= 0 and state[child] == 0:
                        stack.append(child)
            else:
                stack.pop()
                if state[node] == 1:
                    state[node] = 2
                    order.append(node)
    return order[::-1]
