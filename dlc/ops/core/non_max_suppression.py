"""``non_max_suppression``: of overlapping boxes the one with the best score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from dlc.ir.operator import Array, Arrays, Types
from dlc.ir.sizes import Symbol
from dlc.ir.types import DType, TensorType
from dlc.ops.core.operator import Condition, CoreOperator, OnnxBody
from dlc.ops.emission import Access, Count, Emission, Kernel, Operand, Result, Scratch
from dlc.ops.nest import same_shape


@dataclass(frozen=True, slots=True)
class NonMaxSuppression(CoreOperator):
    """Rows (batch, class, box) of the boxes selected, i64[count,3], best scores of a class first.

    Operands: boxes f32[batches,boxes,4], scores f32[batches,classes,boxes], and scalars: how many to
    select for each class (i64), the greatest intersection over union of two selected boxes (f32) and
    the score that all are above (f32). At most ``room`` are selected for a class. As in the ONNX
    specification of NonMaxSuppression; ``centred`` is its center_point_box.

    C1: the operands have these dtypes and ranks.
    C2: ``count`` reaches from 0 to batches * classes * room, or beyond.
    C3: boxes and scores are of as many batches and boxes.
    """

    name: ClassVar[str] = "non_max_suppression"
    count: Symbol
    room: int
    centred: bool = False

    @property
    def defined(self) -> tuple[Symbol, ...]:
        return (self.count,)

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        boxes, scores, *scalars = (t for t in operands if t is not None)
        dtypes = [t.dtype for t in (boxes, scores, *scalars)]
        fits = dtypes == [DType.F32, DType.F32, DType.I64, DType.F32, DType.F32]
        fits = fits and all(t.shape == () for t in scalars) and boxes.rank == scores.rank == 3
        self.require(fits, "C1", f"{boxes} and {scores} are no boxes and their scores")
        self.require_sizes([boxes, scores])
        most = scores.bounds[0] * scores.bounds[1] * self.room
        fits = self.count.low <= 0 and self.count.bound >= most
        self.require(fits, "C2", f"{self.count} does not reach from 0 to {most}")
        return (TensorType(DType.I64, (self.count, 3)),)

    def conditions(self, operands: Sequence[TensorType]) -> Iterator[Condition]:
        boxes, scores, *_ = operands
        same = same_shape(boxes.shape, (scores.shape[0], scores.shape[2], 4))
        yield same, "C3", f"{boxes} are not the boxes of {scores}"

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        from dlc.ops.onnx.operator import OnnxOperator  # its reference, run on demand

        attrs = (("center_point_box", int(self.centred)),)
        boxes, scores, most, *thresholds = operands
        assert most is not None
        limit = most.clip(None, self.room).reshape(1)
        rest = [None if t is None else t.reshape(1) for t in thresholds]
        return OnnxOperator("NonMaxSuppression", 11, attrs).evaluate([boxes, scores, limit, *rest])

    def emission(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Emission:
        batches, classes, boxes = operands[1].shape
        buffers = (Access(Result()), Access(Scratch()), Count(self.count))
        reads = (Access(Operand(i)) for i in range(5))
        sizes = (batches, classes, boxes, self.room, int(self.centred))
        kernel = Kernel("dlc_non_max_suppression_f32", (*buffers, *reads, *sizes))
        return Emission((*self.checks(operands), kernel), 8 * operands[1].bounds[2])

    def to_onnx(self, body: OnnxBody, operands: Sequence[str], operand_types: Types,
                result_types: Sequence[TensorType]) -> Sequence[str]:  # fmt: skip
        return [body.node("NonMaxSuppression", operands, center_point_box=int(self.centred))]
