"""Sequences and optionals: taken apart while reading a model, put together again around its C."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from dlc import api, onnx_backend
from dlc.errors import DlcError, InputError, ModelError, UnsupportedError, VerifyError
from dlc.exporter import to_onnx
from dlc.interp import run
from dlc.ir.graph import Graph
from dlc.ir.signature import Signature
from dlc.ir.text import parse_graph, print_graph
from dlc.ir.verify import verify

F32 = TensorProto.FLOAT


def tensor(name: str, shape: Any = None, kind: int = F32) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def sequence(name: str, shape: Any = None) -> onnx.ValueInfoProto:
    return helper.make_tensor_sequence_value_info(name, F32, shape)


def optional(name: str) -> onnx.ValueInfoProto:
    type = helper.make_optional_type_proto(helper.make_tensor_type_proto(F32, None))
    return helper.make_value_info(name, type)


def model(
    nodes: Any, inputs: Any, outputs: Any, initializers: Any = (), opset: int = 18
) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "g", inputs, outputs, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def number(name: str, value: Any) -> onnx.TensorProto:
    return onnx.numpy_helper.from_array(np.array(value, np.int64), name)


def node(type: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(type, inputs.split(), outputs.split(), **attributes)


def some(*shapes: tuple[int, ...]) -> list[Any]:
    rng = np.random.default_rng(len(shapes))
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


def agree(got: Any, expected: Any) -> None:
    if isinstance(expected, list):
        assert len(got) == len(expected)
        for one, other in zip(got, expected, strict=True):
            agree(one, other)
        return
    np.testing.assert_allclose(got, expected, rtol=1e-6)


@pytest.mark.parametrize("opset", [11, 12, 17, 22])
def test_every_operator_on_sequences_of_known_positions(opset: int) -> None:
    nodes = [
        node("SequenceInsert", "xs t two", "a"), node("SequenceErase", "a last", "b"),
        node("SequenceErase", "b", "c"), node("SequenceAt", "a minus", "d"),
        node("SequenceLength", "a", "n"), node("ConcatFromSequence", "c", "e", axis=1),
        node("SequenceConstruct", "t t", "f"),
        node("ConcatFromSequence", "f", "g", axis=-1, new_axis=1),
        node("SplitToSequence", "t two", "h", axis=1), node("SplitToSequence", "t sizes", "i"),
        node("SplitToSequence", "t", "j", axis=-1, keepdims=0), node("SequenceEmpty", "", "k"),
        node("SequenceInsert", "k t", "l"),
    ]  # fmt: skip
    positions = [
        number("two", 2),
        number("minus", -2),
        number("last", -1),
        number("sizes", [1, 0, 1]),
    ]
    outputs = [*map(sequence, "abcfhijkl"), tensor("n", (), TensorProto.INT64), *map(tensor, "deg")]
    m = model(nodes, [sequence("xs"), tensor("t", (2, 3))], outputs, positions, opset)
    feeds = {"xs": some((2, 3), (2, 1), (2, 4)), "t": some((2, 3))[0]}
    results = onnx_backend.prepare(m).run(feeds)
    agree(list(results), ReferenceEvaluator(m).run(None, feeds))


@pytest.mark.parametrize("at", [0, 1, 2, -1, -3])
def test_positions_known_at_run_time_only(at: int) -> None:
    nodes = [node("SequenceAt", "xs i", "a"), node("SequenceErase", "xs i", "b"),
             node("SequenceInsert", "xs t i", "c")]  # fmt: skip
    outputs = [tensor("a"), sequence("b"), sequence("c")]
    inputs = [sequence("xs"), tensor("t", (2,)), tensor("i", (), TensorProto.INT64)]
    m = model(nodes, inputs, outputs)
    feeds = {"xs": some((2,), (2,), (2,)), "t": some((2,))[0], "i": np.array(at)}
    agree(list(onnx_backend.prepare(m).run(feeds)), ReferenceEvaluator(m).run(None, feeds))


def test_a_run_time_position_needs_elements_of_one_type() -> None:
    inputs = [sequence("xs"), tensor("i", (), TensorProto.INT64)]
    m = model([node("SequenceAt", "xs i", "y")], inputs, [tensor("y")])
    with pytest.raises(UnsupportedError, match="must have one type"):
        api.load(m, dims={"xs": 2}, shapes={"xs_0": (1,), "xs_1": (2,)})


def test_a_position_out_of_range_is_the_models_mistake() -> None:
    m = model(
        [node("SequenceAt", "xs i", "y")], [sequence("xs", (2,))], [tensor("y")], [number("i", 3)]
    )
    with pytest.raises(ModelError, match="position 3 is out of range for a sequence of 3"):
        api.load(m, dims={"xs": 3})


def test_a_loop_that_carries_a_sequence_is_unrolled() -> None:
    body = helper.make_graph(
        [node("SequenceAt", "xs i", "x"), node("Mul", "x x", "z"), node("SequenceInsert", "s z", "t"),
         node("Identity", "c", "d"), node("ReduceSum", "z", "w")],
        "body", [tensor("i", (), TensorProto.INT64), tensor("c", (), TensorProto.BOOL), sequence("s")],
        [tensor("d", (), TensorProto.BOOL), sequence("t"), tensor("w")],
    )  # fmt: skip
    nodes = [node("SequenceEmpty", "", "empty"), node("SequenceLength", "xs", "n"),
             helper.make_node("Loop", ["n", "", "empty"], ["y", "w"], body=body)]  # fmt: skip
    m = model(nodes, [sequence("xs")], [sequence("y"), tensor("w")])
    feeds = {"xs": some((2, 3), (1, 4))}
    y, w = onnx_backend.prepare(m).run(feeds)
    agree(y, [x * x for x in feeds["xs"]])
    agree(w, np.stack([np.sum(x * x, keepdims=True) for x in feeds["xs"]]))


def test_a_loop_of_unknown_turns_cannot_carry_a_sequence() -> None:
    body = helper.make_graph(
        [node("SequenceInsert", "s t", "r"), node("Identity", "c", "d")],
        "body", [tensor("i", (), TensorProto.INT64), tensor("c", (), TensorProto.BOOL), sequence("s")],
        [tensor("d", (), TensorProto.BOOL), sequence("r")],
    )  # fmt: skip
    nodes = [
        node("SequenceEmpty", "", "e"),
        helper.make_node("Loop", ["n", "", "e"], ["y"], body=body),
    ]
    inputs = [tensor("n", (), TensorProto.INT64), tensor("t", (2,))]
    with pytest.raises(UnsupportedError, match="turns must be known when compiling"):
        api.load(model(nodes, inputs, [sequence("y")]))
    huge = model(nodes, inputs[1:], [sequence("y")], [number("n", 2**62)])
    with pytest.raises(UnsupportedError, match="too many to unroll"):
        api.load(huge)


def test_branches_give_sequences_of_one_length() -> None:
    def branch(name: str, text: str) -> onnx.GraphProto:
        nodes = [
            node("Neg", "x", f"{name}n"),
            node("SequenceConstruct", text.format(f"{name}n"), name),
        ]
        return helper.make_graph(nodes, name, [], [sequence(name)])

    def chosen(other: str) -> onnx.ModelProto:
        attributes: dict[str, Any] = {
            "then_branch": branch("a", "x {0}"),
            "else_branch": branch("b", other),
        }
        nodes = [helper.make_node("If", ["c"], ["y"], **attributes)]
        return model(nodes, [tensor("c", (), TensorProto.BOOL), tensor("x", (3,))], [sequence("y")])

    for condition in (True, False):
        feeds = {"c": np.array(condition), "x": some((3,))[0]}
        module = api.compile(chosen("{0} x"))
        x, y = feeds["x"], module.run(feeds)["y"]
        agree(y, [x, -x] if condition else [-x, x])
    with pytest.raises(UnsupportedError, match="sequences of different lengths"):
        api.load(chosen("x"))


def test_optionals_are_there_or_not_when_compiled() -> None:
    nodes = [node("OptionalHasElement", "o", "has"), node("Identity", "o", "same")]
    m = model(nodes, [optional("o")], [tensor("has", (), TensorProto.BOOL), optional("same")])
    rep = onnx_backend.prepare(m)
    (x,) = some((2, 2))
    for given in (x, None):
        has, same = rep.run({"o": given})
        assert has == (given is not None)
        assert (same is None) == (given is None)
    with pytest.raises(ModelError, match="the optional holds nothing"):
        api.load(
            model([node("OptionalGetElement", "o", "y")], [optional("o")], [tensor("y")]),
            dims={"o": None},
        )
    module = api.compile(m, dims={"o": None})
    with pytest.raises(InputError, match="compiled for its absence"):
        module.run({"o": x})


def doubled() -> Graph:
    body = helper.make_graph([node("Add", "x x", "y")], "b", [tensor("x")], [tensor("y")])
    m = model(
        [helper.make_node("SequenceMap", ["xs"], ["ys"], body=body)],
        [sequence("xs")],
        [sequence("ys")],
    )
    return api.load(m, dims={"xs": 2}, shapes={"xs_0": (2,), "xs_1": (3, 1)})


def test_the_signature_survives_text_passes_and_the_c(tmp_path: Path) -> None:
    graph = doubled()
    assert graph.signature == Signature((("xs", ("xs_0", "xs_1")),), (("ys", ("ys_0", "ys_1")),))
    verify(graph)
    again = parse_graph(print_graph(graph))
    assert again.signature == graph.signature
    module = api.compile(again, out=tmp_path / "c")
    xs = some((2,), (3, 1))
    agree(module.run({"xs": xs})["ys"], [2 * x for x in xs])
    agree(module.run({"xs_0": xs[0], "xs_1": xs[1]})["ys"], [2 * x for x in xs])
    assert list(module.tensors({"xs_0": xs[0], "xs_1": xs[1]})) == ["ys_0", "ys_1"]
    agree(run(graph, {"xs_0": xs[0], "xs_1": xs[1]})["ys_1"], 2 * xs[1])
    with pytest.raises(InputError, match="takes a list of 2 arrays, not 1"):
        module.run({"xs": xs[:1]})
    assert api.check(graph).ok


def test_names_of_elements_avoid_names_there_are() -> None:
    nodes = [node("SequenceConstruct", "x_0 x", "y"), node("Neg", "x", "y_0")]
    m = model(nodes, [tensor("x_0", (1,)), tensor("x", (2,))], [tensor("y_0"), sequence("y")])
    assert api.load(m).signature == Signature(
        (("x_0", "x_0"), ("x", "x")), (("y_0", "y_0"), ("y", ("y_0_", "y_1")))
    )


def test_a_signature_of_other_tensors_is_refused() -> None:
    graph = doubled()
    graph.signature = Signature((("xs", ("xs_0",)),), (("ys", ("ys_0", "ys_1")),))
    with pytest.raises(VerifyError, match="G9"):
        verify(graph)


@pytest.mark.parametrize(("dims", "message"), [
    ({}, "give it with --dim xs=3"), ({"xs": -1}, "from 0 to"), ({"xs": 10**9}, "from 0 to"),
    ({"xs": 1, "ys": None}, "no optional input 'ys'"), ({"xs": 1, "N": 2}, "no dim 'N'"),
])  # fmt: skip
def test_lengths_that_cannot_be(dims: dict[str, Any], message: str) -> None:
    m = model([node("Identity", "xs", "ys")], [sequence("xs", (2,))], [sequence("ys")])
    with pytest.raises(DlcError, match=message):
        api.load(m, dims=dims)


@pytest.mark.parametrize("bad", [
    node("SequenceConstruct", "", "y"), node("SequenceAt", "xs", "y"), node("SequenceAt", "t i", "y"),
    helper.make_node("SequenceInsert", ["xs", "", "i"], ["y"]), node("SequenceErase", "xs f", "y"),
    node("SequenceInsert", "xs xs", "z i"), node("SequenceLength", "xs xs", "y"),
    node("SplitToSequence", "t f", "y"), node("SplitToSequence", "t none", "y"),
    node("SplitToSequence", "t i", "y", axis=7), node("SplitToSequence", "xs", "y"),
    node("ConcatFromSequence", "xs", "y"), node("ConcatFromSequence", "xs", "y", axis=9),
    node("ConcatFromSequence", "xs", "y", axis=1.5), node("ConcatFromSequence", "xs", "y", axis=0, no=1),
    node("SequenceMap", "xs", "y"), node("SequenceEmpty", "", "y", dtype=99), node("Add", "xs t", "y"),
    node("OptionalHasElement", "xs xs", "y"), node("Loop", "i f xs", "y"), node("Identity", "xs xs", "y"),
    node("If", "xs", "y"), node("Scan", "xs", "y", num_scan_inputs=1),
    helper.make_node("Loop", ["i", "", "xs"], ["y"], body=helper.make_graph([], "b", [], [])),
], ids=lambda n: f"{n.op_type} {list(n.input)}")  # fmt: skip
def test_malformed_nodes_are_refused_in_a_sentence(bad: onnx.NodeProto) -> None:
    floats = helper.make_tensor("f", F32, [1], [0.5])
    nothing = helper.make_tensor("none", TensorProto.INT64, [0], [])
    inputs = [sequence("xs", (2,)), tensor("t", (2,))]
    m = model([bad], inputs, [onnx.ValueInfoProto(name="y")], [number("i", 1), floats, nothing])
    with pytest.raises((ModelError, UnsupportedError)):
        api.load(m, dims={"xs": 2})


def test_exported_models_have_the_sequences_again() -> None:
    nodes = [node("SequenceAt", "xs i", "x"), node("SequenceInsert", "xs x", "ys"),
             node("SequenceEmpty", "", "none"), node("OptionalHasElement", "o", "has"),
             node("Optional", "x", "some"), node("Identity", "p", "q")]  # fmt: skip
    outputs = [sequence("ys"), tensor("x"), sequence("none"), tensor("has", (), TensorProto.BOOL),
               optional("some"), optional("q")]  # fmt: skip
    m = model(nodes, [sequence("xs"), optional("o"), optional("p")], outputs, [number("i", 1)])
    dims = {"xs": 2, "o": None}
    graph = api.load(m, dims=dims, shapes={"xs_0": (2,), "xs_1": (3, 1), "p": (2,)})
    exported = to_onnx(graph)
    onnx.checker.check_model(exported, full_check=True)
    xs, (p,) = some((2,), (3, 1)), some((2,))
    feeds = {"xs": xs, "o": None, "p": p}
    agree(
        ReferenceEvaluator(exported).run(None, feeds),
        [[*xs, xs[1]], xs[1], [], np.array(False), xs[1], p],
    )
    again = api.load(exported, dims=dims, shapes={"xs_0": (2,), "xs_1": (3, 1), "p": (2,)})
    assert [name for name, _ in again.signature.outputs] == ["ys", "x", "none", "has", "some", "q"]  # type: ignore[union-attr]


def test_integers_of_an_input_may_be_known_when_compiling() -> None:
    nodes = [node("SplitToSequence", "t sizes", "ys"), node("SequenceAt", "ys i", "y")]
    inputs = [
        tensor("t", (4,)),
        tensor("sizes", (2,), TensorProto.INT64),
        tensor("i", (1,), TensorProto.INT64),
    ]
    m = model(nodes, inputs, [sequence("ys"), tensor("y")])
    (t,) = some((4,))
    for sizes, i in (([1, 3], 0), ([2, 2], -1)):
        parts = np.split(t, sizes[:1])
        results = onnx_backend.prepare(m).run(
            {"t": t, "sizes": np.array(sizes), "i": np.array([i])}
        )
        agree(list(results), [parts, parts[i]])
    graph = api.load(m, dims={"sizes": [1, 3], "i": 1})
    assert graph.input_names == ("t",)
    with pytest.raises(ModelError, match="integers of input 'sizes' cannot be None"):
        api.load(m, dims={"sizes": None})
    with pytest.raises(ModelError, match="no input 't' of integers"):
        api.load(m, dims={"t": [1]})
    with pytest.raises(DlcError, match="no input 's'"):
        onnx_backend.prepare(m).run({"t": t, "sizes": np.array([1, 3]), "i": np.array([0]), "s": t})


@pytest.mark.parametrize("opset", [12, 22])
def test_parts_of_sizes_known_at_run_time(opset: int) -> None:
    nodes = [node("SplitToSequence", "t sizes", "ys", axis=1), node("SequenceAt", "ys two", "y"),
             node("SequenceLength", "ys", "n")]  # fmt: skip
    inputs = [tensor("t", (2, 7)), tensor("sizes", (3,), TensorProto.INT64)]
    outputs = [tensor("y"), tensor("n", (), TensorProto.INT64)]
    module = api.compile(model(nodes, inputs, outputs, [number("two", 2)], opset))
    (t,) = some((2, 7))
    for sizes in ([1, 2, 4], [0, 7, 0]):
        got = module.run({"t": t, "sizes": np.array(sizes)})
        agree(got["y"], t[:, 7 - sizes[2] :])
        assert got["n"] == 3
