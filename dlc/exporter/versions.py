"""Settling on one operator set version for a graph whose ops were made for several."""

from __future__ import annotations

from collections.abc import Iterator

from dlc.errors import UnsupportedError
from dlc.ir.graph import Graph, Op
from dlc.ops.core.operator import CoreOperator
from dlc.ops.onnx.control import CONTROL
from dlc.ops.onnx.expand import expand_op
from dlc.ops.onnx.operator import OnnxOperator, schema_of

#: the function bodies of core ops are valid from this version on (AveragePool learnt dilations)
_CORE_VERSION = 19
#: operators that a newer version gave another meaning under the same attributes and inputs
_REDEFINED = frozenset({
    "Softmax", "LogSoftmax", "Hardmax", "BatchNormalization", "Dropout", "Split",
    "GroupNormalization", "Scan",
})  # fmt: skip


def settle(graph: Graph) -> tuple[Graph, dict[str, int]]:
    """The graph (a copy, where ops had to be expanded) and the versions all its ops fit."""
    opsets = _newest(graph)
    if not any(_stale(op, opsets) for op in _all_ops(graph)):
        return graph, opsets
    graph = graph.copy()
    opsets[""] = max(opsets[""], _CORE_VERSION)
    for op in list(_all_ops(graph)):
        if _stale(op, opsets):
            expand_op(op)
    return graph, opsets


def _all_ops(graph: Graph) -> Iterator[Op]:
    for op in graph.ops:
        yield op
        for region in op.operator.regions():
            yield from _all_ops(region)


def _newest(graph: Graph) -> dict[str, int]:
    opsets = {"": 1} | graph.opsets
    for op in _all_ops(graph):
        operator = op.operator
        if isinstance(operator, OnnxOperator):
            opsets[operator.domain] = max(opsets.get(operator.domain, 1), operator.version)
        elif isinstance(operator, CoreOperator):
            opsets[""] = max(opsets[""], _CORE_VERSION)
    if opsets[""] == 1:  # nothing says
        opsets[""] = _CORE_VERSION
    return opsets


def _stale(op: Op, opsets: dict[str, int]) -> bool:
    """Whether the op would mean something else at the version of the model."""
    operator = op.operator
    if not isinstance(operator, OnnxOperator) or operator.domain:
        return False
    return not means_the_same(operator, opsets[""])


def means_the_same(operator: OnnxOperator, version: int) -> bool:
    """Whether an operator of the default domain can be written, as it is, for another version."""
    if operator.version == version:
        return True
    old = operator.schema
    try:
        new = schema_of(operator.type, version)
    except UnsupportedError:
        return False
    if old.since_version == new.since_version:
        return True
    if operator.type in CONTROL - _REDEFINED:
        return True
    names = [parameter.name for parameter in old.inputs]
    return not (
        new.deprecated
        or operator.type in _REDEFINED
        or names != [parameter.name for parameter in new.inputs][: len(names)]
        or any(
            name not in new.attributes
            or attribute.default_value != new.attributes[name].default_value
            for name, attribute in old.attributes.items()
        )
    )
