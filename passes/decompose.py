"""Named ops as the simpler ops they are made of."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar

import numpy as np
from onnx import defs

from dlc.errors import DlcError, UnsupportedError
from dlc.ir.graph import Graph, Op, Value
from dlc.ir.operator import Array, Constant, Input, Operator, Output
from dlc.ir.scalars import convert
from dlc.ops.onnx.expansion import Call
from dlc.ops.onnx.function_body import expand_body, has_function_body
from dlc.ops.onnx.named import apply, onnx_operator, transposed
from dlc.ops.onnx.operator import OnnxOperator, is_onnx, schema_of
from dlc.rewrite.base import Pass
from dlc.rewrite.driver import erase_dead, refuse


@dataclass(frozen=True, slots=True)
class Decompose(Pass):
    """Replace named ONNX ops by the simpler named ops they are made of.

    `decompose{ops=(LayerNormalization,Gelu)}` takes the function bodies of ONNX itself, the newest
    that the model's operator set allows. Gemm and BatchNormalization (in inference, of constants) have
    none, and become MatMul, Mul and Add. What a body computes from shapes becomes constants. For tools
    that lack an op, and for passes that look at the parts. A body may round in another order.

    Before:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[3,2]
          %1 = input() "w" : f32[4,2]
          %2 = input() "b" : f32[4]
          %3 = onnx.Gemm(%0, %1, %2) {alpha = 0.5, transB = 1} "gemm" : f32[3,4]
          output(%3) {names = ["y"]}
        }

    After:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[3,2]
          %1 = input() "w" : f32[4,2]
          %2 = input() "b" : f32[4]
          %3 = onnx.Transpose(%1) {perm = [1, 0]} "gemm" : f32[2,4]
          %4 = onnx.MatMul(%0, %3) "gemm" : f32[3,4]
          %5 = constant() {value = dense<f32[] 0.5>} "gemm" : f32[]
          %6 = onnx.Mul(%4, %5) "gemm" : f32[3,4]
          %7 = onnx.Add(%6, %2) "gemm" : f32[3,4]
          output(%7) {names = ["y"]}
        }
    """

    name: ClassVar[str] = "decompose"
    contract: ClassVar[str] = "reassociates"
    ops: tuple[str, ...] = (
        "Attention", "BatchNormalization", "Celu", "Gelu", "Gemm", "GroupNormalization", "HardSwish",
        "LayerNormalization", "LogSoftmax", "MeanVarianceNormalization", "Mish", "RMSNormalization",
        "RotaryEmbedding", "Softmax",
    )  # fmt: skip

    def __post_init__(self) -> None:
        for type in self.ops:
            _require_decomposable(type)

    def run(self, graph: Graph) -> tuple[Graph, bool]:
        changed = False
        for op in graph.ops:
            if is_onnx(op, *self.ops):
                try:
                    body = _body(op)
                except DlcError as error:
                    refuse(self.name, op, str(error))
                    continue
                _inline(op, body)
                changed = True
        return graph, changed


@cache
def _schemas() -> dict[str, Any]:
    return {schema.name: schema for schema in defs.get_all_schemas() if not schema.domain}


def _require_decomposable(type: str) -> None:
    """Raise ValueError unless something is known that the operator is made of."""
    known = _schemas()
    if type not in known:
        near = difflib.get_close_matches(type, known, n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(f"ONNX has no operator {type!r}{hint}")
    if type in _OWN:
        return
    schema = known[type]
    if not schema.has_function and not schema.has_context_dependent_function:
        raise ValueError(f"ONNX does not say what {type} is made of; leave it out of ops")


def _body(op: Op) -> Graph:
    """A graph of the op's parts; its inputs and first constants stand for the operands, in order.

    Built apart, so that a body that fails leaves nothing behind.
    """
    trial = Graph("body", op.graph.opsets)
    operands: list[Value | None] = []
    for index, value in enumerate(op.operands):
        if value is None:
            operands.append(None)
        elif isinstance(value.op.operator, Constant):
            operands.append(trial.add_constant(value.op.operator.value))
        else:
            operands.append(trial.add_input(f"operand{index}", value.type))
    twin = trial.add(op.operator, operands, types=op.types)
    own = _OWN.get(onnx_operator(op).type)
    if own is None and not has_function_body(onnx_operator(op)):
        raise UnsupportedError(f"ONNX has no body of it in version {onnx_operator(op).version}")
    values = list(own(twin)) if own is not None else expand_body(Call(twin), _known)
    if [value.type for value in values] != list(op.types):
        raise UnsupportedError("its body gives another type")
    trial.set_outputs([(f"result{i}", value) for i, value in enumerate(values)])
    return trial


def _inline(op: Op, body: Graph) -> None:
    """Put the parts in the place of the op."""
    graph, version = op.graph, onnx_operator(op).version
    places: dict[Value, Value] = {}
    firsts = iter(sorted(body.ops, key=lambda part: part.id))
    for value in op.operands:
        if value is not None:
            places[next(firsts).result] = value
    for part in body.ops:
        if isinstance(part.operator, Output | Input) or (
            part.results and part.results[0] in places
        ):
            continue
        operands = [None if value is None else places[value] for value in part.operands]
        operator = _in_version(part.operator, version)
        made = graph.add(operator, operands, types=part.types, label=op.label)
        places.update(zip(part.results, made.results, strict=True))
    read = [value.op for value in op.operands if value is not None]
    graph.replace(op, [places[value] for value in body.outputs])
    erase_dead(graph, *read, *(value.op for value in reversed(places.values())))


def _in_version(operator: Operator, version: int) -> Operator:
    """The operator as of the model's version, where that is the same schema."""
    if not isinstance(operator, OnnxOperator) or operator.domain:
        return operator
    schema = schema_of(operator.type, version)
    same = schema.since_version == operator.schema.since_version
    return replace(operator, version=version) if same else operator


