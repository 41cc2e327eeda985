"""If, Loop and Scan on every kind of element, on nothing, and on values that meet twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx.parser
import pytest
from backend_support import STRICT

from dlc import api
from dlc.backends.c99 import build, emit
from dlc.plan.check import verify_plan

ort = pytest.importorskip("onnxruntime")
HEAD = '<ir_version: 8, opset_import: ["" : 17]> g '
TURNS = [np.array(m) for m in (-3, 0, 1, 2, 3)]
BOTH = [np.array(True), np.array(False)]
TYPES = {"float16": np.float16, "double": np.float64, "bool": np.bool_, "int8": np.int8,
         "uint64": np.uint64}  # fmt: skip


def f(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def agree(text: str, feeds: Sequence[Mapping[str, np.ndarray]], folder: Path) -> None:
    model = onnx.parser.parse_model(HEAD + text)
    session = ort.InferenceSession(model.SerializeToString())
    graph = api.plan(model)
    plain = emit(graph, folder / "plain")
    verify_plan(plain)
    modules = [
        build(plain, flags=STRICT),
        build(emit(graph, folder / "heap", memory="heap"), flags=(*STRICT, "-DDLC_POISON")),
    ]
    for arrays in feeds:
        expected = session.run(None, dict(arrays))
        for module in modules:
            for ours, theirs in zip(module.run(arrays).values(), expected, strict=True):
                np.testing.assert_array_equal(ours, theirs)
                assert ours.dtype == theirs.dtype


@pytest.mark.parametrize("name", TYPES)
def test_element_types(name: str, tmp_path: Path) -> None:
    add = "Xor" if name == "bool" else "Add"
    t = f"{name}[3]"
    text = f"""({t} x, {t} w, bool c, int64 m) => ({t} y, {name}[2,3] r, {t} z) <int64 two = {{2}}> {{
        first = Loop (m, c, x) <body = a (int64 i, bool k, {t} s) => (bool go, {t} u) {{
            go = Identity(k) u = {add}(s, w) }}>
        y, r = Loop (two, , first) <body = b (int64 i, bool k, {t} s) => (bool go, {t} u, {t} row) {{
            go = Identity(k) u = {add}(s, w) row = Identity(s) }}>
        z = If (c) <then_branch = t () => ({t} p) {{ p = {add}(x, y) }},
                    else_branch = e () => ({t} q) {{ q = Identity(x) }}> }}"""
    x, w = np.array([1, 0, 1]).astype(TYPES[name]), np.array([1, 1, 0]).astype(TYPES[name])
    agree(text, [{"x": x, "w": w, "c": c, "m": m} for c in BOTH for m in TURNS], tmp_path)


def test_strings(tmp_path: Path) -> None:
    text = """(string[2] x, string[2] w, bool c, int64 m) => (string[2] y, string[2] z) {
        y = If (c) <then_branch = t () => (string[2] p) { p = Identity(x) },
                    else_branch = e () => (string[2] q) { q = Identity(w) }>
        z, v = Loop (m, , x, w) <body = b (int64 i, bool k, string[2] s, string[2] u)
                                          => (bool go, string[2] t, string[2] r) {
            go = Identity(k) t = Identity(u) r = Identity(s) }> }"""
    x, w = np.array(["a", "b"], object), np.array(["c", "d"], object)
    agree(text, [{"x": x, "w": w, "c": c, "m": m} for c in BOTH for m in TURNS], tmp_path)


def test_states_that_change_places(tmp_path: Path) -> None:
    text = """(float[2] x, float[2] w, int64 m) => (float[2] y, float[2] z) {
        y, z = Loop (m, , x, w) <body = b (int64 i, bool k, float[2] s, float[2] u)
                                          => (bool go, float[2] t, float[2] v) {
            go = Identity(k) t = Identity(u) v = Identity(s) }> }"""
    agree(text, [{"x": f(1, 2), "w": f(3, 4), "m": m} for m in TURNS], tmp_path)


def test_one_value_is_two_states_and_a_capture(tmp_path: Path) -> None:
    text = """(float[2] x, int64 m) => (float[2] y, float[2] z, float[2] r) {
        n = Neg(x)
        y, z = Loop (m, , n, n) <body = b (int64 i, bool k, float[2] s, float[2] u)
                                          => (bool go, float[2] t, float[2] v) {
            go = Identity(k) t = Add(u, n) v = Sub(s, u) }>
        r = Neg(z) }"""
    agree(text, [{"x": f(1, 2), "m": m} for m in TURNS], tmp_path)


def test_nothing_at_all(tmp_path: Path) -> None:
    text = """(float[0,3] x, float[2] w, int64 m, bool c) => (float[0,3] y, float[2] z, float[0,3] u, float[1] v) {
        y, z = Loop (m, , x, w) <body = b (int64 i, bool k, float[0,3] s, float[2] p)
                                          => (bool go, float[0,3] t, float[2] q) {
            go = Identity(k) t = Neg(s) q = Neg(p) }>
        u = If (c) <then_branch = t () => (float[0,3] a) { a = Neg(x) },
                    else_branch = e () => (float[0,3] d) { d = Identity(x) }>
        v = If (c) <then_branch = t () => (float[1] a) { a = Constant<value_floats=[1.0]>() },
                    else_branch = e () => (float[1] d) { d = Constant<value_floats=[2.0]>() }> }"""
    x = np.zeros((0, 3), np.float32)
    agree(text, [{"x": x, "w": f(1, 2), "m": m, "c": c} for c in BOTH for m in TURNS], tmp_path)
