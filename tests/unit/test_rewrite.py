"""Patterns, rules and the driver that applies them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import pytest

from dlc.errors import PassError
from dlc.ir.graph import Graph, Op, Value
from dlc.ir.text import parse_graph, print_graph
from dlc.ir.types import DType, TensorType
from dlc.ir.verify import verify
from dlc.ops.onnx.operator import OnnxOperator
from dlc.rewrite.driver import Rule, apply_rules, erase_dead, recording
from dlc.rewrite.pattern import Match, OpPattern, constant, either, op, optional, value

F4 = TensorType(DType.F32, (4,))


def graph_of(body: str) -> Graph:
    return parse_graph(f'graph "g" {{opsets = {{"" = 17}}}} {{\n{body}\n}}')


def labelled(graph: Graph, label: str) -> Op:
    return next(o for o in graph.ops if o.label == label)


RELUS = """
  %x = input() "x" : f32[4]
  %a = onnx.Relu(%x) "inner"
  %b = onnx.Relu(%a) "outer"
  output(%b) {names = ["y"]}
"""


def test_captures_name_values_and_ops() -> None:
    graph = graph_of(RELUS)
    found = op("onnx.Relu", op("onnx.Relu", value("x"), name="inner")).match(
        labelled(graph, "outer")
    )
    assert isinstance(found, Match)
    assert found["x"] is graph.inputs[0]
    assert found.op("inner").label == "inner"
    assert found["inner"] is found.op("inner").result
    assert found.get("nothing") is None


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        (op("onnx.Exp"), "onnx.Relu 'outer' is not onnx.Exp"),
        (op(("onnx.Exp", "map")), "onnx.Relu 'outer' is not onnx.Exp or map"),
        (op("onnx.Relu", op("onnx.Exp")), "onnx.Relu 'inner' is not onnx.Exp"),
        (op("onnx.Relu", constant("c")), "the result of onnx.Relu 'inner' is not a constant"),
        (op("onnx.Relu", value(), value()), "an operand of onnx.Relu is absent"),
        (op("onnx.Relu", op("onnx.Relu", op())), "onnx.Relu 'inner' is not"),
        (op("onnx.Relu", either(constant(), op("map"))), "; onnx.Relu 'inner' is not map"),
    ],
)
def test_a_mismatch_has_a_reason(pattern: OpPattern, reason: str) -> None:
    found = pattern.match(labelled(graph_of(RELUS), "outer"))
    if reason.endswith("is not"):  # any kind of op matches, inputs too
        assert isinstance(found, Match)
    else:
        assert isinstance(found, str)
        assert reason in found


def test_attributes_match_by_value_default_and_predicate() -> None:
    graph = graph_of("""
  %x = input() "x" : f32[4]
  %a = onnx.LeakyRelu(%x) "default"
  %b = onnx.LeakyRelu(%a) {alpha = 0.5} "half"
  output(%b) {names = ["y"]}
""")
    half, default = labelled(graph, "half"), labelled(graph, "default")
    assert isinstance(op("onnx.LeakyRelu", alpha=0.5).match(half), Match)
    assert op("onnx.LeakyRelu", alpha=0.5).match(default).endswith("has alpha 0.009999999776482582")  # type: ignore[union-attr]
    assert isinstance(op("onnx.LeakyRelu", alpha=lambda a: a < 0.1).match(default), Match)


def test_once_refuses_a_value_with_another_reader() -> None:
    graph = graph_of("""
  %x = input() "x" : f32[4]
  %a = onnx.Relu(%x) "shared"
  %b = onnx.Exp(%a) "b"
  %c = onnx.Neg(%a) "c"
  output(%b, %c) {names = ["b", "c"]}
""")
    found = op("onnx.Exp", op("onnx.Relu", once=True)).match(labelled(graph, "b"))
    assert found == "the result of onnx.Relu 'shared' is also read by onnx.Neg 'c'"


def test_commutative_repeated_and_optional_captures() -> None:
    graph = graph_of("""
  %x = input() "x" : f32[4]
  %c = constant() {value = dense<f32[] 2.0>}
  %a = onnx.Mul(%c, %x) "a"
  %b = onnx.Mul(%a, %a) "square"
  output(%b) {names = ["y"]}
