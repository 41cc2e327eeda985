"""Types and meaning of the ONNX operators that hold graphs: If, Loop and Scan (version 9 on).

Operands are those of the ONNX operator followed by the captured values (``operator.captures`` of
them); body inputs are those of the ONNX body followed by the captures, in the same order.
Constraints, cited by errors:

C1: a body's inputs have the types of the operands that feed them.
C2: a loop-carried value leaves the body with the type it came in with.
C3: the branches of an If agree in the dtype and rank of each result.
C4: a condition is one bool, the most turns of a Loop one i64.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dlc.errors import UnsupportedError, VerifyError
from dlc.ir.evaluate import evaluate_graph
from dlc.ir.graph import Graph, Value
from dlc.ir.operator import Array, Arrays, Types
from dlc.ir.types import Dim, DType, Symbol, TensorType
from dlc.ops.core.loop import run_loop, stack_rows
from dlc.ops.onnx.inference import UnknownSizeError

if TYPE_CHECKING:
    from dlc.ops.onnx.operator import OnnxOperator

CONTROL = frozenset({"If", "Loop", "Scan"})


def infer_control(
    operator: OnnxOperator, operands: Types, constants: Arrays
) -> tuple[TensorType, ...]:
    """Result types of an If, Loop or Scan from the result types of its bodies."""
    if operator.type == "If":
        return _infer_if(operator, operands, constants)
    if operator.type == "Loop":
        return _infer_loop(operator, operands, constants)
    return _infer_scan(operator, operands)


def evaluate_control(operator: OnnxOperator, operands: Arrays) -> tuple[Array, ...]:
    """Run an If, Loop or Scan by running its bodies."""
    if operator.type == "If":
        return _evaluate_if(operator, operands)
    if operator.type == "Loop":
        return _evaluate_loop(operator, operands)
    return _evaluate_scan(operator, operands)


def _require_inputs(operator: OnnxOperator, body: Graph, fed: Sequence[TensorType | None]) -> None:
    inputs = [value.type for value in body.inputs]
    operator.require(
        inputs == list(fed), "C1", f"body {body.name!r} takes {_list(inputs)}, not {_list(fed)}"
    )


def _body(operator: OnnxOperator, name: str = "body") -> Graph:
    body = operator.attr(name)
    if not isinstance(body, Graph):
        raise VerifyError(f"{operator.label}: it has no graph {name!r}")
    return body


def _require_scalar(operator: OnnxOperator, type: TensorType | None, dtype: DType) -> None:
    fits = type is None or (type.dtype is dtype and type.bounds in ((), (1,)))
    operator.require(fits, "C4", f"{type} where {dtype.value}[] is needed")


def _list(types: Sequence[TensorType | None]) -> str:
    return f"({', '.join(map(str, types))})"


# ---- If -----------------------------------------------------------------------------------


def _infer_if(operator: OnnxOperator, operands: Types, constants: Arrays) -> tuple[TensorType, ...]:
    branches = [_body(operator, "then_branch"), _body(operator, "else_branch")]
    for branch in branches:
        _require_inputs(operator, branch, operands[1:])
    operator.require(bool(operands) and operands[0] is not None, "C4", "it needs a condition")
    _require_scalar(operator, operands[0], DType.BOOL)
    condition = constants[0]
    if condition is not None:
        chosen = branches[0 if condition.reshape(-1)[0] else 1]
        return tuple(value.type for value in chosen.outputs)
    then, other = ([value.type for value in branch.outputs] for branch in branches)
    operator.require(
        len(then) == len(other), "C3", "the branches differ in their number of results"
    )
    return tuple(_join(operator, k, a, b) for k, (a, b) in enumerate(zip(then, other, strict=True)))


def _join(operator: OnnxOperator, k: int, a: TensorType, b: TensorType) -> TensorType:
    operator.require(a.dtype is b.dtype, "C3", f"result {k} is {a} in one branch, {b} in the other")
    if a.rank != b.rank:
        raise UnsupportedError(
            f"{operator.label}: result {k} is {a} in one branch and {b} in the other; only the sizes "
            f"may differ (C3)"
        )
    shape = (
        m if m == n else Symbol(f"If_{k}_{axis}", max(_bound(m), _bound(n)))
        for axis, (m, n) in enumerate(zip(a.shape, b.shape, strict=True))
    )
    return TensorType(a.dtype, tuple(shape))


def _bound(dim: Dim) -> int:
    return dim if isinstance(dim, int) else dim.bound


def _evaluate_if(operator: OnnxOperator, operands: Arrays) -> tuple[Array, ...]:
    condition = _present(operands)[0].reshape(-1)[0]
    branch = _body(operator, "then_branch" if condition else "else_branch")
    return tuple(evaluate_graph(branch, _present(operands[1:])))


def _present(operands: Arrays) -> list[Array]:
    return [array for array in operands if array is not None]


# ---- Loop ---------------------------------------------------------------------------------


def _infer_loop(
    operator: OnnxOperator, operands: Types, constants: Arrays
) -> tuple[TensorType, ...]:
    body = _body(operator)
    carried = len(operands) - 2 - operator.captures
    operator.require(
        carried >= 0, "C4", "it needs its most turns and a condition, or their absence"
    )
    _require_scalar(operator, operands[0], DType.I64)
    _require_scalar(operator, operands[1], DType.BOOL)
    scalars = [TensorType(DType.I64, ()), TensorType(DType.BOOL, ())]
    if any(map(_changes, [value.type for value in body.inputs[2:]], operands[2:])):
        raise UnknownSizeError(f"{operator.label}: it carries sizes that change from turn to turn")
    _require_inputs(operator, body, [*scalars, *operands[2:]])
    operator.require(len(body.outputs) > carried, "C2", "its body has too few results")
    condition, *results = [value.type for value in body.outputs]
    _require_scalar(operator, condition, DType.BOOL)
    states = results[:carried]
    _require_carried(operator, operands[2 : 2 + carried], states)
    if len(results) == carried:
        return tuple(states)
    trips = _trips(operator, body, operands, constants)
    stacked = [type.with_shape((trips, *type.shape)) for type in results[carried:]]
    return (*states, *stacked)


def _changes(inside: TensorType, first: TensorType | None) -> bool:
    """Whether a body takes a state of a size of its own, known only at run time."""
    return (
        first is not None
        and inside.rank == first.rank
        and any(
            a != b and isinstance(a, Symbol) for a, b in zip(inside.shape, first.shape, strict=True)
        )
    )


def _require_carried(operator: OnnxOperator, before: Types, after: Sequence[TensorType]) -> None:
    if list(before) != list(after):
        raise UnsupportedError(
            f"{operator.label}: values carried around the loop change from {_list(before)} to "
            f"{_list(after)}; their types must stay the same (C2)"
        )


def _trips(operator: OnnxOperator, body: Graph, operands: Types, constants: Arrays) -> Dim:
    limit = constants[0]
    if limit is None:
        raise UnknownSizeError(f"{operator.label}: the number of its turns is not known")
    most = max(int(limit.reshape(-1)[0]), 0)
    first = constants[1]
    starts = operands[1] is None or (first is not None and bool(first.reshape(-1)[0]))
    if starts and always_true(body.outputs[0], body.inputs[1]):
        return most
    return Symbol("turns", most)


def always_true(value: Value, condition: Value) -> bool:
    """Whether a body's condition stays true once it is: a constant, or the one that came in."""
    while value.op.operator.label == "onnx.Identity":
        (operand,) = value.op.operands
        assert operand is not None
        value = operand
    return value is condition or bool(value.constant is not None and value.constant.all())


