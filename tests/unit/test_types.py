"""Element types against numpy and onnx, broadcasting against numpy, types as text."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlc.errors import ParseError, VerifyError
from dlc.ir.operator import Data
from dlc.ir.text import parse_type
from dlc.ir.types import Dim, DType, Quant, Symbol, TensorType, broadcast_shapes, strides_of

N = Symbol("N", 8)


@pytest.mark.parametrize(
    "dtype", [d for d in DType if d.onnx in onnx.TensorProto.DataType.values()]
)
def test_an_element_type_is_that_of_onnx(dtype: DType) -> None:
    assert DType.of(dtype.onnx) is dtype
    assert onnx.helper.tensor_dtype_to_np_dtype(dtype.onnx) == dtype.numpy
    assert DType.of(dtype.numpy) is dtype
    assert DType.of(np.zeros(3, dtype.numpy)) is dtype


def test_every_element_type_of_onnx_is_there() -> None:
    numbers = set(onnx.TensorProto.DataType.values()) - {onnx.TensorProto.UNDEFINED}
    assert {dtype.onnx for dtype in DType} >= numbers


@pytest.mark.parametrize("dtype", [d for d in DType if d is not DType.STRING])
def test_bytes_and_kinds_are_those_of_numpy(dtype: DType) -> None:
    assert dtype.nbytes == dtype.numpy.itemsize
    if dtype.is_float or dtype.is_integer:
        negative = np.array([-1.0]).astype(dtype.numpy).astype(np.float64)[0] < 0
        assert dtype.is_signed == negative or dtype is DType.F8E8M0  # which has no sign at all
    assert not (dtype.is_float and dtype.is_integer)


def test_what_is_no_element_type_is_refused() -> None:
    with pytest.raises(VerifyError, match="element type 99"):
        DType.of(99)
    with pytest.raises(VerifyError, match="datetime64"):
        DType.of(np.zeros(1, "datetime64[s]"))
    with pytest.raises(VerifyError, match="no tensor"):
        Data(np.array([object()]))


shapes = st.lists(st.sampled_from([0, 1, 1, 2, 3]), max_size=4).map(tuple)


@given(st.lists(shapes, min_size=1, max_size=3))
def test_broadcasting_is_that_of_numpy(shapes: list[tuple[int, ...]]) -> None:
    try:
        expected = np.broadcast_shapes(*shapes)
    except ValueError:
        with pytest.raises(VerifyError, match="do not broadcast"):
            broadcast_shapes(*shapes)
    else:
        assert broadcast_shapes(*shapes) == expected


def test_symbols_broadcast_with_themselves_and_one() -> None:
    assert broadcast_shapes((N, 3), (1, 1), (N, 1)) == (N, 3)
    few = Symbol("few", 2)  # 0 to 2
    with pytest.raises(VerifyError, match=r"\[3\] and \[2<=M<=2\]"):
        broadcast_shapes((few,), (3,), (Symbol("M", 2, 2),))
    assert broadcast_shapes((few,), (3,)) == (3,)  # a check at run time sees to it that it is 1


BROADCAST = st.sampled_from([1, 3, N, Symbol("A", 4), Symbol("B", 4, 2), Symbol("C", 9)])


@given(st.lists(BROADCAST, min_size=1, max_size=4), st.data())
def test_broadcasting_does_not_depend_on_the_order(dims: list[Dim], data: st.DataObject) -> None:
    whole = broadcast_shapes(*((dim,) for dim in dims))
    assert broadcast_shapes(*((dim,) for dim in data.draw(st.permutations(dims)))) == whole
    cut = data.draw(st.integers(0, len(dims)))
    parts = [broadcast_shapes(*((dim,) for dim in part)) for part in (dims[:cut], dims[cut:])]
    assert broadcast_shapes(*parts) == whole


@given(st.lists(st.integers(1, 5), max_size=4).map(tuple))
def test_strides_are_those_of_numpy(shape: tuple[int, ...]) -> None:
    assert strides_of(shape) == np.zeros(shape, np.uint8).strides


def test_sizes_of_a_symbolic_type_are_upper_bounds() -> None:
    type = TensorType(DType.F16, (N, 3))
    assert (type.rank, type.is_static, type.bounds) == (2, False, (8, 3))
    assert (type.capacity, type.nbytes) == (24, 48)
    with pytest.raises(VerifyError, match="N<=8"):
        _ = type.dims


TEXTS = {
    "f32[]": TensorType(DType.F32, ()),
    "i64[0,3]": TensorType(DType.I64, (0, 3)),
    "f32[N<=8,3]": TensorType(DType.F32, (N, 3)),
    'f32["batch size"<=4]': TensorType(DType.F32, (Symbol("batch size", 4),)),
    "f32[1,8,2,2;NCHW4c]": TensorType(DType.F32, (1, 8, 2, 2), "NCHW4c"),
    "i8[2,3;q[0.5,0.25][0,-3] axis 0]": TensorType(
        DType.I8, (2, 3), quant=Quant((0.5, 0.25), (0, -3), 0)
    ),
    "u8[2;NC;q[0.1][128]]": TensorType(DType.U8, (2,), "NC", Quant((0.1,), (128,))),
}


@pytest.mark.parametrize(("text", "type"), TEXTS.items())
def test_a_type_as_text(text: str, type: TensorType) -> None:
    assert str(type) == text
    assert parse_type(text) == type


@pytest.mark.parametrize("text", ["", "f33[1]", "f32", "f32[", "f32[1", "f32[-1]", "f32[N]", "f32[1,]",
                                  "f32[1] 2", "f32[1;]", "f32[1;q[1.0]]", "f32[1;q[none][0]]"])  # fmt: skip
def test_what_is_no_type_is_refused(text: str) -> None:
    with pytest.raises(ParseError, match=r"^line 1: "):
        parse_type(text)
