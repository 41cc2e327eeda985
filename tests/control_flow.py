"""Random ONNX models full of If, Loop and Scan, whose arithmetic is exact in f32.

Inputs are small integers and every op keeps them exact, so that whoever runs the model gets the
same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import TensorProto, helper

SHAPES = ((2, 3), (3,), (2,), ())
Draw = Any
Shape = tuple[int, ...]


@dataclass
class Block:
    """Nodes being added to one graph; ``known`` are the f32 values in reach, by name."""

    draw: Draw
    names: list[int]
    known: dict[str, Shape]
    depth: int
    kinds: Sequence[str]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: list[onnx.TensorProto] = field(default_factory=list)

    def fresh(self, stem: str = "v") -> str:
        self.names[0] += 1
        return f"{stem}{self.names[0]}"

    def node(self, type: str, *inputs: str, outputs: Sequence[str] = (), **attributes: Any) -> str:
        names = list(outputs) or [self.fresh()]
        self.nodes.append(helper.make_node(type, list(inputs), names, **attributes))
        return names[0]

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        name = self.fresh("c")
        array = np.asarray(value, dtype)
        self.initializers.append(onnx.numpy_helper.from_array(array, name))
        return name

    def pick(self, shape: Shape | None = None) -> str:
        fitting = [n for n, s in self.known.items() if shape is None or s == shape]
        if fitting:
            return str(self.draw(st.sampled_from(fitting)))
        assert shape is not None
        name = self.constant(np.full(shape, self.draw(st.integers(-3, 3))))
        self.known[name] = shape
        return name

    def condition(self) -> str:
        """A bool[] that depends on data, or on nothing."""
        if self.draw(st.integers(0, 3)) == 0:
            return self.constant(self.draw(st.booleans()), np.bool_)
        total = self.node("ReduceSum", self.pick(), keepdims=0)
        return self.node("Less", total, self.constant(self.draw(st.integers(-5, 20))))

    def inner(self, more: dict[str, Shape]) -> Block:
        return Block(self.draw, self.names, self.known | more, self.depth - 1, self.kinds)

    def result(self, shape: Shape) -> str:
        """A value of this shape, computed here: an output of the graph."""
        return self.node("Identity", self.pick(shape))

    def graph(self, name: str, inputs: Sequence[Any], outputs: Sequence[tuple[str, Any]]) -> Any:
        infos = [helper.make_tensor_value_info(n, t, s) for n, t, s in inputs]
        results = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs]
        return helper.make_graph(self.nodes, name, infos, results, self.initializers)

    def fill(self, most: int = 3) -> None:
        kinds = ["element", "element", *(self.kinds if self.depth else [])]
        for _ in range(self.draw(st.integers(1, most))):
            getattr(self, f"add_{self.draw(st.sampled_from(kinds))}")()

    def add_element(self) -> None:
        x = self.pick()
        y = self.pick(self.known[x]) if self.draw(st.booleans()) else self.constant(0.5)
        type = self.draw(st.sampled_from(["Add", "Sub", "Max", "Min"]))
        if self.draw(st.integers(0, 4)) == 0:
            type, y = "Mul", self.constant(0.5)
        self.known[self.node(type, x, y)] = self.known[x]

    def add_if(self) -> None:
        shapes = self.draw(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=2))
        outputs = [self.fresh() for _ in shapes]
        bodies = {}
        for name in ("then_branch", "else_branch"):
            body = self.inner({})
            body.fill(2)
            bodies[name] = body.graph(name, [], [(body.result(s), s) for s in shapes])
        self.node("If", self.condition(), outputs=outputs, **bodies)
        self.known.update(zip(outputs, shapes, strict=True))

    def add_loop(self) -> None:
        states = [self.pick() for _ in range(self.draw(st.integers(0, 3)))]
        ends = self.draw(st.booleans()) and bool(states)
        rows = self.draw(st.lists(st.sampled_from(SHAPES[1:]), max_size=2))
        rows = [] if ends and "growth" not in self.kinds else rows
        rows = rows or ([] if states else [()])
        turn, going = self.fresh("turn"), self.fresh("going")
        shapes = [self.known[s] for s in states]
        inside = [self.fresh("s") for _ in states]
        body = self.inner(dict(zip(inside, shapes, strict=True)))
        number = body.node("Cast", turn, to=TensorProto.FLOAT)
        body.known[number] = ()
        body.fill()
        again = body.condition() if ends else going
        again = body.node("Identity", again)
        results = [(body.result(s), s) for s in (*shapes, *rows)]
        graph = body.graph("turns", [(turn, TensorProto.INT64, ()), (going, TensorProto.BOOL, ())]
                           + [(n, TensorProto.FLOAT, s) for n, s in zip(inside, shapes, strict=True)],
                           results)  # fmt: skip
        graph.output.insert(0, helper.make_tensor_value_info(again, TensorProto.BOOL, ()))
        turns = self.draw(st.integers(0 if not rows else 1, 4))
        limit = self.constant(turns, np.int64)
        if not rows and self.draw(st.booleans()):
            # as many turns as the data say
            number = self.node("Abs", self.node("ReduceMax", self.pick(), keepdims=0))
            limit = self.node("Cast", self.node("Floor", self.node("Min", number, self.constant(5))),
                              to=TensorProto.INT64)  # fmt: skip
        start = self.condition() if ends else ""
        outputs = [self.fresh() for _ in results]
        self.node("Loop", limit, start, *states, outputs=outputs, body=graph)
        self.known.update(zip(outputs, shapes, strict=False))
        for name, shape in zip(outputs[len(states) :], rows, strict=True):
            total = self.node("ReduceSum", name, self.constant([0], np.int64), keepdims=0)
            self.known[total] = shape

    def add_growth(self) -> None:
        """A loop that carries a vector whose length changes, perhaps in one branch of an if only."""
        first = self.pick(self.draw(st.sampled_from([(2,), (3,)])))
        turn, going, state = self.fresh("turn"), self.fresh("going"), self.fresh("s")
        body = self.inner({})
        body.fill(2)
        longer = body.node("Concat", state, body.pick((self.draw(st.integers(2, 3)),)), axis=0)
        if self.draw(st.booleans()):
            outputs, branches = [body.fresh()], {}
            for name, value in (("then_branch", longer), ("else_branch", state)):
                branch = body.inner({})
                result = branch.node("Neg", value)
                branches[name] = branch.graph(name, [], [(result, [None])])
            longer = body.node("If", body.condition(), outputs=outputs, **branches)
        total = body.node("ReduceSum", longer, keepdims=0)
        again = body.node("Less", total, body.constant(self.draw(st.integers(0, 40))))
        rows = [body.node("Identity", total)]
        graph = body.graph("growth", [(turn, TensorProto.INT64, ()), (going, TensorProto.BOOL, ()),
                           (state, TensorProto.FLOAT, [None])], [(longer, [None]), (rows[0], ())])  # fmt: skip
        graph.output.insert(0, helper.make_tensor_value_info(again, TensorProto.BOOL, ()))
        limit = self.constant(self.draw(st.integers(0, 4)), np.int64)
        outputs = [self.fresh(), self.fresh()]
        self.node("Loop", limit, self.condition(), first, outputs=outputs, body=graph)
        for name in outputs:
            self.known[self.node("ReduceSum", name, keepdims=0)] = ()

    def add_scan(self) -> None:
        scanned = [self.pick((2, 3)) for _ in range(self.draw(st.integers(1, 2)))]
        axis = self.draw(st.sampled_from([0, 1]))
        axes = [axis - 2 * self.draw(st.integers(0, 1)) for _ in scanned]
        length, width = (2, (3,)) if axis == 0 else (3, (2,))
        states = [self.pick() for _ in range(self.draw(st.integers(0, 2)))]
        shapes = [self.known[s] for s in states]
        inside, slices = [self.fresh("s") for _ in states], [self.fresh("x") for _ in scanned]
        body = self.inner(dict(zip(inside, shapes, strict=True)) | dict.fromkeys(slices, width))
        body.fill()
        inputs = zip([*inside, *slices], [*shapes, *[width] * len(scanned)], strict=True)
        graph = body.graph("scan", [(n, TensorProto.FLOAT, s) for n, s in inputs],
                           [(body.result(s), s) for s in (*shapes, width)])  # fmt: skip
        outputs = [self.fresh() for _ in (*states, width)]
        place = self.draw(st.sampled_from([0, 1, -1]))
        flags = st.integers(0, 1)
        self.node(
            "Scan", *states, *scanned, outputs=outputs, body=graph, num_scan_inputs=len(scanned),
            scan_input_axes=axes, scan_input_directions=[self.draw(flags) for _ in scanned],
            scan_output_axes=[place], scan_output_directions=[self.draw(flags)],
        )  # fmt: skip
        self.known.update(zip(outputs, shapes, strict=False))
        if ((length, *width) if place == 0 else (*width, length)) == (2, 3):
            self.known[outputs[-1]] = (2, 3)


@st.composite
def models(draw: Draw, depth: int = 2, sized: bool = True) -> onnx.ModelProto:
    """A model with inputs ``x`` f32[2,3] and ``y`` f32[3]; ``sized``: with sizes known at run time."""
    kinds = ["if", "loop", "scan", *(["growth"] if sized else [])]
    block = Block(draw, [0], {"x": (2, 3), "y": (3,)}, depth, kinds)
    for kind in draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=2)):
        getattr(block, f"add_{kind}")()
    block.fill()
    wanted = [name for name in block.known if name not in ("x", "y")][-3:]
    outputs = [(block.node("Identity", name), block.known[name]) for name in wanted]
    graph = block.graph("model", [("x", TensorProto.FLOAT, (2, 3)), ("y", TensorProto.FLOAT, (3,))],
                        outputs)  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


@st.composite
def inputs(draw: Draw) -> dict[str, np.ndarray]:
    """Small integers."""
    values = draw(st.lists(st.integers(-8, 8), min_size=9, max_size=9))
    return {"x": np.array(values[:6], np.float32).reshape(2, 3), "y": np.array(values[6:], np.float32)}  # fmt: skip
