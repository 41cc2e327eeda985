"""ONNX operators of domains of one's own: declared by their expansion into core ops, and no more.

    @onnx_operator("Swish2", domain="com.example", beta=1.0)
    def swish2(call, x):
        return map_(f"a0 * sigmoid({call.attr('beta')} * a0)", x)

Schema, result types and numpy meaning follow from the function: it is applied in a graph of its
own to find what its results are.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto, defs, helper

from dlc.errors import DlcError, UnsupportedError, VerifyError
from dlc.ir.evaluate import evaluate_graph
from dlc.ir.graph import Graph, Value
from dlc.ir.operator import Array, Arrays, Types
from dlc.ir.sizes import symbols_of
from dlc.ir.types import DType, TensorType
from dlc.ops.onnx.expansion import Call, Expansion, expansion, find_expansion
from dlc.ops.onnx.inference import MAX_BYTES, UnknownSizeError
from dlc.ops.onnx.operator import OnnxOperator

_DECLARED: set[tuple[str, str]] = set()
_Kind = defs.OpSchema.AttrType
_KINDS: dict[Any, Any] = {int: _Kind.INT, float: _Kind.FLOAT, str: _Kind.STRING}


def onnx_operator(type: str, *, domain: str, version: int = 1, results: int = 1,
                  **attributes: Any) -> Callable[[Expansion], Expansion]:  # fmt: skip
    """Declare an operator of an ONNX domain; the function decorated is its expansion.

    The function's parameters after ``call`` are the operands, those with a default may be absent.
    ``attributes`` are defaults by name (an int, float, str or a tuple of them), or a type (``int``)
    where there is none. The function must find the results' types from its operands; ``call.types``
    is not known yet. Raises DlcError when the operator exists already.
    """

    def declare(function: Expansion) -> Expansion:
        if (domain, type) in _DECLARED or defs.has(type, domain):
            raise DlcError(f"operator {type} of domain {domain!r} is declared already")
        expansion(type, domain=domain)(function)
        defs.register_schema(_schema(function, type, domain, version, results, attributes))
        _DECLARED.add((domain, type))
        return function

    return declare


def is_declared(operator: OnnxOperator) -> bool:
    """Whether an operator was declared by ``onnx_operator``."""
    return (operator.domain, operator.type) in _DECLARED


def is_its_expansion(operator: OnnxOperator) -> bool:
    """Whether an operator means what its expansion does: one that was declared, or of ``ai.onnx.ml``,
    whose types onnx infers, and whose meaning it implements, only in part.
    """
    if operator.domain == "ai.onnx.ml":
        return find_expansion(operator) is not None
    return is_declared(operator)


def infer_declared(
    operator: OnnxOperator, operands: Types, constants: Arrays
) -> tuple[TensorType, ...]:
    """The types that the operator's expansion gives for such operands; VerifyError for absurd sizes."""
    types = tuple(value.type for value in _trial(operator, operands, constants).outputs)
    for type in types:
        if type.nbytes > MAX_BYTES:
            raise VerifyError(f"{operator.label}: a result of type {type} is too large to be meant")
    return types


def infer_sizes(
    operator: OnnxOperator, operands: Types, constants: Arrays
) -> tuple[TensorType, ...]:
    """Types whose sizes are arithmetic on those of the operands, as the expansion finds them.

    Raises UnknownSizeError where they follow from values.
    """
    try:
        types = infer_declared(operator, operands, constants)
    except UnsupportedError as error:  # where it stands, a declared shape or the user may say more
        raise UnknownSizeError(str(error)) from error
    carried = {s for t in operands if t is not None for s in symbols_of(t.shape)}
    if any(symbol not in carried for t in types for symbol in symbols_of(t.shape)):
        raise UnknownSizeError(f"{operator.label}: the shape of its result follows from values")
    return types


def evaluate_declared(operator: OnnxOperator, operands: Arrays) -> tuple[Array, ...]:
    """What the operator's expansion computes."""
    arrays = [None if a is None else np.asarray(a) for a in operands]
    types = [None if a is None else TensorType(DType.of(a), a.shape) for a in arrays]
    return tuple(evaluate_graph(_trial(operator, types, arrays), []))


def _trial(operator: OnnxOperator, operands: Types, constants: Arrays) -> Graph:
    """The operator's expansion alone: a graph whose outputs are its results."""
    from dlc.ops.onnx.expand import core_results  # built on operators, as this is

    graph = Graph("trial", {operator.domain: operator.version})
    values: list[Value | None] = []
    for type, array in zip(operands, constants, strict=True):
        if type is None:
            values.append(None)
        elif array is None:
            values.append(graph.add_input(f"i{len(values)}", type))
        else:
            values.append(graph.add_constant(array))
    op = graph.add(operator, values, types=())
    try:
        results = core_results(Call(op))
    except (TypeError, ValueError, IndexError, AttributeError) as error:
        raise UnsupportedError(
            f"{operator.label}: its expansion fails: {error.__class__.__name__}: {error}"
        ) from error
    graph.erase(op)
    graph.set_outputs((f"o{i}", value) for i, value in enumerate(results))
    return graph


def _schema(function: Expansion, type: str, domain: str, version: int, results: int,
            attributes: dict[str, Any]) -> defs.OpSchema:  # fmt: skip
    parameters = list(inspect.signature(function).parameters.values())[1:]
    every = [f"tensor({TensorProto.DataType.Name(t.onnx).lower()})" for t in DType]
    option = defs.OpSchema.FormalParameterOption
    inputs = [
        defs.OpSchema.FormalParameter(
            p.name, f"T{i}", "",
            param_option=option.Variadic if p.kind is p.VAR_POSITIONAL
            else option.Single if p.default is p.empty else option.Optional,
            is_homogeneous=False,
        )
        for i, p in enumerate(parameters)
    ]  # fmt: skip
    outputs = [defs.OpSchema.FormalParameter(f"y{i}", f"R{i}", "") for i in range(results)]
    kinds = [f"T{i}" for i in range(len(inputs))] + [f"R{i}" for i in range(results)]
    return defs.OpSchema(
        type, domain, version, inspect.getdoc(function) or "", inputs=inputs, outputs=outputs,
        type_constraints=[(kind, every, "any tensor") for kind in kinds],
        attributes=[_attribute(name, default) for name, default in attributes.items()],
    )  # fmt: skip


def _attribute(name: str, default: Any) -> defs.OpSchema.Attribute:
    if isinstance(default, type):
        if default not in _KINDS:
            raise DlcError(
                f"attribute {name!r} is of type {default.__name__}; int, float or str are"
            )
        return defs.OpSchema.Attribute(name, _KINDS[default], "")
    return defs.OpSchema.Attribute(name, helper.make_attribute(name, default), "")
