"""Python's garbage collector, paused while graphs are built and rewritten."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def collector_paused() -> Iterator[None]:
    """No collection inside (also a decorator).

    Each collection walks every op of a large graph again, a quarter of the time on 20 000 ops, to
    find next to nothing: ops leave by reference count or with their graph.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
