"""Every pass, and the whole pipeline, keeps the meaning of random graphs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlc.interp import run
from dlc.ir.expr import Arg, Call, Const, Expr
from dlc.ir.graph import Graph, Value
from dlc.ir.text import print_graph
from dlc.ir.types import DType, TensorType, broadcast_shapes
from dlc.ir.verify import verify
from dlc.ops.core.map import Map
from dlc.ops.core.reduce import Reduce
from dlc.ops.onnx.operator import OnnxOperator
from dlc.passmanager import PIPELINES, PassManager, find_pass, known_passes
from dlc.prove import Checker, run_proved
from dlc.prove.engines import engines
from dlc.testing import reproducer

WHOLE = PIPELINES["O2"].removesuffix(",hoist-constants,pack-constants,liveness,plan-arena")
OPSET = 17
OURS = [name for name, cls in known_passes().items() if cls.__module__.startswith("dlc.passes.")]


class Network:
    """A small CNN under construction; every value is f32 of rank 4."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.rng = np.random.default_rng(draw(st.integers(0, 2**16)))
        self.graph = Graph("network", {"": OPSET})
        shape = (draw(st.integers(1, 2)), draw(st.integers(1, 4)), 4, 4)
        self.values = [self.graph.add_input("x", TensorType(DType.F32, shape))]
        #: weights are drawn again now and then, so that ops share them
        self.constants: dict[tuple[int, ...], Value] = {}

    def weights(self, *shape: int, low: float = -1.0) -> Value:
        if shape not in self.constants or self.draw(st.booleans()):
            array = self.rng.uniform(low, 1.0, shape).astype(np.float32)
            self.constants[shape] = self.graph.add_constant(array)
        return self.constants[shape]

    def add(self, type: str, *operands: Value | None, **attributes: Any) -> Value:
        attrs = tuple(sorted(attributes.items()))
        label = f"{type}{len(self.graph)}"
        return self.graph.add(OnnxOperator(type, OPSET, attrs), operands, label=label).results[0]

    def ints(self, *numbers: int) -> Value:
        return self.graph.add_constant(np.array(numbers, np.int64))

    def pick(self) -> Value:
        return self.draw(st.sampled_from(self.values[-3:]))

    def conv(self, x: Value) -> Value:
        channels = x.shape[1]
        group = self.draw(st.sampled_from([1, channels]))
        out = group * self.draw(st.integers(1, 2))
        kernel = self.draw(st.sampled_from([1, 3]))
        pad = self.draw(st.integers(0, 1)) if kernel == 3 else 0
        if x.shape[2] + 2 * pad < kernel:
            return x
        bias = self.weights(out) if self.draw(st.booleans()) else None
        return self.add(
            "Conv", x, self.weights(out, channels // group, kernel, kernel),
            *([] if bias is None else [bias]), group=group, pads=(pad,) * 4,
        )  # fmt: skip

    def conv_transpose(self, x: Value) -> Value:
        return self.add("ConvTranspose", x, self.weights(x.shape[1], 2, 2, 2), strides=(1, 1))

    def norm(self, x: Value) -> Value:
        channels = x.shape[1]
        parameters = [self.weights(channels) for _ in range(3)]
        variance = self.graph.add_constant(self.rng.uniform(0.5, 2, channels).astype(np.float32))
        return self.add("BatchNormalization", x, *parameters, variance)

    def unary(self, x: Value) -> Value:
        kinds = ("Relu", "Sigmoid", "Tanh", "LeakyRelu", "HardSwish", "Identity", "Abs", "Softplus")
        return self.add(self.draw(st.sampled_from(kinds)), x)

    def binary(self, x: Value) -> Value:
        alike = [v for v in self.values if v.type == x.type]
        shapes = [(), (1,), (x.shape[1], 1, 1), (1, x.shape[1], 1, 1)]
        other = self.draw(st.sampled_from([*alike, None]))
        if other is None:
            other = self.weights(*self.draw(st.sampled_from(shapes)))
        operands = self.draw(st.permutations([x, other]))
        return self.add(self.draw(st.sampled_from(["Add", "Mul", "Sub", "Max"])), *operands)

    def pool(self, x: Value) -> Value:
        if x.shape[2] < 2:
            return x
        kind = self.draw(st.sampled_from(["MaxPool", "AveragePool"]))
        return self.add(kind, x, kernel_shape=(2, 2), strides=(1, 1))

    def gate(self, x: Value) -> Value:
        return self.add("Mul", x, self.add("Sigmoid", self.add("GlobalAveragePool", x)))

    def concat(self, x: Value) -> Value:
        alike = [v for v in self.values if v.type == x.type]
        others = self.draw(st.lists(st.sampled_from(alike), max_size=1))
        return x if x.shape[1] > 8 else self.add("Concat", x, *others, axis=1)

    def move(self, x: Value) -> Value:
        perm = self.draw(st.sampled_from([(0, 1, 3, 2), (0, 2, 3, 1), (0, 1, 2, 3)]))
        moved = self.add("Transpose", x, perm=perm)
        back = tuple(np.argsort(perm).tolist())
        between = self.unary(moved) if self.draw(st.booleans()) else moved
        return self.add("Transpose", between, perm=back)

    def reshape(self, x: Value) -> Value:
        flat = self.add("Reshape", x, self.ints(x.shape[0], -1))
        if self.draw(st.booleans()):
            shape = self.add("Shape", x)  # onnx cannot infer through it: the importer folds it
            operator = OnnxOperator("Reshape", OPSET)
            return self.graph.add(operator, [flat, shape], types=[x.type]).result
        return self.add("Reshape", flat, self.ints(*x.shape))

    def cast(self, x: Value) -> Value:
        return self.add("Cast", self.add("Cast", x, to=11), to=1)

    def grow(self) -> None:
        steps: list[Callable[[Value], Value]] = [
            self.conv, self.norm, self.unary, self.binary, self.conv, self.norm, self.unary,
            self.binary, self.pool, self.gate, self.concat, self.move, self.reshape, self.cast,
            self.conv_transpose,
        ]  # fmt: skip
        for step in self.draw(st.lists(st.sampled_from(steps), min_size=1, max_size=8)):
            self.values.append(step(self.pick()))
        outputs = [self.values[-1], *self.draw(st.lists(st.sampled_from(self.values), max_size=1))]
        self.graph.set_outputs([(f"y{i}", value) for i, value in enumerate(outputs)])


@st.composite
def networks(draw: st.DrawFn) -> Graph:
    network = Network(draw)
    network.grow()
    return network.graph


def inputs_of(graph: Graph) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        name: rng.standard_normal(value.shape).astype(value.type.dtype.numpy)
        if value.type.dtype is not DType.BOOL
        else rng.random(value.shape) < 0.5
        for name, value in zip(graph.input_names, graph.inputs, strict=True)
    }


