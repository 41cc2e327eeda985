"""Code of third parties: entry points of installed packages, and files given to ``--load``."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from dlc.errors import DlcError, PluginError


def entry_points(group: str, name: str | None = None) -> Iterator[tuple[str, Any]]:
    """Name and object of each entry point of a group, imported; PluginError where one does not."""
    for entry in metadata.entry_points(group=group):
        if name not in (None, entry.name):
            continue
        try:
            found = entry.load()
        except Exception as error:
            raise PluginError(
                f"plugin {entry.name!r} ({entry.value}) does not import: {_reason(error)}; mend or "
                f"uninstall the package it comes from"
            ) from error
        yield entry.name, found


def load_module(path: str | Path) -> str:
    """Run a Python file once, as a module of the name returned; PluginError when it fails."""
    path = Path(path).resolve()
    name = "dlc_loaded_" + hashlib.sha256(str(path).encode()).hexdigest()[:12]
    if name in sys.modules:
        return name
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise PluginError(f"{path} is no Python file (.py) that can be read")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their own module up
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, DlcError) or not isinstance(error, Exception | SystemExit):
            raise
        raise PluginError(f"{path}{_line(error, path)} fails to load: {_reason(error)}") from error
    return name


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _line(error: BaseException, path: Path) -> str:
    """``, line N``: the innermost line of the file itself that the error passed through."""
    number = error.lineno if isinstance(error, SyntaxError) else None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            number = trace.tb_lineno
        trace = trace.tb_next
    return "" if number is None else f", line {number},"
