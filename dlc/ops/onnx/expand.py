"""Replacing a named op by core ops: by its expansion, else by its function body."""

from __future__ import annotations

from collections.abc import Sequence

from dlc.errors import UnsupportedError, VerifyError
from dlc.ir.graph import Op, Value
from dlc.ops.onnx.expansion import Call, find_expansion
from dlc.ops.onnx.function_body import expand_body, has_function_body
from dlc.ops.onnx.operator import OnnxOperator


def expand_op(op: Op) -> bool:
    """Replace a named ONNX op in its graph by core ops that carry its label; False for other ops.

    Raises UnsupportedError when the op has neither an expansion nor a function body, or is of a form
    they do not handle, and VerifyError when the replacement's types differ from the op's.
    """
    if not isinstance(op.operator, OnnxOperator):
        return False
    _expand(op)
    return True


def _expand(op: Op) -> Sequence[Value]:
    call = Call(op)
    expansion = find_expansion(call.operator)
    with op.graph.labelled(op.label):
        if expansion is not None:
            found = expansion(call, *op.operands)
        elif has_function_body(call.operator):
            found = expand_body(call, _expand)
        else:
            raise UnsupportedError(
                f"{call.operator.type} node {op.label!r}: dlc has no expansion for this operator; "
                f"`dlc ops` lists those it has, and --load adds one"
            )
    values = [found] if isinstance(found, Value) else list(found)
    _check(op, values)
    op.graph.replace(op, values)
    return values


def _check(op: Op, values: Sequence[Value]) -> None:
    """The replacement must have the types that readers of the op were built for."""
    old, new = list(op.types), [value.type for value in values]
    if old != new:
        texts = [", ".join(map(str, types)) or "nothing" for types in (old, new)]
        raise VerifyError(f"{op!r} gives {texts[0]} but its expansion gives {texts[1]}")
