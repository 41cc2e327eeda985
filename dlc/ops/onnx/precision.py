"""Expansions that sum: 16-bit floats are computed in f32 and rounded once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import wraps

from dlc.ir.graph import Value
from dlc.ir.types import DType
from dlc.ops.build import cast
from dlc.ops.onnx.expansion import Call, Expansion

_HALVES = (DType.F16, DType.BF16)


def in_f32(expand: Expansion) -> Expansion:
    """The expansion with halves cast to f32 before, and its results cast to their types after."""

    @wraps(expand)
    def wrapped(call: Call, *operands: Value | None) -> Sequence[Value]:
        wide = [cast(v, DType.F32) if v and v.type.dtype in _HALVES else v for v in operands]
        results = expand(call, *wide)
        results = [results] if isinstance(results, Value) else results
        return [cast(v, call.dtype_of(k)) for k, v in enumerate(results)]

    return wrapped
