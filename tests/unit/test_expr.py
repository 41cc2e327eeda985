"""Scalar expressions: text, types and values; each scalar function against the ONNX operator it names."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from onnx.reference import ReferenceEvaluator

from dlc.errors import ParseError, VerifyError
from dlc.ir.expr import Arg, Call, Const, is_finite_const, parse_expr
from dlc.ir.scalars import SCALARS
from dlc.ir.types import DType

A0, A1 = Arg(0), Arg(1)


@pytest.mark.parametrize(
    ("text", "expr"),
    [
        ("a0", A0),
        ("a0 - (a1 - 1)", Call("sub", (A0, Call("sub", (A1, Const(1)))))),
        ("a0 - a1 - 1.0", Call("sub", (Call("sub", (A0, A1)), Const(1.0)))),
        ("(a0 + a1) * 2.0", Call("mul", (Call("add", (A0, A1)), Const(2.0)))),
        ("max(a0, -0.0)", Call("max", (A0, Const(-0.0)))),
        (
            "and_(lt(a0, inf), True)",
            Call("and", (Call("lt", (A0, Const(float("inf")))), Const(True))),
        ),
        ("neg(1.0)", Call("neg", (Const(1.0),))),
        ("f32(a0)", Call("f32", (A0,))),
        ("select(isnan(a0), 0.0, a0)", Call("select", (Call("isnan", (A0,)), Const(0.0), A0))),
    ],
)
def test_text(text: str, expr: Any) -> None:
    assert parse_expr(text) == expr
    assert str(expr) == text


def test_constants_keep_sign_and_kind_apart() -> None:
    assert Const(0.0) != Const(-0.0)
    assert Const(1) != Const(True) != Const(1.0)
    assert Const(float("nan")) == Const(float("nan"))
    assert is_finite_const(Const(1))
    assert not is_finite_const(Const(float("inf")))


@pytest.mark.parametrize("text", ["", "a0 +", "b0", "max(a0)", "a0 if a1 else 2", "'x'", "a0 ** 2", "foo(a0)",
                                  "max(a0, a1, key=a0)", "a9999999", "+".join(["a0"] * 5000),
                                  "exp(" * 500 + "a0" + ")" * 500, "\0"])  # fmt: skip
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(ParseError):
        parse_expr(text)


def test_arity_size_and_substitution() -> None:
    expr = parse_expr("max(a0 * a2, 1.0)")
    assert (expr.arity, expr.size, Const(1).arity) == (3, 5, 0)
    swapped = expr.substitute(lambda i: parse_expr(f"exp(a{i + 1})"))
    assert str(swapped) == "max(exp(a1) * exp(a3), 1.0)"


@pytest.mark.parametrize(
    ("text", "arguments", "result"),
    [
        ("a0 + 1", "f16", "f16"),
        ("a0 + 1.5", "i32", "i32"),
        ("lt(a0, a1)", "i8 i8", "bool"),
        ("select(a0, a1, 0)", "bool u8", "u8"),
        ("f32(a0) * a1", "i64 f32", "f32"),
        ("f32(2)", "", "f32"),
        ("True", "", "bool"),
    ],
)
def test_types(text: str, arguments: str, result: str) -> None:
    assert parse_expr(text).dtype_of([DType(name) for name in arguments.split()]).value == result


@pytest.mark.parametrize(
    ("text", "message"),
    [("a0 + a1", "mixes f32 and i32"), ("1.0", "wrap it in a cast"), ("a2", "a2 of 2 operands")],
)
def test_operands_that_disagree_are_refused(text: str, message: str) -> None:
    with pytest.raises(VerifyError, match=message):
        parse_expr(text).dtype_of([DType.F32, DType.I32])


def test_a_constant_takes_the_dtype_beside_it() -> None:
    x = np.array([1.5, -2.0], np.float16)
    result = parse_expr("max(a0 * 3.0, 0.1)").evaluate([x])
    assert result.dtype == np.float16
    np.testing.assert_array_equal(result, np.maximum(x * np.float16(3), np.float16(0.1)))


_ONNX = [row for row in SCALARS.values() if row.onnx is not None]
_BOOLEAN = {"and", "or", "xor", "not"}
_BITS = {"bitand", "bitor", "bitxor", "bitnot"}


@pytest.mark.parametrize("row", _ONNX, ids=lambda row: row.name)
@given(data=st.data())
def test_a_scalar_function_is_the_onnx_operator(row: Any, data: st.DataObject) -> None:
    floats = st.floats(-50, 50, width=32) | st.sampled_from([np.nan, np.inf, -np.inf, -0.0, 0.0])
    arrays = [
        data.draw(hnp.arrays(bool, 4))
        if row.name in _BOOLEAN or (row.name == "select" and i == 0)
        else data.draw(hnp.arrays(np.int32, 4))
        if row.name in _BITS
        else data.draw(hnp.arrays(np.float32, 4, elements=floats))
        for i in range(row.arity)
    ]
    names = [f"x{i}" for i in range(row.arity)]
    node = onnx.helper.make_node(row.onnx, names, ["y"])
    inputs = [
        onnx.helper.make_tensor_value_info(n, onnx.helper.np_dtype_to_tensor_dtype(a.dtype), [4])
        for n, a in zip(names, arrays, strict=True)
    ]
    output = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.UNDEFINED, None)
    graph = onnx.helper.make_graph([node], "g", inputs, [output])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 21)])
    with np.errstate(all="ignore"):
        (expected,) = ReferenceEvaluator(model).run(None, dict(zip(names, arrays, strict=True)))
    assert isinstance(expected, np.ndarray)
    result = Call(row.name, tuple(Arg(i) for i in range(row.arity))).evaluate(arrays)
    assert result.dtype == expected.dtype
    np.testing.assert_allclose(result, expected, rtol=3e-7, atol=1e-30)


@given(hnp.arrays(np.int8, 6), hnp.arrays(np.int8, 6))
def test_integer_division_is_that_of_c(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> None:
    def c_division(x: int, y: int) -> int:
        quotient = 0 if y == 0 else abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
        return (quotient + 128) % 256 - 128  # -128 / -1 wraps

    result = parse_expr("a0 / a1").evaluate([a, b])
    assert result.dtype == np.int8
    assert result.tolist() == [
        c_division(*pair) for pair in zip(a.tolist(), b.tolist(), strict=True)
    ]
