"""What the backend's tests share: planning, building under strict flags, comparing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlc.backends.c99 import Module, build, emit
from dlc.backends.c99.toolchain import STRICT_FLAGS
from dlc.ir.graph import Graph
from dlc.plan import plan_offsets

STRICT = (*STRICT_FLAGS, "-O1")
EXACT = (*STRICT, "-ffp-contract=off")


def emitted(graph: Graph, folder: Path, **options: Any) -> Path:
    """The folder of a graph of core ops, planned here."""
    plan_offsets(graph)
    return emit(graph, folder, **options)


def compiled(graph: Graph, folder: Path, flags: Sequence[str] = STRICT, compiler: Any = None,
             **options: Any) -> Module:  # fmt: skip
    """A loaded module, built without a warning."""
    return build(emitted(graph, folder, **options), flags=flags, compiler=compiler)


def same(got: Any, expected: Any) -> bool:
    """Equal in dtype, shape and every element; NaN equals NaN, and 0 equals -0."""
    got, expected = np.asarray(got), np.asarray(expected)
    return (
        got.dtype == expected.dtype
        and got.shape == expected.shape
        and np.array_equal(got, expected, equal_nan=expected.dtype.kind == "f")
    )
