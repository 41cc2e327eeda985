"""Expansions of the window functions and MelWeightMatrix."""

from __future__ import annotations

import math

import numpy as np

from dlc.ir.graph import Value
from dlc.ir.types import DType
from dlc.ops.build import cast, constant, iota, map_, reshape, slice_
from dlc.ops.onnx.expansion import Call, expansion

#: factors of cos(0), cos(t) and cos(2 t), as onnx has them
_WINDOWS = {
    "HannWindow": (0.5, -0.5, 0.0),
    "HammingWindow": (25 / 46, -21 / 46, 0.0),
    "BlackmanWindow": (0.42, -0.5, 0.08),
}


@expansion(*_WINDOWS)
def window(call: Call, size: Value) -> Value:
    """``t`` is ``2 pi n / size``; of a symmetric window ``2 pi n / (size - 1)``."""
    sizes = call.sizes(0, 0, [call.op.types[0].dims[0] if call.op.types else call.bound()])
    assert sizes is not None
    steps = map_("f64(a0)", iota(call.graph, sizes[0]))
    last = "f64(a1)" if call.attr("periodic") else "f64(a1 - 1)"
    turn = f"a0 * {2 * math.pi!r} / {last}"
    mean, once, twice = _WINDOWS[call.operator.type]
    text = f"{mean!r} + {once!r} * cos({turn})" + (
        f" + {twice!r} * cos(2.0 * ({turn}))" if twice else ""
    )
    return cast(map_(text, steps, reshape(size, ())), call.dtype)


@expansion("MelWeightMatrix")
def mel_weight_matrix(call: Call, *operands: Value) -> Value:
    """Triangles over the bins of a spectrum, between points that are equally far apart in mel."""
    (bins, count), where = call.stated(), operands[0]
    call.sizes(0, count, count)
    call.sizes(1, max(2 * bins - 2, 0), 2 * bins - 1)
    length, rate, low, high = (cast(reshape(v, ()), DType.F64) for v in operands[1:])
    decade = math.log(10)
    to_mel = f"{2595 / decade!r} * log1p({{}} / 700.0)"
    mels = f"{to_mel.format('a1')} + a0 * ({to_mel.format('a2')} - {to_mel.format('a1')}) / {count + 2.0}"
    hertz = f"700.0 * (exp(({mels}) * {decade / 2595!r}) - 1.0)"
    steps = constant(where, np.arange(count + 2), DType.F64)
    points = map_(f"floor((a3 + 1.0) * ({hertz}) / a4)", steps, low, high, length, rate)
    left, centre, right = (slice_(points, [k], [count]) for k in range(3))
    rising = "select(eq(a1, a2), select(eq(a0, a2), 1.0, 0.0), (a0 - a1) / (a2 - a1))"
    falling = "select(lt(a0, a3), (a3 - a0) / (a3 - a2), 0.0)"
    inside = f"select(lt(a0, a1), f64(0.0), select(le(a0, a2), {rising}, {falling}))"
    rows = constant(where, np.arange(bins).reshape(-1, 1), DType.F64)
    return cast(map_(inside, rows, left, centre, right), call.dtype)
