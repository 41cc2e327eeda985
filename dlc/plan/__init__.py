"""Memory planning: schedule, sharing, lifetimes, offsets, and the checks of a plan.

``plan_lifetimes`` and ``plan_offsets`` annotate a graph (the passes ``liveness`` and
``plan-arena``), ``program_of`` reads the annotations, ``verify_plan`` checks an emitted folder.
"""

from __future__ import annotations

from dlc.plan.annotations import is_planned, program_of
from dlc.plan.planning import plan_lifetimes, plan_offsets
from dlc.plan.program import Buffer, FinalCopy, Placement, Program, Space, Step

__all__ = [
    "Buffer", "FinalCopy", "Placement", "Program", "Space", "Step", "is_planned",
    "plan_lifetimes", "plan_offsets", "program_of",
]  # fmt: skip
