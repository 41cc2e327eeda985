"""Structural comparison of graphs: same ops, operands, types, labels and annotations, in order."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from dlc.ir.graph import Graph, Op, Value


def difference(one: Graph, other: Graph) -> str | None:
    """The first difference between two graphs in words, None when they are equal.

    Ids do not count, nor whether a sequence is a list or a tuple; NaN equals NaN, 0.0 does not
    equal -0.0, 1 does not equal 1.0.
    """
    if (one.name, one.opsets) != (other.name, other.opsets):
        return f"{one.name!r} with opsets {one.opsets} is not {other.name!r} with {other.opsets}"
    if not _same(one.annotations, other.annotations):
        return f"annotations {one.annotations} are not {other.annotations}"
    if len(one) != len(other):
        return f"{len(one)} ops are not {len(other)}"
    twins: dict[Value | None, Value | None] = {None: None}
    for mine, theirs in zip(one.ops, other.ops, strict=True):
        what = _op_difference(mine, theirs, twins, one, other)
        if what is not None:
            return f"{mine!r} and {theirs!r} differ in {what}"
        twins.update(zip(mine.results, theirs.results, strict=True))
    return None


def _op_difference(mine: Op, theirs: Op, twins: Mapping[Value | None, Value | None],
                   one: Graph, other: Graph) -> str | None:  # fmt: skip
    a, b = mine.operator, theirs.operator
    if type(a) is not type(b) or a.label_in(one.opsets) != b.label_in(other.opsets):
        return "operator"
    if not _same(a.attributes(), b.attributes()):
        return f"attributes: {a} and {b}"
    if [twins[value] for value in mine.operands] != list(theirs.operands):
        return "operands"
    if mine.types != theirs.types:
        return f"types: {mine.types} and {theirs.types}"
    if mine.label != theirs.label:
        return "label"
    if not _same(mine.annotations, theirs.annotations):
        return f"annotations: {mine.annotations} and {theirs.annotations}"
    return None


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Graph) and isinstance(b, Graph):
        return difference(a, b) is None
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_same(value, b[key]) for key, value in a.items())
    if isinstance(a, tuple | list) and isinstance(b, tuple | list):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return math.copysign(1, a) == math.copysign(1, b) and (a == b or (a != a and b != b))
    return type(a) is type(b) and bool(a == b)
