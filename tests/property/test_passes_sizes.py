"""Every pass on graphs of sizes known at run time: it works or leaves them, and keeps the meaning."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pass_checks import IR, ir_sections

from dlc.errors import DlcError, VerifyError
from dlc.interp import largest, run
from dlc.ir.expr import parse_expr
from dlc.ir.graph import Graph, Value
from dlc.ir.operator import Array, Constant, Input, Output
from dlc.ir.sizes import Symbol, symbols_of
from dlc.ir.types import DType, TensorType, broadcast_shapes
from dlc.ir.verify import verify
from dlc.ops import build
from dlc.ops.purity import is_pure
from dlc.passmanager import PassManager

CASES = [path.stem for path in sorted(IR.glob("*.dlc"))]


def opened(graph: Graph, size: int) -> Graph | None:
    """The graph with every input dim of this size a symbol; None where its types then fail."""
    symbol = Symbol("N", 6, 1)
    result = Graph(graph.name, graph.opsets)
    values: dict[Value, Value] = {}
    try:
        for op in graph.ops:
            operands = [None if v is None else values[v] for v in op.operands]
            if isinstance(op.operator, Output):
                result.set_outputs(zip(graph.output_names, filter(None, operands), strict=True))
            elif isinstance(op.operator, Input):
                shape = [symbol if dim == size else dim for dim in op.types[0].shape]
                values[op.result] = result.add_input(op.label, op.types[0].with_shape(shape))
            elif isinstance(op.operator, Constant):
                values[op.result] = result.add_constant(op.operator.value, op.label)
            else:
                twin = result.add(op.operator, operands, label=op.label)
                if len(twin.results) != len(op.results):  # only its text says how many there are
                    return None
                values.update(zip(op.results, twin.results, strict=True))
    except DlcError:
        return None
    return result


def cases(graph: Graph) -> Iterator[Graph]:
    """The graph with some dims of its inputs open, one size at a time."""
    sizes = sorted({d for v in graph.inputs for d in v.type.shape if isinstance(d, int) and d})
    for size in sizes:
        found = opened(graph, size)
        if found is not None:
            yield found


def inputs(graph: Graph, size: int) -> dict[str, Array]:
    rng = np.random.default_rng(size)
    found = {}
    for name, value in zip(graph.input_names, graph.inputs, strict=True):
        type: TensorType = largest(value.type, dict.fromkeys(symbols_of(value.type.shape), size))
        integers = rng.integers(0, 2, type.dims)
        floats = rng.standard_normal(type.dims) if type.dtype is not DType.BOOL else integers
        found[name] = np.asarray(floats if type.dtype.is_float else integers, type.dtype.numpy)
    return found


@pytest.mark.parametrize("name", CASES)
def test_passes_on_open_graphs(name: str) -> None:
    asked = re.search(r"--pass=(\S+)", (IR / f"{name}.dlc").read_text("utf-8"))
    pipeline = asked[1] if asked else "O1"
    for section in ir_sections(name):
        for graph in cases(section):
            result = PassManager.parse(pipeline).run(graph)
            verify(result)
            for size in range(1, 7):
                if all(is_pure(op.operator) for op in graph.ops):
                    compare(graph, result, inputs(graph, size))


def compare(graph: Graph, result: Graph, arrays: dict[str, Array]) -> None:
    try:
        expected = run(graph, arrays)
    except (DlcError, ValueError, IndexError):
        return  # sizes that do not fit, in dlc or in numpy
    found = run(result, arrays)
    for key, array in expected.items():
        assert found[key].shape == array.shape
        if array.dtype.kind in "fc":
            rtol, scale = 1e-4 if array.itemsize > 2 else 1e-2, np.abs(array).max(initial=1.0)
            np.testing.assert_allclose(found[key], array, rtol=rtol, atol=rtol * float(scale))


N, M = Symbol("N", 4, 1), Symbol("M", 4, 1)
SHAPES = st.sampled_from([(N, 3), (M, 3), (N, 1), (1, 3), (N, M), (M, 1), (3,), (N,), (), (2, 1)])
MAPS = [parse_expr(text) for text in ("a0 + a1", "a0 * 2.0", "max(a0, a1 * a2)", "tanh(a0)")]


@st.composite
def open_graphs(draw: st.DrawFn) -> Graph:
    """Core ops over values of run-time sizes, some of which broadcast at some sizes only."""
    graph = Graph("open")
    graph.add_input("sizes", TensorType(DType.F32, (N, M)))
    types = draw(st.lists(SHAPES, min_size=1, max_size=3))
    values = [graph.add_input(f"x{i}", TensorType(DType.F32, t)) for i, t in enumerate(types)]
    for shape in draw(st.lists(st.sampled_from([(), (1, 1), (3,)]), max_size=2)):
        values.append(graph.add_constant(np.full(shape, draw(st.integers(-2, 2)), np.float32)))
    for _ in range(draw(st.integers(1, 8))):
        x = draw(st.sampled_from(values[-4:]))
        kind = draw(
            st.sampled_from(["map", "map", "map", "reduce", "reshape", "move", "broadcast"])
        )
        rank, shape = x.type.rank, x.type.shape
        try:
            if kind == "map":
                expr = draw(st.sampled_from(MAPS))
                others = [draw(st.sampled_from(values)) for _ in range(expr.arity - 1)]
                values.append(build.map_(expr, x, *others))
            elif kind == "reduce" and rank:
                axis, keep = draw(st.integers(0, rank - 1)), draw(st.booleans())
                values.append(build.reduce("add", x, [axis], keepdims=keep))
            elif kind == "reshape":
                shapes = [(-1,), (1, *shape), (*shape, 1), tuple(d for d in shape if d != 1)]
                values.append(build.reshape(x, draw(st.sampled_from(shapes))))
            elif kind == "move":
                values.append(build.transpose(x, draw(st.permutations(range(rank)))))
            elif kind == "broadcast":
                other = draw(st.sampled_from(values)).type.shape
                values.append(build.broadcast(x, broadcast_shapes(shape, other)))
        except VerifyError:
            continue  # these shapes never fit
    outputs = [values[-1], *draw(st.lists(st.sampled_from(values), max_size=2))]
    graph.set_outputs([(f"y{i}", value) for i, value in enumerate(outputs)])
    return graph


CORE = "drop-identity,drop-expand,cse,fold-constants,fuse-conv-relu,fuse-maps,cse,dce"


@pytest.mark.parametrize("pipeline", ["fuse-maps", "fuse-conv-relu", "drop-identity", CORE])
@settings(max_examples=60)
@given(graph=open_graphs())
def test_core_passes_keep_the_meaning(pipeline: str, graph: Graph) -> None:
    result = PassManager.parse(pipeline).run(graph)
    verify(result)
    for n, m in itertools.product((1, 2, 3), (1, 2, 3)):
        rng = np.random.default_rng(n)
        arrays = {
            name: rng.standard_normal(largest(value.type, {N: n, M: m}).dims).astype(np.float32)
            for name, value in zip(graph.input_names, graph.inputs, strict=True)
        }
        compare(graph, result, arrays)
