"""Reading and building named ops whatever their version: what rules on named ops share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dlc.ir.graph import Op, Value
from dlc.ir.operator import Array, Data
from dlc.ir.types import Dim
from dlc.ops.onnx.activation import ACTIVATIONS
from dlc.ops.onnx.elementwise import BINARY, UNARY
from dlc.ops.onnx.operator import Attribute, OnnxOperator

#: element-wise on operand 0; other operands are scalars
POINTWISE = frozenset(
    f"onnx.{type}"
    for type in ({*UNARY, *ACTIVATIONS} | {"Clip", "Cast", "CastLike", "Gelu", "Identity", "IsInf"})
)
#: element-wise on operands that broadcast
BROADCASTING = frozenset(
    f"onnx.{type}"
    for type in (*BINARY, "Max", "Min", "Sum", "Mean", "Pow", "Mod", "BitShift", "BitwiseAnd",
                 "BitwiseOr", "BitwiseXor")
)  # fmt: skip
#: the same elements in the same order
RESHAPES = ("onnx.Reshape", "onnx.Flatten", "onnx.Squeeze", "onnx.Unsqueeze")


def onnx_operator(op: Op) -> OnnxOperator:
    """The operator of a named op."""
    assert isinstance(op.operator, OnnxOperator)
    return op.operator


def with_attributes(operator: OnnxOperator, **changes: Attribute) -> OnnxOperator:
    """The same operator with other attributes; None leaves one out."""
    merged = dict(operator.attrs) | changes
    attrs = tuple(sorted((k, v) for k, v in merged.items() if v is not None))
    return OnnxOperator(operator.type, operator.version, attrs, operator.domain)


def setting(op: Op, index: int, name: str, default: Any = None) -> Array | None:
    """A setting that is operand ``index`` in later versions and attribute ``name`` in earlier ones.

    ``default`` where it is absent; None where it is not known when compiling.
    """
    if index < len(op.operands) and (operand := op.operands[index]) is not None:
        return operand.constant
    found = dict(onnx_operator(op).attrs).get(name, default)
    found = found.array if isinstance(found, Data) else found
    return None if found is None else np.asarray(found)


def axis_from_front(axis: int, rank: int) -> int:
    """A possibly negative axis counted from the front."""
    return axis + rank if axis < 0 else axis


def perm_of(op: Op) -> tuple[int, ...]:
    """The permutation of a Transpose: ``result.shape[i] == operand.shape[perm[i]]``."""
    return tuple(onnx_operator(op).attr("perm") or range(op.types[0].rank)[::-1])


def pads_of(op: Op) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """What a Pad adds before and after each axis; None when that is not known."""
    pads, rank = setting(op, 1, "pads"), op.types[0].rank
    axes = setting(op, 3, "axes", range(rank))
    if pads is None or axes is None:
        return None
    before, after = [0] * rank, [0] * rank
    for axis, front, back in zip(axes.tolist(), *pads.reshape(2, -1).tolist(), strict=True):
        before[axis], after[axis] = front, back
    return tuple(before), tuple(after)


def scalar_of(value: Value | None) -> Any:
    """The number a constant of one element holds; None for any other value."""
    array = None if value is None else value.constant
    return None if array is None or array.size != 1 else array.item()


def transposed(x: Value, perm: Sequence[int], version: int) -> Value:
    """``x`` with its axes permuted: itself, a constant or a Transpose."""
    perm = tuple(perm)
    if perm == tuple(range(len(perm))):
        return x
    if x.constant is not None:
        return x.graph.add_constant(np.ascontiguousarray(x.constant.transpose(perm)), x.op.label)
    type = x.type.with_shape(x.type.shape[axis] for axis in perm)
    operator = OnnxOperator("Transpose", version, (("perm", perm),))
    return x.graph.add(operator, [x], types=[type]).result


def reshaped(x: Value, shape: Sequence[Dim], version: int) -> Value:
    """``x`` in another static shape, read from before any reshapes that it comes from."""
    while x.op.operator.label in RESHAPES and x.op.operands[0] is not None:
        x = x.op.operands[0]
    type = x.type.with_shape(shape)
    if type == x.type:
        return x
    if x.constant is not None:
        return x.graph.add_constant(x.constant.reshape(type.dims), x.op.label)
    if version < 5:
        operator, operands = OnnxOperator("Reshape", version, (("shape", type.dims),)), [x]
    else:
        # 0 stands for "as before" unless allowzero; -1 would be ambiguous beside it
        zero = (("allowzero", 1),) if 0 in type.shape and version >= 14 else ()
        target = x.graph.add_constant(np.array(type.dims, np.int64))
        operator, operands = OnnxOperator("Reshape", version, zero), [x, target]
    return x.graph.add(operator, operands, types=[type]).result


def split(x: Value, sizes: Sequence[int], axis: int, version: int) -> tuple[Value, ...]:
    """``x`` cut along ``axis`` into parts of these sizes."""
    types = [
        x.type.with_shape((*x.type.shape[:axis], size, *x.type.shape[axis + 1 :])) for size in sizes
    ]
    attrs: list[tuple[str, Attribute]] = [("axis", axis), ("results", len(types))]
    operands = [x]
    if version < 13:
        attrs.append(("split", tuple(sizes)))
    else:
        operands.append(x.graph.add_constant(np.array(sizes, np.int64)))
    return x.graph.add(OnnxOperator("Split", version, tuple(attrs)), operands, types=types).results


def split_sizes(op: Op) -> tuple[int, tuple[int, ...]] | None:
    """Axis and sizes of the parts of a Split; None when a size is not fixed."""
    rank = op.types[0].rank
    axis = axis_from_front(int(onnx_operator(op).attr("axis", 0)), rank)
    sizes = [type.shape[axis] for type in op.types]
    fixed = tuple(size for size in sizes if isinstance(size, int))
    return (axis, fixed) if len(fixed) == len(sizes) else None


def apply(type: str, *operands: Value, version: int) -> Value:
    """The only result of a named op without attributes."""
    return operands[0].graph.add(OnnxOperator(type, version), operands).result
