"""Splits, slices and concats that undo each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import ClassVar

import numpy as np

from dlc.ir.graph import Op, Value
from dlc.ir.types import Dim
from dlc.ops.onnx.named import axis_from_front, onnx_operator, setting, split_sizes
from dlc.ops.onnx.operator import OnnxOperator, is_onnx
from dlc.rewrite.driver import Rule, RulePass
from dlc.rewrite.pattern import Match, OpPattern, op


@dataclass(frozen=True, slots=True)
class SplitConcat(RulePass):
    """Remove splits and concats that undo each other.

    A concat of all parts of a split (or of slices that touch) in order is what was split. A split of
    a concat at its seams gives what was concatenated, or concats of less. A slice of a concat within
    one part is a slice of that part. A concat of a concat is one concat.

    Before:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[2,3]
          %1 = input() "z" : f32[2,2]
          %2 = onnx.Concat(%0, %1) {axis = 1} "concat" : f32[2,5]
          %3 = constant() {value = dense<i64[2] 3 2>} : i64[2]
          %4, %5 = onnx.Split(%2, %3) {axis = 1, results = 2} "split" : f32[2,3], f32[2,2]
          %6 = onnx.Relu(%4) : f32[2,3]
          %7 = onnx.Exp(%5) : f32[2,2]
          output(%6, %7) {names = ["a", "b"]}
        }

    After:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[2,3]
          %1 = input() "z" : f32[2,2]
          %2 = onnx.Relu(%0) : f32[2,3]
          %3 = onnx.Exp(%1) : f32[2,2]
          output(%2, %3) {names = ["a", "b"]}
        }
    """

    name: ClassVar[str] = "split-concat"
    contract: ClassVar[str] = "exact"

    def rules(self) -> Sequence[Rule]:
        return [ConcatOfParts(), SplitOfConcat(), SliceOfConcat(), ConcatOfConcat()]


@dataclass(frozen=True, slots=True)
class _Piece:
    """``source[start:stop]`` along ``axis``."""

    source: Value
    axis: int
    start: int
    stop: int


class ConcatOfParts(Rule):
    """Pieces of one value that touch, from its start to its end."""

    name: ClassVar[str] = "concat-of-parts"
    pattern: ClassVar[OpPattern] = op("onnx.Concat")

    def check(self, match: Match) -> str | None:
        concat = match.root
        pieces = [_piece(value) for value in concat.operands]
        first = pieces[0]
        if first is None or any(p is None for p in pieces):
            return "an operand is no part of a value"
        found = [p for p in pieces if p is not None]
        if any((p.source, p.axis) != (first.source, _axis(concat)) for p in found):
            return "its operands are parts of different values, or along another axis"
        ends = [0, *(p.stop for p in found)]
        if [p.start for p in found] != ends[:-1]:
            return "its operands do not touch in this order"
        return None if concat.types[0] == first.source.type else "its operands leave out an end"

    def rewrite(self, match: Match) -> Value:
        piece = _piece(match.root.operands[0])
        assert piece is not None
        return piece.source


class SplitOfConcat(Rule):
    """The parts of the concat that each part of the split is made of."""

    name: ClassVar[str] = "split-of-concat"
    pattern: ClassVar[OpPattern] = op("onnx.Split", op("onnx.Concat", name="concat"), ...)

    def check(self, match: Match) -> str | None:
        concat, cut, seams = match.op("concat"), split_sizes(match.root), _seams(match.op("concat"))
        if cut is None or seams is None:
            return "a size is not fixed"
        if cut[0] != _axis(concat):
            return "it splits along another axis"
        if 0 in cut[1] or not set(accumulate(cut[1])) <= set(seams):
            return "it cuts through an operand of the concat"
        return None

    def rewrite(self, match: Match) -> Sequence[Value]:
        concat, cut, seams = match.op("concat"), split_sizes(match.root), _seams(match.op("concat"))
        assert cut is not None
        assert seams is not None
        made = []
        bounds = pairwise([0, *accumulate(cut[1])])
        for (start, stop), type in zip(bounds, match.root.types, strict=True):
            inside = [
                value
                for value, (low, high) in zip(concat.operands, pairwise(seams), strict=True)
                if value is not None and start <= low and high <= stop and low < high
            ]
            one = len(inside) == 1
            made.append(
                inside[0] if one else match.graph.add(concat.operator, inside, types=[type]).result
            )
        return made


class SliceOfConcat(Rule):
    """A slice, or a part of it, of the one operand that it touches."""

    name: ClassVar[str] = "slice-of-concat"
    pattern: ClassVar[OpPattern] = op("onnx.Slice", op("onnx.Concat", name="concat"), ...)

    def check(self, match: Match) -> str | None:
        return None if isinstance(found := self.find(match), tuple) else found

    def find(self, match: Match) -> str | tuple[Value, int, int]:
        """The operand, and the first and last position in it; or why there is none."""
        piece, concat = _piece(match.root.results[0]), match.op("concat")
        seams = _seams(concat)
        if piece is None or seams is None:
            return "it does not cut one axis at known positions, in steps of 1"
        if piece.axis != _axis(concat):
            return "it cuts another axis"
        for value, (low, high) in zip(concat.operands, pairwise(seams), strict=True):
            if value is not None and low <= piece.start < piece.stop <= high:
                return value, piece.start - low, piece.stop - low
        return "it cuts through operands of the concat"

    def rewrite(self, match: Match) -> Value:
        found = self.find(match)
        assert isinstance(found, tuple)
        x, start, stop = found
        graph, type = match.graph, match.root.types[0]
        if type == x.type:
            return x
        operator, axis = onnx_operator(match.root), _axis(match.op("concat"))
        if operator.version < 10:
            attrs = (("axes", (axis,)), ("ends", (stop,)), ("starts", (start,)))
            made = OnnxOperator("Slice", operator.version, attrs)
            return graph.add(made, [x], types=[type]).result
        bounds = [graph.add_constant(np.array([n], np.int64)) for n in (start, stop, axis)]
        made = OnnxOperator("Slice", operator.version)
        return graph.add(made, [x, *bounds], types=[type]).result


class ConcatOfConcat(Rule):
    """The operands of a concat that only another concat along the same axis reads."""

    name: ClassVar[str] = "concat-of-concat"
    pattern: ClassVar[OpPattern] = op("onnx.Concat")

    def check(self, match: Match) -> str | None:
        if any(_inlined(match.root, value) for value in match.root.operands):
            return None
        return "no operand is a concat along the same axis that nothing else reads"

    def rewrite(self, match: Match) -> Value:
        operands: list[Value | None] = []
        for value in match.root.operands:
            inner = value is not None and _inlined(match.root, value)
            operands += value.op.operands if inner and value is not None else [value]
        types = match.root.types
        return match.graph.add(match.root.operator, operands, types=types).result


def _inlined(outer: Op, value: Value | None) -> bool:
    return (
        value is not None
        and is_onnx(value.op, "Concat")
        and _axis(value.op) == _axis(outer)
        and len(value.uses) == 1
    )


def _axis(op: Op) -> int:
    return axis_from_front(int(onnx_operator(op).attr("axis", 1)), op.types[0].rank)


def _seams(concat: Op) -> list[int] | None:
    """Where the operands of a concat begin, and where the last one ends."""
    axis = _axis(concat)
    sizes = [value.type.shape[axis] for value in concat.operands if value is not None]
    return list(accumulate((s for s in sizes if isinstance(s, int)), initial=0)) if all(
        isinstance(size, int) for size in sizes
    ) else None  # fmt: skip


def _piece(value: Value | None) -> _Piece | None:
    """What a result of Split or Slice is a piece of; None for other values."""
    source = None if value is None or not value.op.operands else value.op.operands[0]
    if value is None or source is None:
        return None
    if is_onnx(value.op, "Split"):
        cut = split_sizes(value.op)
        if cut is None:
            return None
        start = sum(cut[1][: value.index])
        return _Piece(source, cut[0], start, start + cut[1][value.index])
    if not is_onnx(value.op, "Slice"):
        return None
    return _slice_piece(value, source)


def _slice_piece(value: Value, source: Value) -> _Piece | None:
    op = value.op
    starts, ends = setting(op, 1, "starts"), setting(op, 2, "ends")
    axes, steps = setting(op, 3, "axes", (0,)), setting(op, 4, "steps", (1,))
    known = [x.tolist() for x in (starts, ends, axes, steps) if x is not None]
    if len(known) < 4 or any(len(x) != 1 for x in known) or known[3] != [1]:
        return None
    (start,), (_), (axis,), _ = known
    axis = axis_from_front(axis, source.type.rank)
    dim: Dim = source.type.shape[axis]
    size = value.type.shape[axis]
    if not isinstance(dim, int) or not isinstance(size, int) or not size:
        return None
    start = min(start + dim if start < 0 else start, dim)
    return _Piece(source, axis, max(start, 0), max(start, 0) + size)
