"""The C99 backend: a planned graph to a folder of C, and such a folder to a callable Module."""

from __future__ import annotations

from dlc.backends.c99.emit import emit
from dlc.backends.c99.module import Module, build

__all__ = ["Module", "build", "emit"]
