"""conv, conv_transpose, pool, contract, reduce, arg_reduce: emission against evaluate, and rules."""

from __future__ import annotations

from typing import Any

import emission_machine
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dlc.errors import UnsupportedError, VerifyError
from dlc.ir.expr import parse_expr
from dlc.ir.types import DType, Symbol, TensorType
from dlc.ops.core.arg_reduce import ArgReduce
from dlc.ops.core.contract import Contract
from dlc.ops.core.conv import Conv
from dlc.ops.core.conv_transpose import ConvTranspose
from dlc.ops.core.epilogue import WithEpilogue
from dlc.ops.core.operator import CoreOperator
from dlc.ops.core.pool import Pool
from dlc.ops.core.reduce import Reduce
from dlc.ops.tiling import blocks

EXAMPLES = settings(max_examples=40)
RNG = np.random.default_rng(3)


def normal(shape: Any, dtype: Any = np.float32) -> np.ndarray:
    return (RNG.standard_normal(shape) * 4).astype(dtype)


def f32(*shape: Any) -> TensorType:
    return TensorType(DType.F32, shape)


def agree(operator: CoreOperator, *arrays: np.ndarray) -> np.ndarray:
    """evaluate has the inferred type, and the emission computes the same."""
    (result,) = operator.evaluate(arrays)
    (type,) = operator.infer([TensorType(DType.of(a), a.shape) for a in arrays])
    assert TensorType(DType.of(result), result.shape) == type
    np.testing.assert_allclose(emission_machine.run(operator, arrays), result, rtol=1e-4, atol=1e-4)
    return result


def fused(data: st.DataObject, operator: WithEpilogue, *main: np.ndarray) -> None:
    """Check the operator with a drawn epilogue over extras that broadcast to its result."""
    (result,) = operator.infer([TensorType(DType.of(a), a.shape) for a in main])
    extras = []
    for _ in range(data.draw(st.integers(0, 2))):
        keep = data.draw(st.lists(st.booleans(), min_size=result.rank, max_size=result.rank))
        shape = [dim if kept else 1 for dim, kept in zip(result.dims, keep, strict=True)]
        extras.append(normal(shape[data.draw(st.integers(0, result.rank)) :], result.dtype.numpy))
    text = ["max(a0, 0)", "max(a0 * a1, 0)", "a0 * a1 + a2"][len(extras)]
    agree(operator.with_epilogue(parse_expr(text)), *main, *extras)


@st.composite
def geometry(draw: Any) -> Any:
    rank = draw(st.integers(1, 3))
    most = {1: 9, 2: 6, 3: 3}[rank]

    def sizes(low: int, high: int, count: int = rank) -> tuple[int, ...]:
        return tuple(draw(st.lists(st.integers(low, high), min_size=count, max_size=count)))

    return (sizes(1, most), draw(st.sampled_from([(1,) * rank, sizes(1, 3)])), sizes(1, 3),
            draw(st.sampled_from([(0,) * 2 * rank, sizes(0, 3, 2 * rank)])), sizes(1, 2))  # fmt: skip


def fits(image: Any, kernel: Any, pads: Any, dilations: Any) -> bool:
    rank = len(image)
    return all((k - 1) * d < i + pads[a] + pads[rank + a]
               for a, (i, k, d) in enumerate(zip(image, kernel, dilations, strict=True)))  # fmt: skip


@EXAMPLES
@given(st.data(), geometry(), st.sampled_from([np.float32, np.float32, np.float64, np.int32]))
def test_conv(data: st.DataObject, shape: Any, dtype: Any) -> None:
    image, kernel, strides, pads, dilations = shape
    assume(fits(image, kernel, pads, dilations))
    groups, depth, filters = (data.draw(st.integers(1, n)) for n in (3, 2, 5))
    x = normal((data.draw(st.integers(0, 2)), groups * depth, *image), dtype)
    w = normal((groups * filters, depth, *kernel), dtype)
    operator = Conv(strides, pads if dtype is np.float32 else (0,) * len(pads), dilations, groups)
    assume(fits(image, kernel, operator.pads, dilations))
    fused(data, operator, x, w)


