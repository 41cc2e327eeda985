"""Replacing a named op by core ops: by its expansion, else by its function body."""

from __future__ import annotations

from collections.abc import Sequence

from dlc.errors import UnsupportedError, VerifyError
from dlc.ir.graph import Graph, Op, Value, infer_types
from dlc.ir.sizes import equal, symbols_of
from dlc.ir.types import TensorType
from dlc.ops.build import apply
from dlc.ops.core.assume import Assume
from dlc.ops.onnx.expansion import Call, Declared, find_expansion
from dlc.ops.onnx.function_body import expand_body, has_function_body
from dlc.ops.onnx.inference import UnknownSizeError
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


def expanded(graph: Graph, operator: OnnxOperator, operands: Sequence[Value | None], label: str,
             declared: Sequence[Declared] = ()) -> list[Value]:  # fmt: skip
    """The core results of a named operator whose result types cannot be known before.

    ``declared`` has the shape a model declares for each result: it bounds sizes that nothing else
    bounds, and sizes known only at run time are held against it there.
    """
    op = graph.add(operator, operands, types=(), label=label)
    call = Call(op, declared)
    try:
        values = core_results(call)
    finally:
        graph.erase(op)
    with graph.labelled(label):
        return [narrowed(value, call.declared(k)) for k, value in enumerate(values)]


def known_types(
    operator: OnnxOperator, operands: Sequence[Value | None]
) -> tuple[TensorType, ...] | None:
    """Result types of a named operator; None where its expansion must find them: sizes follow from
    values known only at run time, or are arithmetic on sizes.
    """
    if operator.label in _OF_SIZES and any(
        v is not None and not v.type.is_static for v in operands
    ):
        return None
    if any(v is not None and v.constant is None and v.sizes is not None for v in operands):
        return None
    if operator.label == "onnx.Range" and any(v is not None and v.type.rank for v in operands):
        return None  # onnx infers nothing for [1] where it wants scalars, which runtimes take
    try:
        types = infer_types(operator, operands)
    except UnknownSizeError:
        return None
    old = {s for v in operands if v is not None for s in symbols_of(v.type.shape)}
    new = (symbol for t in types for symbol in symbols_of(t.shape))
    return types if all(symbol in old for symbol in new) else None


#: what these compute is known but for the sizes
_OF_SIZES = ("onnx.Shape", "onnx.Size")


def _inside(
    graph: Graph, operator: OnnxOperator, operands: Sequence[Value | None]
) -> Sequence[Value]:
    """The core results of a named operator in a function body."""
    types = known_types(operator, operands)
    if types is None:
        return expanded(graph, operator, operands, "")
    return _expand(graph.add(operator, operands, types=types))


def _expand(op: Op) -> Sequence[Value]:
    values = _fitted(op, core_results(Call(op)))
    op.graph.replace(op, values)
    return values


def core_results(call: Call) -> list[Value]:
    """The results of a call's expansion, else of its function body; UnsupportedError without both."""
    op = call.op
    expansion = find_expansion(call.operator)
    with op.graph.labelled(op.label):
        if expansion is not None:
            found = expansion(call, *op.operands)
        elif has_function_body(call.operator):
            found = expand_body(call, _inside)
        else:
            raise UnsupportedError(
                f"{call.operator.type} node {op.label!r}: dlc has no expansion for this operator; "
                f"`dlc ops` lists those it has, and --load adds one"
            )
    return [found] if isinstance(found, Value) else list(found)


def narrowed(value: Value, declared: Declared) -> Value:
    """The value with the sizes its model declares, where they are known only at run time."""
    type = value.type
    if type.is_static or declared is None or len(declared) != type.rank:
        return value
    shape = tuple(
        d if isinstance(d, int) else dim for d, dim in zip(declared, type.shape, strict=True)
    )
    return value if shape == type.shape else apply(Assume(shape), value)


def _fitted(op: Op, values: Sequence[Value]) -> list[Value]:
    """The replacement, with the types that readers of the op were built for.

    Sizes known only at run time that are not proven to be those expected are held against them then.
    """
    with op.graph.labelled(op.label):
        fitted = [
            apply(Assume(type.shape), value) if _may_fit(value.type, type) else value
            for value, type in zip(values, op.types, strict=False)
        ]
    old, new = list(op.types), [value.type for value in [*fitted, *values[len(fitted) :]]]
    if old != new:
        texts = [", ".join(map(str, types)) or "nothing" for types in (old, new)]
        raise VerifyError(f"{op!r} gives {texts[0]} but its expansion gives {texts[1]}")
    return fitted


def _may_fit(found: TensorType, expected: TensorType) -> bool:
    """Whether two types that differ may turn out to be one at run time."""
    return (
        found != expected
        and found.with_shape(()) == expected.with_shape(())
        and found.rank == expected.rank
        and all(equal(a, b) != 0 for a, b in zip(found.shape, expected.shape, strict=True))
    )
