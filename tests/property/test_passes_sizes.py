"""Every pass on graphs of sizes known at run time: it works or leaves them, and keeps the meaning."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest
from pass_checks import IR, ir_sections

from dlc.errors import DlcError
from dlc.interp import largest, run
from dlc.ir.graph import Graph, Value
from dlc.ir.operator import Array, Constant, Input, Output
from dlc.ir.sizes import Symbol, symbols_of
from dlc.ir.types import DType, TensorType
from dlc.ir.verify import verify
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
