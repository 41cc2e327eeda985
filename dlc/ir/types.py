"""Types of values: element type, shape with bounded symbolic dims, layout and quantisation."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, overload

import numpy as np

from dlc.errors import VerifyError
from dlc.ir.sizes import Apply, bound_of, equal, low_of, product, select
from dlc.ir.sizes import Dim as Dim
from dlc.ir.sizes import Symbol as Symbol
from dlc.ir.sizes import quoted as quoted


class DType(enum.Enum):
    """An element type; the value is its name in textual IR."""

    F32 = "f32"
    F64 = "f64"
    F16 = "f16"
    BF16 = "bf16"
    I8 = "i8"
    I16 = "i16"
    I32 = "i32"
    I64 = "i64"
    U8 = "u8"
    U16 = "u16"
    U32 = "u32"
    U64 = "u64"
    BOOL = "bool"
    I2 = "i2"
    U2 = "u2"
    I4 = "i4"
    U4 = "u4"
    F8E4M3FN = "f8e4m3fn"
    F8E4M3FNUZ = "f8e4m3fnuz"
    F8E5M2 = "f8e5m2"
    F8E5M2FNUZ = "f8e5m2fnuz"
    F8E8M0 = "f8e8m0"
    F4E2M1 = "f4e2m1"
    F6E2M3 = "f6e2m3"
    F6E3M2 = "f6e3m2"
    C64 = "c64"
    C128 = "c128"
    STRING = "string"

    @property
    def numpy(self) -> np.dtype[Any]:
        """The numpy dtype that holds one element (ml_dtypes for the narrow floats and integers)."""
        return _numpy_dtype(self)

    @property
    def onnx(self) -> int:
        """The number in ``onnx.TensorProto.DataType``."""
        return _ONNX[self]

    @property
    def nbytes(self) -> int:
        """Bytes of one element as C stores it (packed sub-byte types count one byte)."""
        return _BYTES[self]

    @property
    def per_byte(self) -> int:
        """Elements that ONNX packs into a byte: 2 of four bits, 4 of two, else 1."""
        return _PACKED.get(self, 1)

    @property
    def is_float(self) -> bool:
        return self.value[0] in "fb" and self is not DType.BOOL

    @property
    def is_integer(self) -> bool:
        return self.value[0] in "iu"

    @property
    def is_signed(self) -> bool:
        return self.value[0] != "u" and self is not DType.BOOL

    @staticmethod
    def of(source: Any) -> DType:
        """The DType of a numpy dtype, an array, or an ONNX element type number.

        Raises VerifyError when there is none.
        """
        if isinstance(source, int):
            for dtype, number in _ONNX.items():
                if number == source:
                    return dtype
            raise VerifyError(f"element type {source} is not one dlc knows")
        dtype = np.dtype(getattr(source, "dtype", source))
        if dtype.kind in "OUST":
            return DType.STRING
        found = _OF_NUMPY.get(dtype.name)
        if found is None:
            raise VerifyError(f"numpy dtype {dtype} has no tensor element type")
        return found


_ONNX = {
    DType.F32: 1, DType.U8: 2, DType.I8: 3, DType.U16: 4, DType.I16: 5, DType.I32: 6, DType.I64: 7,
    DType.STRING: 8, DType.BOOL: 9, DType.F16: 10, DType.F64: 11, DType.U32: 12, DType.U64: 13,
    DType.C64: 14, DType.C128: 15, DType.BF16: 16, DType.F8E4M3FN: 17, DType.F8E4M3FNUZ: 18,
    DType.F8E5M2: 19, DType.F8E5M2FNUZ: 20, DType.U4: 21, DType.I4: 22, DType.F4E2M1: 23,
    DType.F8E8M0: 24, DType.U2: 25, DType.I2: 26, DType.F6E2M3: 27, DType.F6E3M2: 28,
}  # fmt: skip
_NUMPY_NAMES = {
    DType.F32: "float32", DType.F64: "float64", DType.F16: "float16", DType.I8: "int8",
    DType.I16: "int16", DType.I32: "int32", DType.I64: "int64", DType.U8: "uint8",
    DType.U16: "uint16", DType.U32: "uint32", DType.U64: "uint64", DType.BOOL: "bool",
    DType.C64: "complex64", DType.C128: "complex128", DType.STRING: "object",
}  # fmt: skip
_ML_NAMES = {
    DType.BF16: "bfloat16", DType.F8E4M3FN: "float8_e4m3fn", DType.F8E4M3FNUZ: "float8_e4m3fnuz",
    DType.F8E5M2: "float8_e5m2", DType.F8E5M2FNUZ: "float8_e5m2fnuz", DType.I4: "int4",
    DType.U4: "uint4", DType.I2: "int2", DType.U2: "uint2", DType.F4E2M1: "float4_e2m1fn",
    DType.F8E8M0: "float8_e8m0fnu", DType.F6E2M3: "float6_e2m3fn", DType.F6E3M2: "float6_e3m2fn",
}  # fmt: skip
_OF_NUMPY = {name: dtype for dtype, name in (_NUMPY_NAMES | _ML_NAMES).items()}
_PACKED = {DType.I4: 2, DType.U4: 2, DType.F4E2M1: 2, DType.I2: 4, DType.U2: 4}
_BYTES = {
    dtype: {"f32": 4, "f64": 8, "f16": 2, "bf16": 2, "i16": 2, "u16": 2, "i32": 4, "u32": 4,
            "i64": 8, "u64": 8, "c64": 8, "c128": 16, "string": 8}.get(dtype.value, 1)
    for dtype in DType
}  # fmt: skip


def _numpy_dtype(dtype: DType) -> np.dtype[Any]:
    name = _NUMPY_NAMES.get(dtype)
    if name is not None:
        return np.dtype(name)
    import ml_dtypes  # only the narrow types need it, and importing it takes time

    narrow: np.dtype[Any] = np.dtype(getattr(ml_dtypes, _ML_NAMES[dtype]))
    return narrow


@dataclass(frozen=True, slots=True)
class Quant:
    """Affine quantisation: ``real = scale * (stored - zero_point)``, per tensor or along ``axis``."""

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int | None = None


@dataclass(frozen=True, slots=True)
class TensorType:
    """The type of a value.

    ``layout`` names the order dims are stored in when it is not the plain row-major order of
    ``shape`` (``NCHW16c``); ``quant`` gives the meaning of stored integers.
    """

    dtype: DType
    shape: tuple[Dim, ...]
    layout: str | None = None
    quant: Quant | None = None

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def is_static(self) -> bool:
        return all(isinstance(dim, int) for dim in self.shape)

    @property
    def dims(self) -> tuple[int, ...]:
        """The shape as plain ints; raises VerifyError when a dim is symbolic."""
        for dim in self.shape:
            if not isinstance(dim, int):
                raise VerifyError(f"dim {dim} of {self} is symbolic where a fixed size is needed")
        return self.shape  # type: ignore[return-value]  # just checked

    @property
    def bounds(self) -> tuple[int, ...]:
        """The upper bound of each dim."""
        return tuple(dim if isinstance(dim, int) else dim.bound for dim in self.shape)

    @property
    def capacity(self) -> int:
        """Most elements a value of this type can have."""
        return math.prod(self.shape) if self.is_static else bound_of(self.count)  # type: ignore[arg-type]

    @property
    def count(self) -> Dim:
        """How many elements a value of this type has."""
        return product(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes that hold any value of this type."""
        return self.capacity * self.dtype.nbytes

    def with_shape(self, shape: Iterable[Dim]) -> TensorType:
        return replace(self, shape=tuple(shape))

    def with_dtype(self, dtype: DType) -> TensorType:
        return replace(self, dtype=dtype)

    def __str__(self) -> str:
        parts = ",".join(map(str, self.shape))
        if self.layout is not None:
            parts += f";{quoted(self.layout)}"
        if self.quant is not None:
            scale = ",".join(repr(float(s)) for s in self.quant.scale)
            zero = ",".join(map(str, self.quant.zero_point))
            axis = "" if self.quant.axis is None else f" axis {self.quant.axis}"
            parts += f";q[{scale}][{zero}]{axis}"
        return f"{self.dtype.value}[{parts}]"


