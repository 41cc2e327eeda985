"""The graph: order, uses, rewriting, copying; linear in its size."""

from __future__ import annotations

import time
from itertools import pairwise

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlc.errors import DlcError, VerifyError
from dlc.ir.compare import difference
from dlc.ir.expr import parse_expr
from dlc.ir.graph import Graph, Use, Value
from dlc.ir.operator import Input
from dlc.ir.types import DType, TensorType
from dlc.ir.verify import verify
from dlc.ops.core.map import Map
from dlc.ops.onnx.operator import OnnxOperator

F32 = TensorType(DType.F32, (4,))
ADD, MUL, EXP = (Map(parse_expr(text)) for text in ("a0 + a1", "a0 * a1", "exp(a0)"))


def unary(graph: Graph, value: Value) -> Value:
    return graph.add(EXP, [value]).result


def test_a_value_used_twice_by_one_op() -> None:
    graph = Graph()
    x, y = graph.add_input("x", F32), graph.add_input("y", F32)
    square = graph.add(MUL, [x, x])
    graph.set_outputs({"square": square.result})
    assert x.uses == [Use(square, 0), Use(square, 1)]
    x.replace_with(y)
    assert square.operands == (y, y)
    assert (x.uses, y.uses) == ([], [Use(square, 0), Use(square, 1)])
    graph.set_operands(square, [x, y])
    assert (x.uses, y.uses) == ([Use(square, 0)], [Use(square, 1)])
    verify(graph)


def test_uses_are_those_of_one_result() -> None:
    graph = Graph()
    x = graph.add_input("x", F32)
    split = graph.add(OnnxOperator("Split", 13), [x], types=[F32, F32])
    left, right = split.results
    total = graph.add(ADD, [right, left])
    assert (left.uses, right.uses) == ([Use(total, 1)], [Use(total, 0)])
    with pytest.raises(VerifyError, match="2 results, not one"):
        _ = split.result


def test_order_depends_on_structure_alone() -> None:
    graph = Graph()
    x = graph.add_input("x", F32)
    unused = unary(graph, x)
    right, left = unary(graph, x), unary(graph, x)
    total = graph.add(ADD, [left, right])
    late = graph.add_input("late", F32)
    graph.set_outputs({"sum": total.result})
    expected = [x.op, late.op, left.op, right.op, total, unused.op, graph.output]
    assert graph.ops == expected
    # making the edges again, in another order, changes nothing
    graph.set_operands(total, [right, right])
    graph.set_operands(total, [left, right])
    assert graph.ops == expected
    graph.ops.clear()
    assert graph.ops == expected


def test_a_cycle_is_an_error() -> None:
    graph = Graph()
    x = graph.add_input("x", F32)
    first = graph.add(ADD, [x, x])
    second = graph.add(ADD, [first.result, x])
    graph.set_operands(first, [x, second.result])
    with pytest.raises(VerifyError, match="depends on itself"):
        _ = graph.ops
    graph.set_outputs({"y": second.result})
    with pytest.raises(VerifyError, match="depends on itself"):
        verify(graph)


def test_erasing_and_replacing() -> None:
    graph = Graph()
    x = graph.add_input("x", F32)
    a = unary(graph, x)
    b = unary(graph, a)
    graph.set_outputs([("b", b)])
    with pytest.raises(VerifyError, match="still read by"):
        graph.erase(a.op)
    graph.replace(a.op, [x])
    assert a.op not in graph
    assert b.op.operands == (x,)
    with pytest.raises(DlcError, match="erased"):
        graph.erase(a.op)
    with pytest.raises(DlcError, match="erased"):
        graph.add(EXP, [a], types=[F32])
    with pytest.raises(DlcError, match="another graph"):
        Graph().set_outputs({"x": x})
    new = graph.add(EXP, [x])
    assert new.id > b.op.id  # ids are never used again
    verify(graph)


def test_an_edit_that_fails_changes_nothing() -> None:
    graph, other = Graph(), Graph()
    x, foreign = graph.add_input("x", F32), other.add_input("x", F32)
    y = unary(graph, x)
    graph.set_outputs({"y": y})
    before = graph.copy()
    for edit in (
        lambda: graph.add(EXP, [foreign]),
        lambda: graph.set_operands(y.op, [foreign]),
        lambda: graph.set_outputs({"y": foreign}),
        lambda: graph.set_operator(y.op, ADD, [x]),
        lambda: graph.set_operator(y.op, EXP, [x], types=[F32, F32]),
    ):
        with pytest.raises(DlcError):
            edit()
        assert difference(graph, before) is None
        verify(graph)


