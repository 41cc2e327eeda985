"""Channels that are zero, or that a mask rules out, taken out of convs and of what reads them."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from dlc.errors import InputError
from dlc.ir.graph import Graph, Op, Value
from dlc.ir.operator import Array
from dlc.ops.onnx.channels import Channels, Kept, conv_operands, kept_by, picked
from dlc.ops.onnx.named import onnx_operator
from dlc.ops.onnx.operator import is_onnx
from dlc.rewrite.base import Pass
from dlc.rewrite.driver import erase_dead, refuse


@dataclass(frozen=True, slots=True)
class PruneChannels(Pass):
    """Remove the output channels of Convs that are zero, and the weights that multiply them.

    A channel goes when no element of its weights and bias exceeds `threshold`, or when `masks` says
    so: an `.npz` with an array for each Conv to prune, named as its node, nonzero for the channels
    to keep. The channel is taken for zero from there on, through activations, pools, depthwise Convs,
    Flatten and products with constants or with each other, to the Convs and Gemms that would multiply
    it by weights. All readers must be such: a Conv whose result is added to something else, or whose
    zeros become something else (Sigmoid, a bias), stays whole. Run `fold-bn` first.

    Exact when the channels are zero (`threshold=0`, no masks); otherwise the error is that of
    setting those weights to zero.

    Before:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[1,1,2,2]
          %1 = constant() {value = dense<f32[2,1,1,1] 3.0 0.0>} "w" : f32[2,1,1,1]
          %2 = onnx.Conv(%0, %1) "conv" : f32[1,2,2,2]
          %3 = onnx.Relu(%2) "relu" : f32[1,2,2,2]
          %4 = constant() {value = dense<f32[1,2,1,1] 5.0 7.0>} "v" : f32[1,2,1,1]
          %5 = onnx.Conv(%3, %4) "next" : f32[1,1,2,2]
          output(%5) {names = ["y"]}
        }

    After:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[1,1,2,2]
          %1 = constant() {value = dense<f32[1,1,1,1] 3.0>} "w" : f32[1,1,1,1]
          %2 = onnx.Conv(%0, %1) "conv" : f32[1,1,2,2]
          %3 = onnx.Relu(%2) "relu" : f32[1,1,2,2]
          %4 = constant() {value = dense<f32[1,1,1,1] 5.0>} "v" : f32[1,1,1,1]
          %5 = onnx.Conv(%3, %4) "next" : f32[1,1,2,2]
          output(%5) {names = ["y"]}
        }
    """

    name: ClassVar[str] = "prune-channels"
    contract: ClassVar[str] = "approximate"
    tolerance: ClassVar[float] = 1.0
    masks: str = ""
    threshold: float = 0.0

    def run(self, graph: Graph) -> tuple[Graph, bool]:
        masks = _read_masks(self.masks, graph) if self.masks else {}
        ops, changed = graph.ops, False
        positions = {op: position for position, op in enumerate(ops)}
        for op in ops:
            if not is_onnx(op, "Conv"):
                continue
            keep = self._keep(op, masks.get(op.label))
            if isinstance(keep, str):
                refuse(self.name, op, keep)
                continue
            cut = _Cutter(ops, positions)
            reason = cut.conv(op, keep)
            if reason is None:
                cut.apply(graph)
                changed = True
            else:
                refuse(self.name, op, reason)
        return graph, changed

    def _keep(self, conv: Op, mask: Array | None) -> Array | str:
        """Which channels stay, or why they all do."""
        _, w, b = conv_operands(conv)
        weights = None if w is None else w.constant
        if weights is None or (b is not None and b.constant is None):
            return "its weights or bias are not constant"
        if onnx_operator(conv).attr("group") != 1:
            return "it has groups"
        least = np.abs(weights.reshape(len(weights), -1)).max(axis=1, initial=0)
        if b is not None and b.constant is not None:
            least = np.maximum(least, np.abs(b.constant))
        keep = ~(least <= self.threshold)  # NaN stays
        if mask is not None:
            if mask.shape != keep.shape:
                raise InputError(
                    f"prune-channels: the mask of {conv.label!r} has shape {list(mask.shape)}, "
                    f"its channels are {len(keep)}"
                )
            keep &= mask != 0
        if not keep.any():
            keep[:1] = True  # a tensor without channels is no tensor
        return "none of its channels is to go" if keep.all() else keep


def _read_masks(path: str, graph: Graph) -> Mapping[str, Array]:
    try:
        with np.load(Path(path), allow_pickle=False) as archive:
            masks = dict(archive.items())
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"prune-channels: {path} is no .npz file of masks ({error})") from None
    known = {op.label for op in graph.ops if is_onnx(op, "Conv")}
    for name in masks:
        if name not in known:
            raise InputError(
                f"prune-channels: {path} has a mask for {name!r}, which is no Conv of the model"
            )
    return masks


@dataclass(slots=True)
class _Cutter:
    """Follows the channels of one conv to all that reads them."""

    ops: list[Op]
    positions: Mapping[Op, int]
    channels: dict[Value, Channels] = field(default_factory=dict)
    edits: dict[Op, Kept] = field(default_factory=dict)

    def conv(self, conv: Op, keep: Array) -> str | None:
        """Plan to remove channels; the reason if that cannot be done."""
        x, w, b = conv_operands(conv)
        parameters = [picked(v, keep, 0) for v in (w, b)[: len(conv.operands) - 1]]
        # in the order of the graph, so that all operands of an op are known when it is looked at
        queue = self.note(conv, Kept(conv.operator, [x, *parameters], Channels(keep)))
        heapq.heapify(queue)
        while queue:
            op = self.ops[heapq.heappop(queue)]
            if op in self.edits:
                continue
            found = kept_by(op, self.channels)
            if isinstance(found, str):
                return f"{op.operator.label}{f' {op.label!r}' if op.label else ''} {found}"
            for position in self.note(op, found):
                heapq.heappush(queue, position)
        return None

    def note(self, op: Op, edit: Kept) -> list[int]:
        """Remember what becomes of an op; where those are that read a result without channels."""
        self.edits[op] = edit
        if edit.result is None:
            return []
        self.channels[op.result] = edit.result
        return [self.positions[use.op] for use in op.result.uses]

    def apply(self, graph: Graph) -> None:
        """Carry the plan out."""
        for op, edit in self.edits.items():
            read = [value.op for value in op.operands if value is not None]
            operands = [
                graph.add_constant(new, old.op.label if old is not None else op.label)
                if isinstance(new, np.ndarray)
                else new
                for new, old in zip(edit.operands, op.operands, strict=True)
            ]
            types = op.types if edit.result is None else [edit.result.type(op.types[0])]
            graph.set_operator(op, edit.operator, operands, types)
            erase_dead(graph, *read)
