"""Expansions of matrix products."""

from __future__ import annotations

from dlc.ir.graph import Value
from dlc.ops import build
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.onnx.precision import in_f32


@expansion("MatMul")
@in_f32
def matmul(call: Call, a: Value, b: Value) -> Value:
    """A vector on the left is a row, on the right a column, whose axis the result drops."""
    row, column = a.type.rank == 1, b.type.rank == 1
    a = build.reshape(a, (1, *a.type.shape)) if row else a
    b = build.reshape(b, (*b.type.shape, 1)) if column else b
    product = build.contract(a, b)
    if not (row or column):
        return product
    *batch, rows, cols = product.type.shape
    return build.reshape(product, [*batch, *([] if row else [rows]), *([] if column else [cols])])


@expansion("Gemm")
@in_f32
def gemm(call: Call, a: Value, b: Value, c: Value | None = None) -> Value:
    """A transposed B becomes a transpose of its own: constant folding stores weights as [K, N]."""
    alpha, beta = call.attr("alpha"), call.attr("beta")
    if not a.type.dtype.is_float and (alpha, beta) != (1.0, 1.0):
        raise call.unsupported(f"alpha {alpha} and beta {beta} of an integer product")
    epilogue = "a0" if alpha == 1.0 else f"{alpha} * a0"
    extras = [] if c is None or beta == 0.0 else [c]
    if extras:
        epilogue += " + a1" if beta == 1.0 else f" + {beta} * a1"
    b = build.transpose(b, (1, 0)) if call.attr("transB") else b
    return build.contract(a, b, *extras, transpose_lhs=bool(call.attr("transA")), epilogue=epilogue)