def _evaluate_loop(operator: OnnxOperator, operands: Arrays) -> tuple[Array, ...]:
    limit, condition, *rest = operands
    split = len(rest) - operator.captures
    going = condition is None or bool(condition.reshape(-1)[0])
    most = None if limit is None else int(limit.reshape(-1)[0])
    states, captures = _present(rest[:split]), _present(rest[split:])
    return tuple(run_loop(_body(operator), most, going, states, captures))


# ---- Scan ---------------------------------------------------------------------------------


def _scan_axes(operator: OnnxOperator, name: str, count: int) -> tuple[int, ...]:
    """One entry for each scanned value: its axis or direction (0 when the model says nothing)."""
    return tuple(operator.attr(name) or (0,) * count)


def _infer_scan(operator: OnnxOperator, operands: Types) -> tuple[TensorType, ...]:
    body = _body(operator)
    scans = operator.attr("num_scan_inputs")
    states = len(operands) - scans - operator.captures
    operator.require(scans > 0 and states >= 0, "C1", "it has nothing to scan")
    axes = _scan_axes(operator, "scan_input_axes", scans)
    slices, lengths = [], []
    for type, axis in zip(operands[states : states + scans], axes, strict=True):
        assert type is not None
        operator.require(-type.rank <= axis < type.rank, "C1", f"{type} has no axis {axis}")
        axis %= type.rank
        lengths.append(type.shape[axis])
        slices.append(type.with_shape((*type.shape[:axis], *type.shape[axis + 1 :])))
    operator.require(len(set(lengths)) == 1, "C1", "the scanned operands differ in length")
    _require_inputs(operator, body, [*operands[:states], *slices, *operands[states + scans :]])
    results = [value.type for value in body.outputs]
    operator.require(len(results) >= states, "C2", "its body has too few results")
    _require_carried(operator, operands[:states], results[:states])
    stacked = []
    outputs = results[states:]
    for type, axis in zip(
        outputs, _scan_axes(operator, "scan_output_axes", len(outputs)), strict=True
    ):
        operator.require(-type.rank <= axis + (axis < 0) <= type.rank, "C1", f"no axis {axis}")
        axis %= type.rank + 1
        stacked.append(type.with_shape((*type.shape[:axis], lengths[0], *type.shape[axis:])))
    return (*results[:states], *stacked)


def _evaluate_scan(operator: OnnxOperator, operands: Arrays) -> tuple[Array, ...]:
    body = _body(operator)
    arrays = _present(operands)
    scans = operator.attr("num_scan_inputs")
    count = len(arrays) - scans - operator.captures
    states, scanned, captures = (
        arrays[:count],
        arrays[count : count + scans],
        arrays[count + scans :],
    )
    axes = _scan_axes(operator, "scan_input_axes", scans)
    backward = _scan_axes(operator, "scan_input_directions", scans)
    slices = [
        np.flip(np.moveaxis(a, axis, 0), 0) if back else np.moveaxis(a, axis, 0)
        for a, axis, back in zip(scanned, axes, backward, strict=True)
    ]
    rows = []
    for turn in range(len(slices[0])):
        results = evaluate_graph(body, [*states, *(s[turn] for s in slices), *captures])
        states = results[:count]
        rows.append(results[count:])
    outputs = body.outputs[count:]
    axes = _scan_axes(operator, "scan_output_axes", len(outputs))
    backward = _scan_axes(operator, "scan_output_directions", len(outputs))
    collected = []
    for k, value in enumerate(outputs):
        stack = stack_rows([row[k] for row in rows], value.type)
        collected.append(np.moveaxis(np.flip(stack, 0) if backward[k] else stack, 0, axes[k]))
    return (*states, *collected)
