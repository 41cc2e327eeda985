"""``reduce``: sum, product, maximum or minimum of an element expression along axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dlc.ir.expr import A0, Expr
from dlc.ir.operator import Array
from dlc.ir.types import DType, TensorType, broadcast_shapes, strides_of
from dlc.ops.core.epilogue import WithEpilogue, wide
from dlc.ops.core.operator import OnnxBody
from dlc.ops.emission import Access, Accumulate, Affine, Emission, Nest, Operand, Result
from dlc.ops.nest import broadcast_strides, merge_loops

_FUNCTIONS: dict[str, np.ufunc] = {
    "add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum,
}  # fmt: skip
_ONNX = {"add": "ReduceSum", "mul": "ReduceProd", "max": "ReduceMax", "min": "ReduceMin"}


def identity(function: str, dtype: np.dtype[Any]) -> Any:
    """What ``function`` combined with x gives x for every x of the dtype."""
    if function in ("add", "mul"):
        return int(function == "mul")
    if dtype.kind == "b":
        return function == "min"
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return limits.min if function == "max" else limits.max
    return -np.inf if function == "max" else np.inf


@dataclass(frozen=True, slots=True)
class Reduce(WithEpilogue):
    """Combines ``element(first operands...)``, broadcast together, along ``axes``, in any order.

    The first ``arity`` operands are read by ``element``, the others are the epilogue's extras. NaN
    propagates through every function; no element at all gives the function's identity.

    C1: function is add, mul, max or min; the element types, and add and mul are not of bool.
    C2: the first operands broadcast together; the element uses no other.
    C3: axes are increasing, 0 <= axis < rank.
    """

    name: ClassVar[str] = "reduce"
    function: str
    axes: tuple[int, ...]
    keepdims: bool = True
    element: Expr = A0
    arity: int = 1

    @property
    def main_operands(self) -> int:
        return self.arity

    def accumulated(self, main: Sequence[TensorType]) -> TensorType:
        self.require(self.arity > 0 and self.element.arity <= self.arity, "C2",
                     f"element {self.element} does not suit {self.arity} operands")  # fmt: skip
        shape = broadcast_shapes(*(t.shape for t in main))
        dtype = self.element.dtype_of([t.dtype for t in main])
        summable = dtype is not DType.BOOL or self.function in ("max", "min")
        self.require(self.function in _FUNCTIONS and summable, "C1",
                     f"function {self.function!r} does not suit {dtype.value}")  # fmt: skip
        known = set(range(len(shape)))
        self.require(list(self.axes) == sorted(known & set(self.axes)), "C3",
                     f"axes {self.axes} are not increasing axes of rank {len(shape)}")  # fmt: skip
        kept = [dim for i, dim in enumerate(shape) if i not in self.axes]
        ones = [1 if i in self.axes else dim for i, dim in enumerate(shape)]
        return TensorType(dtype, tuple(ones if self.keepdims else kept))

    def accumulate(self, main: Sequence[Array]) -> Array:
        shape = np.broadcast_shapes(*(a.shape for a in main))
        elements = self.element.evaluate(main)
        values = np.broadcast_to(wide(elements), shape)
        function = _FUNCTIONS[self.function]
        result = function.reduce(values, axis=self.axes, keepdims=self.keepdims, dtype=values.dtype,
                                 initial=identity(self.function, values.dtype))  # fmt: skip
        return np.asarray(result).astype(elements.dtype, copy=False)

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        main, extras = operands[: self.arity], operands[self.arity :]
        shape = TensorType(DType.F32, broadcast_shapes(*(t.shape for t in main))).dims
        kept = [i for i in range(len(shape)) if i not in self.axes]
        stored = results[0].dims
        positions = kept if self.keepdims else range(len(kept))  # of the kept axes in the result

        def pick(strides: Sequence[int], axes: Sequence[int]) -> Affine:
            return Affine(0, tuple(strides[i] for i in axes))

        loads = [broadcast_strides(t.dims, shape) for t in main]
        stores = [strides_of(stored), *(broadcast_strides(t.dims, stored) for t in extras)]
        outer, affines = merge_loops(
            [shape[i] for i in kept],
            [*(pick(s, kept) for s in loads), *(pick(s, list(positions)) for s in stores)],
        )
        inner, tails = merge_loops(
            [shape[i] for i in self.axes], [pick(s, self.axes) for s in loads]
        )
        reads = tuple(
            Access(Operand(i), Affine(0, head.strides + tail.strides))
            for i, (head, tail) in enumerate(zip(affines[: self.arity], tails, strict=True))
        )
        write, *rest = affines[self.arity :]
        accumulate = Accumulate(
            self.function, len(inner), self.epilogue,
            tuple(Access(Operand(self.arity + i), a) for i, a in enumerate(rest)),
        )  # fmt: skip
        nest = Nest(outer + inner, reads, Access(Result(), write), self.element, accumulate)
        return Emission((nest,))

    def accumulate_onnx(self, body: OnnxBody, main: Sequence[str], types: Sequence[TensorType],
                        result: TensorType) -> str:  # fmt: skip
        name = main[0]
        if self.element != A0 or self.arity > 1:
            name = body.expression(self.element, main, types)
        shape = broadcast_shapes(*(t.shape for t in types))
        if self.element.arity < self.arity:  # an operand that only broadcasts
            name = body.node("Expand", [name, body.constant(np.array(shape, np.int64))])
        if not self.axes:
            return name
        axes = body.constant(np.array(self.axes, np.int64))
        return body.node(_ONNX[self.function], [name, axes], keepdims=int(self.keepdims))
