"""Patterns search with backtracking; products and sums match whatever their order and grouping."""

from __future__ import annotations

import pytest
from pass_checks import graph_of

from dlc.ir.graph import Op
from dlc.rewrite.algebra import inverse, negative, product, total
from dlc.rewrite.pattern import (
    Match,
    OpPattern,
    constant,
    either,
    op,
    scalar,
    value,
)

X = value("x")


def root_of(body: str) -> Op:
    """The op that the only output reads."""
    graph = graph_of(
        f'%x = input() "x" : f32[4]\n%z = input() "z" : f32[4]\n{body}\noutput(%y) {{names = ["y"]}}'
    )
    return graph.outputs[0].op


def match(pattern: OpPattern, body: str) -> Match:
    found = pattern.match(root_of(body))
    assert isinstance(found, Match), found
    return found


def miss(pattern: OpPattern, body: str) -> str:
    found = pattern.match(root_of(body))
    assert isinstance(found, str)
    return found


def test_an_order_that_fails_later_is_taken_back() -> None:
    # the inner Add fits as (a, b) first, which the second operand of Mul then contradicts
    pattern = op("onnx.Mul", op("onnx.Add", value("a"), value("b"), commutative=True), value("a"))
    found = match(pattern, "%s = onnx.Add(%x, %z)\n%y = onnx.Mul(%s, %z)")
    assert [found[name].op.label for name in "ab"] == ["z", "x"]


def test_a_choice_that_fails_later_is_taken_back() -> None:
    pattern = op("onnx.Mul", either(op("onnx.Relu", X), X), X)
    found = match(pattern, "%r = onnx.Relu(%z)\n%y = onnx.Mul(%r, %r)")
    assert found["x"].op.operator.label == "onnx.Relu"


def test_more_than_two_operands_commute() -> None:
    pattern = op("onnx.Max", scalar(2.0), op("onnx.Relu", X), value("z"), commutative=True)
    body = (
        "%r = onnx.Relu(%x)\n%c = constant() {value = dense<f32[] 2.0>}\n%y = onnx.Max(%z, %c, %r)"
    )
    assert match(pattern, body)["x"].op.label == "x"


def test_the_reason_is_that_of_the_attempt_that_came_furthest() -> None:
    pattern = either(
        op("onnx.Exp", X), op("onnx.Mul", op("onnx.Relu", op("onnx.Exp", X)), X, commutative=True)
    )
    body = '%a = onnx.Neg(%x) "neg"\n%r = onnx.Relu(%a) "relu"\n%y = onnx.Mul(%z, %r) "mul"'
    assert miss(pattern, body) == "onnx.Neg 'neg' is not onnx.Exp"


@pytest.mark.parametrize(
    "body",
    [
        "%a = onnx.Mul(%x, %z)\n%y = onnx.Mul(%a, %half)",
        "%a = onnx.Mul(%half, %z)\n%y = onnx.Mul(%x, %a)",
        "%a = onnx.Div(%z, %two)\n%y = onnx.Mul(%a, %x)",
        "%a = onnx.Mul(%x, %z)\n%b = onnx.Neg(%a)\n%c = onnx.Div(%b, %two)\n%y = onnx.Neg(%c)",
        "%a = onnx.Reciprocal(%z)\n%b = onnx.Div(%x, %a)\n%y = onnx.Mul(%b, %half)",
    ],
)
def test_products_in_any_order_and_grouping(body: str) -> None:
    constants = """
  %half = constant() {value = dense<f32[] 0.5>}
  %two = constant() {value = dense<f32[1] 2.0>}
"""
    found = match(product(X, value("z"), times=0.5), constants + body)
    assert {found["x"].op.label, found["z"].op.label} == {"x", "z"}
    assert match(product(X, value("z"), times="factor"), constants + body).number("factor") == 0.5


@pytest.mark.parametrize(
    "body",
    [
        "%a = onnx.Sub(%x, %z)\n%y = onnx.Add(%a, %one)",
        "%a = onnx.Neg(%z)\n%y = onnx.Sum(%a, %one, %x)",
        "%a = onnx.Sub(%z, %one)\n%y = onnx.Sub(%x, %a)",
    ],
)
def test_sums_in_any_order_and_grouping(body: str) -> None:
    one = "%one = constant() {value = dense<f32[] 1.0>}\n"
    assert match(total(X, negative(value("z")), plus=1.0), one + body)["z"].op.label == "z"


