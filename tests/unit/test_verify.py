"""The verifier cites the op and the constraint, for every constraint; and it is fast."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import numpy as np
import pytest

from dlc.errors import VerifyError
from dlc.ir import verify as module
from dlc.ir.expr import parse_expr
from dlc.ir.graph import Graph, Value
from dlc.ir.operator import Input, Output
from dlc.ir.signature import Signature
from dlc.ir.types import DType, Symbol, TensorType
from dlc.ir.verify import verify
from dlc.ops.core.map import Map
from dlc.ops.onnx.operator import OnnxOperator

F32 = TensorType(DType.F32, (4,))
ADD = Map(parse_expr("a0 + a1"))


def sound() -> Graph:
    """x, y -> add 'sum' -> loop 'again', whose region has an add 'inner' of its own."""
    body = Graph("body")
    a = body.add_input("a", F32)
    body.set_outputs({"out": body.add(ADD, [a, a], label="inner").result})
    graph = Graph("g", {"": 17})
    x, y = graph.add_input("x", F32), graph.add_input("y", F32)
    total = graph.add(ADD, [x, y], label="sum").result
    loop = graph.add(OnnxOperator("Loop", 17, (("body", body),)), [None, None, total],
                     types=[F32], label="again")  # fmt: skip
    graph.set_outputs({"z": loop.result, "total": total})
    return graph


def op_of(graph: Graph, label: str) -> Value:
    return next(op for op in graph.ops if op.label == label).results[0]


def region_of(graph: Graph) -> Graph:
    (body,) = op_of(graph, "again").op.operator.regions()
    return body


def foreign_operand(graph: Graph) -> None:
    op = op_of(graph, "sum").op
    op.operands = (op.operands[0], Graph().add_input("y", F32))


def captured_operand(graph: Graph) -> None:
    op = op_of(region_of(graph), "inner").op
    op.operands = (op.operands[0], graph.inputs[0])


def stray_value(graph: Graph) -> None:
    op = op_of(graph, "sum").op
    op.operands = (op.operands[0], Value(graph.inputs[1].op, 0))


def cycle(graph: Graph) -> None:
    total = op_of(graph, "sum")
    graph.set_operands(total.op, [graph.inputs[0], op_of(graph, "again")])


def second_terminator(graph: Graph) -> None:
    graph.add(Output(("again",)), [graph.inputs[0]])


def unlisted_input(graph: Graph) -> None:
    graph.add(Input(), types=[F32])


def no_terminator(graph: Graph) -> None:
    graph.erase(graph.output)


def unnamed_output(graph: Graph) -> None:
    graph.output.operator = Output(("z",))


def same_inputs(graph: Graph) -> None:
    graph.inputs[1].op.label = "x"


def same_outputs(graph: Graph) -> None:
    graph.set_outputs([("z", graph.inputs[0]), ("z", graph.inputs[1])])


def too_many_types(graph: Graph) -> None:
    op_of(graph, "again").op.types = (F32, F32)


def negative_bound(graph: Graph) -> None:
    op_of(graph, "again").op.types = (TensorType(DType.F32, (Symbol("N", -1),)),)


def wrong_type(graph: Graph) -> None:
    op_of(graph, "sum").op.types = (F32.with_dtype(DType.F64),)


def bad_operands(graph: Graph) -> None:
    graph.set_operands(op_of(graph, "sum").op, [graph.inputs[0]])


def bad_region(graph: Graph) -> None:
    op_of(region_of(graph), "inner").op.types = (F32.with_shape([5]),)


def foreign_signature(graph: Graph) -> None:
    graph.signature = Signature((("x", "x"),), (("z", "elsewhere"),))


BREAKS: list[tuple[Callable[[Graph], None], str]] = [
    (foreign_operand, r"map 'sum'.*\(G2\)"),
    (captured_operand, r"Loop 'again': region 'body': op 1 map 'inner': operand 1 .*\(G1\) \(G8\)"),
    (stray_value, r"map 'sum': operand 1 is no result of an op in the graph \(G1\)"),
    (cycle, r"Loop 'again'.* depends on itself \(G3\)"),
    (second_terminator, r"graph 'g' has 2 terminators \(G4\)"),
    (unlisted_input, r"graph 'g' does not list its inputs \(G4\)"),
    (no_terminator, r"graph 'g' has no terminator \(G4\)"),
    (unnamed_output, r"output: one name for each output \(C1\)"),
    (same_inputs, r"two inputs named 'x' \(G5\)"),
    (same_outputs, r"two outputs named 'z' \(G5\)"),
    (too_many_types, r"'again': 1 results, 2 types \(G6\)"),
    (negative_bound, r"'again': f32\[N<=-1\] has a negative size \(G6\)"),
    (foreign_signature, r"the signature of graph 'g' names other tensors \(G9\)"),
    (wrong_type, r"op \d+ map 'sum': has types f64\[4\], inferred f32\[4\] \(G7\)"),
    (bad_operands, r"op \d+ map 'sum': map: a1 of 1 operands \(C1\)"),
    (
        bad_region,
        r"region 'body': op 1 map 'inner': has types f32\[5\], inferred f32\[4\] \(G7\) \(G8\)",
    ),
]


def test_a_sound_graph_passes() -> None:
    verify(sound())


@pytest.mark.parametrize(("damage", "message"), BREAKS, ids=[b.__name__ for b, _ in BREAKS])
def test_damage_is_found(damage: Callable[[Graph], None], message: str) -> None:
    graph = sound()
    damage(graph)
    with pytest.raises(VerifyError, match=message):
        verify(graph)


def test_every_constraint_has_damage_that_cites_it() -> None:
    documented = set(re.findall(r"^\s+(G\d):", module.verify.__doc__ or "", re.MULTILINE))
    assert documented == set(re.findall(r"G\d", " ".join(message for _, message in BREAKS)))


def test_types_can_be_left_out() -> None:
    graph = sound()
    wrong_type(graph)
    bad_region(graph)
    verify(graph, types=False)


def test_twenty_thousand_ops_are_verified_after_every_pass() -> None:
    graph = Graph("chain")
    value = graph.add_input("x", F32)
    one = graph.add_constant(np.float32(1))
    for _ in range(20_000):
        value = graph.add(ADD, [value, one]).result
    graph.set_outputs({"y": value})
    start = time.process_time()
    verify(graph)
    middle = time.process_time()
    verify(graph, types=False)
    assert middle - start < 1.5  # 0.2 s on an idle machine
    assert time.process_time() - middle < 0.5
