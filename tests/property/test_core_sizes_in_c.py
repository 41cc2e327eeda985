"""Core ops over sizes known at run time, through C: every size gives what numpy gives."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from backend_support import STRICT, compiled

from dlc.errors import DlcError
from dlc.interp import run
from dlc.ir.graph import Graph, Value
from dlc.ir.operator import Array
from dlc.ir.sizes import Dim, Symbol, less, minimum, substitute
from dlc.ir.types import DType, TensorType
from dlc.ops import build as b
from dlc.ops.core.non_max_suppression import NonMaxSuppression
from dlc.ops.core.nonzero import NonZero
from dlc.ops.core.recurrence import Recurrence
from dlc.ops.core.unique import Unique

FLAGS = (*STRICT, "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error")
N, M = Symbol("N", 6), Symbol("M", 6)
I64, F16, F64 = DType.I64, DType.F16, DType.F64
W = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)


def f(*shape: Dim, d: DType = DType.F32) -> TensorType:
    return TensorType(d, shape)


def gru(x: Value, *rest: Value) -> Value:
    operator = Recurrence("gru", ("Sigmoid", "Tanh"), (0.0, 0.0), (0.0, 0.0))
    return x.graph.add(operator, [x, *rest]).results[0]


def nonzero(x: Value) -> Value:
    return b.apply(NonZero(x.graph.fresh_symbol("n", 72)), b.map_("lt(a0, 0.0)", x))


def unique(x: Value) -> Value:
    rows = b.cast(b.map_("round(a0)", x), I64)
    return x.graph.add(Unique(x.graph.fresh_symbol("n", 7)), [rows]).results[1]


def suppressed(boxes: Value, scores: Value) -> Value:
    limits = (
        b.constant(boxes, np.asarray(n)) for n in (np.int64(2), np.float32(0.5), np.float32(0))
    )
    operator = NonMaxSuppression(boxes.graph.fresh_symbol("n", 4), 2)
    return b.apply(operator, boxes, scores, *limits)


Case = tuple[Sequence[TensorType], Callable[..., Value]]
MASK = (minimum(N, 1), less(M, 3))

#: what suits sizes of 0 too, and what needs elements
MOVED: dict[str, Case] = {
    "map": ([f(N, M), f(N, 1), f(M)], lambda x, y, z: b.map_("a0 * a1 + a2", x, y, z)),
    "reshape": ([f(N, M, 2)], lambda x: b.reshape(x, (M, N * 2))),
    "transpose": ([f(N, M, 3)], lambda x: b.transpose(x, (2, 1, 0))),
    "broadcast": ([f(N, 1)], lambda x: b.broadcast(x, (3, N, M))),
    "slice": ([f(N + 2, M)], lambda x: b.slice_(x, (N + 1, 0), (N, M), (-1, 1))),
    "pad": ([f(N, M)], lambda x: b.pad(x, (N, 1), (0, M), 2.0)),
    "concat": ([f(N, M), f(N, 3), f(N, M)], lambda *xs: b.concat(xs, 1)),
    "gather": ([f(N + 3, M), f(M, d=I64)], lambda x, i: b.gather(x, i, 0)),
    "top_k": ([f(N + 1, M)], lambda x: b.top_k(x, 0, minimum(N, 2))[0]),
    "arg_reduce": ([f(N + 1, M)], lambda x: b.arg_reduce("max", x, 0)),
    "scatter": ([f(N + 3, M), f(3, d=I64), f(3, M)], lambda *xs: b.scatter("add", *xs)),
    "resample": ([f(N, 2, M)], lambda x: b.resample(x, [[0, 1], [1, 1]], [[0.5, 0.5], [1, 0]], 1)),
    "nonzero": ([f(N, M, 2)], nonzero),
    "unique": ([f(N + 1, M)], unique),
    "suppressed": ([f(1, N, 4), f(1, 2, N)], suppressed),
    "iota": ([], lambda x: b.iota(x, N * 2)),
}
SUMMED: dict[str, Case] = {
    "reduce": ([f(N, M, 3)], lambda x: b.reduce("add", x, [1])),
    "reduce max": ([f(N, M, 3)], lambda x: b.reduce("max", x, [0, 2], keepdims=False)),
    "mean": ([f(N + 1, M, 3)], lambda x: b.mean(x, [0])),
    "mask": ([f(N, M, 3)], lambda x: b.reduce_mask("add", x, (*MASK, 1), epilogue="a0 * 2.0")),
    "mask max": ([f(N, M)], lambda x: b.reduce_mask("max", x, MASK, epilogue="f64(a0)")),
    "mask f16": ([f(N, M, d=F16)], lambda x: b.reduce_mask("add", x, MASK)),
    "contract": ([f(N, M, 5), f(5, M * 3)], lambda x, y: b.contract(x, y)),
    "batched": ([f(2, N, M), f(2, M, N)], lambda x, y: b.contract(x, y, epilogue="max(a0, 0.0)")),
    "rhs": ([f(N, 2, M), f(1, 7, M)], lambda x, y: b.contract(x, y, transpose_rhs=True)),
    "wide": ([f(3, M), f(M, N * 50)], lambda x, y: b.contract(x, y)),
    "f64": ([f(N, M, d=F64), f(M, N, d=F64)], lambda x, y: b.contract(x, y)),
    "gru": (
        [f(N, M, 9), f(3, 9), f(M, 3), f(M, d=DType.I32), f(3)], gru
    ),
}  # fmt: skip
WINDOWS: dict[str, Case] = {
    "conv": ([f(N, 3, M + 3, M + 4)], lambda x: b.conv(x, b.constant(x, W), pads=(1, N, 1, 1))),
    "strides": ([f(2, 3, M + 3, N + 4)], lambda x: b.conv(x, b.constant(x, W), strides=(2, 2))),
    "pixels": (
        [f(N, 3, M + 1, N + 1)],
        lambda x: b.conv(x, b.constant(x, W[:, :, :1, :1]), strides=(2, 1)),
    ),
    "groups": ([f(N, 4, M + 3, 8)], lambda x: b.conv(x, b.constant(x, W[:, :1]), groups=4)),
    "f64": ([f(N, 3, M + 3, 5, d=F64)], lambda x: b.conv(x, b.constant(x, W, F64))),
    "transposed": (
        [f(N, 4, M + 1, N + 1)],
        lambda x: b.conv_transpose(x, b.constant(x, W), strides=(2, 2), pads=(1, 1, 0, 0),
                                   dilations=(1, 1)),
    ),
    "max": ([f(N, M, N + 3, M + 3)], lambda x: b.pool("max", x, (3, 3), pads=(1, 1, 1, 1))),
    "mean": ([f(N, M, N + 3, M + 3)], lambda x: b.pool("avg", x, (3, 2), include_pad=True)),
}  # fmt: skip


def whole(cases: dict[str, Case]) -> Graph:
    """One graph of all cases; its first input gives the symbols their values."""
    graph = Graph("sizes")
    first = graph.add_input("sizes", f(N, M))
    outputs = {}
    for name, (types, make) in cases.items():
        values = [graph.add_input(f"{name} {i}", type) for i, type in enumerate(types)]
        outputs[name] = make(*values) if values else make(first)
    graph.set_outputs(outputs)
    return graph


def arrays(graph: Graph, n: int, m: int) -> dict[str, Array]:
    rng = np.random.default_rng(7 * n + m)
    found = {}
    for name, value in zip(graph.input_names, graph.inputs, strict=True):
        shape = [substitute(dim, {N: n, M: m}) for dim in value.type.shape]
        dtype = value.type.dtype
        drawn = rng.standard_normal(shape) if dtype.is_float else rng.integers(0, 3, shape)
        found[name] = np.asarray(drawn, dtype.numpy)
    return found


@pytest.mark.parametrize("cases", [MOVED, SUMMED, WINDOWS], ids=["moved", "summed", "windows"])
def test_every_size(cases: dict[str, Case], tmp_path: Path) -> None:
    graph = whole(cases)
    module = compiled(graph, tmp_path, FLAGS)
    for n, m in itertools.product((0, 1, 2, 5, 6), (0, 1, 3, 6)):
        given = arrays(graph, n, m)
        expected, found = run(graph, given), module.run(given)
        for name, array in expected.items():
            tolerance = 1e-2 if array.dtype == np.float16 else 1e-4
            assert (found[name].shape, found[name].dtype) == (array.shape, array.dtype), name
            np.testing.assert_allclose(found[name], array, tolerance, tolerance, err_msg=name)


@pytest.mark.parametrize(
    ("types", "make", "good", "bad"),
    [
        ([f(N), f(M)], lambda x, y: b.map_("a0 + a1", x, y), [(3, 3), (1, 4), (4, 1)], [(2, 3)]),
        ([f(N)], lambda x: b.broadcast(x, (2, M)), [(3, 3), (1, 4)], [(2, 3), (4, 1)]),
        ([f(N, 2)], lambda x: b.reshape(x, (M,)), [(3, 6), (0, 0)], [(3, 5)]),
        ([f(2, N), f(2, M)], lambda x, y: b.concat([x, y], 0), [(3, 3)], [(3, 4)]),
        ([f(2, N), f(M, 2)], lambda x, y: b.contract(x, y), [(3, 3)], [(3, 4)]),
        ([f(N)], lambda x: b.slice_(x, (M,), (2,)), [(5, 3)], [(5, 4), (1, 0)]),
        ([f(N)], lambda x: b.slice_(x, (M,), (2,), (M - 2,)), [(5, 1), (6, 3)], [(3, 2), (6, 5)]),
        ([f(N)], lambda x: b.pad(x, (M - 2,), (0,)), [(2, 2), (2, 4)], [(2, 1)]),
        ([f(N)], lambda x: b.top_k(x, 0, M)[0], [(4, 4), (4, 0)], [(3, 4)]),
        ([f(1, 1, N)], lambda x: b.pool("max", x, (3,)), [(3, 0)], [(2, 0)]),
        ([f(1, N, 4), f(1, 2, M)], suppressed, [(3, 3)], [(3, 4), (6, 0)]),
    ],
    ids=["map", "broadcast", "reshape", "concat", "contract", "slice", "step", "pad", "top_k", "pool",
         "suppressed"],
)  # fmt: skip
def test_what_does_not_fit_ends_the_run(types: Sequence[TensorType], make: Callable[..., Value],
                                        good: Sequence[tuple[int, int]],
                                        bad: Sequence[tuple[int, int]], tmp_path: Path) -> None:  # fmt: skip
    graph = whole({"y": (types, make)})
    module = compiled(graph, tmp_path, FLAGS)
    for n, m in good:
        given = arrays(graph, n, m)
        np.testing.assert_allclose(module.run(given)["y"], run(graph, given)["y"], 1e-5, 1e-5)
    for n, m in bad:
        given = arrays(graph, n, m)
        with pytest.raises(DlcError):
            module.run(given)
        with pytest.raises(DlcError):
            run(graph, given)