def test_a_value_can_be_wrapped() -> None:
    graph = Graph()
    x = graph.add_input("x", F32)
    y = unary(graph, x)
    graph.set_outputs({"y": y})
    wrapped = unary(graph, y)
    y.replace_with(wrapped)
    assert graph.outputs == (wrapped,)
    assert wrapped.op.operands == (y,)
    verify(graph)


def test_annotations_are_dropped_with_the_first_change() -> None:
    graph = Graph()
    x = graph.add_input("x", F32)
    graph.set_outputs({"x": x})
    graph.annotations["steps"] = 1
    x.op.annotations["step"] = 0
    twin = graph.copy()
    unary(graph, x)
    assert (graph.annotations, x.op.annotations) == ({}, {})
    assert (twin.annotations, twin.ops[0].annotations) == ({"steps": 1}, {"step": 0})


def test_a_copy_shares_no_region() -> None:
    body = Graph("body")
    body.set_outputs({"y": body.add_input("x", F32)})
    graph = Graph(opsets={"": 17})
    loop = graph.add(OnnxOperator("Loop", 17, (("body", body),)), [], types=[F32])
    graph.set_outputs({"y": loop.result})
    twin = graph.copy()
    assert difference(graph, twin) is None
    unary(body, body.inputs[0])
    assert difference(graph, twin) is not None


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), max_size=12), st.data())
def test_random_graphs_sort_and_link_soundly(
    pairs: list[tuple[int, int]], data: st.DataObject
) -> None:
    graph = Graph()
    values = [graph.add_input("x", F32)]
    for left, right in pairs:
        operands = [values[left % len(values)], values[right % len(values)]]
        values.append(graph.add(ADD, operands).result)
    graph.set_outputs({"y": data.draw(st.sampled_from(values))})
    for _ in range(3):
        old, new = data.draw(st.sampled_from(values)), data.draw(st.sampled_from(values))
        if new.op.id <= old.op.id:  # never makes a cycle
            old.replace_with(new)
    verify(graph)
    place = {op: i for i, op in enumerate(graph.ops)}
    assert len(place) == len(graph)
    for op in graph.ops:
        assert all(value is None or place[value.op] < place[op] for value in op.operands)
        readers = {(use.op, use.index) for result in op.results for use in result.uses}
        assert all(reader.operands[index] in op.results for reader, index in readers)
    assert nx.is_directed_acyclic_graph(graph.nx)
    assert {(a, b) for a, b, _ in graph.nx.edges} == {
        (v.op.id, op.id) for op in graph.ops for v in op.operands if v is not None
    }
    assert difference(graph, graph.copy()) is None


def test_the_networkx_view_is_read_only() -> None:
    graph = Graph()
    x = graph.add_input("x", F32)
    assert graph.nx.nodes[x.op.id]["op"] is x.op
    with pytest.raises(nx.NetworkXError):
        graph.nx.add_node(7)


def chain(length: int) -> Graph:
    graph = Graph("chain")
    value = graph.add_input("x", F32)
    one = graph.add_constant(np.float32(1))
    for _ in range(length):
        value = graph.add(ADD, [value, one]).result
    graph.set_outputs({"y": value})
    return graph


def test_a_long_chain_takes_linear_time() -> None:
    """Building, walking, verifying, copying and taking apart: four times the ops, four times the time."""
    seconds = []
    for length in (5_000, 20_000):
        start = time.process_time()
        graph = chain(length)
        assert len(graph) == length + 3
        verify(graph.copy())
        assert all(a.id < b.id for a, b in pairwise(graph.ops) if not isinstance(a.operator, Input))
        for op in graph.ops[2:-1]:
            assert len(op.result.uses) == 1
        one = graph.ops[2].operands[1]
        assert one is not None
        assert len(one.uses) == length
        for op in graph.ops:
            if op.operator is ADD:
                value = op.operands[0]
                assert value is not None
                graph.replace(op, [value])
        seconds.append(time.process_time() - start)
    assert seconds[1] < 5
    assert seconds[1] < 12 * seconds[0]
