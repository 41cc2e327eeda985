"""The program level: a scheduled core graph whose values are placed in buffers.

Nothing is stored twice: the schedule and the placements are annotations on the graph (``liveness``
and ``plan-arena`` write them, textual IR prints them), ``program_of`` reads them into this form for
the backend and the checks; what each step does is the op's own ``emission``.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from dlc.ir.graph import Graph, Op
from dlc.ops.emission import Emission


class Space(enum.Enum):
    """Where a buffer lives."""

    ARENA = "arena"
    INPUT = "input"  # the caller's, read only; number ``index`` of the graph's inputs
    OUTPUT = "output"  # the caller's; number ``index`` of the graph's outputs
    CONSTANT = "constant"  # weights, read only; number ``index`` of the program's constants


@dataclass(frozen=True, slots=True)
class Buffer:
    """Memory of its own. Values placed in one buffer share it; buffers never share content."""

    id: int
    space: Space
    index: int
    size: int
    """Bytes."""
    first: int
    """Step that first writes it (-1: before the run)."""
    last: int
    """Step that last reads or writes it (number of steps: read by the caller afterwards)."""
    offset: int | None = None
    """Byte offset in the arena (ARENA only; None before plan-arena)."""


@dataclass(frozen=True, slots=True)
class Placement:
    """A value's (or scratch's) place: byte ``offset`` in buffer number ``buffer``."""

    buffer: int
    offset: int


@dataclass(frozen=True, slots=True)
class Step:
    """One op at its time."""

    index: int
    op: Op
    emission: Emission
    operands: tuple[Placement, ...]
    results: tuple[Placement, ...]
    scratch: Placement | None
    elided: frozenset[int]
    """Numbers of the emission's parts that are copies between one and the same address."""
    frees: tuple[int, ...]
    """Arena buffers that are dead after this step."""


@dataclass(frozen=True, slots=True)
class FinalCopy:
    """An output whose value does not live in the caller's buffer: copied there at the end."""

    source: Placement
    output: int
    size: int


@dataclass(frozen=True, slots=True)
class Program:
    """Everything the backend prints and the checks check."""

    graph: Graph
    constants: tuple[Op, ...]
    buffers: tuple[Buffer, ...]
    steps: tuple[Step, ...]
    copies: tuple[FinalCopy, ...]
    arena_bytes: int
    lower_bound: int
    """Peak of the bytes of live arena buffers over all steps: no plan for them can be smaller."""
    peak_step: int
    peak_bytes_with_io: int
    """The same peak when the caller's input and output buffers are counted too."""
