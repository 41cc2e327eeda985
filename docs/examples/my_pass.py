"""Two passes of one's own, a rule and a whole-graph pass: dlc opt m.onnx --load my_pass.py --pass=..."""

from __future__ import annotations

import numpy as np

import dlc
from dlc.ops.onnx.operator import is_onnx
from dlc.rewrite import Match, constant, op, value


@dlc.rule_pass("drop-scale-by-one")
class DropScaleByOne(dlc.Rule):
    """`Mul(x, 1)` is `x`."""

    pattern = op("onnx.Mul", value("x"), constant("scale"), commutative=True)

    def check(self, match: Match) -> str | None:
        scale = match["scale"].constant
        if not np.all(scale == 1):
            return "the scale is not 1"
        return None if match["x"].type == match.root.result.type else "it broadcasts its operand"

    def rewrite(self, match: Match) -> object:
        return match["x"]


@dlc.graph_pass("label-ops")
def label_ops(graph: dlc.Graph, *, prefix: str = "n") -> bool:
    """Number the nodes that have no name, so that messages can name them."""
    nameless = [o for o in graph.ops if is_onnx(o, o.operator.label[5:]) and not o.label]
    for number, o in enumerate(nameless):
        o.label = f"{prefix}{number}"
    return bool(nameless)
