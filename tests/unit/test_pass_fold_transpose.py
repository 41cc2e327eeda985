"""``fold-transpose``: what it refuses and why, random regions, and its cost."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pass_checks import graph_of, kinds, proved, refusals

from dlc.ir.graph import Graph, Value
from dlc.ir.types import DType, TensorType
from dlc.ops.onnx.operator import OnnxOperator
from dlc.ops.onnx.permuted import inverse, without
from dlc.passmanager import PassManager

T = '%x = input() "x" : f32[2,3]\n%t = onnx.Transpose(%x) "t"\n'
Y = '\noutput(%y) {names = ["y"]}'


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (T + '%z = input() "z" : f32[3,2]\n%y = onnx.Add(%t, %z)' + Y,
         "operand 1 is neither transposed nor constant"),
        (T + '%z = input() "z" : f32[3,2]\n%y = onnx.Concat(%z, %t) {axis = 0}' + Y,
         "operand 0 is neither transposed nor constant"),
        (T + '%z = input() "z" : f32[1,3,2]\n%y = onnx.Add(%t, %z)' + Y, "operand 1 has more axes"),
        (T + '%a = constant() {value = dense<i32[] 0>}\n%y = onnx.CumSum(%t, %a)' + Y,
         "onnx.CumSum depends on the order of its axes"),
        (T + '%a = input() "a" : i64[1]\n%y = onnx.ReduceSum(%t, %a) : f32[1,2]' + Y,
         "its axes are not constant"),
        (T + '%a = onnx.Exp(%t)\n%b = onnx.Abs(%t)\noutput(%a, %b) {names = ["a", "b"]}',
         "it would take 2 transposes for 1"),
        ('%x = input() "x" : f32[2,2,2]\n%s = onnx.Transpose(%x) {perm = [1, 2, 0]}\n'
         '%t = onnx.Transpose(%x)\n%y = onnx.Add(%s, %t)' + Y,
         "its operands are transposed in different ways"),
        (T + '%s = onnx.Shape(%t)\n%y = onnx.Reshape(%x, %s) : f32[3,2]' + Y,
         "onnx.Shape depends on the order of its axes"),
    ],
)  # fmt: skip
def test_refuses_with_a_reason(body: str, reason: str) -> None:
    assert reason in refusals("fold-transpose", graph_of(body))


def test_a_transpose_of_bytes_stays_before_it_becomes_one_of_floats() -> None:
    graph = graph_of(
        '%x = input() "x" : i8[2,3]\n%s = constant() {value = dense<f32[] 0.5>}\n'
        "%t = onnx.Transpose(%x)\n%y = onnx.DequantizeLinear(%t, %s)" + Y
    )
    assert kinds(proved("fold-transpose", graph)) == ["onnx.Transpose", "onnx.DequantizeLinear"]


def test_softmax_of_all_axes_stays() -> None:
    graph = graph_of(T + "%y = onnx.Softmax(%t)" + Y, opset=11)
    assert "all axes from one on before opset 13" in refusals("fold-transpose", graph)


def test_old_broadcasting_stays() -> None:
    graph = graph_of(T + "%y = onnx.Add(%t, %t)" + Y, opset=6)
    assert "it broadcasts as before opset 7" in refusals("fold-transpose", graph)


def test_old_forms_keep_their_attributes() -> None:
    graph = graph_of(
        '%x = input() "x" : f32[1,2,3,4]\n%t = onnx.Transpose(%x) {perm = [0, 2, 3, 1]}\n'
        "%p = onnx.Pad(%t) {pads = [0, 1, 0, 0, 0, 0, 2, 0]}\n"
        "%s = onnx.Slice(%p) {axes = [1, 3], ends = [3, 1], starts = [1, 0]}\n"
        "%q = onnx.Squeeze(%s) {axes = [0, 3]}\n"
        "%y = onnx.ReduceSum(%q) {axes = [0], keepdims = 0}" + Y,
        opset=9,
    )
    assert "onnx.Transpose" not in kinds(proved("fold-transpose", graph))


def test_a_scalar_that_another_region_computes() -> None:
    """What reads a value of a rewritten region from outside reads what takes its place."""
    graph = graph_of(
        '%x = input() "x" : f32[3,1]\n%z = input() "z" : f32[2,3]\n'
        "%t = onnx.Transpose(%x)\n%r = onnx.Relu(%t)\n%u = onnx.Transpose(%r)\n"
        "%a = onnx.ReduceMax(%u) {keepdims = 0}\n"
        "%v = onnx.Transpose(%z)\n%m = onnx.Mul(%v, %a)\n%y = onnx.Transpose(%m)" + Y
    )
    assert kinds(proved("fold-transpose", graph)) == ["onnx.Relu", "onnx.ReduceMax", "onnx.Mul"]


class Region:
    """Transposes of one input and what may stand between them."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.graph = Graph("region", {"": 17})
        self.values = [self.graph.add_input("x", TensorType(DType.F32, (1, 2, 3, 4)))]

    def add(self, type: str, *operands: Value, **attributes: object) -> Value:
        attrs = tuple(sorted(attributes.items()))
        made = self.graph.add(
            OnnxOperator(type, 17, attrs), operands, label=f"{type}{len(self.graph)}"
        )
        self.values.extend(made.results)
        return made.results[0]

    def array(self, *shape: int) -> Value:
        rng = np.random.default_rng(self.draw(st.integers(0, 99)))
        return self.graph.add_constant(rng.uniform(0.5, 2, shape).astype(np.float32))

    def ints(self, *numbers: int) -> Value:
        return self.graph.add_constant(np.array(numbers, np.int64))

    def step(self) -> None:
        x = self.draw(st.sampled_from(self.values[-4:]))
        rank, axis = x.type.rank, self.draw(st.integers(0, max(x.type.rank - 1, 0)))
        kind = self.draw(st.sampled_from([
            "move", "move", "move", "unary", "scale", "join", "concat", "pad", "reduce", "sum", "softmax",
            "slice", "split", "squeeze", "arg", "flatten",
        ]))  # fmt: skip
        alike = [v for v in self.values if v.type == x.type]
        if kind == "move":
            self.add("Transpose", x, perm=tuple(self.draw(st.permutations(range(rank)))))
        elif kind == "unary":
            self.add(self.draw(st.sampled_from(["Relu", "Abs", "Tanh", "Identity"])), x)
        elif kind == "scale":
            shape = [self.draw(st.sampled_from([1, dim])) for dim in x.shape]
            self.add("Mul", x, self.array(*shape[self.draw(st.integers(0, rank)) :]))
        elif kind == "join":
            self.add("Add", x, self.draw(st.sampled_from(alike)))
        elif rank < 2 or x.type.capacity > 400:
            return
        elif kind == "concat":
            self.add(
                "Concat", x, self.draw(st.sampled_from([*alike, self.array(*x.shape)])), axis=axis
            )
        elif kind == "pad":
            pads = [1 if i == axis else 0 for i in range(rank)]
            self.add("Pad", x, self.ints(*pads, *[0] * rank))
        elif kind == "reduce":
            self.add("ReduceMax", x, axes=(axis - rank,), keepdims=self.draw(st.integers(0, 1)))
        elif kind == "sum":
            self.add("ReduceSum", x, self.ints(axis, rank - 1) if axis < rank - 1 else self.ints(0),
                     keepdims=self.draw(st.integers(0, 1)))  # fmt: skip
        elif kind == "softmax":
            self.add("Softmax", x, axis=axis)
        elif kind == "slice":
            self.add("Slice", x, self.ints(0), self.ints(1), self.ints(axis))
        elif kind == "split" and x.shape[axis] > 1:
            sizes = self.ints(1, x.shape[axis] - 1)
            self.add("Split", x, sizes, axis=axis, results=2)
        elif kind == "squeeze" and 1 in x.shape:
            self.add("Squeeze", x, self.ints(x.shape.index(1)))
        elif kind == "arg":
            self.add("ArgMax", x, axis=axis, keepdims=1)
            self.values.pop()  # integers: read by the outputs only
            self.outputs.append(self.graph.ops[-1].results[0])
        elif kind == "flatten":
            self.add("Flatten", x)

    outputs: list[Value]

    def finish(self) -> Graph:
        floats = [v for v in self.values if v.type.dtype is DType.F32]
        chosen = [
            floats[-1],
            *self.outputs,
            *self.draw(st.lists(st.sampled_from(floats), max_size=2)),
        ]
        self.graph.set_outputs([(f"y{i}", v) for i, v in enumerate(chosen)])
        return self.graph


