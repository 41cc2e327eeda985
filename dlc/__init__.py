"""dlc: trained neural networks (ONNX) to plain C99 with a static arena, through rewritable graphs.

The public names below are loaded on first use, so that ``import dlc`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlc.api import CheckReport, check, compile, load, save
    from dlc.backends import backend
    from dlc.errors import DlcError
    from dlc.ir.graph import Graph
    from dlc.ir.sizes import AtMost
    from dlc.ops.emission import kernel_path
    from dlc.ops.onnx.custom import onnx_operator
    from dlc.passmanager import PassManager
    from dlc.rewrite import Pass, Rule, RulePass, graph_pass, rule_pass

__version__ = "0.1.0"

_PUBLIC = {
    "AtMost": "dlc.ir.sizes",
    "CheckReport": "dlc.api",
    "backend": "dlc.backends",
    "check": "dlc.api",
    "compile": "dlc.api",
    "load": "dlc.api",
    "save": "dlc.api",
    "DlcError": "dlc.errors",
    "Graph": "dlc.ir.graph",
    "Pass": "dlc.rewrite",
    "PassManager": "dlc.passmanager",
    "Rule": "dlc.rewrite",
    "RulePass": "dlc.rewrite",
    "graph_pass": "dlc.rewrite",
    "kernel_path": "dlc.ops.emission",
    "onnx_operator": "dlc.ops.onnx.custom",
    "rule_pass": "dlc.rewrite",
}
_MODULES = ("onnx_backend", "testing")

__all__ = [
    "AtMost",
    "CheckReport",
    "DlcError",
    "Graph",
    "Pass",
    "PassManager",
    "Rule",
    "RulePass",
    "backend",
    "check",
    "compile",
    "graph_pass",
    "kernel_path",
    "load",
    "onnx_operator",
    "rule_pass",
    "save",
]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"dlc.{name}")
    raise AttributeError(f"module 'dlc' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC, *_MODULES})
