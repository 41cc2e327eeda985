"""Finding passes: modules of ``dlc.passes``, the entry-point group ``dlc.passes``, user files."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import pkgutil
from pathlib import Path

from dlc.errors import PassError
from dlc.ir.plugins import entry_points, load_module
from dlc.rewrite.base import Pass, registered_passes

PACKAGE = "dlc.passes"
GROUP = "dlc.passes"


def find_pass(name: str) -> type[Pass]:
    """The pass called ``name``; PassError with the nearest names when there is none."""
    found = registered_passes().get(name)
    if found is not None:
        return found
    module = f"{PACKAGE}.{name.replace('-', '_')}"
    # one import, not all of them, when the pass lives where the convention says
    if name.replace("-", "").isalnum() and importlib.util.find_spec(module) is not None:
        importlib.import_module(module)
    found = registered_passes().get(name) or known_passes().get(name)
    if found is None:
        near = difflib.get_close_matches(name, registered_passes(), n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "`dlc passes` lists them all"
        raise PassError(f"there is no pass {name!r}; {hint}")
    return found


def known_passes() -> dict[str, type[Pass]]:
    """Every pass that is installed or was loaded, by name."""
    package = importlib.import_module(PACKAGE)
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{PACKAGE}.{module.name}")
    for _ in entry_points(GROUP):
        pass  # importing registers
    return registered_passes()


def load_file(path: str | Path) -> tuple[str, ...]:
    """Run a Python file that defines passes; returns the names of the passes it added.

    Raises PluginError when the file cannot be read or fails.
    """
    name = load_module(path)
    return tuple(key for key, cls in registered_passes().items() if cls.__module__ == name)