""")
    a, square = labelled(graph, "a"), labelled(graph, "square")
    assert isinstance(op("onnx.Mul", value("x"), constant("c")).match(a), str)
    found = op("onnx.Mul", value("x"), constant("c"), commutative=True).match(a)
    assert isinstance(found, Match)
    assert found["x"] is graph.inputs[0]
    same = op("onnx.Mul", value("x"), value("x"))
    assert isinstance(same.match(square), Match)
    assert same.match(a) == "the two places of 'x' hold different values"
    found = op("onnx.Mul", value(), value(), optional("third")).match(a)
    assert isinstance(found, Match)
    assert found.get("third") is None
    with pytest.raises(KeyError):
        found["third"]


class DoubleRelu(Rule):
    name: ClassVar[str] = "double-relu"
    pattern: ClassVar[OpPattern] = op("onnx.Relu", op("onnx.Relu", value("x")))

    def rewrite(self, match: Match) -> Value:
        return match.graph.add(OnnxOperator("Relu", 17), [match["x"]]).result


def chain(length: int, type: str = "Relu") -> Graph:
    graph = Graph("chain", {"": 17})
    x = graph.add_input("x", F4)
    for i in range(length):
        x = graph.add(OnnxOperator(type, 17), [x], types=[F4], label=f"{type}{i}").result
    graph.set_outputs([("y", x)])
    return graph


def test_rules_apply_until_none_matches() -> None:
    graph = chain(10)
    assert apply_rules(graph, [DoubleRelu()])
    verify(graph)
    assert [o.operator.label for o in graph.ops] == ["input", "onnx.Relu", "output"]
    assert not apply_rules(graph, [DoubleRelu()])


def test_cost_is_linear() -> None:
    start = time.process_time()
    graph = chain(20_000)
    apply_rules(graph, [DoubleRelu()])
    assert len(graph) == 3
    assert time.process_time() - start < 5


def test_cost_is_linear_around_a_value_with_many_readers() -> None:
    class DropNeg(Rule):
        name: ClassVar[str] = "drop-neg"
        pattern: ClassVar[OpPattern] = op("onnx.Neg", value("x"))

        def rewrite(self, match: Match) -> Value:
            return match["x"]

    graph = Graph("hub", {"": 17})
    x = graph.add_input("x", F4)
    readers = [graph.add(OnnxOperator("Neg", 17), [x], types=[F4]).result for _ in range(5_000)]
    graph.set_outputs([(f"y{i}", value) for i, value in enumerate(readers[:10])])
    start = time.process_time()
    assert apply_rules(graph, [DropNeg()])
    assert graph.outputs == (x,) * 10
    assert len(graph) == 2
    assert time.process_time() - start < 5


class Swap(Rule):
    name: ClassVar[str] = "swap"
    pattern: ClassVar[OpPattern] = op(("onnx.Relu", "onnx.Exp"), value("x"))

    def rewrite(self, match: Match) -> None:
        operator = match.root.operator
        assert isinstance(operator, OnnxOperator)
        other = "Exp" if operator.type == "Relu" else "Relu"
        match.graph.set_operator(match.root, OnnxOperator(other, 17), types=match.root.types)


def test_rules_that_undo_each_other_are_an_error() -> None:
    with pytest.raises(
        PassError, match=r"rule swap is still rewriting .* its rules undo each other"
    ):
        apply_rules(chain(3), [Swap()])


class Narrow(Rule):
    name: ClassVar[str] = "narrow"
    pattern: ClassVar[OpPattern] = op("onnx.Relu", value("x"))

    def rewrite(self, match: Match) -> Value:
        return match.graph.add(OnnxOperator("Cast", 17, (("to", 10),)), [match["x"]]).result


def test_a_rule_must_keep_the_type() -> None:
    with pytest.raises(PassError, match=r"rule narrow replaced .*f32\[4\].* by .*f16\[4\]"):
        apply_rules(chain(1), [Narrow()])


@dataclass(frozen=True)
class Refusing(Rule):
    name: ClassVar[str] = "refusing"
    pattern: ClassVar[OpPattern] = op("onnx.Relu", value("x"))
    reason: str = "not today"

    def check(self, match: Match) -> str | None:
        return self.reason if match.root.label == "Relu1" else None

    def rewrite(self, match: Match) -> Value:
        return match["x"]


def test_refusals_are_recorded_where_somebody_asks() -> None:
    with recording() as log:
        apply_rules(chain(3), [Refusing()])
    assert [(r.rule, r.op, r.reason) for r in log.values()] == [
        ("refusing", "onnx.Relu 'Relu1'", "not today")
    ]
    apply_rules(chain(3), [Refusing()])  # nobody asks: no error


class KeepSecond(Rule):
    name: ClassVar[str] = "keep-second"
    pattern: ClassVar[OpPattern] = op("onnx.Split", value("x"), ...)

    def rewrite(self, match: Match) -> Sequence[Value | None]:
        half = match.root.types[1]
        return [None, match.graph.add(OnnxOperator("Abs", 17), [match["x"]], types=[half]).result]


def test_results_nobody_reads_need_no_replacement() -> None:
    graph = graph_of("""
  %x = input() "x" : f32[4]
  %a, %b = onnx.Split:13(%x, _) : f32[2], f32[2]
  output(%b) {names = ["b"]}
""")
    apply_rules(graph, [KeepSecond()])
    assert "onnx.Abs(%0)" in print_graph(graph)


def test_erase_dead_takes_what_only_the_dead_read() -> None:
    graph = graph_of("""
  %x = input() "x" : f32[4]
  %a = onnx.Relu(%x) "kept"
  %b = onnx.Exp(%a) "b"
  %c = onnx.Neg(%b) "c"
  output(%a) {names = ["a"]}
""")
    assert erase_dead(graph, labelled(graph, "c")) == [labelled(graph, "kept")]
    assert len(graph) == 3
