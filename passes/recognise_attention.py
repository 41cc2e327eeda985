"""Attention, as exporters spell it out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from dlc.ir.graph import Op, Value
from dlc.ir.types import Dim
from dlc.ops.onnx.operator import OnnxOperator
from dlc.ops.onnx.recognition import lacking, named
from dlc.rewrite.algebra import product, total
from dlc.rewrite.driver import Rule, RulePass
from dlc.rewrite.pattern import Match, OpPattern, either, op, optional, scalar, value


@dataclass(frozen=True, slots=True)
class RecogniseAttention(RulePass):
    """Make one Attention of `softmax(q @ k^T * scale + mask) @ v`.

    The scale may stand on q, on k, on their product, or be spread over them; the mask may be absent;
    the transpose of k may be merged with the one that splits heads. With four dims they are batch,
    head, position and feature; with three, one head. Where q, k and v are split into heads only for
    this, and their results joined again, Attention does that too. onnxruntime wants a mask of full
    height and width, so a smaller one is expanded.

    Attention came with opset 23; below it nothing changes (see raise-opset). For code that dlc
    generates nothing is gained: expand-ops takes Attention apart again. Reassociates. Rows that a
    mask of -inf leaves nothing of are 0 in Attention where softmax gives NaN.

    Before:

        graph "g" {opsets = {"" = 23}} {
          %0 = input() "q" : f32[1,2,5,4]
          %1 = input() "k" : f32[1,2,7,4]
          %2 = onnx.Transpose(%1) {perm = [0, 1, 3, 2]} : f32[1,2,4,7]
          %3 = onnx.MatMul(%0, %2) : f32[1,2,5,7]
          %4 = constant() {value = dense<f32[] 2.0>} : f32[]
          %5 = onnx.Div(%3, %4) : f32[1,2,5,7]
          %6 = onnx.Softmax(%5) : f32[1,2,5,7]
          %7 = input() "v" : f32[1,2,7,4]
          %8 = onnx.MatMul(%6, %7) "attention" : f32[1,2,5,4]
          output(%8) {names = ["y"]}
        }

    After:

        graph "g" {opsets = {"" = 23}} {
          %0 = input() "q" : f32[1,2,5,4]
          %1 = input() "k" : f32[1,2,7,4]
          %2 = input() "v" : f32[1,2,7,4]
          %3 = onnx.Attention(%0, %1, %2) {scale = 0.5} "attention" : f32[1,2,5,4]
          output(%3) {names = ["y"]}
        }
    """

    name: ClassVar[str] = "recognise-attention"
    contract: ClassVar[str] = "reassociates"

    def rules(self) -> Sequence[Rule]:
        return [ScaledDotProduct(), Heads()]


# keys transposed: by one transpose, by one over merged batch and heads (torch), or who knows how
_KEYS = either(
    op("onnx.Transpose", value("k"), name="transpose"),
    op("onnx.Reshape",
       op("onnx.Transpose", op("onnx.Reshape", value("k"), ..., name="merge"), perm=(0, 2, 1)),
       ..., name="unmerge"),
    value("k^T"),
)  # fmt: skip
# a sum of one is the thing itself, or with a zero added (Paddle)
_QUERIES = total(product(value("q"), times="scale of q"))
_SCORES = product(op("onnx.MatMul", _QUERIES, product(_KEYS, times="scale of k")), times="scale")
_WEIGHTS = op("onnx.Softmax", either(total(_SCORES), total(_SCORES, value("mask"))), name="weights")


class ScaledDotProduct(Rule):
    """Attention from query, key and value of one shape each."""

    name: ClassVar[str] = "recognise-attention"
    pattern: ClassVar[OpPattern] = op(
        "onnx.MatMul",
        either(
            _WEIGHTS,
            # torch: rows without any key are 0, as they are in Attention
            op("onnx.Where", op("onnx.IsNaN", value("weights")), scalar(0.0), _WEIGHTS),
        ),
        value("v"),
    )

    def check(self, match: Match) -> str | None:
        q, v, weights = match["q"].type, match["v"].type, match["weights"].type
        if _attr(match.op("weights"), "axis") not in (-1, weights.rank - 1):
            return "the softmax is not along the last axis"
        if q.rank not in (3, 4) or v.rank != q.rank or q.shape[:-2] != v.shape[:-2]:
            return f"query and value are of types {q} and {v}"
        keys = _keys_shape(match)
        if keys != (*q.shape[:-2], v.shape[-2], q.shape[-1]):
            return f"the keys have the shape {list(keys)}"
        if not (q.is_static and v.is_static):
            return "the shapes are not fixed"
        if (mask := match.get("mask")) is not None and not mask.type.is_static:
            return "the shape of the mask is not fixed"
        if weights.shape != (*q.shape[:-1], v.shape[-2]):
            return "the mask is larger than the scores"
        if _scale(match) <= 0:
            return f"the scale is {_scale(match):g}"
        return match.escape() or lacking(match.graph, "Attention")

    def rewrite(self, match: Match) -> Value:
        graph, rank = match.graph, match["q"].type.rank
        heads = 1 if rank == 3 else None
        attention = named(
            graph, "Attention", scale=_scale(match), q_num_heads=heads, kv_num_heads=heads
        )
        operands = [match["q"], _keys(match), match["v"]]
        mask = match.get("mask")
        if mask is not None:
            operands.append(_full(mask, match["weights"].type.dims))
        return graph.add(attention, operands, types=match.root.types).result


def _scale(match: Match) -> float:
    names = ("scale of q", "scale of k", "scale")
    return float(np.float32(math.prod(match.number(name) for name in names)))


def _swapped(order: Sequence[int]) -> tuple[int, ...]:
    """The order with its last two exchanged."""
    return (*order[:-2], order[-1], order[-2])


def _keys_shape(match: Match) -> tuple[Dim, ...]:
    """The shape of the keys, not transposed."""
    k = match.get("k")
    if k is None:
        shape = match["k^T"].type.shape
        return (*shape[:-2], *shape[:-3:-1])
    if "merge" in match.ops:
        merged = match.op("merge").types[0].shape
        split = match.op("unmerge").types[0].shape
        same = merged[1:] == k.type.shape[-2:] and split == (*k.type.shape[:-2], *merged[:0:-1])
        return k.type.shape if same else ()
    return tuple(k.type.shape[axis] for axis in _swapped(_perm(match.op("transpose"))))


def _keys(match: Match) -> Value:
    """The keys, not transposed; by a transpose if need be."""
    k = match.get("k")
    if k is None:
        k, perm = match["k^T"], _swapped(range(match["k^T"].type.rank))
    elif "merge" in match.ops:
        return k
    else:
        perm = _swapped(_perm(match.op("transpose")))
    if list(perm) == list(range(len(perm))):
        return k
    return match.graph.add(named(match.graph, "Transpose", perm=perm), [k]).result


def _full(mask: Value, scores: tuple[int, ...]) -> Value:
    """The mask, as wide and high as the scores; of four dims where it has one for each batch."""
    shape = mask.type.dims
    if len(scores) == len(shape) == 3 and shape[0] != 1:  # three dims would be head, row, column
        mask = _shaped(mask, (shape[0], 1, *shape[1:]), "Reshape")
    wanted = (*mask.type.dims[:-2], *scores[-2:])
    return mask if mask.type.dims == wanted else _shaped(mask, wanted, "Expand")


def _shaped(value: Value, shape: tuple[int, ...], type: Literal["Reshape", "Expand"]) -> Value:
    graph, array = value.graph, value.constant
    if array is not None:
        array = np.broadcast_to(array, shape).copy() if type == "Expand" else array.reshape(shape)
        return graph.add_constant(array, value.op.label)
    sizes = graph.add_constant(np.array(shape, np.int64))
    return graph.add(named(graph, type), [value, sizes]).result


_SPLIT = (0, 2, 1, 3)


def _split(name: str) -> OpPattern:
    """Heads split from the features, and put before the positions."""
    return op("onnx.Transpose", op("onnx.Reshape", value(name), ..., name=f"split {name}"),
              perm=_SPLIT)  # fmt: skip


class Heads(Rule):
    """Attention that splits query, key and value into heads itself, and joins the result."""

    name: ClassVar[str] = "recognise-attention-heads"
    pattern: ClassVar[OpPattern] = op(
        "onnx.Reshape",
        op("onnx.Transpose",
           op("onnx.Attention", _split("q"), _split("k"), _split("v"), optional("mask"),
              name="attention", q_num_heads=None, once=True),
           perm=_SPLIT, once=True),
        ...,
    )  # fmt: skip

    def check(self, match: Match) -> str | None:
        heads = match.op("attention").types[0].shape[1]
        for name in "qkv":
            x, split = match[name].type, match.op(f"split {name}").types[0]
            if x.rank != 3 or split.shape[:2] != x.shape[:2] or split.shape[2] != heads:
                return f"{name} is not split into heads of its last axis"
        joined = match.root.types[0]
        if joined.shape[:-1] != match["q"].type.shape[:-1]:
            return f"the result is joined to type {joined}"
        return None

    def rewrite(self, match: Match) -> Value:
        graph, attention = match.graph, match.op("attention")
        operator = attention.operator
        assert isinstance(operator, OnnxOperator)
        heads = attention.types[0].shape[1]
        new = named(
            graph, "Attention", **dict(operator.attrs), q_num_heads=heads, kv_num_heads=heads
        )
        mask = match.get("mask")
        operands = [match["q"], match["k"], match["v"], *([] if mask is None else [mask])]
        return graph.add(new, operands, types=match.root.types, label=attention.label).result


def _attr(op: Op, name: str) -> object:
    operator = op.operator
    assert isinstance(operator, OnnxOperator)
    return operator.attr(name)


def _perm(op: Op) -> tuple[int, ...]:
    perm = _attr(op, "perm")
    return tuple(range(op.types[0].rank)[::-1]) if perm is None else tuple(perm)  # type: ignore[arg-type]
