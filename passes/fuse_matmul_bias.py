"""A matrix product and what is added to it as one Gemm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from dlc.ir.graph import Value
from dlc.ir.types import DType, TensorType
from dlc.ops.fusion import joined_label
from dlc.ops.onnx.named import onnx_operator, perm_of, with_attributes
from dlc.ops.onnx.operator import OnnxOperator
from dlc.rewrite.driver import Rule, RulePass
from dlc.rewrite.pattern import Match, OpPattern, either, op, value


@dataclass(frozen=True, slots=True)
class FuseMatMulBias(RulePass):
    """Make MatMul and Add one Gemm, and let the Gemm transpose its operands itself.

    For products of two matrices whose bias broadcasts to the result, and for a Gemm that has no bias
    yet. A product of more axes has no Gemm: on core ops `fuse-conv-relu` makes the Add the
    epilogue of its `contract`. The sum is rounded once where a runtime keeps the product wider.

    Before:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[3,2]
          %1 = input() "w" : f32[4,2]
          %2 = onnx.Transpose(%1) {perm = [1, 0]} "t" : f32[2,4]
          %3 = onnx.MatMul(%0, %2) "matmul" : f32[3,4]
          %4 = input() "b" : f32[4]
          %5 = onnx.Add(%3, %4) "bias" : f32[3,4]
          output(%5) {names = ["y"]}
        }

    After:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[3,2]
          %1 = input() "w" : f32[4,2]
          %2 = input() "b" : f32[4]
          %3 = onnx.Gemm(%0, %1, %2) {transB = 1} "matmul+bias" : f32[3,4]
          output(%3) {names = ["y"]}
        }
    """

    name: ClassVar[str] = "fuse-matmul-bias"
    contract: ClassVar[str] = "reassociates"

    def rules(self) -> Sequence[Rule]:
        return [FuseBias(), FuseTransposedLeft(), FuseTransposedRight()]


#: ONNX has a Gemm of integers, but onnxruntime has not
_DTYPES = {DType.F32, DType.F64, DType.F16}


class FuseBias(Rule):
    """``MatMul(a, b) + c`` and ``Gemm(a, b) + c``."""

    name: ClassVar[str] = "fuse-matmul-bias"
    pattern: ClassVar[OpPattern] = op(
        "onnx.Add",
        either(
            op("onnx.MatMul", value("a"), value("b"), name="product", once=True),
            op("onnx.Gemm", value("a"), value("b"), name="product", once=True),
        ),
        value("c"), commutative=True,
    )  # fmt: skip

    def check(self, match: Match) -> str | None:
        product, bias = match.op("product"), match["c"].type
        operator, type = onnx_operator(product), product.types[0]
        rank = max(match["a"].type.rank, match["b"].type.rank)
        if rank != 2 or min(match["a"].type.rank, match["b"].type.rank) != 2:
            return f"a product of {rank} axes has no Gemm; its contract will take the epilogue"
        if onnx_operator(match.root).version < 7 or operator.version < 7:
            return "it broadcasts as before opset 7"
        if type.dtype not in _DTYPES:
            return f"runtimes have no Gemm of {type.dtype.value}"
        return None if _broadcasts(bias, type) else f"{bias} does not broadcast to {type}"

    def rewrite(self, match: Match) -> Value:
        product = match.op("product")
        before = onnx_operator(product)
        attrs = before.attrs if before.type == "Gemm" else ()
        operator = OnnxOperator("Gemm", before.version, tuple(a for a in attrs if a[0] != "beta"))
        operands = [match["a"], match["b"], match["c"]]
        label = joined_label(product, match.root)
        return match.graph.add(operator, operands, types=match.root.types, label=label).result


def _broadcasts(bias: TensorType, result: TensorType) -> bool:
    """Whether ``bias`` broadcasts to ``result`` without changing its shape."""
    pairs = zip(reversed(bias.shape), reversed(result.shape), strict=False)
    return bias.rank <= result.rank and all(dim in (1, wanted) for dim, wanted in pairs)


class _FuseTransposed(Rule):
    """Of a Gemm, for it has attributes for that."""

    side: ClassVar[int]
    attribute: ClassVar[str]

    def check(self, match: Match) -> str | None:
        return None if perm_of(match.op("transpose")) == (1, 0) else "it changes nothing"

    def rewrite(self, match: Match) -> None:
        gemm, operator = match.root, onnx_operator(match.root)
        flag = None if operator.attr(self.attribute) else 1
        operands = list(gemm.operands)
        operands[self.side] = match["x"]
        changed = with_attributes(operator, **{self.attribute: flag})
        match.graph.set_operator(gemm, changed, operands, gemm.types)


_TRANSPOSE = op("onnx.Transpose", value("x"), name="transpose")


class FuseTransposedLeft(_FuseTransposed):
    """``Gemm(Transpose(x), b)``."""

    name: ClassVar[str] = "fuse-transposed-left"
    side: ClassVar[int] = 0
    attribute: ClassVar[str] = "transA"
    pattern: ClassVar[OpPattern] = op("onnx.Gemm", _TRANSPOSE, ...)


class FuseTransposedRight(_FuseTransposed):
    """``Gemm(a, Transpose(x))``."""

    name: ClassVar[str] = "fuse-transposed-right"
    side: ClassVar[int] = 1
    attribute: ClassVar[str] = "transB"
    pattern: ClassVar[OpPattern] = op("onnx.Gemm", value("a"), _TRANSPOSE, ...)
