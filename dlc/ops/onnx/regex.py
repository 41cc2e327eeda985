"""Expansion of RegexFullMatch: its pattern becomes a table when compiling."""

from __future__ import annotations

from dlc.ir.graph import Value
from dlc.ops.automata import compiled
from dlc.ops.build import apply, constant
from dlc.ops.core.regex_match import RegexMatch
from dlc.ops.onnx.expansion import Call, expansion


@expansion("RegexFullMatch")
def regex_full_match(call: Call, x: Value) -> Value:
    pattern = call.attr("pattern", "")
    table = compiled(pattern)
    parts = (constant(x, part) for part in (table.kind, table.next, table.accepts))
    return apply(RegexMatch(pattern), x, *parts)
