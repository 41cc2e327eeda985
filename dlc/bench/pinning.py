"""Keeping a measurement on cores of its own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from dlc.errors import DlcError


def usable_cores() -> list[int]:
    """Numbers of the cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


@contextlib.contextmanager
def pinned(threads: int) -> Iterator[None]:
    """Keep this thread, and those it starts, on ``threads`` cores.

    They are the last ones, as interrupts favour the first. Where the system cannot (macOS, Windows)
    nothing is pinned. DlcError for more threads than cores.
    """
    cores = usable_cores()
    if threads > len(cores):
        raise DlcError(
            f"{threads} threads need as many cores, and this process may use {len(cores)}"
        )
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    os.sched_setaffinity(0, cores[-threads:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
