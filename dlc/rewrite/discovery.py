"""Finding passes: modules of ``dlc.passes``, the entry-point group ``dlc.passes``, user files."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import pkgutil
import sys
from importlib import metadata
from pathlib import Path

from dlc.errors import DlcError, PassError
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
    for entry in metadata.entry_points(group=GROUP):
        if entry.value.partition(":")[0] in sys.modules:
            continue
        try:
            entry.load()
        except Exception as error:
            raise PassError(
                f"plugin {entry.name!r} ({entry.value}) does not import: "
                f"{type(error).__name__}: {error}"
            ) from error
    return registered_passes()


def load_file(path: str | Path) -> tuple[str, ...]:
    """Run a Python file that defines passes; returns the names of the passes it added.

    Raises PassError when the file cannot be read or fails.
    """
    path = Path(path).resolve()
    name = "dlc_loaded_" + hashlib.sha256(str(path).encode()).hexdigest()[:12]
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None or not path.is_file():
            raise PassError(f"{path} is no Python file (.py) that can be read")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses look their own module up
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            del sys.modules[name]
            if isinstance(error, DlcError):
                raise
            raise PassError(f"{path} fails to load: {type(error).__name__}: {error}") from error
    return tuple(key for key, cls in registered_passes().items() if cls.__module__ == name)
