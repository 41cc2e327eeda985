"""Tables of operators, derived from the registries and ``onnx.defs``."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

from onnx import defs

from dlc.ir.operator import registered_operators
from dlc.ops.core.operator import CoreOperator
from dlc.ops.onnx.expansion import find_expansion
from dlc.ops.onnx.function_body import has_function_body
from dlc.ops.onnx.ml_encoding import REFUSED
from dlc.ops.onnx.ml_scores import ML
from dlc.ops.onnx.operator import OnnxOperator


@dataclass(frozen=True, slots=True)
class OnnxRow:
    """An ONNX operator and how it reaches the core: ``e`` (expansion), ``b`` (function body), or ``-``."""

    name: str
    how: str


def core_table() -> list[tuple[str, str]]:
    """Name and first documentation line of every core operator."""
    import dlc.ops.core  # noqa: F401  # registers them

    return [
        (name, (inspect.getdoc(cls) or "").splitlines()[0])
        for name, cls in registered_operators().items()
        if issubclass(cls, CoreOperator)
    ]


def onnx_table() -> list[OnnxRow]:
    """Every operator of the default ONNX domain and of ``ai.onnx.ml`` at the newest version."""
    rows = []
    for schema in defs.get_all_schemas():
        if schema.domain not in ("", ML):
            continue
        version = schema.since_version if schema.domain else defs.onnx_opset_version()
        operator = OnnxOperator(schema.name, version, domain=schema.domain)
        how = "e" if find_expansion(operator) else "b" if has_function_body(operator) else "-"
        name = operator.label if schema.domain else schema.name
        rows.append(OnnxRow(name, "-" if schema.name in REFUSED else how))
    return sorted(rows, key=lambda row: row.name)
