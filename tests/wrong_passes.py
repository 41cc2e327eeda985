"""Passes that are wrong on purpose, loaded by tests with ``--load``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dlc.errors import PassError
from dlc.ir.graph import Graph, Value
from dlc.ir.operator import Constant, Data
from dlc.ops.onnx.operator import OnnxOperator
from dlc.rewrite.base import Pass
from dlc.rewrite.driver import Rule, RulePass
from dlc.rewrite.pattern import Match, OpPattern, op, value


class ForgetAddend(Rule):
    name: ClassVar[str] = "wrong-forget-addend"
    pattern: ClassVar[OpPattern] = op(
        "onnx.Relu", op("onnx.Add", value("x"), value("y"), name="add")
    )

    def check(self, match: Match) -> str | None:
        return None if match["x"].type == match.root.types[0] else "it broadcasts"

    def rewrite(self, match: Match) -> Value:
        operator = match.root.operator
        return match.graph.add(operator, [match["x"]]).result


class WrongForgetAddend(RulePass):
    """Loses what is added before a Relu."""

    name: ClassVar[str] = "wrong-forget-addend"

    def rules(self) -> Sequence[Rule]:
        return [ForgetAddend()]


class WrongCrash(Pass):
    """Crashes on pools."""

    name: ClassVar[str] = "wrong-crash"

    def run(self, graph: Graph) -> tuple[Graph, bool]:
        for found in graph.ops:
            if found.operator.label in ("onnx.MaxPool", "onnx.AveragePool"):
                raise KeyError("strides")
        return graph, False


class WrongTypes(Pass):
    """Leaves core ops with types that are not theirs."""

    name: ClassVar[str] = "wrong-types"
    requires: ClassVar[str] = "core"

    def run(self, graph: Graph) -> tuple[Graph, bool]:
        for found in graph.ops:
            if found.operator.label == "map":
                types = [type.with_shape((7, *type.shape)) for type in found.types]
                graph.set_operator(found, found.operator, types=types)
        return graph, True


@dataclass(frozen=True)
class Nudge(Pass):
    """Multiplies float constants by ``factor``: wrong by its contract, or not."""

    name: ClassVar[str] = "nudge-exact"
    factor: float = 1.0 + 2.0**-20

    def run(self, graph: Graph) -> tuple[Graph, bool]:
        for found in graph.ops:
            if isinstance(found.operator, Constant) and found.types[0].dtype.is_float:
                array = found.operator.value.array
                moved = (array * self.factor).astype(array.dtype)
                graph.set_operator(found, Constant(Data(moved)))
        return graph, True


@dataclass(frozen=True)
class NudgeReassociates(Nudge):
    """As nudge-exact, and says so."""

    name: ClassVar[str] = "nudge-reassociates"
    contract: ClassVar[str] = "reassociates"


@dataclass(frozen=True)
class NudgeApproximate(Nudge):
    """As nudge-exact, within one percent."""

    name: ClassVar[str] = "nudge-approximate"
    contract: ClassVar[str] = "approximate"
    tolerance: ClassVar[float] = 0.01


@dataclass(frozen=True)
class NudgeLargest(NudgeApproximate):
    """As nudge-approximate, measured by the largest element."""

    name: ClassVar[str] = "nudge-largest"

    def error(self, got: Any, expected: Any) -> float:
        return float(np.abs(got - expected).max())


class WrongContract(Nudge):
    name: ClassVar[str] = "wrong-contract"
    contract: ClassVar[str] = "roughly"


class WrongRename(Pass):
    """Renames the outputs."""

    name: ClassVar[str] = "wrong-rename"

    def run(self, graph: Graph) -> tuple[Graph, bool]:
        graph.set_outputs(
            [(f"{n}_", v) for n, v in zip(graph.output_names, graph.outputs, strict=True)]
        )
        return graph, True


class WrongDomain(Pass):
    """Replaces Exp by Log, which agree nowhere, and NaN is no number."""

    name: ClassVar[str] = "wrong-domain"

    def run(self, graph: Graph) -> tuple[Graph, bool]:
        for found in graph.ops:
            if found.operator.label == "onnx.Exp":
                graph.set_operator(found, OnnxOperator("Log", 13), types=found.types)
        return graph, True


class Refusal(Pass):
    """Right: it says what is wrong with its options."""

    name: ClassVar[str] = "wrong-option"

    def run(self, graph: Graph) -> tuple[Graph, bool]:
        raise PassError("pass wrong-option does not fit the graph")


class Forever(Rule):
    name: ClassVar[str] = "wrong-forever"
    pattern: ClassVar[OpPattern] = op("onnx.Relu", value("x"), name="relu")

    def rewrite(self, match: Match) -> Value:
        return match.graph.add(match.root.operator, [match["x"]]).result


class WrongForever(RulePass):
    """Rewrites for ever."""

    name: ClassVar[str] = "wrong-forever"

    def rules(self) -> Sequence[Rule]:
        return [Forever()]
