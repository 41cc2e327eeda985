"""Blocked layout keeps the meaning of random networks: in numpy, in onnxruntime, and as C."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backend_support import STRICT, compiled
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pass_checks import kinds, proved

from dlc.backends.c99.toolchain import NATIVE, find_compiler
from dlc.interp import run
from dlc.ir.graph import Graph, Value
from dlc.ir.types import DType, TensorType
from dlc.ops import build
from dlc.ops.core.conv_blocked import pack_filters, unpack_filters
from dlc.passmanager import PassManager

TAILS = ("max(a0, 0)", "a0 * sigmoid(a0)", "min(max(a0 + a1, 0), 6)", "a0 * a1 + 0.5", "a0 + a2")


class Network:
    """A random chain of images with a few branches."""

    def __init__(self, draw: st.DrawFn, largest: int) -> None:
        self.draw = draw
        self.rng = np.random.default_rng(draw(st.integers(0, 2**16)))
        self.graph = Graph("network")
        sizes = [draw(st.integers(5, largest)) for _ in range(2)]
        shape = (draw(st.integers(1, 2)), draw(st.sampled_from([1, 3, 16, 20])), *sizes)
        self.values = [self.graph.add_input("x", TensorType(DType.F32, shape))]

    def weights(self, *shape: int) -> Value:
        return self.graph.add_constant(self.rng.uniform(-1, 1, shape).astype(np.float32))

    def like(self, x: Value) -> Value:
        """Another image of the same shape where there is one."""
        same = [v for v in self.values if v.type == x.type]
        return self.draw(st.sampled_from(same)) if same else self.weights(*x.shape)

    def conv(self, x: Value) -> Value:
        draw, channels = self.draw, x.shape[1]
        kernel = [draw(st.integers(1, min(3, (size + 1) // 2))) for size in x.shape[2:]]
        groups, filters = 1, draw(st.sampled_from([4, 8, 16, 24, 32, 48]))
        if draw(st.booleans()) and channels > 1:
            groups = filters = channels
        w = self.weights(filters, channels // groups, *kernel)
        geometry: dict[str, Any] = {
            "strides": [draw(st.integers(1, 2)) for _ in range(2)],
            "pads": [draw(st.integers(0, 2)) for _ in range(4)],
            "dilations": [draw(st.integers(1, 2)) for _ in range(2)], "groups": groups,
        }  # fmt: skip
        plain = build.conv(x, w, **geometry)
        tail = draw(st.sampled_from(TAILS))
        extras = [self.weights(*draw(st.sampled_from([(filters, 1, 1), (1,)])))]
        if "a2" in tail:
            extras.append(self.like(plain))
        return build.conv(x, w, *extras, epilogue=tail, **geometry)

    def pool(self, x: Value) -> Value:
        draw, kernel = self.draw, [min(dim, self.draw(st.integers(1, 3))) for dim in x.shape[2:]]
        pads = [draw(st.integers(0, k - 1)) for k in (*kernel, *kernel)]
        strides = [draw(st.integers(1, 2)) for _ in range(2)]
        overhang = [  # where ONNX's ceil_mode has a window more, which must begin in the image
            int(stride == 2 and end < k - 1 and (size + begin + end - k) % 2 == 1)
            for size, k, stride, begin, end in zip(
                x.shape[2:], kernel, strides, pads[:2], pads[2:], strict=True
            )
        ]
        return build.pool(
            draw(st.sampled_from(["max", "avg"])), x, kernel, pads=pads, strides=strides,
            overhang=overhang, include_pad=draw(st.booleans()),
        )  # fmt: skip

    def step(self) -> None:
        draw, x = self.draw, self.draw(st.sampled_from(self.values[-3:]))
        match draw(
            st.sampled_from(["conv", "conv", "conv", "pool", "map", "concat", "gate", "slice"])
        ):
            case "conv":
                found = self.conv(x)
            case "pool":
                found = self.pool(x)
            case "map":
                found = build.map_(
                    draw(st.sampled_from(["a0 + a1", "sigmoid(a0) * a1"])), x, self.like(x)
                )
            case "concat":
                found = build.concat([x, self.like(x)], 1)
            case "slice":
                n, channels, *image = x.shape
                first = 16 if channels > 31 and draw(st.booleans()) else 0
                found = build.slice_(x, (0, first, 0, 0), (n, min(16, channels), *image))
            case _:
                found = build.map_("a0 * a1", x, build.mean(x, (2, 3)))
        self.values.append(found)


@st.composite
def networks(draw: st.DrawFn, largest: int = 18) -> Graph:
    network = Network(draw, largest)
    for _ in range(draw(st.integers(1, 5))):
        network.step()
    last = network.values[-1]
    network.graph.set_outputs([("y", last), ("z", network.values[-2])])
    return PassManager.parse("dce").run(network.graph)


def inputs_of(graph: Graph) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    return {
        name: rng.uniform(-1, 1, value.shape).astype(np.float32)
        for name, value in zip(graph.input_names, graph.inputs, strict=True)
    }


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(networks())
def test_the_layout_keeps_the_meaning(graph: Graph) -> None:
    proved("assign-layout", graph, runs=1)


@pytest.mark.parametrize(
    ("compiler", "flags"),
    [("gcc", ("-O3", NATIVE)), ("clang", ("-O2", NATIVE)), ("gcc", ("-O3", "-mavx2", "-mfma")),
     ("clang", ("-O2",)), ("gcc", ("-O1", "-fsanitize=undefined", "-fno-sanitize-recover=all"))],
)  # fmt: skip
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(graph=networks(largest=33))
def test_the_layout_as_c(graph: Graph, compiler: str, flags: tuple[str, ...]) -> None:
    after = PassManager.parse("assign-layout,fold-constants,drop-identity,cse,dce").run(graph)
    inputs = inputs_of(graph)
    expected = run(graph, inputs)
    try:
        found = find_compiler(compiler)
    except Exception:
        pytest.skip(f"no {compiler} here")
    with tempfile.TemporaryDirectory() as folder:
        got = compiled(after, Path(folder), (*STRICT, *flags), found).run(inputs)
    for name, array in expected.items():
        scale = max(1.0, float(np.abs(array).max()))
        np.testing.assert_allclose(got[name] / scale, array / scale, atol=2e-5, rtol=0)


@pytest.mark.parametrize("shape", [(16, 3, 3, 3), (48, 20, 1, 1), (32, 33, 1, 2)])
def test_packed_filters_unpack(shape: tuple[int, ...]) -> None:
    w = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    assert np.array_equal(unpack_filters(pack_filters(w), shape), w)


def test_a_mean_of_images_to_a_matrix_is_a_pool() -> None:
    rng = np.random.default_rng(0)
    graph = Graph("mean")
    x = graph.add_input("x", TensorType(DType.F32, (2, 3, 6, 6)))
    w = graph.add_constant(rng.normal(size=(20, 3, 3, 3)).astype(np.float32))
    y = build.mean(build.map_("exp(a0)", build.conv(x, w)), (2, 3), keepdims=False)
    graph.set_outputs([("y", y)])
    after = proved("assign-layout", graph)
    assert "pool_blocked" in kinds(after)
    assert not {"reduce", "transpose"} & set(kinds(after))


def test_a_residual_network_has_no_copies_between_its_convolutions() -> None:
    rng = np.random.default_rng(0)
    graph = Graph("residual")
    x = graph.add_input("x", TensorType(DType.F32, (1, 3, 12, 12)))
    w = [graph.add_constant(rng.normal(size=s).astype(np.float32))
         for s in ((16, 3, 3, 3), (16, 16, 3, 3), (16, 16, 3, 3))]  # fmt: skip
    pads = (1, 1, 1, 1)
    a = build.conv(x, w[0], pads=pads, epilogue="max(a0, 0)")
    b = build.conv(a, w[1], pads=pads, epilogue="max(a0, 0)")
    c = build.conv(b, w[2], a, pads=pads, epilogue="max(a0 + a1, 0)")
    graph.set_outputs([("y", c)])
    after = PassManager.parse("assign-layout").run(graph)
    assert kinds(after) == [*["conv_blocked"] * 3, "transpose", "reshape"]
