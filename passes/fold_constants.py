"""Evaluation of what is known when compiling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlc.errors import DlcError
from dlc.ir.graph import Graph, Op, Value, infer_types
from dlc.ir.operator import Array, Constant, Input, Output
from dlc.ir.types import DType
from dlc.ops.purity import is_pure
from dlc.ops.unrolling import unrolled
from dlc.rewrite.base import Pass
from dlc.rewrite.driver import erase_dead, refuse

_QUANTISATION = ("onnx.QuantizeLinear", "onnx.DequantizeLinear")
_SMALL_BYTES = 1 << 16
_GROWTH = 4
_FEW = 64
_MAX_MACS = 1 << 30


@dataclass(frozen=True, slots=True)
class FoldConstants(Pass):
    """Replace ops whose operands are all constants by their results.

    `Shape` and `Size` of a value of fixed shape become constants too. A branch that is always taken,
    and the body of a loop of one turn, takes the place of its op.

    An op stays when its results would need more than `max_bytes`, or are both over 64 KiB and over
    four times its operands (a `ConstantOfShape` or `Expand` is smaller as an op; weights of less than a
    byte, however few beyond 64), or when computing them would take too long. Random ops are never folded. With `keep_quantised`, the quantisation and
    dequantisation of constants stays too where the graph quantises activations: a runtime's integer
    kernels are found by it.

    Before:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[2,3]
          %1 = onnx.Shape(%0) : i64[2]
          %2 = constant() {value = dense<i64[1] 0>} : i64[1]
          %3 = onnx.Gather(%1, %2) : i64[1]
          output(%3) {names = ["rows"]}
        }

    After:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[2,3]
          %1 = constant() {value = dense<i64[1] 2>} : i64[1]
          output(%1) {names = ["rows"]}
        }
    """

    name: ClassVar[str] = "fold-constants"
    contract: ClassVar[str] = "reassociates"
    max_bytes: int = 1 << 28
    keep_quantised: bool = False

    def run(self, graph: Graph) -> tuple[Graph, bool]:
        changed = False
        kept = _QUANTISATION if self.keep_quantised and _quantises(graph) else ()
        for op in graph.ops:
            if isinstance(op.operator, Constant | Input | Output) or _has_symbols(op):
                continue
            if op.operator.label in kept:
                refuse(self.name, op, "activations are quantised as well")
                continue
            values = self._known(op)
            if values is None:
                continue
            producers = [value.op for value in op.operands if value is not None]
            readers = [use.op for result in op.results for use in result.uses]
            graph.replace(op, values)
            erase_dead(graph, *producers, *(value.op for value in values))
            _retype(graph, readers)
            changed = True
        return graph, changed

    def _known(self, op: Op) -> Sequence[Value] | None:
        """What takes the place of the results: constants, or the ops of the one body that runs."""
        with op.graph.labelled(op.label):
            values = unrolled(op)
        if values is not None:
            return values
        arrays = self._fold(op)
        return None if arrays is None else [op.graph.add_constant(a, op.label) for a in arrays]

    def _fold(self, op: Op) -> Sequence[Array] | None:
        """The results, None when they are not known or must not be stored."""
        known = _from_type(op)
        if known is not None:
            return [known]
        operands = [None if value is None else value.constant for value in op.operands]
        if any(v is not None and a is None for v, a in zip(op.operands, operands, strict=True)):
            return None
        stored = sum(-(-a.nbytes // DType.of(a).per_byte) for a in operands if a is not None)
        reason = self._refusal(op, stored)
        if reason is None:
            results, reason = _evaluate(op, operands)
            if reason is None:
                return results
        refuse(self.name, op, reason)
        return None

    def _small(self, op: Op) -> int:
        """Results of fewer bytes are stored however small the operands are.

        But weights of less than a byte were made so to be small.
        """
        types = [v.type for v in op.operands if v is not None]
        narrow = any(t.dtype.per_byte > 1 and t.capacity > _FEW for t in types)
        return 0 if narrow else _SMALL_BYTES

    def _refusal(self, op: Op, operand_bytes: int) -> str | None:
        size = sum(type.nbytes for type in op.types)
        if not is_pure(op.operator):
            return "it is random or has a body"
        if size > self.max_bytes:
            return f"its results have {size} bytes, more than max_bytes={self.max_bytes}"
        if size > self._small(op) and size > _GROWTH * operand_bytes:
            return f"its results have {size} bytes, its operands {operand_bytes}"
        if any(t.layout is not None or t.quant is not None for t in op.types):
            return "its result has a layout or quantisation"
        if op.operator.cost(op.operand_types, op.types).macs > _MAX_MACS:
            return "computing it takes too long"
        return None


def _has_symbols(op: Op) -> bool:
    """Whether the op computes with sizes known only at run time."""
    operator = op.operator
    return bool(operator.defined or operator.mentioned) or not all(t.is_static for t in op.types)


def _quantises(graph: Graph) -> bool:
    """Whether anything that is no constant is quantised."""
    return any(
        op.operator.label == "onnx.QuantizeLinear"
        and any(value is not None and value.constant is None for value in op.operands)
        for op in graph.ops
    )


def _from_type(op: Op) -> Array | None:
    """What ``Shape`` and ``Size`` of a value of fixed shape give."""
    if op.operator.label not in ("onnx.Shape", "onnx.Size") or op.operands[0] is None:
        return None
    type = op.operands[0].type
    if not type.is_static:
        return None
    if op.operator.label == "onnx.Size":
        return np.array(type.capacity, np.int64)
    given = op.operator.attributes()
    return np.array(type.dims[given.get("start", 0) : given.get("end")], np.int64)


def _evaluate(op: Op, operands: Sequence[Array | None]) -> tuple[Sequence[Array], str | None]:
    """The results, or why there are none: folding is never worth an error."""
    try:
        with np.errstate(all="ignore"):
            arrays = [np.asarray(array) for array in op.operator.evaluate(operands)]
    except (DlcError, NotImplementedError) as error:
        return (), str(error)
    except Exception as error:  # a reference implementation may raise anything on odd operands
        return (), f"{type(error).__name__}: {error}"
    arrays = arrays[: len(op.types)]
    for array, expected in zip(arrays, op.types, strict=True):
        dims = zip(array.shape, expected.shape, strict=False)
        fits = array.ndim == expected.rank and all(
            size == dim if isinstance(dim, int) else size <= dim.bound for size, dim in dims
        )
        if not fits or DType.of(array) is not expected.dtype:
            return (), f"it gives {array.dtype}{list(array.shape)} where {expected} is declared"
    return arrays, None


def _retype(graph: Graph, readers: Sequence[Op]) -> None:
    """Infer result types again where an operand's shape has become fixed."""
    queue = [op for op in readers if op in graph]
    while queue:
        op = queue.pop()
        if not op.results or all(type.is_static for type in op.types):
            continue
        if isinstance(op.operator, Input) or next(iter(op.operator.regions()), None) is not None:
            continue
        types = infer_types(op.operator, op.operands)
        if types != op.types:
            graph.set_operator(op, op.operator, types=types)
            queue += [use.op for result in op.results for use in result.uses]
