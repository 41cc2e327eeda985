"""Tables of operators, derived from the registries, ``onnx.defs`` and a run of onnx's own tests."""

from __future__ import annotations

import inspect
import json
from collections.abc import Container
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from onnx import defs

from dlc.ir.operator import registered_operators
from dlc.ops.core.operator import CoreOperator
from dlc.ops.onnx.expansion import find_expansion
from dlc.ops.onnx.function_body import has_function_body
from dlc.ops.onnx.operator import OnnxOperator

EXPANSION, BODY, IMPORTER, MISSING = "expansion", "function body", "importer", "-"


@dataclass(frozen=True, slots=True)
class OnnxRow:
    """An ONNX operator and how it reaches the core."""

    domain: str
    name: str
    versions: tuple[int, ...]
    """The operator sets at which it was introduced or changed."""
    how: str
    """EXPANSION, BODY (the function body onnx gives), IMPORTER (gone once read), or MISSING."""
    dtypes: tuple[str, ...]
    """Types of first operands with which one of onnx's own tests passes; it need not test all."""

    @property
    def label(self) -> str:
        return f"{self.domain}.{self.name}" if self.domain else self.name


def core_table() -> list[tuple[str, str]]:
    """Name and first documentation line of every core operator."""
    import dlc.ops.core  # noqa: F401  # registers them

    return [
        (name, (inspect.getdoc(cls) or "").splitlines()[0])
        for name, cls in registered_operators().items()
        if issubclass(cls, CoreOperator)
    ]


def onnx_table(taken_apart: Container[str] = ()) -> list[OnnxRow]:
    """Every operator of every ONNX domain that is not deprecated, by domain and name.

    ``taken_apart`` are the default domain's operators that the importer leaves nothing of.
    """
    versions: dict[tuple[str, str], list[int]] = {}
    for schema in defs.get_all_schemas_with_history():
        versions.setdefault((schema.domain, schema.name), []).append(schema.since_version)
    newest = {domain: max(v for (d, _), vs in versions.items() if d == domain for v in vs)
              for domain, _ in versions}  # fmt: skip
    tested = _tested()
    rows = []
    for schema in defs.get_all_schemas():
        if schema.deprecated:
            continue
        domain, name = schema.domain, schema.name
        how = _how(OnnxOperator(name, newest[domain], domain=domain))
        if how == MISSING and not domain and name in taken_apart:
            how = IMPORTER
        row = OnnxRow(domain, name, tuple(sorted(versions[domain, name])), how, ())
        dtypes = tested.get(row.label, {}).get("dtypes", ())
        rows.append(OnnxRow(domain, name, row.versions, how, tuple(dtypes)))
    return sorted(rows, key=lambda row: (row.domain, row.name))


def _how(operator: OnnxOperator) -> str:
    if operator.type == "Constant":
        return IMPORTER
    if find_expansion(operator):
        return EXPANSION
    return BODY if has_function_body(operator) else MISSING


def _tested() -> dict[str, Any]:
    """What the run of onnx's tests that docs/coverage.md reports found, by operator."""
    path = files("dlc.ops") / "support.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}
