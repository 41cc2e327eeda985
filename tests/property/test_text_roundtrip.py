"""Printing and parsing lose nothing: random graphs with every kind of attribute, type and constant."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlc.errors import ParseError
from dlc.ir.compare import difference
from dlc.ir.expr import Arg, Call, Const, Expr, parse_expr
from dlc.ir.graph import Graph
from dlc.ir.operator import Data
from dlc.ir.scalars import SCALARS
from dlc.ir.text import load, parse_graph, parse_type, print_graph, save
from dlc.ir.types import DType, Quant, Symbol, TensorType
from dlc.ops.core.map import Map
from dlc.ops.onnx.operator import OnnxOperator

NAMES = st.one_of(
    st.sampled_from(["graph", "dense", "f32", "true", "_", "q", "opsets", "a0"]), st.text()
)
IDENTIFIERS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
FLOATS = st.floats(allow_nan=False) | st.just(float("nan"))  # one NaN: text does not keep its bits
DTYPES = st.sampled_from(DType)
SYMBOLS = st.builds(Symbol, NAMES, st.integers(0, 2**40))
DIMS = st.integers(0, 2**40) | SYMBOLS
QUANTS = st.builds(
    Quant,
    st.lists(st.floats(allow_nan=False), max_size=3).map(tuple),
    st.lists(st.integers(-128, 255), max_size=3).map(tuple),
    st.none() | st.integers(-4, 4),
)
TYPES = st.builds(
    TensorType, DTYPES, st.lists(DIMS, max_size=4).map(tuple), st.none() | NAMES, st.none() | QUANTS
)
LEAVES: st.SearchStrategy[Expr] = st.builds(Arg, st.integers(0, 3)) | st.builds(
    Const, st.one_of(FLOATS, st.integers(), st.booleans())
)


def _calls(children: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    functions = [(row.name, row.arity) for row in SCALARS.values()] + [("f32", 1), ("u8", 1)]
    return st.sampled_from(functions).flatmap(
        lambda row: st.builds(Call, st.just(row[0]), st.tuples(*[children] * row[1]))
    )


EXPRS = st.recursive(LEAVES, _calls, max_leaves=12)


@st.composite
def constants(draw: st.DrawFn) -> Data:
    """Any bytes as an array of any dtype (so every NaN payload occurs), sometimes nice numbers."""
    dtype = draw(DTYPES)
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=3)))
    count = int(np.prod(shape, dtype=int))
    if dtype is DType.STRING:
        items = np.empty(count, dtype=object)
        items[:] = draw(st.lists(st.text(), min_size=count, max_size=count))
        return Data(items.reshape(shape))
    if draw(st.booleans()):
        small = st.integers(0, 1) if dtype is DType.U2 else st.integers(-2, 1)
        if not dtype.is_signed:
            small = st.integers(0, 1)
        values = draw(st.lists(small, min_size=count, max_size=count))
        return Data(np.array(values, dtype=np.float64).astype(dtype.numpy).reshape(shape))
    size = count * dtype.numpy.itemsize
    raw = draw(st.binary(min_size=size, max_size=size))
    return Data(np.frombuffer(raw, dtype=dtype.numpy).reshape(shape))


SCALAR_VALUES = st.one_of(
    st.integers(), FLOATS, st.booleans(), st.text(), st.none(), DTYPES, SYMBOLS, EXPRS, constants(),
    TYPES,
)  # fmt: skip
VALUES = st.recursive(
    SCALAR_VALUES,
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(NAMES | st.integers(-3, 99), inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def graphs(draw: st.DrawFn, depth: int = 2) -> Graph:
    """A graph of named ops, maps and constants with random attributes, regions and annotations."""
    opsets = draw(st.dictionaries(st.sampled_from(["", "ai.onnx.ml", "acme"]), st.integers(1, 99)))
    graph = Graph(draw(st.text()), opsets)
    values = [graph.add_input(draw(st.text()), draw(TYPES)) for _ in range(draw(st.integers(0, 2)))]
    values += [
        graph.add_constant(draw(constants()), draw(st.text()))
        for _ in range(draw(st.integers(0, 2)))
    ]
    for _ in range(draw(st.integers(0, 4))):
        operands = draw(st.lists(st.sampled_from([*values, None]), max_size=3))
        if draw(st.booleans()):
            operator: Any = Map(draw(EXPRS))
        else:
            attributes = VALUES | graphs(depth=depth - 1) if depth else VALUES
            attrs = draw(st.dictionaries(NAMES, attributes, max_size=3))
            operator = OnnxOperator(
                draw(IDENTIFIERS), draw(st.integers(1, 26)), tuple(sorted(attrs.items())),
                draw(st.sampled_from(["", "ai.onnx.ml", "com.microsoft", "strange domain"])),
            )  # fmt: skip
        types = draw(st.lists(TYPES, max_size=2))
        values += graph.add(operator, operands, types=types, label=draw(st.text())).results
    if draw(st.booleans()):
        names = draw(st.lists(st.text(), max_size=2)) if values else []
        graph.set_outputs([(name, draw(st.sampled_from(values))) for name in names])
    if draw(st.booleans()):
        graph.annotations = draw(st.dictionaries(NAMES, VALUES, max_size=2))
        for op in graph.ops:
            if draw(st.booleans()):
                op.annotations = draw(st.dictionaries(NAMES, VALUES, max_size=2))
    return graph


@settings(max_examples=100)
@given(graphs())
def test_a_graph_survives_text(graph: Graph) -> None:
    text = print_graph(graph, inline_limit=None)
    parsed = parse_graph(text)
    assert difference(graph, parsed) is None
    assert print_graph(parsed, inline_limit=None) == text
    assert difference(graph, graph.copy()) is None


@settings(max_examples=25)
@given(graph=graphs())
def test_a_graph_survives_a_file(graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("text") / "graph.dlc"
    graph.add_constant(np.arange(200, dtype=DType.BF16.numpy).reshape(2, 100))
    save(graph, path)
    assert difference(graph, load(path)) is None


@given(TYPES)
def test_a_type_survives_text(type: TensorType) -> None:
    parsed = parse_type(str(type))
    assert str(parsed) == str(type)
    assert (parsed.dtype, parsed.shape, parsed.layout) == (type.dtype, type.shape, type.layout)


@given(EXPRS)
def test_an_expression_survives_text(expr: Expr) -> None:
    assert parse_expr(str(expr)) == expr


SAMPLE = """\
graph "g" {opsets = {"" = 17}} @ {n = [1, 2.0]} {
  %0 = input() "x" : f32[N<=8,3;NCHW16c;q[0.5][3] axis 1]
  %1 = constant() {value = dense<f32[2] 1.0 -inf>} : f32[2]
  %2 = onnx.Add(%0, %1, _) {body = graph "b" {
    output() {names = []}
  }} : f32[8,3]
  %3 = map(%2) {expr = `max(a0, 0.0)`} "m" @ {step = 3} : f32[8,3]
  output(%3) {names = ["y"]}
}
"""


@settings(max_examples=200)
@given(
    st.integers(0, len(SAMPLE)),
    st.integers(0, 5),
    st.text(alphabet='%"`[]{}()<>=@:;,._-0aé\\\n', max_size=3),
)
def test_damaged_text_is_refused_in_a_sentence(start: int, removed: int, added: str) -> None:
    assert print_graph(parse_graph(SAMPLE)) == SAMPLE
    message = ""
    try:
        parse_graph(SAMPLE[:start] + added + SAMPLE[start + removed :])
    except ParseError as error:
        message = str(error)
    assert re.match(r"line \d+: .|$", message)