@st.composite
def regions(draw: st.DrawFn) -> Graph:
    region = Region(draw)
    region.outputs = []
    for _ in range(draw(st.integers(2, 12))):
        region.step()
    return region.finish()


@settings(max_examples=120, deadline=None)
@given(graph=regions())
def test_random_regions_keep_their_meaning_and_gain_no_transposes(graph: Graph) -> None:
    clean = PassManager.parse("dce").run(graph)
    result = proved("fold-transpose", clean, runs=1)
    assert kinds(result).count("onnx.Transpose") <= kinds(clean).count("onnx.Transpose")


@given(perm=st.permutations(range(5)), axes=st.sets(st.integers(0, 4), max_size=4))
def test_permutations(perm: list[int], axes: set[int]) -> None:
    array = np.empty((2, 3, 4, 5, 6))
    there = array.transpose(perm)
    assert there.transpose(inverse(tuple(perm))).shape == array.shape
    rest = array[tuple(0 if i in {perm[a] for a in axes} else slice(None) for i in range(5))]
    wanted = there[tuple(0 if i in axes else slice(None) for i in range(5))].shape
    assert rest.transpose(without(tuple(perm), list(axes))).shape == wanted


def test_cost_grows_linearly() -> None:
    def seconds(length: int) -> float:
        graph = Graph("chain", {"": 17})
        x = graph.add_input("x", TensorType(DType.F32, (2, 3, 4)))
        for i in range(length):
            operator = OnnxOperator("Transpose", 17, (("perm", (1, 2, 0) if i % 2 else (2, 0, 1)),))
            type = x.type.with_shape(x.shape[a] for a in operator.attr("perm"))
            x = graph.add(operator, [x], types=[type]).result
            x = graph.add(OnnxOperator("Relu", 17), [x], types=[type]).result
        graph.set_outputs([("y", x)])
        start = time.process_time()
        PassManager.parse("fold-transpose", verify=False).run(graph)
        return time.process_time() - start

    small = min(seconds(300) for _ in range(2))
    assert seconds(1500) < 5 * 3 * small
