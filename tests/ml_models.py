"""Models of one operator of ``ai.onnx.ml``, random forests for them, and onnxruntime's answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from single_node import reference

from dlc import api, interp

ML = "ai.onnx.ml"
Array = np.ndarray[Any, Any]


def ml_model(op: str, arrays: Sequence[Array], results: Sequence[int], attributes: dict[str, Any],
             opset: int = 3) -> onnx.ModelProto:  # fmt: skip
    """One node between inputs x0, x1 ... of the arrays' types and results y0, y1 ... of these."""
    names = [f"x{i}" for i in range(len(arrays))]
    outputs = [f"y{i}" for i in range(len(results))]
    node = helper.make_node(op, names, outputs, "node", domain=ML, **attributes)
    kinds = [
        TensorProto.STRING if a.dtype == object else helper.np_dtype_to_tensor_dtype(a.dtype)
        for a in arrays
    ]
    graph = helper.make_graph(
        [node], "single",
        [helper.make_tensor_value_info(n, k, a.shape)
         for n, k, a in zip(names, kinds, arrays, strict=True)],
        [helper.make_tensor_value_info(n, k, None) for n, k in zip(outputs, results, strict=True)],
    )  # fmt: skip
    opsets = [helper.make_opsetid(ML, opset), helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def agree(model: onnx.ModelProto, arrays: Sequence[Array], *, through_c: bool = False) -> None:
    """The interpreter, or the compiled model, gives what onnxruntime gives."""
    feeds = {f"x{i}": array for i, array in enumerate(arrays)}
    expected = reference(model, feeds)
    found = api.compile(model).run(feeds) if through_c else interp.run(api.load(model), feeds)
    for ours, theirs in zip(found.values(), map(np.asarray, expected), strict=True):
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        if ours.dtype == object:
            assert ours.tolist() == theirs.tolist()
        else:
            np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-6)


@dataclass
class Forest:
    """Trees as TreeEnsembleRegressor and TreeEnsembleClassifier write them."""

    nodes: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in (
        "treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids",
        "missing_value_tracks_true",
    )})  # fmt: skip
    weights: dict[str, list[Any]] = field(
        default_factory=lambda: {name: [] for name in ("treeids", "nodeids", "ids", "weights")}
    )

    def attributes(self, prefix: str) -> dict[str, Any]:
        """``prefix`` is target or class."""
        return {f"nodes_{k}": v for k, v in self.nodes.items()} | {
            f"{prefix}_{k}": v for k, v in self.weights.items()
        }


def random_forest(seed: int, *, trees: int, depth: int, targets: int, features: int,
                  modes: Sequence[str], missing: bool = False) -> Forest:  # fmt: skip
    """Trees that split where halves of small integers lie; every leaf weighs every target."""
    rng, forest = np.random.default_rng(seed), Forest()

    def grow(tree: int, depth: int) -> int:
        nodes, at = forest.nodes, len(forest.nodes["treeids"])
        number = nodes["treeids"].count(tree)
        for name, value in zip(nodes, (tree, number, 0, "LEAF", 0.0, 0, 0, 0), strict=True):
            nodes[name].append(value)
        if depth == 0 or rng.random() < 0.2:
            for target in range(targets):
                row = (tree, number, target, float(np.float32(rng.standard_normal())))
                for name, value in zip(forest.weights, row, strict=True):
                    forest.weights[name].append(value)
            return number
        nodes["featureids"][at] = int(rng.integers(features))
        nodes["modes"][at] = f"BRANCH_{rng.choice(modes)}"
        nodes["values"][at] = float(rng.integers(-2, 3)) / 2
        nodes["missing_value_tracks_true"][at] = int(missing and rng.integers(2))
        nodes["truenodeids"][at] = grow(tree, depth - 1)
        nodes["falsenodeids"][at] = grow(tree, depth - 1)
        return number

    for tree in range(trees):
        grow(tree, depth)
    return forest