@overload
def strides_of(shape: tuple[int, ...]) -> tuple[int, ...]: ...
@overload
def strides_of(shape: Sequence[Dim]) -> tuple[Dim, ...]: ...
def strides_of(shape: Sequence[Dim]) -> tuple[Dim, ...]:
    """Row-major element strides of a shape."""
    strides: list[Dim] = []
    step: Dim = 1
    for dim in reversed(shape):
        strides.append(step)
        step = step * dim
    return tuple(reversed(strides))


def broadcast_shapes(*shapes: Sequence[Dim]) -> tuple[Dim, ...]:
    """Multidirectional (numpy) broadcasting of shapes that may hold sizes known at run time.

    Where sizes cannot be proven equal the result follows the rule at run time; that they fit is
    then to be checked there (``dlc.ops.nest.fits``). Raises VerifyError when two dims
    surely differ and neither can be 1.
    """
    rank = max((len(shape) for shape in shapes), default=0)
    result: list[Dim] = []
    for axis in range(-rank, 0):
        dims = [shape[axis] for shape in shapes if -axis <= len(shape) and shape[axis] != 1]
        dim = _common(dims) if any(dim != dims[0] for dim in dims) else dims[0] if dims else 1
        if dim is None:
            listed = " and ".join(f"[{','.join(map(str, s))}]" for s in shapes)
            raise VerifyError(f"shapes {listed} do not broadcast")
        result.append(dim)
    return tuple(result)


def _common(dims: Iterable[Dim]) -> Dim | None:
    """The extent that dims have in common, of which those fit that are 1; None where none is.

    The same whatever the order, and however some of them were broadcast before.
    """
    distinct = sorted({part for dim in dims for part in _parts(dim)}, key=str)
    never_one = [dim for dim in distinct if not low_of(dim) <= 1 <= bound_of(dim)]
    if any(equal(dim, other) == 0 for dim, other in combinations(never_one, 2)):
        return None
    if never_one:  # a fixed one if there is one
        return min(never_one, key=lambda dim: not isinstance(dim, int))
    result, *rest = distinct
    for dim in rest:
        result = select(equal(dim, 1), result, dim)
    return result


def _parts(dim: Dim) -> Iterator[Dim]:
    """The dims whose common extent a dim is."""
    if isinstance(dim, Apply) and dim.function == "select":
        condition, other, own = dim.arguments
        if condition == equal(own, 1):
            yield from _parts(own)
            yield from _parts(other)
            return
    yield dim
