"""Expansions of the window functions and MelWeightMatrix."""

from __future__ import annotations

import math

from dlc.ir.graph import Value
from dlc.ir.types import DType
from dlc.ops.build import cast, iota, map_, reshape, sizes, slice_
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.symbols import settled

#: factors of cos(0), cos(t) and cos(2 t), as onnx has them
_WINDOWS = {
    "HannWindow": (0.5, -0.5, 0.0),
    "HammingWindow": (25 / 46, -21 / 46, 0.0),
    "BlackmanWindow": (0.42, -0.5, 0.08),
}


@expansion(*_WINDOWS)
def window(call: Call, size: Value) -> Value:
    """``t`` is ``2 pi n / size``; of a symmetric window ``2 pi n / (size - 1)``."""
    asked = call.sizes(0, 0, [call.op.types[0].dims[0] if call.op.types else call.bound()])
    assert asked is not None
    steps = map_("f64(a0)", iota(call.graph, asked[0]))
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
    (low_bins, low_count), (most_bins, most_count) = call.intervals(2, [0, 1])
    points_asked = call.sizes(0, low_count, most_count)
    length_asked = call.sizes(1, max(2 * low_bins - 2, 0), max(2 * most_bins - 1, 0))
    assert points_asked is not None
    assert length_asked is not None
    (count,), bins, where = points_asked, length_asked[0] // 2 + 1, operands[0]
    asked = any(call.known(k) is None for k in (0, 1))
    if asked and not (isinstance(bins, int) and isinstance(count, int)):
        bins, count = settled(call.graph, "mel", [bins, count], call.most())
    length, rate, low, high = (cast(reshape(v, ()), DType.F64) for v in operands[1:])
    decade = math.log(10)
    to_mel = f"{2595 / decade!r} * log1p({{}} / 700.0)"
    mels = f"{to_mel.format('a1')} + a0 * ({to_mel.format('a2')} - {to_mel.format('a1')}) / a5"
    hertz = f"700.0 * (exp(({mels}) * {decade / 2595!r}) - 1.0)"
    steps = cast(iota(where, count + 2), DType.F64)
    spans = cast(sizes(where, count + 2), DType.F64)
    points = map_(f"floor((a3 + 1.0) * ({hertz}) / a4)", steps, low, high, length, rate, spans)
    left, centre, right = (slice_(points, [k], [count]) for k in range(3))
    rising = "select(eq(a1, a2), select(eq(a0, a2), 1.0, 0.0), (a0 - a1) / (a2 - a1))"
    falling = "select(lt(a0, a3), (a3 - a0) / (a3 - a2), 0.0)"
    inside = f"select(lt(a0, a1), f64(0.0), select(le(a0, a2), {rising}, {falling}))"
    rows = cast(reshape(iota(where, bins), [bins, 1]), DType.F64)
    return cast(map_(inside, rows, left, centre, right), call.dtype)
