"""What a pass is: a frozen dataclass with a name, options as fields, and ``run``."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from dlc.errors import DlcError
from dlc.ir.graph import Graph
from dlc.ir.operator import Array


class Pass:
    """Base of all passes.

    A subclass is a frozen dataclass. ``name`` (kebab-case) is how pipelines call it, its docstring
    is its documentation page, its fields are its options. Subclassing registers it.
    """

    name: ClassVar[str] = ""
    #: the level the pass needs the graph at: "any", "core" (no named ONNX ops left), "planned"; or
    #: any other word, a fact that some pass before it in the pipeline must ensure
    requires: ClassVar[str] = "any"
    #: the level the graph is at afterwards, when the pass raises it; or the fact it establishes
    ensures: ClassVar[str] = "any"
    #: whether the pass manager runs the pass on the bodies of ``if`` and ``loop`` as well
    into_regions: ClassVar[bool] = True
    #: what the pass keeps of the results: "exact" (every bit), "reassociates" (sums in another order,
    #: functions rounded otherwise: last digits differ) or "approximate" (an error it documents)
    contract: ClassVar[str] = "exact"
    #: reassociates: units in the last place of a result's largest magnitude that its elements may be
    #: off by; approximate: the largest ``error`` the pass promises
    tolerance: ClassVar[float] = 1024.0

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        name = cls.__dict__.get("name", "")
        if not name:
            return
        known = _REGISTRY.get(name)
        # dataclass(slots=True) makes the class twice: same module and name is no duplicate
        if known is not None and (known.__module__, known.__qualname__) != (
            cls.__module__, cls.__qualname__,
        ):  # fmt: skip
            raise DlcError(f"pass {name!r} is defined in {known.__module__} and {cls.__module__}")
        _REGISTRY[name] = cls

    def run(self, graph: Graph) -> tuple[Graph, bool]:
        """Rewrite the graph (in place, or into a new one); say whether anything changed."""
        raise NotImplementedError(f"pass {self.name} has no run")

    def error(self, got: Array, expected: Array) -> float:
        """How far a result of an approximate pass is off: the relative error in the 2-norm, unless a
        pass states another measure. ``tolerance`` bounds it.
        """
        wanted = np.asarray(expected, np.float64)
        off = float(np.linalg.norm(np.asarray(got, np.float64) - wanted))
        return off / (float(np.linalg.norm(wanted)) or 1.0)


_REGISTRY: dict[str, type[Pass]] = {}


def registered_passes() -> dict[str, type[Pass]]:
    """Passes by name, as far as their modules have been imported."""
    return dict(sorted(_REGISTRY.items()))
