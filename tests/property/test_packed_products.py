"""Matrix products with packed weights keep their meaning: in numpy, in onnxruntime, and as C."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from backend_support import STRICT, compiled
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pass_checks import kinds, proved

from dlc.backends.c99.toolchain import NATIVE, find_compiler
from dlc.interp import run
from dlc.ir.graph import Graph
from dlc.ir.types import DType, TensorType
from dlc.ops import build
from dlc.ops.core.contract_packed import pack_panels, row_groups, unpack_panels
from dlc.passmanager import PassManager

PACK = "pack-weights{least_rows=1,most_growth=16}"
TAILS = ("a0", "max(a0 + a1, 0)", "a0 * sigmoid(a0)", "erf(a0 + a1) + a2")
#: a row's tile, columns that fill a panel, half of one, more than one, and what is left over
COLUMNS = st.sampled_from([1, 15, 16, 17, 31, 32, 33, 48, 64, 70])


@st.composite
def products(draw: st.DrawFn) -> Graph:
    """A product of any number of rows and columns, its epilogue reading up to two extras."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    rows, depth, cols = draw(st.integers(1, 45)), draw(st.integers(1, 40)), draw(COLUMNS)
    batch = draw(st.sampled_from([(), (1,), (2,), (2, 3)]))
    transposed = draw(st.booleans())
    graph = Graph("product")
    x = graph.add_input("x", TensorType(DType.F32, (*batch, rows, depth)))
    shape = (cols, depth) if transposed else (depth, cols)
    w = graph.add_constant(rng.uniform(-1, 1, shape).astype(np.float32))
    wide = draw(st.sampled_from([(cols,), (rows, 1), (1,), (rows, cols)]))
    bias = graph.add_constant(rng.uniform(-1, 1, wide).astype(np.float32))
    other = graph.add_input("r", TensorType(DType.F32, (*batch, rows, cols)))
    tail = draw(st.sampled_from(TAILS))
    extras = [bias, other][: sum(name in tail for name in ("a1", "a2"))]
    y = build.contract(x, w, *extras, transpose_rhs=transposed, epilogue=tail)
    graph.set_outputs([("y", y)])
    return graph


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(products())
def test_packing_keeps_the_meaning(graph: Graph) -> None:
    assert "contract_packed" in kinds(proved(PACK, graph, runs=1))


@pytest.mark.parametrize(
    ("compiler", "flags"),
    [("gcc", ("-O3", NATIVE)), ("clang", ("-O2", NATIVE)), ("gcc", ("-O2", "-mavx2", "-mfma")),
     ("zig", ("-O2", NATIVE)), ("clang", ("-O2",)),
     ("gcc", ("-O1", "-fsanitize=undefined", "-fno-sanitize-recover=all"))],
)  # fmt: skip
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(graph=products())
def test_packed_products_as_c(graph: Graph, compiler: str, flags: tuple[str, ...]) -> None:
    rng = np.random.default_rng(1)
    inputs = {
        name: rng.uniform(-1, 1, value.shape).astype(np.float32)
        for name, value in zip(graph.input_names, graph.inputs, strict=True)
    }
    try:
        found = find_compiler(compiler)
    except Exception:
        pytest.skip(f"no {compiler} here")
    after = PassManager.parse(PACK + ",dce").run(graph)
    with tempfile.TemporaryDirectory() as folder:
        got = compiled(after, Path(folder), (*STRICT, *flags), found).run(inputs)
    expected = run(graph, inputs)["y"]
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(got["y"] / scale, expected / scale, atol=2e-5, rtol=0)


@given(st.integers(1, 9), st.integers(1, 100))
def test_packed_panels_unpack(depth: int, cols: int) -> None:
    matrix = np.arange(depth * cols, dtype=np.float32).reshape(depth, cols)
    packed = pack_panels(matrix)
    assert packed.size == depth * -(-cols // 16) * 16
    assert np.array_equal(unpack_panels(packed, matrix.shape), matrix)


@given(st.integers(0, 300))
def test_groups_of_rows_cover_each_row_once(rows: int) -> None:
    covered = [
        first + tile * height + row
        for first, tiles, height in row_groups(rows)
        for tile in range(tiles)
        for row in range(height)
    ]
    assert covered == list(range(rows))
    assert all(height <= 14 for _, _, height in row_groups(rows))


def test_few_rows_and_shared_weights_stay_as_they_are() -> None:
    graph = Graph("plain")
    w = graph.add_constant(np.ones((8, 32), np.float32))
    few = graph.add_input("few", TensorType(DType.F32, (3, 8)))
    many = graph.add_input("many", TensorType(DType.F32, (9, 8)))
    graph.set_outputs([("y", build.contract(few, w)), ("z", build.contract(many, w))])
    assert kinds(PassManager.parse("pack-weights").run(graph)) == ["contract", "contract"]
