"""Fusion of element-wise tails into the op that computes their operand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dlc.errors import DlcError
from dlc.ir.graph import Graph, Op, Value
from dlc.ir.operator import Constant, Input, Operator, Output
from dlc.ops.core.epilogue import WithEpilogue
from dlc.ops.core.map import Map
from dlc.ops.fusion import absorb, compose, cost, count_uses, joined_label
from dlc.ops.onnx.expand import expand_op
from dlc.ops.onnx.operator import OnnxOperator, is_onnx
from dlc.rewrite.base import Pass
from dlc.rewrite.driver import erase_dead, refuse

_CHEAP_REPEAT = 8
#: named ops that may expand to an op with an epilogue
_ANCHORS = (
    "Conv", "ConvTranspose", "Gemm", "MatMul", "MaxPool", "AveragePool", "GlobalMaxPool",
    "GlobalAveragePool", "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd",
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceSumSquare",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FuseConvRelu(Pass):
    """Make element-wise tails of conv, conv_transpose, contract, pool and reduce part of them.

    An activation, a bias, a scale, a residual add, a chain of them: the tail becomes the op's
    epilogue, computed before the result is stored. It must be the only reader of the result and keep
    its shape; other operands may be smaller and broadcast. On named ONNX ops, those that will fuse
    (and only those) are expanded first. `max_size` bounds the nodes of an epilogue, `max_operands`
    what it reads.

    Before:

        graph "g" {
          %0 = input() "x" : f32[2,3]
          %1 = input() "w" : f32[3,4]
          %2 = contract(%0, %1) {epilogue = `a0`, transpose_lhs = false, transpose_rhs = false} "matmul" : f32[2,4]
          %3 = map(%2) {expr = `max(a0, 0)`} "relu" : f32[2,4]
          output(%3) {names = ["y"]}
        }

    After:

        graph "g" {
          %0 = input() "x" : f32[2,3]
          %1 = input() "w" : f32[3,4]
          %2 = contract(%0, %1) {epilogue = `max(a0, 0)`, transpose_lhs = false, transpose_rhs = false} "matmul+relu" : f32[2,4]
          output(%2) {names = ["y"]}
        }
    """

    name: ClassVar[str] = "fuse-conv-relu"
    contract: ClassVar[str] = "reassociates"
    max_size: int = 64
    max_operands: int = 8

    def run(self, graph: Graph) -> tuple[Graph, bool]:
        changed = False
        for op in graph.ops:
            if op not in graph or len(op.results) != 1:
                continue
            value: Value | None = op.results[0]
            while value is not None:
                value = self._fuse(graph, value)
                changed |= value is not None
        return graph, changed

    def _fuse(self, graph: Graph, value: Value) -> Value | None:
        """Fuse the only reader of an anchor's result into the anchor; the result of both."""
        anchor, tail = value.op, value.user
        core = isinstance(anchor.operator, WithEpilogue)
        if not core and not is_onnx(anchor, *_ANCHORS):
            return None
        reason = _not_a_tail(value, tail)
        if reason is None and tail is not None:
            if not core and _expansion(anchor, WithEpilogue) is None:
                reason = "its expansion does not end in an op with an epilogue"
            elif _expansion(tail, Map) is None:
                reason = f"{tail.operator.label} {tail.label!r} is not element-wise"
            else:
                anchor = _expanded(anchor)
                return self._merge(graph, anchor, _expanded(tail))
        refuse(self.name, anchor, reason or "")
        return None

    def _merge(self, graph: Graph, anchor: Op, tail: Op) -> Value | None:
        operator, outer = anchor.operator, tail.operator
        assert isinstance(operator, WithEpilogue)
        assert isinstance(outer, Map)
        value, inner = anchor.result, operator.epilogue
        main = anchor.operands[: operator.main_operands]
        extras = anchor.operands[operator.main_operands :]
        uses = count_uses(outer.expr, tail.operands, value)
        size = outer.expr.size + uses * (inner.size - 1)
        if size > self.max_size:
            refuse(self.name, anchor, f"the epilogue would have {size} nodes")
            return None
        if (uses - 1) * cost(inner) > _CHEAP_REPEAT:
            refuse(self.name, anchor, f"{tail.label!r} would repeat its epilogue {uses} times")
            return None
        expr, arguments = compose(outer.expr, tail.operands, value, inner, [None, *extras])
        accumulated = operator.accumulated([v.type for v in main if v is not None]).dtype
        expr, arguments = absorb(expr, arguments, None, accumulated)
        if len(arguments) - 1 > self.max_operands:
            refuse(self.name, anchor, f"the epilogue would read {len(arguments) - 1} operands")
            return None
        before = [
            v.op for v in (*anchor.operands, *tail.operands) if v is not None and v is not value
        ]
        types, label = tail.types, joined_label(anchor, tail)
        fused = graph.add(
            operator.with_epilogue(expr), [*main, *arguments[1:]], types=types, label=label
        )
        graph.replace(tail, fused.results)
        erase_dead(graph, anchor, *before)
        return fused.result


def _not_a_tail(value: Value, tail: Op | None) -> str | None:
    """Why an op cannot be fused into the one that computes ``value``, as far as types tell."""
    if tail is None:
        return "several ops read its result" if value.uses else "nothing reads its result"
    if isinstance(tail.operator, Output):
        return "its result is an output of the graph"
    name = f"{tail.operator.label} {tail.label!r}"
    if len(tail.results) != 1 or not isinstance(tail.operator, Map | OnnxOperator):
        return f"{name} is not element-wise"
    if tail.types[0].shape != value.type.shape:
        return f"{name} changes its shape"
    return None if tail.results[0].uses else f"nothing reads the result of {name}"


def _expansion(op: Op, kind: type[Operator]) -> Op | None:
    """The op of ``kind`` that computes the result of ``op`` once expanded, None if there is none.

    Tried in a graph of its own. A Map must read the operands of ``op`` themselves.
    """
    if isinstance(op.operator, kind):
        return op
    if not isinstance(op.operator, OnnxOperator) or next(op.operator.regions(), None) is not None:
        return None
    trial = Graph("trial", op.graph.opsets)
    copies = {v: _stand_in(trial, v) for v in op.operands if v is not None}
    operands = [None if v is None else copies[v] for v in op.operands]
    twin = trial.add(op.operator, operands, types=op.types, label=op.label)
    trial.set_outputs([("y", twin.results[0])])
    try:
        expand_op(twin)
    except DlcError:
        return None
    found = trial.outputs[0].op
    given = (Input, Constant)
    direct = all(v is None or isinstance(v.op.operator, given) for v in found.operands)
    return found if isinstance(found.operator, kind) and (direct or kind is not Map) else None


def _stand_in(trial: Graph, value: Value) -> Value:
    operator = value.op.operator
    if isinstance(operator, Constant):
        return trial.add_constant(operator.value)
    return trial.add_input(f"v{len(trial)}", value.type)


def _expanded(op: Op) -> Op:
    """The core op that computes the result of ``op``, which is expanded if it is a named op."""
    graph, use = op.graph, op.result.uses[0]
    before = [v.op for v in op.operands if v is not None]
    if expand_op(op):
        erase_dead(graph, *before)
    value = use.op.operands[use.index]
    assert value is not None
    return value.op