def test_quotients_and_powers() -> None:
    root = product(X, inverse(op("onnx.Sqrt", value("z"))))
    for division in ("%y = onnx.Div(%x, %r)", "%i = onnx.Reciprocal(%r)\n%y = onnx.Mul(%i, %x)"):
        assert match(root, f"%r = onnx.Sqrt(%z)\n{division}")["z"].op.label == "z"
    cube = product(X, X, X)
    three = "%three = constant() {value = dense<f32[] 3.0>}\n"
    match(cube, three + "%y = onnx.Pow(%x, %three)")
    match(cube, "%a = onnx.Mul(%x, %x)\n%y = onnx.Mul(%x, %a)")
    assert "different values" in miss(cube, "%a = onnx.Mul(%x, %z)\n%y = onnx.Mul(%x, %a)")


def test_a_member_may_be_a_product_itself() -> None:
    found = match(
        op("onnx.Exp", product(value("q"), times="s")), "%a = onnx.Mul(%x, %z)\n%y = onnx.Exp(%a)"
    )
    assert found["q"].op.operator.label == "onnx.Mul"
    assert found.number("s") == 1.0


def test_what_is_read_twice_is_a_member_whole() -> None:
    body = '%a = onnx.Mul(%x, %z) "shared"\n%b = onnx.Exp(%a)\n%y = onnx.Mul(%a, %b) "mul"'
    assert match(product(value("a"), op("onnx.Exp", value("a"))), body)["a"].op.label == "shared"
    reason = miss(product(X, value("z"), op("onnx.Exp", value())), body)
    assert "the result of onnx.Mul 'shared' is also read by onnx.Exp" in reason


@pytest.mark.parametrize(
    ("pattern", "body", "reason"),
    [
        (product(X, times=0.5), "%c = constant() {value = dense<f32[] 0.4>}\n%y = onnx.Mul(%x, %c) \"m\"",
         "onnx.Mul 'm' multiplies by 0.4, not 0.5"),
        (total(X, plus=1.0), "%c = constant() {value = dense<f32[] 0.4>}\n%y = onnx.Sub(%x, %c) \"s\"",
         "onnx.Sub 's' adds -0.4, not 1"),
        (product(X, X, X), '%y = onnx.Mul(%x, %z) "m"', "onnx.Mul 'm' is not a product of 3 values"),
        (product(X, value()), '%y = onnx.Div(%x, %z) "d"', "input 'z' is divided by onnx.Div 'd'"),
        (total(X, negative(value())), '%y = onnx.Add(%x, %z) "a"',
         "input 'x' is not subtracted by onnx.Add 'a'"),
        (total(X, value()), '%y = onnx.Mul(%x, %z) "m"', "onnx.Mul 'm' is not a sum"),
        (op("onnx.Exp", scalar(2.0)), "%y = onnx.Exp(%x)", "the result of input 'x' is not a constant"),
    ],
)  # fmt: skip
def test_misses_have_reasons(pattern: OpPattern, body: str, reason: str) -> None:
    assert reason in miss(pattern, body)


def test_integers_are_no_products() -> None:
    graph = graph_of("""
  %x = input() "x" : i64[4]
  %c = constant() {value = dense<i64[] 2>}
  %y = onnx.Div(%x, %c) "div"
  output(%y) {names = ["y"]}""")
    assert product(X, constant()).match(graph.outputs[0].op) == "onnx.Div 'div' is not a product"


def test_an_operator_inside_that_others_read_escapes() -> None:
    graph = graph_of("""
  %x = input() "x" : f32[4]
  %a = onnx.Exp(%x) "exp"
  %b = onnx.Relu(%a) "relu"
  output(%a, %b) {names = ["a", "b"]}""")
    found = op("onnx.Relu", op("onnx.Exp", X)).match(graph.outputs[1].op)
    assert isinstance(found, Match)
    assert found.escape() == "the result of onnx.Exp 'exp' is also read by output"


def test_a_long_chain_costs_little() -> None:
    import time

    one = "%c = constant() {value = dense<f32[] 1.5>}\n"
    chain = "".join(f"%a{i} = onnx.Mul(%a{i - 1}, %c)\n" for i in range(1, 400))
    body = f"{one}%a0 = onnx.Exp(%x)\n{chain}%y = onnx.Mul(%a399, %z)"
    start = time.process_time()
    assert "is not" in miss(product(op("onnx.Sigmoid", X), X), body)
    assert time.process_time() - start < 1