@EXAMPLES
@given(st.data(), geometry())
def test_conv_transpose(data: st.DataObject, shape: Any) -> None:
    image, kernel, strides, pads, dilations = shape
    groups, depth, filters = (data.draw(st.integers(1, n)) for n in (3, 2, 5))
    rank = len(image)
    ends = tuple(p - data.draw(st.integers(0, 2)) for p in pads[rank:])
    each = zip(image, kernel, strides, dilations, pads, ends, strict=False)
    assume(all((i - 1) * s + (k - 1) * d + 1 > begin + end for i, k, s, d, begin, end in each))
    x = normal((data.draw(st.integers(1, 2)), groups * depth, *image))
    w = normal((groups * depth, filters, *kernel))
    fused(data, ConvTranspose(strides, (*pads[:rank], *ends), dilations, groups), x, w)


@EXAMPLES
@given(st.data(), geometry(), st.sampled_from(["max", "avg"]), st.booleans())
def test_pool(data: st.DataObject, shape: Any, kind: str, include: bool) -> None:
    image, kernel, strides, pads, dilations = shape
    overhang = tuple(data.draw(st.integers(0, 2)) for _ in image)
    assume(fits(image, kernel, pads, dilations))
    x = normal((data.draw(st.integers(0, 2)), data.draw(st.integers(1, 3)), *image))
    fused(data, Pool(kind, kernel, strides, pads, dilations, overhang, include), x)


@pytest.mark.parametrize("kind", ["max", "avg"])
def test_pool_of_f64_is_a_nest(kind: str) -> None:
    operator = Pool(kind, (3, 2), (2, 1), (0,) * 4, (1, 2), (0, 0))
    agree(
        operator.with_epilogue(parse_expr("a0 * a1")),
        normal((1, 2, 7, 5), np.float64),
        normal((2, 1, 1), np.float64),
    )


@EXAMPLES
@given(st.data(), st.sampled_from([np.float32, np.float32, np.int64]), st.booleans(), st.booleans())
def test_contract(data: st.DataObject, dtype: Any, left: bool, right: bool) -> None:
    rows, cols, depth = (data.draw(st.integers(0 if i == 2 else 1, 6)) for i in range(3))
    full = data.draw(st.lists(st.integers(1, 3), max_size=2))

    def batch() -> list[int]:
        dims = [data.draw(st.sampled_from([1, dim])) for dim in full]
        return dims[data.draw(st.integers(0, len(dims))) :]

    lhs, rhs = (depth, rows) if left else (rows, depth), (cols, depth) if right else (depth, cols)
    fused(
        data,
        Contract(left, right),
        normal((*batch(), *lhs), dtype),
        normal((*batch(), *rhs), dtype),
    )


@EXAMPLES
@given(st.data(), st.sampled_from(["add", "mul", "max", "min"]), st.booleans(),
       st.sampled_from([np.float32, np.int32]))  # fmt: skip
def test_reduce(data: st.DataObject, function: str, keepdims: bool, dtype: Any) -> None:
    shape = data.draw(st.lists(st.integers(0, 4), max_size=4))
    axes = tuple(i for i in range(len(shape)) if data.draw(st.booleans()))
    x = normal(shape, dtype)
    y = normal([data.draw(st.sampled_from([1, dim])) for dim in shape], dtype)
    if data.draw(st.booleans()):
        fused(data, Reduce(function, axes, keepdims), x)
    else:
        fused(data, Reduce(function, axes, keepdims, parse_expr("a0 - a1"), 2), x, y)


@pytest.mark.parametrize(
    "function, expected", [("add", 0), ("mul", 1), ("max", -np.inf), ("min", np.inf)]
)
def test_reducing_nothing_gives_the_identity(function: str, expected: float) -> None:
    (result,) = Reduce(function, (1,), False).evaluate([np.zeros((2, 0), np.float32)])
    np.testing.assert_array_equal(result, np.full(2, expected, np.float32))


