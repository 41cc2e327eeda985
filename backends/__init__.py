"""Backends by name: modules with ``emit(graph, out_dir, ...)``.

``c99`` is built in; others come from the entry point group ``dlc.backends``.
"""

from __future__ import annotations

from importlib import import_module, metadata
from typing import Any

from dlc.errors import UnsupportedError
from dlc.ir.plugins import entry_points

GROUP = "dlc.backends"
_BUILT_IN = {"c99": "dlc.backends.c99"}


def backend_names() -> list[str]:
    """The names ``find_backend`` knows, sorted."""
    return sorted(_BUILT_IN | {point.name: "" for point in metadata.entry_points(group=GROUP)})


def find_backend(name: str) -> Any:
    """The backend of this name; UnsupportedError lists the names when there is none."""
    if name in _BUILT_IN:
        return import_module(_BUILT_IN[name])
    for _, backend in entry_points(GROUP, name):
        return backend
    raise UnsupportedError(f"no backend {name!r}; there are {', '.join(backend_names())}")