def assert_same_meaning(graph: Graph, result: Graph, rtol: float) -> None:
    verify(result)
    inputs = inputs_of(graph)
    expected, found = run(graph, inputs), run(result, inputs)
    assert [v.type for v in result.outputs] == [v.type for v in graph.outputs]
    for name, array in expected.items():
        if not rtol:
            np.testing.assert_array_equal(found[name], array)
            continue
        scale = float(np.abs(array).max(initial=1.0))
        np.testing.assert_allclose(found[name], array, rtol=rtol, atol=rtol * scale)


@pytest.mark.parametrize(
    ("pipeline", "rtol"),
    [
        ("dce", 0.0),
        ("cse", 0.0),
        ("drop-identity", 0.0),
        ("fold-constants", 0.0),
        ("fold-bn", 1e-4),
        ("expand-ops", 1e-5),
        ("fuse-conv-relu", 1e-5),
        (WHOLE, 1e-4),
    ],
)
@settings(max_examples=25)
@given(graph=networks())
def test_passes_keep_the_meaning_of_networks(pipeline: str, rtol: float, graph: Graph) -> None:
    reproducer(graph, pipeline)
    before = print_graph(graph)
    result = PassManager.parse(pipeline).run(graph)
    assert print_graph(graph) == before
    assert_same_meaning(graph, result, rtol)
    if "," not in pipeline:
        again = PassManager.parse(pipeline)
        assert print_graph(again.run(result)) == print_graph(result)
        assert not again.report[0].changed