@pytest.mark.parametrize("function", ["add", "mul", "max", "min"])
def test_nan_propagates_through_reductions(function: str) -> None:
    x = np.array([1, np.nan, 2], np.float32)
    assert np.isnan(Reduce(function, (0,)).evaluate([x])[0]).all()


@EXAMPLES
@given(st.data(), st.sampled_from(["max", "min"]), st.booleans())
def test_arg_reduce(data: st.DataObject, kind: str, last: bool) -> None:
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    axis = data.draw(st.integers(0, len(shape) - 1))
    x = RNG.integers(-2, 2, shape).astype(np.float32)
    operator = ArgReduce(kind, axis, last)
    (found,) = operator.evaluate([x])
    lines = np.flip(x, axis) if last else x
    expected = (np.argmax if kind == "max" else np.argmin)(lines, axis=axis, keepdims=True)
    np.testing.assert_array_equal(found, shape[axis] - 1 - expected if last else expected)
    np.testing.assert_array_equal(emission_machine.run(operator, [x]), found)


def test_a_nan_is_the_extreme_only_where_it_comes_first() -> None:
    x = np.array([[np.nan, 3, 5], [1, np.nan, 0]], np.float32)
    np.testing.assert_array_equal(ArgReduce("max", 1).evaluate([x])[0], [[0], [0]])


@given(st.integers(0, 40), st.integers(0, 3000), st.integers(1, 8))
def test_blocks_cover_every_plane(rows: int, cols: int, row_step: int) -> None:
    covered = 0
    for block in blocks((2, 3), rows, cols, row_step=row_step):
        assert block.rows * block.cols <= 1024
        covered += int(np.prod(block.outer)) * block.rows * block.cols
    assert covered == 6 * rows * cols


def test_conv_of_f32_uses_the_cheapest_kernel() -> None:
    def kernels(operator: CoreOperator, *types: TensorType) -> set[str]:
        return {part.kernel for part in operator.emission(types, operator.infer(types)).parts}

    plain, pointwise = Conv((1, 1), (1,) * 4, (1, 1)), Conv((1, 1), (0,) * 4, (1, 1))
    assert kernels(plain, f32(1, 8, 9, 9), f32(6, 8, 3, 3)) == {"dlc_conv_tile_f32"}
    assert kernels(pointwise, f32(1, 8, 9, 9), f32(6, 8, 1, 1)) == {"dlc_gemm_tile_f32"}
    (tile,) = pointwise.emission([f32(1, 8, 9, 9), f32(4, 8, 1, 1)], [f32(1, 4, 9, 9)]).parts
    assert (tile.outer, tile.rows, tile.cols) == ((), 4, 81)  # the pixels are one axis


def test_a_symbolic_batch_is_inferred() -> None:
    batch = Symbol("N", 8)
    x, w = f32(batch, 3, 8, 8), f32(4, 3, 3, 3)
    assert Conv((1, 1), (0,) * 4, (1, 1)).infer([x, w]) == (f32(batch, 4, 6, 6),)
    assert Pool("max", (2, 2), (2, 2), (0,) * 4, (1, 1), (0, 0)).infer([x]) == (
        f32(batch, 3, 4, 4),
    )
    assert Contract().infer([f32(batch, 3), f32(3, 4)]) == (f32(batch, 4),)
    assert Reduce("add", (1,)).infer([f32(batch, 3)]) == (f32(batch, 1),)


def test_the_epilogue_sets_the_dtype() -> None:
    operator = Contract(epilogue=parse_expr("f64(a0) + a1"))
    assert operator.infer([f32(2, 3), f32(3, 4), TensorType(DType.F64, (4,))])[0] == TensorType(
        DType.F64, (2, 4)
    )


def test_cost_counts_multiply_accumulates() -> None:
    conv = Conv((1, 1), (1,) * 4, (1, 1), 2)
    types = [f32(1, 4, 5, 5), f32(6, 2, 3, 3)]
    assert conv.cost(types, conv.infer(types)).macs == 6 * 25 * 2 * 9
    types = [f32(7, 2, 3), f32(3, 4)]
    assert Contract().cost(types, Contract().infer(types)).macs == 7 * 2 * 3 * 4


