"""Backends by name: what has ``emit(graph, out_dir, *, name, weights, memory)``.

``c99`` is built in; others come from the entry point group ``dlc.backends`` (a module, say) or are
functions decorated with ``backend`` in a file given to ``--load``.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module, metadata
from types import SimpleNamespace
from typing import Any, TypeVar

from dlc.errors import DlcError, UnsupportedError
from dlc.ir.plugins import entry_points

GROUP = "dlc.backends"
_BUILT_IN = {"c99": "dlc.backends.c99"}
_DECLARED: dict[str, Any] = {}
Emit = TypeVar("Emit", bound=Callable[..., Any])


def backend(name: str) -> Callable[[Emit], Emit]:
    """Make a function the ``emit`` of a backend called ``name``.

    It takes a planned graph and the folder to write, and by keyword the ``name`` of the model,
    ``weights`` and ``memory`` as ``dlc compile`` has them; it returns the folder's path. What a
    graph's steps are ``dlc.plan.program_of`` tells. DlcError when there is such a backend already.
    """

    def declare(function: Emit) -> Emit:
        if name in _BUILT_IN or name in _DECLARED:
            raise DlcError(f"there is a backend {name!r} already")
        _DECLARED[name] = SimpleNamespace(emit=function)
        return function

    return declare


def backend_names() -> list[str]:
    """The names ``find_backend`` knows, sorted."""
    return sorted(
        _BUILT_IN | _DECLARED | {point.name: "" for point in metadata.entry_points(group=GROUP)}
    )


def find_backend(name: str) -> Any:
    """The backend of this name; UnsupportedError lists the names when there is none."""
    if name in _BUILT_IN:
        return import_module(_BUILT_IN[name])
    if name in _DECLARED:
        return _DECLARED[name]
    for _, found in entry_points(GROUP, name):
        return found
    raise UnsupportedError(f"no backend {name!r}; there are {', '.join(backend_names())}")
