"""``reduce``: sum, product, maximum or minimum of an element expression along axes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dlc.ir.expr import A0, Arg, Call, Const, Expr
from dlc.ir.operator import Array
from dlc.ir.sizes import Dim, less, select
from dlc.ir.types import DType, TensorType, broadcast_shapes, strides_of
from dlc.ops.core.epilogue import WithEpilogue, wide
from dlc.ops.core.operator import Condition, OnnxBody
from dlc.ops.emission import (
    Access,
    Accumulate,
    Affine,
    Buffer,
    Emission,
    Nest,
    Operand,
    Result,
    Scratch,
)
from dlc.ops.nest import broadcast_strides, collapse, fits, merge_loops

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
    propagates through every function; no element at all gives the function's identity. Axes known
    only at run time are given as ``mask``: 1 for an axis to combine along, 0 for one to keep.

    C1: function is add, mul, max or min; the element types, and add and mul are not of bool.
    C2: the first operands broadcast together; the element uses no other.
    C3: axes are increasing, 0 <= axis < rank.
    C4: a mask has an entry for each axis, goes with keepdims and without ``axes``, and is 0 or 1.
    """

    name: ClassVar[str] = "reduce"
    function: str
    axes: tuple[int, ...]
    keepdims: bool = True
    element: Expr = A0
    arity: int = 1
    mask: tuple[Dim, ...] = ()

    def attributes(self) -> dict[str, Any]:
        found = WithEpilogue.attributes(self)
        return found if self.mask else {k: v for k, v in found.items() if k != "mask"}

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
        if self.mask:
            alone = len(self.mask) == len(shape) and self.keepdims and not self.axes
            self.require(alone, "C4", f"a mask of {len(self.mask)} does not suit {len(shape)} axes")
            ends = zip(self.mask, shape, strict=True)
            return TensorType(dtype, tuple(select(one, 1, dim) for one, dim in ends))
        kept = [dim for i, dim in enumerate(shape) if i not in self.axes]
        ones = [1 if i in self.axes else dim for i, dim in enumerate(shape)]
        return TensorType(dtype, tuple(ones if self.keepdims else kept))

    def main_conditions(self, main: Sequence[TensorType]) -> Iterator[Condition]:
        shape = broadcast_shapes(*(t.shape for t in main))
        for t in main:
            yield fits(t.shape, shape), "C2", f"{t} does not broadcast to what it is combined with"
        yield (less(-1, e) * less(e, 2) for e in self.mask), "C4", "a mask is neither 0 nor 1"

    def accumulate(self, main: Sequence[Array]) -> Array:
        shape = np.broadcast_shapes(*(a.shape for a in main))
        elements = self.element.evaluate(main)
        values = np.broadcast_to(wide(elements), shape)
        function = _FUNCTIONS[self.function]
        axes = self.axes or tuple(i for i, one in enumerate(self.fixed(self.mask)) if one)
        result = function.reduce(values, axis=axes, keepdims=self.keepdims, dtype=values.dtype,
                                 initial=identity(self.function, values.dtype))  # fmt: skip
        return np.asarray(result).astype(elements.dtype, copy=False)

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        if self.mask:
            return self._masked(operands, results[0])
        main, extras = operands[: self.arity], operands[self.arity :]
        shape = broadcast_shapes(*(t.shape for t in main))
        kept = [i for i in range(len(shape)) if i not in self.axes]
        stored = results[0].shape
        positions = kept if self.keepdims else range(len(kept))  # of the kept axes in the result

        def pick(strides: Sequence[Dim], axes: Sequence[int]) -> Affine:
            return Affine(0, tuple(strides[i] for i in axes))

        loads = [broadcast_strides(t.shape, shape) for t in main]
        stores = [strides_of(stored), *(broadcast_strides(t.shape, stored) for t in extras)]
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
        return Emission((*self.checks(operands), nest))

    def _masked(self, operands: Sequence[TensorType], result: TensorType) -> Emission:
        """Every element is combined into its place in scratch, which the epilogue then reads.

        Where an axis is combined along, that place does not move along it.
        """
        main, extras = operands[: self.arity], operands[self.arity :]
        shape, value = broadcast_shapes(*(t.shape for t in main)), self.accumulated(main)
        dtype = DType.F32 if value.dtype.nbytes == 2 and value.dtype.is_float else value.dtype
        start = Const(identity(self.function, dtype.numpy))
        sums: tuple[Buffer, Sequence[Dim]] = (Scratch(), value.shape)
        extents, (empty,) = collapse(value.shape, [sums])
        clear = Nest(extents, (), empty, Call(dtype.value, (start,)))

        steps = zip(self.mask, strides_of(value.shape), strict=True)
        place = Affine(0, tuple(select(one, 0, step) for one, step in steps))
        loads = [Affine(0, broadcast_strides(t.shape, shape)) for t in main]
        loops, (to, *affines) = merge_loops(shape, [place, *loads])
        reads = tuple(Access(Operand(i), affine) for i, affine in enumerate(affines))
        element = self.element if dtype is value.dtype else Call(dtype.value, (self.element,))
        combined = Call(self.function, (Arg(self.arity), element))
        combine = Nest(loops, (*reads, Access(Scratch(), to)), Access(Scratch(), to), combined)

        others: list[tuple[Buffer, Sequence[Dim]]] = [
            (Operand(self.arity + i), t.shape) for i, t in enumerate(extras)
        ]
        extents, (write, *rest) = collapse(result.shape, [(Result(), result.shape), sums, *others])
        narrow = A0 if dtype is value.dtype else Call(value.dtype.value, (A0,))
        epilogue = self.epilogue.substitute(lambda i: Arg(i) if i else narrow)
        finish = Nest(extents, tuple(rest), write, epilogue)
        scratch = value.capacity * dtype.nbytes
        return Emission((*self.checks(operands), clear, combine, finish), scratch)

    def accumulate_onnx(self, body: OnnxBody, main: Sequence[str], types: Sequence[TensorType],
                        result: TensorType) -> str:  # fmt: skip
        name = main[0]
        if self.element != A0 or self.arity > 1:
            name = body.expression(self.element, main, types)
        shape = broadcast_shapes(*(t.shape for t in types))
        if self.element.arity < self.arity:  # an operand that only broadcasts
            name = body.node("Expand", [name, body.constant(np.array(self.fixed(shape), np.int64))])
        reduced = self.axes or [i for i, one in enumerate(self.fixed(self.mask)) if one]
        if not reduced:
            return name
        axes = body.constant(np.array(reduced, np.int64))
        return body.node(_ONNX[self.function], [name, axes], keepdims=int(self.keepdims))
