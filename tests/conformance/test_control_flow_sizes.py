"""If, Loop and Scan whose sizes are known at run time only: C against onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx.parser
import pytest
from backend_support import STRICT, same

from dlc import api
from dlc.backends.c99 import build, emit
from dlc.errors import InputError, UnsupportedError
from dlc.interp import run
from dlc.ir.sizes import AtMost
from dlc.plan.check import verify_plan

ort = pytest.importorskip("onnxruntime")
Feeds = Sequence[Mapping[str, np.ndarray]]
HEAD = '<ir_version: 8, opset_import: ["" : 17]> g '


def f(*values: Any) -> np.ndarray:
    return np.array(values, np.float32)


def ramp(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


C = [np.array(True), np.array(False)]
M = {m: np.array(m) for m in (0, 1, 3, 5, 7)}
#: model, what sizes are at most, inputs
CASES: dict[str, tuple[str, dict[str, Any], Feeds]] = {
    "branches of different sizes": ("""(bool c, float[3] x) => (float[N] y, float s) {
        y = If (c) <then_branch = t () => (float[3] a) { a = Neg(x) },
                   else_branch = e () => (float[5] b) {
            two = Concat<axis=0>(x, x)
            from = Constant<value_ints=[0]>()
            to = Constant<value_ints=[5]>()
            b = Slice(two, from, to) }>
        s = ReduceSum<keepdims=0>(y) }""", {}, [{"c": c, "x": f(1, 2, 3)} for c in C]),
    "branches that read a size": ("""(float[N,3] x, bool c) => (float[K] y) {
        y = If (c) <then_branch = t () => (float[A] a) { n = Shape(x) a = Cast<to=1>(n) },
                   else_branch = e () => (float[B] b) {
            n = Size(x)
            one = Constant<value_ints=[-1]>()
            m = Reshape(n, one)
            b = Cast<to=1>(m) }> }""",
        {"N": AtMost(5)}, [{"x": ramp(n, 3), "c": c} for n in (1, 5) for c in C]),
    "a state that grows, and an early end": ("""(float[2] x, bool c) => (float[N] y, float[K] r, float[N] z)
        <int64 four = {4}> {
        y, r = Loop (four, c, x) <body = b (int64 i, bool k, float[Q] s) => (bool go, float[P] t, float total) {
            t = Concat<axis=0>(s, x)
            total = ReduceSum<keepdims=0>(t)
            limit = Constant<value_float=11.0>()
            go = Less(total, limit) }>
        z = Neg(y) }""", {}, [{"x": f(v, v), "c": c} for v in (0, 1, 3) for c in C]),
    "a state that grows in a branch": ("""(float[1] x, bool c) => (float[N] y) <int64 three = {3}> {
        y = Loop (three, , x) <body = b (int64 i, bool k, float[Q] s) => (bool go, float[P] t) {
            go = Identity(k)
            t = If (c) <then_branch = t () => (float[A] a) { a = Concat<axis=0>(s, x) },
                        else_branch = e () => (float[B] b) { b = Neg(s) }> }> }""",
        {}, [{"x": f(2), "c": c} for c in C]),
    "two axes that grow": ("""(float[1,2] x, int64 m) => (float[A,B] y) {
        y = Loop (m, , x) <body = b (int64 i, bool k, float[P,Q] s) => (bool go, float[R,T] t) {
            go = Identity(k)
            p = Concat<axis=0>(s, s)
            t = Concat<axis=1>(p, p) }> }""",
        {"any": AtMost(8)}, [{"x": f([1, 2]), "m": np.array(m)} for m in (0, 1, 2)]),
    "as many turns as the data say": ("""(float[2] x, int64 m) => (float[2] y, float[K,2] r, float[2] t) {
        y, r = Loop (m, , x) <body = b (int64 i, bool k, float[2] s) => (bool go, float[2] u, float[2] row) {
            u = Add(s, x)
            go = Identity(k)
            row = Neg(u) }>
        axis = Constant<value_ints=[0]>()
        t = ReduceSum<keepdims=0>(r, axis) }""",
        {"any": AtMost(7)}, [{"x": f(1, 2), "m": m} for m in M.values()]),
    "as many turns as rows": ("""(float[N,2] x, float[2] z) => (float[2] y, float[N,2] r) {
        n = Shape<start=0, end=1>(x)
        m = Squeeze(n)
        y, r = Loop (m, , z) <body = b (int64 i, bool k, float[2] s) => (bool go, float[2] u, float[2] row) {
            xi = Gather(x, i)
            u = Add(s, xi)
            go = Identity(k)
            row = Neg(u) }> }""",
        {"N": AtMost(7)}, [{"x": ramp(n, 2), "z": f(1, 1)} for n in (1, 5, 7)]),
    "rows of a run-time size": ("""(float[N] x, int64 m) => (float[K,N] r) <bool yes = {1}> {
        r = Loop (m, yes) <body = b (int64 i, bool k) => (bool go, float[N] row) {
            go = Identity(k)
            a = Cast<to=1>(i)
            row = Add(x, a) }> }""",
        {"N": AtMost(4), "any": AtMost(7)}, [{"x": ramp(n), "m": m} for n in (1, 4) for m in (M[1], M[7])]),
    "a scan of run-time length": ("""(float[N,3] x, float[3] h) => (float[3] y, float[N,3] r, float[3,N] q) {
        y, r, q = Scan <num_scan_inputs=1, scan_output_axes=[0,1], scan_output_directions=[0,1],
            body = b (float[3] s, float[3] a) => (float[3] t, float[3] u, float[3] v) {
                t = Add(s, a)
                u = Identity(t)
                v = Neg(a) }> (h, x) }""",
        {"N": AtMost(6)}, [{"x": ramp(n, 3), "h": f(1, 1, 1)} for n in (1, 4, 6)]),
    "a scan backwards along the last axis": ("""(float[3,N] x, float[3] h) => (float[3] y, float[N,3] r) {
        y, r = Scan <num_scan_inputs=1, scan_input_axes=[1], scan_input_directions=[1],
            body = b (float[3] s, float[3] a) => (float[3] t, float[3] u) {
                t = Add(s, a)
                u = Identity(t) }> (h, x) }""",
        {"N": AtMost(6)}, [{"x": ramp(3, n), "h": f(1, 1, 1)} for n in (1, 4, 6)]),
    "a loop of one turn, beside a branch like the one in it": (
        """(float[1] x, bool c) => (float[1] y, float s) <int64 one = {1}> {
        b = If (c) <then_branch = t () => (float[A] a) { a = Concat<axis=0>(x, x) },
                   else_branch = e () => (float[B] n) { n = Neg(x) }>
        s = ReduceSum<keepdims=0>(b)
        y = Loop (one, , x) <body = b (int64 i, bool k, float[1] u) => (bool go, float[1] v) {
            go = Identity(k)
            d = If (c) <then_branch = t () => (float[A] a) { a = Concat<axis=0>(u, u) },
                       else_branch = e () => (float[B] n) { n = Abs(u) }>
            v = ReduceSum<keepdims=1>(d) }> }""",
        {},
        [{"x": f(-2), "c": c} for c in C],
    ),
    "a loop in a loop": ("""(float[1] x, int64 m) => (float[N] y) <int64 two = {2}> {
        y = Loop (m, , x) <body = b (int64 i, bool k, float[Q] s) => (bool go, float[P] t) {
            go = Identity(k)
            t = Loop (two, , s) <body = d (int64 j, bool l, float[V] u) => (bool on, float[W] v) {
                on = Identity(l)
                v = Concat<axis=0>(u, x) }> }> }""",
        {"any": AtMost(20)}, [{"x": f(2), "m": m} for m in M.values()]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_onnxruntime(name: str, tmp_path: Path) -> None:
    text, dims, feeds = CASES[name]
    model = onnx.parser.parse_model(HEAD + text)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(model.SerializeToString(), options)
    graph = api.plan(model, dims=dims)
    plain = emit(graph, tmp_path / "plain")
    heap = emit(graph, tmp_path / "heap", memory="heap")
    verify_plan(plain)
    modules = [
        build(plain, flags=STRICT),
        build(plain, flags=("-std=c99", "-O1", "-DDLC_POISON")),
        build(heap, flags=STRICT),
    ]
    for arrays in feeds:
        expected = session.run(None, dict(arrays))
        for runs in (lambda a: run(graph, a), *(module.run for module in modules)):
            got = runs(dict(arrays)).values()
            assert all(map(same, got, expected)), (arrays, list(got), expected)


def test_more_than_there_is_room_for_ends_the_run() -> None:
    for name, turns in (("as many turns as the data say", 8), ("two axes that grow", 3)):
        text, dims, feeds = CASES[name]
        module = api.compile(onnx.parser.parse_model(HEAD + text), dims=dims)
        with pytest.raises(InputError, match="out of its bounds"):
            module.run({**feeds[0], "m": np.array(turns)})


def test_what_nothing_bounds_is_refused_with_the_remedy() -> None:
    for name in ("as many turns as the data say", "two axes that grow"):
        model = onnx.parser.parse_model(HEAD + CASES[name][0])
        with pytest.raises(UnsupportedError, match=r"give --max Loop_0=SIZE"):
            api.plan(model)
