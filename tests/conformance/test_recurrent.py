"""RNN, GRU and LSTM in every form: C and the interpreter against onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import helper, numpy_helper
from single_node import reference

from dlc import api, interp
from dlc.importer import load

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
STEPS, BATCH, INPUTS, SIZE = 5, 3, 4, 6
# operator, number of directions, optional operands, attributes
FORMS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("RNN", "forward", "", {}),
    ("RNN", "bidirectional", "b lengths h0", {"activations": ["Relu", "Tanh"], "clip": 0.7}),
    ("RNN", "reverse", "b lengths h0", {"activations": ["Softsign"]}),
    ("RNN", "forward", "b", {"activations": ["HardSigmoid"], "activation_alpha": [0.3], "activation_beta": [0.4]}),
    ("GRU", "forward", "b", {}),
    ("GRU", "reverse", "b lengths h0", {"linear_before_reset": 1}),
    ("GRU", "bidirectional", "b lengths h0", {"clip": 0.5}),
    ("GRU", "bidirectional", "b h0", {"linear_before_reset": 1, "activations": ["Sigmoid", "Softplus"] * 2}),
    ("LSTM", "forward", "", {}),
    ("LSTM", "reverse", "b lengths h0 c0 peepholes", {}),
    ("LSTM", "bidirectional", "b lengths h0 c0 peepholes", {"clip": 0.4}),
    ("LSTM", "forward", "b c0", {"input_forget": 1}),
    ("LSTM", "bidirectional", "b", {
        "activations": ["HardSigmoid", "ScaledTanh", "Tanh", "Sigmoid", "LeakyRelu", "Elu"],
        "activation_alpha": [0.25, 1.1, 0.02, 0.9], "activation_beta": [0.45, 0.8]}),
]  # fmt: skip


Form = tuple[str, str, str, dict[str, Any]]
every_form = pytest.mark.parametrize(
    "form", FORMS, ids=lambda f: f"{f[0]}-{f[1]}-{len(f[2].split())}-{len(f[3])}"
)


def layer(form: Form, dtype: Any = np.float32) -> tuple[Any, dict[str, np.ndarray], list[str]]:
    """A model of one layer, its inputs and the names of its outputs."""
    kind, direction, given, attributes = form
    rng = np.random.default_rng(5)
    d, columns = 2 if direction == "bidirectional" else 1, GATES[kind] * SIZE

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32).astype(dtype)

    optional = {
        "b": normal(d, 2 * columns), "lengths": np.array([5, 2, 0], np.int32),
        "h0": normal(d, BATCH, SIZE), "c0": normal(d, BATCH, SIZE), "peepholes": normal(d, 3 * SIZE),
    }  # fmt: skip
    if kind != "LSTM":
        optional = {name: optional[name] for name in ("b", "lengths", "h0")}
    if kind == "RNN":  # onnxruntime refuses empty sequences there
        optional["lengths"] = np.array([5, 2, 1], np.int32)
    present = {name: array for name, array in optional.items() if name in given.split()}
    inputs = {"x": normal(STEPS, BATCH, INPUTS)} | {
        k: v for k, v in present.items() if k in ("lengths", "h0", "c0")
    }
    weights = {"w": normal(d, columns, INPUTS), "r": normal(d, columns, SIZE)} | {
        k: v for k, v in present.items() if k not in inputs
    }
    outputs = ["y", "h", "c"][: 3 if kind == "LSTM" else 2]
    names = ["x", "w", "r", *(name if name in present else "" for name in optional)]
    node = helper.make_node(
        kind, names, outputs, hidden_size=SIZE, direction=direction, **attributes
    )
    kind_of = helper.np_dtype_to_tensor_dtype
    graph = helper.make_graph(
        [node], "recurrent",
        [helper.make_tensor_value_info(n, kind_of(a.dtype), a.shape) for n, a in inputs.items()],
        [helper.make_tensor_value_info(n, kind_of(np.dtype(dtype)), None) for n in outputs],
        [numpy_helper.from_array(a, n) for n, a in weights.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model, inputs, outputs


@every_form
def test_against_onnxruntime(form: Form) -> None:
    model, inputs, outputs = layer(form)
    want = reference(model, inputs)
    compiled = api.compile(model).run(inputs)
    interpreted = interp.run(api.plan(load(model)), inputs)
    for name, expected in zip(outputs, want, strict=True):
        np.testing.assert_allclose(compiled[name], expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(interpreted[name], expected, rtol=1e-4, atol=1e-5)


@every_form
def test_f64_is_the_same_to_more_digits(form: Form) -> None:
    model, inputs, outputs = layer(form, np.float64)
    narrow, rounded, _ = layer(form)
    want = reference(narrow, rounded)
    interpreted = interp.run(api.plan(load(model)), inputs)
    compiled = api.compile(model).run(inputs)
    for name, expected in zip(outputs, want, strict=True):
        assert compiled[name].dtype == np.float64
        np.testing.assert_allclose(compiled[name], expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(compiled[name], interpreted[name], rtol=1e-12, atol=1e-13)