CONV = Conv((1,), (0, 0), (1,))
POOL = Pool("max", (2,), (1,), (0, 0), (1,), (0,))


@pytest.mark.parametrize("operator, operands, constraint", [
    (CONV, [f32(1, 2, 5)], "E1"),
    (CONV, [f32(1, 2, 5), f32(3, 2, 2), f32(1, 3, 5)], "broadcast"),
    (CONV, [f32(1, 2, 5), f32(3, 2, 2), f32(2, 3, 4)], "E2"),
    (CONV.with_epilogue(parse_expr("a0 + a1")), [f32(1, 2, 5), f32(3, 2, 2)], "E3"),
    (CONV, [f32(1, 2), f32(3, 2)], "C1"),
    (CONV, [f32(1, 2, 5), TensorType(DType.F64, (3, 2, 2))], "C1"),
    (CONV, [f32(1, 2, 5, 5), f32(3, 2, 2, 2)], "C2"),
    (Conv((1,), (0, -1), (1,)), [f32(1, 2, 5), f32(3, 2, 2)], "C2"),
    (CONV, [f32(1, 4, 5), f32(3, 2, 2)], "C3"),
    (CONV, [f32(1, 2, 5), f32(3, 2, 6)], "C4"),
    (ConvTranspose((1,), (0, 0), (0,)), [f32(1, 2, 5), f32(2, 2, 2)], "C2"),
    (ConvTranspose((1,), (0, 0), (1,)), [f32(1, 2, 5), f32(3, 2, 2)], "C3"),
    (ConvTranspose((1,), (3, 3), (1,)), [f32(1, 2, 5), f32(2, 2, 2)], "C4"),
    (Pool("avg", (2,), (1,), (0, 0), (1,), (0,)), [TensorType(DType.I32, (1, 2, 5))], "C1"),
    (Pool("sum", (2,), (1,), (0, 0), (1,), (0,)), [f32(1, 2, 5)], "C1"),
    (Pool("max", (2,), (0,), (0, 0), (1,), (0,)), [f32(1, 2, 5)], "C2"),
    (POOL, [f32(1, 2, 1)], "C3"),
    (Contract(), [f32(3), f32(3, 4)], "C1"),
    (Contract(), [f32(2, 3), f32(4, 5)], "C2"),
    (Contract(), [f32(2, 2, 3), f32(3, 3, 5)], "broadcast"),
    (Reduce("sub", (0,)), [f32(2)], "C1"),
    (Reduce("add", (0,)), [TensorType(DType.BOOL, (2,))], "C1"),
    (Reduce("add", (0,), True, parse_expr("a0 * a1")), [f32(2)], "C2"),
    (Reduce("add", (1,)), [f32(2)], "C3"),
    (ArgReduce("max", 0), [TensorType(DType.BOOL, (2,))], "C1"),
    (ArgReduce("mean", 0), [f32(2)], "C2"),
    (ArgReduce("max", 0), [f32(0, 3)], "C3"),
])  # fmt: skip
def test_broken_constraints_are_cited(operator: Any, operands: Any, constraint: str) -> None:
    with pytest.raises(VerifyError, match=constraint):
        operator.infer(operands)


@pytest.mark.parametrize("operator, operands", [
    (Conv((1,), (1, 1), (1,)), [(1, 2, 5), (3, 2, 2)]),
    (ConvTranspose((1,), (0, 0), (1,)), [(1, 2, 5), (2, 2, 2)]),
    (Pool("avg", (2,), (1,), (1, 1), (1,), (0,)), [(1, 2, 5)]),
])  # fmt: skip
def test_forms_without_a_kernel_say_so(operator: Any, operands: Any) -> None:
    types = [TensorType(DType.F64, shape) for shape in operands]
    with pytest.raises(UnsupportedError, match="f64"):
        operator.emission(types, operator.infer(types))
