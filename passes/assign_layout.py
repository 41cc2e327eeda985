"""Blocked layout for what lies between convolutions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from dlc.ir.expr import A0, Arg, Call, Expr
from dlc.ir.graph import Graph, Op, Value
from dlc.ops.blocking import CHECKS, drops_image, is_image
from dlc.ops.build import apply, concat, constant, pad, reshape, slice_, transpose
from dlc.ops.core.blocked import BLOCK, blocks_of, to_blocked
from dlc.ops.core.concat import Concat
from dlc.ops.core.conv import Conv
from dlc.ops.core.conv_blocked import ConvBlocked, pack_filters
from dlc.ops.core.depthwise_blocked import DepthwiseBlocked
from dlc.ops.core.epilogue import WithEpilogue
from dlc.ops.core.map import Map
from dlc.ops.core.pool import Pool
from dlc.ops.core.pool_blocked import PoolBlocked
from dlc.ops.core.reduce import Reduce
from dlc.ops.core.resample import Resample
from dlc.ops.core.slice import Slice
from dlc.rewrite.base import Pass
from dlc.rewrite.driver import erase_dead

_MOST_GROWTH = 0.04
"""Largest border, as a part of the largest value: what a border may add to the memory in use."""


@dataclass(frozen=True, slots=True)
class AssignLayout(Pass):
    """Let convolutions, and what lies between them, work on channels in blocks of 16.

    Convolutions of f32 images become ``conv_blocked`` and ``depthwise_blocked``, whose filters are
    packed here and whose result a vector holds pixel by pixel; pools, element-wise ops, concats of
    whole blocks, reductions of whole images and resizes between them follow. Where other ops read
    such a value it is brought back to the planar layout; a convolution reads a planar image as it
    is. What a convolution with padding reads gets a border of zeros where it is computed, so that
    no kernel tests for it, unless that took much memory; else tiles at the border read a copy of
    their part of the image. Groups other than depthwise ones, and shapes known only at run time,
    stay as they are.

    Before:

        graph "g" {
          %0 = input() "x" : f32[1,16,4,4]
          %1 = constant() {value = dense<f32[16,1,1,1] 2.0 2.0 2.0 2.0 2.0 2.0 2.0 2.0 2.0 2.0 2.0 2.0 2.0 2.0 2.0 2.0>} "w" : f32[16,1,1,1]
          %2 = conv(%0, %1) {dilations = [1, 1], epilogue = `max(a0, 0)`, groups = 16, pads = [1, 1, 1, 1], strides = [1, 1]} "conv" : f32[1,16,6,6]
          output(%2) {names = ["y"]}
        }

    After:

        graph "g" {
          %0 = input() "x" : f32[1,16,4,4]
          %1 = reshape(%0) {shape = [1, 1, 16, 4, 4]} "conv" : f32[1,1,16,4,4]
          %2 = transpose(%1) {perm = [0, 1, 3, 4, 2]} "conv" : f32[1,1,4,4,16]
          %3 = constant() {value = dense<f32[1,1,1,16] 2.0 2.0 2.0 2.0 2.0 2.0 2.0 2.0 2.0 2.0 2.0 2.0 2.0 2.0 2.0 2.0>} "conv" : f32[1,1,1,16]
          %4 = constant() {value = dense<f32[16] 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0>} "conv" : f32[16]
          %5 = depthwise_blocked(%2, %3, %4) {border = 0, dilations = [1, 1], epilogue = `max(a0, 0)`, kernel = [1, 1], size = [6, 6], starts = [-1, -1], strides = [1, 1]} "conv" : f32[1,1,6,6,16]
          %6 = transpose(%5) {perm = [0, 1, 4, 2, 3]} "conv" : f32[1,1,16,6,6]
          %7 = reshape(%6) {shape = [1, 16, 6, 6]} "conv" : f32[1,16,6,6]
          output(%7) {names = ["y"]}
        }
    """

    name: ClassVar[str] = "assign-layout"
    requires: ClassVar[str] = "core"
    contract: ClassVar[str] = "reassociates"

    def run(self, graph: Graph) -> tuple[Graph, bool]:
        layout = _Layout(graph)
        layout.choose()
        if not layout.chosen:
            return graph, False
        layout.widen_borders()
        layout.rewrite()
        return graph, True


@dataclass(frozen=True, slots=True)
class _Image:
    """A blocked value and the width of its border."""

    value: Value
    border: int


class _Layout:
    """The choice for one graph, and the rewriting that follows from it."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        #: results that become blocked, in topological order
        self.chosen: dict[Value, None] = {}
        #: the border that readers of a blocked result would like it to have
        self.border: dict[Value, int] = {}
        self._images: dict[tuple[Value, int], Value] = {}
        self._made: dict[Value, _Image] = {}
        self._planar: dict[Value, Value] = {}

    # ---- choosing ---------------------------------------------------------------------------

    def choose(self) -> None:
        """Find the ops whose results become blocked."""
        for op in self.graph.ops:
            if drops_image(op, self.chosen):
                op = _keeping_dims(op)
            if len(op.results) != 1 or not is_image(op.results[0]):
                continue
            check = CHECKS.get(type(op.operator))
            if check is not None and check(op, self.chosen):
                self.chosen[op.results[0]] = None

    def widen_borders(self) -> None:
        """Find the borders: what convolutions ask for, passed on by what keeps zeros zero."""
        most = _MOST_GROWTH * max(value.type.nbytes for value in self.chosen)
        changed = True
        while changed:
            changed = False
            for value in reversed(self.chosen):
                op, wanted = value.op, self.border.get(value, 0)
                if isinstance(op.operator, Conv):
                    x, reach = op.operands[0], _reach(op)
                    if x in self.chosen and _growth(x, reach) <= most:
                        changed |= self._widen(x, reach)
                elif _keeps_zero(op):
                    full = [v for v in op.operands if v in self.chosen and v.type == value.type]
                    if isinstance(op.operator, Concat | Slice):
                        full = [v for v in op.operands if v in self.chosen]
                    wanted = max([wanted, *(self.border.get(v, 0) for v in full)])
                    changed |= self._widen(value, wanted)
                    for operand in full:
                        changed |= self._widen(operand, wanted)

    def _widen(self, value: Value | None, border: int) -> bool:
        if value not in self.chosen or self.border.get(value, 0) >= border:
            return False
        assert value is not None
        self.border[value] = border
        return True

    # ---- rewriting --------------------------------------------------------------------------

    def rewrite(self) -> None:
        """Build the blocked ops, and let the others read planar copies of their results."""
        others = [op for op in self.graph.ops if not self._is_chosen(op)]
        for value in self.chosen:
            op = value.op
            with self.graph.labelled(op.label):
                self._made[value] = _BUILDERS[type(op.operator)](self, op)
        for op in others:
            if any(v in self.chosen for v in op.operands):
                found = [self.planar(v) if v in self.chosen else v for v in op.operands]
                self.graph.set_operands(op, found)
        erase_dead(self.graph, *(value.op for value in reversed(self.chosen)))

    def _is_chosen(self, op: Op) -> bool:
        return len(op.results) == 1 and op.results[0] in self.chosen

    def wanted(self, op: Op) -> int:
        """The border to compute a result with."""
        return self.border.get(op.results[0], 0)

    def made(self, value: Value) -> _Image:
        """A value in blocked layout, as it was computed; a planar one converted."""
        if value not in self._made:
            self._made[value] = _Image(blocked_value(value), 0)
        return self._made[value]

    def image(self, value: Value, border: int) -> Value:
        """A value in blocked layout with exactly this border."""
        made = self.made(value)
        if made.border == border:
            return made.value
        if (value, border) not in self._images:
            more = border - made.border
            sides = (0, 0, abs(more), abs(more), 0)
            if more > 0:
                found = pad(made.value, sides, sides)
            else:
                sizes = [d - 2 * s for d, s in zip(made.value.shape, sides, strict=True)]
                found = slice_(made.value, sides, sizes)
            self._images[value, border] = found
        return self._images[value, border]

    def planar(self, value: Value) -> Value:
        """A blocked value in planar layout."""
        if value not in self._planar:
            with self.graph.labelled(value.op.label):
                self._planar[value] = planar_value(self.image(value, 0), value.shape)
        return self._planar[value]

    def operand(self, value: Value, like: Sequence[int]) -> Value:
        """What an element-wise op on planar images of the dims ``like`` reads besides them."""
        dims = (1,) * (4 - value.type.rank) + value.shape
        if dims[1] == 1 and like[1] != 1:
            return reshape(value, (*dims, 1))
        array = value.constant
        if array is not None:
            return constant(value, np.ascontiguousarray(to_blocked(array.reshape(dims))))
        return blocked_value(reshape(value, dims))

    # ---- ops --------------------------------------------------------------------------------

    def conv(self, op: Op) -> _Image:
        operator, (x, w, *_) = op.operator, op.operands
        assert isinstance(operator, Conv)
        assert x is not None
        assert w is not None
        assert w.constant is not None
        border = self.wanted(op)
        filters = w.shape[0]
        if x in self.chosen or operator.groups > 1:
            made = self.made(x)
            border_in, source = made.border, made.value
        else:
            border_in, source = 0, x
        epilogue, bias, extras = self._epilogue(op, filters)
        top, left = operator.fixed(operator.pads[:2])
        geometry = (
            w.shape[2:], operator.strides, operator.dilations,
            (border_in - top, border_in - left), op.types[0].dims[2:],
        )  # fmt: skip
        weights = _padded(w.constant)
        if operator.groups > 1:
            packed = np.ascontiguousarray(
                weights[:, 0].reshape(-1, BLOCK, *w.shape[2:]).transpose(0, 2, 3, 1)
            )
            kind: type[ConvBlocked | DepthwiseBlocked] = DepthwiseBlocked
        else:
            packed, kind = pack_filters(weights), ConvBlocked
        result = apply(
            kind(*geometry, border=border, epilogue=epilogue),
            source, constant(source, packed), constant(source, bias), *extras,
        )  # fmt: skip
        return _Image(result, border)

    def _epilogue(self, op: Op, filters: int) -> tuple[Expr, np.ndarray, list[Value]]:
        """The epilogue without its bias, the bias, and the other extras, blocked."""
        operator, like = op.operator, op.types[0].dims
        assert isinstance(operator, WithEpilogue)
        extras = [v for v in op.operands[operator.main_operands :] if v is not None]
        bias = np.zeros(blocks_of(filters) * BLOCK, np.float32)
        expr = operator.epilogue
        for i, extra in enumerate(extras, 1):
            array = extra.constant
            if array is None or array.size not in (1, filters) or not _per_channel(extra, like):
                continue
            without = _without_sum(expr, i)
            if without is not None:
                expr = without
                bias[:filters] = array.reshape(-1)
                break
        used = sorted({n.index for n in expr.walk() if isinstance(n, Arg) and n.index})
        place = {0: 0, **{index: i for i, index in enumerate(used, 1)}}
        expr = expr.substitute(lambda index: Arg(place[index]))
        return expr, bias, [self._extra(extras[index - 1], like) for index in used]

    def _extra(self, value: Value, like: Sequence[int]) -> Value:
        full = value in self.chosen or (value.type.dims == tuple(like) and value.constant is None)
        return self.made(value).value if full else self.operand(value, like)

    def pool(self, op: Op) -> _Image:
        operator = op.operator
        assert isinstance(operator, Pool)
        return self._pooled(op, PoolBlocked(
            operator.kind, operator.kernel, operator.strides, operator.fixed(operator.pads),
            operator.fixed(operator.overhang), operator.include_pad, epilogue=operator.epilogue, border=self.wanted(op),
        ))  # fmt: skip

    def reduce(self, op: Op) -> _Image:
        operator, x = op.operator, op.operands[0]
        assert isinstance(operator, Reduce)
        assert x is not None
        producer = self.made(x).value.op
        if operator.element != A0 and isinstance(producer.operator, WithEpilogue):
            inner, element = producer.operator.epilogue, operator.element
            fused = producer.operator.with_epilogue(element.substitute(lambda _: inner))
            self.graph.set_operator(producer, fused)
        return self._pooled(op, PoolBlocked(
            operator.function, x.shape[2:], (1, 1), (0, 0, 0, 0), (0, 0),
            epilogue=operator.epilogue, border=self.wanted(op),
        ))  # fmt: skip

    def _pooled(self, op: Op, operator: PoolBlocked) -> _Image:
        x, *extras = op.operands
        assert x is not None
        made = self.made(x)
        found = [self._extra(v, op.types[0].dims) for v in extras if v is not None]
        operator = replace(operator, inset=made.border)
        return _Image(apply(operator, made.value, *found), operator.border)

    def map(self, op: Op) -> _Image:
        operator, like = op.operator, op.types[0].dims
        assert isinstance(operator, Map)
        border = self.wanted(op) if _keeps_zero(op) else 0
        operands = []
        for value in op.operands:
            assert value is not None
            if value.type.dims == like and value.constant is None:
                operands.append(self.image(value, border))
            else:
                operands.append(
                    self.made(value).value if value in self.chosen else self.operand(value, like)
                )
        return _Image(apply(operator, *operands), border)

    def concat(self, op: Op) -> _Image:
        border = self.wanted(op)
        return _Image(
            concat([self.image(v, border) for v in op.operands if v is not None], 1), border
        )

    def slice(self, op: Op) -> _Image:
        operator, x = op.operator, op.operands[0]
        assert isinstance(operator, Slice)
        assert x is not None
        source = self.image(x, self.wanted(op))
        first, count = operator.fixed(operator.starts)[1], op.types[0].dims[1]
        n, _, *image = source.shape
        found = slice_(source, (0, first // BLOCK, 0, 0, 0), (n, count // BLOCK, *image))
        return _Image(found, self.wanted(op))

    def resample(self, op: Op) -> _Image:
        x, *tables = op.operands
        assert x is not None
        return _Image(
            apply(op.operator, self.image(x, 0), *(t for t in tables if t is not None)), 0
        )


def blocked_value(x: Value) -> Value:
    """A planar value in blocked layout."""
    n, channels, height, width = x.shape
    blocks = blocks_of(channels)
    whole = pad(x, (0, 0, 0, 0), (0, blocks * BLOCK - channels, 0, 0))
    split = reshape(whole, (n, blocks, BLOCK, height, width))
    if height * width == 1:
        return reshape(split, (n, blocks, 1, 1, BLOCK))
    return transpose(split, (0, 1, 3, 4, 2))


def planar_value(x: Value, dims: Sequence[int]) -> Value:
    """A blocked value without border in planar layout, of these dims."""
    n, blocks, height, width, block = x.shape
    moved = x if height * width == 1 else transpose(x, (0, 1, 4, 2, 3))
    whole = reshape(moved, (n, blocks * block, height, width))
    return slice_(whole, (0, 0, 0, 0), dims)


def _padded(w: np.ndarray) -> np.ndarray:
    """Filters, and as many of zeros as complete the last block."""
    more = blocks_of(len(w)) * BLOCK - len(w)
    return np.pad(w, [(0, more), *[(0, 0)] * (w.ndim - 1)])


def _reach(op: Op) -> int:
    """The border a convolution needs around the image it reads."""
    operator, (x, w, *_) = op.operator, op.operands
    assert isinstance(operator, Conv)
    assert x is not None
    assert w is not None
    begins = operator.fixed(operator.pads[:2])
    reach = max(begins)
    for axis in range(2):
        last = (op.types[0].dims[2 + axis] - 1) * operator.strides[axis] - begins[axis]
        end = last + (w.shape[2 + axis] - 1) * operator.dilations[axis] + 1
        reach = max(reach, end - x.shape[2 + axis])
    return reach


def _growth(value: Value | None, border: int) -> int:
    """Bytes that a border adds to a blocked value."""
    assert value is not None
    n, channels, height, width = value.shape
    more = (height + 2 * border) * (width + 2 * border) - height * width
    return n * blocks_of(channels) * BLOCK * more * value.type.dtype.nbytes


def _per_channel(value: Value, like: Sequence[int]) -> bool:
    dims = (1,) * (4 - value.type.rank) + value.shape
    return dims in ((1, like[1], 1, 1), (1, 1, 1, 1))


def _without_sum(expr: Expr, index: int) -> Expr | None:
    """The expression of a0 + a``index``, if that sum is all it uses of the two."""
    pairs = ((A0, Arg(index)), (Arg(index), A0))

    def visit(node: Expr) -> Expr | None:
        if isinstance(node, Call):
            if node.function == "add" and node.args in pairs:
                return A0
            args = [visit(arg) for arg in node.args]
            if None in args:
                return None
            return Call(node.function, tuple(a for a in args if a is not None))
        return None if node in (A0, Arg(index)) else node

    return visit(expr)


def _keeps_zero(op: Op) -> bool:
    """Whether a result is zero in a border where all operands that have one are."""
    if isinstance(op.operator, Concat | Slice):
        return True
    if not isinstance(op.operator, Map):
        return False
    like = op.types[0]
    values = []
    for value in op.operands:
        assert value is not None
        if value.type == like and value.constant is None:
            values.append(np.zeros(1, np.float32))
        elif value.constant is not None and value.constant.size == 1:
            values.append(value.constant.reshape(1))
        else:
            values.append(np.array([-1.5, 0, 2.5], np.float32))
    return not np.any(op.operator.expr.evaluate(values))


def _keeping_dims(op: Op) -> Op:
    """The reduction that keeps its axes, a reshape behind it in the place of ``op``."""
    operator, graph = op.operator, op.graph
    assert isinstance(operator, Reduce)
    with graph.labelled(op.label):
        kept = graph.add(replace(operator, keepdims=True), op.operands)
        graph.replace(op, [reshape(kept.result, op.types[0].dims)])
    return kept


_BUILDERS: dict[type, Callable[[_Layout, Op], _Image]] = {
    Conv: _Layout.conv, Pool: _Layout.pool, Reduce: _Layout.reduce, Map: _Layout.map,
    Concat: _Layout.concat, Resample: _Layout.resample, Slice: _Layout.slice,
}  # fmt: skip