SHAPES = st.sampled_from([(2, 3), (3,), (1, 3), (2, 1), (1,), ()])
DTYPES = st.sampled_from([DType.F32, DType.F32, DType.F64, DType.I32])


@st.composite
def expressions(draw: st.DrawFn, dtypes: list[DType]) -> Expr:
    """A well-typed expression that reads every argument, cast to the dtype of the first."""
    dtype = dtypes[0]
    terms: list[Expr] = [
        Arg(i) if d is dtype else Call(dtype.value, (Arg(i),)) for i, d in enumerate(dtypes)
    ]
    expr = terms[0]
    for term in [
        *terms[1:],
        *[Const(2)] * draw(st.integers(0, 1)),
        *terms[: draw(st.integers(0, 1))],
    ]:
        function = draw(st.sampled_from(["add", "sub", "mul", "max", "min"]))
        expr = Call(function, tuple(draw(st.permutations([expr, term]))))
    if draw(st.booleans()):
        expr = Call("abs", (expr,))
    if dtype is not DType.I32 and draw(st.booleans()):
        expr = Call(draw(st.sampled_from(["tanh", "sigmoid", "exp"])), (expr,))
    if draw(st.integers(0, 4)) == 4:
        expr = Call("select", (Call("lt", (expr, Const(1))), expr, Call("neg", (expr,))))
    return expr


@st.composite
def map_graphs(draw: st.DrawFn) -> Graph:
    """Maps and reductions over values of several dtypes and shapes, scalar constants among them."""
    graph = Graph("maps")
    values = [
        graph.add_input(f"x{i}", TensorType(draw(DTYPES), draw(SHAPES)))
        for i in range(draw(st.integers(1, 3)))
    ]
    for _ in range(draw(st.integers(0, 2))):
        shape = draw(st.sampled_from([(), (1,), (1, 1), (3,)]))
        values.append(
            graph.add_constant(np.full(shape, draw(st.integers(-2, 2)), draw(DTYPES).numpy))
        )
    for i in range(draw(st.integers(1, 7))):
        operands = draw(st.lists(st.sampled_from(values[-5:]), min_size=1, max_size=3))
        expr = draw(expressions([v.type.dtype for v in operands]))
        value = graph.add(Map(expr), operands, label=f"m{i}").result
        if value.type.rank and draw(st.integers(0, 4)) == 4:
            shape = broadcast_shapes(value.type.shape)
            function = draw(st.sampled_from(["add", "max"]))
            axes = (draw(st.integers(0, len(shape) - 1)),)
            value = graph.add(Reduce(function, axes), [value], label=f"r{i}").result
        values.append(value)
    outputs = [values[-1], *draw(st.lists(st.sampled_from(values), max_size=2))]
    graph.set_outputs([(f"y{i}", value) for i, value in enumerate(outputs)])
    return graph


@pytest.mark.parametrize(
    "pipeline", ["fuse-maps", "fuse-maps{max_size=6}", "fuse-conv-relu", "cse"]
)
@settings(max_examples=100)
@given(graph=map_graphs())
def test_fusing_maps_changes_no_bit(pipeline: str, graph: Graph) -> None:
    reproducer(graph, pipeline)
    result = PassManager.parse(pipeline).run(graph)
    assert_same_meaning(graph, result, rtol=0.0)
    again = PassManager.parse(pipeline)
    assert print_graph(again.run(result)) == print_graph(result)


@pytest.mark.parametrize("name", OURS)
@settings(max_examples=10)
@given(graph=networks())
def test_every_pass_keeps_its_contract(name: str, graph: Graph) -> None:
    """In the interpreter, on wild inputs too where the pass says that it is exact."""
    prepare = "expand-ops," if find_pass(name).requires == "core" else ""
    reproducer(graph, prepare + name)
    checker = Checker(2, using=engines()[:1])
    run_proved(PassManager.parse(prepare + name), graph, checker, reproducer=None)


@settings(max_examples=10)
@given(graph=networks())
def test_the_whole_pipeline_keeps_its_contracts_in_onnxruntime(graph: Graph) -> None:
    reproducer(graph, WHOLE)
    remarks: list[str] = []
    checker = Checker(1, using=engines()[1:], notify=remarks.append)
    run_proved(PassManager.parse(WHOLE), graph, checker, reproducer=None)
    assert remarks == []