def _known(
    graph: Graph, operator: OnnxOperator, operands: Sequence[Value | None]
) -> Sequence[Value]:
    """The results of a part of a body, as constants where they are known."""
    x = operands[0] if operands else None
    if operator.type == "Constant":
        return [graph.add_constant(operator.evaluate([])[0])]
    if operator.type == "CastLike" and x is not None and x.constant is not None:
        like = operands[1]
        assert like is not None
        return [graph.add_constant(convert(x.constant, like.type.dtype))]
    if operator.type == "Shape" and x is not None and x.type.is_static:
        dims = x.type.dims[operator.attr("start", 0) : operator.attr("end")]
        return [graph.add_constant(np.array(dims, np.int64))]
    return graph.add(operator, operands).results


# ---- what ONNX has no body for ------------------------------------------------------------------


def _gemm(op: Op) -> list[Value]:
    operator = onnx_operator(op)
    a, b, *rest = op.operands
    assert a is not None
    assert b is not None
    version, dtype = operator.version, op.types[0].dtype.numpy
    if version < 7:
        raise UnsupportedError("it broadcasts as before opset 7")
    a = transposed(a, (1, 0), version) if operator.attr("transA") else a
    b = transposed(b, (1, 0), version) if operator.attr("transB") else b

    def scaled(x: Value, factor: float) -> Value:
        if factor == 1:
            return x
        return apply("Mul", x, op.graph.add_constant(np.array(factor, dtype)), version=version)

    product = scaled(apply("MatMul", a, b, version=version), operator.attr("alpha"))
    c = rest[0] if rest else None
    if c is None or operator.attr("beta") == 0:
        return [product]
    return [apply("Add", product, scaled(c, operator.attr("beta")), version=version)]


def _batch_normalization(op: Op) -> list[Value]:
    operator = onnx_operator(op)
    x, *parameters = (value for value in op.operands if value is not None)
    if len(op.results) > 1 or operator.attr("training_mode") or operator.version < 7:
        raise UnsupportedError("it is in training mode, or of a version before 7")
    arrays = [value.constant for value in parameters]
    scale, bias, mean, variance = (None if a is None else a.astype(np.float64) for a in arrays)
    if scale is None or bias is None or mean is None or variance is None or scale.ndim != 1:
        raise UnsupportedError("its parameters are not constants of each channel")
    factor = scale / np.sqrt(variance + operator.attr("epsilon"))
    shape, dtype = (-1, *[1] * (x.type.rank - 2)), x.type.dtype.numpy

    def channels(array: Array) -> Value:
        return op.graph.add_constant(array.astype(dtype).reshape(shape))

    product = apply("Mul", x, channels(factor), version=operator.version)
    return [apply("Add", product, channels(bias - mean * factor), version=operator.version)]


_OWN: dict[str, Callable[[Op], Sequence[Value]]] = {
    "Gemm": _gemm, "BatchNormalization": _batch_normalization,
}  # fmt: skip
