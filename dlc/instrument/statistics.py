"""What a graph costs, measured before and after each pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from dlc.errors import DlcError
from dlc.ir.graph import Graph, Op, Value
from dlc.ir.operator import Constant, Input, Output
from dlc.ops.onnx.expand import expand_op
from dlc.ops.onnx.operator import OnnxOperator
from dlc.passmanager import Instrument, PassRecord
from dlc.rewrite.base import Pass


@dataclass(frozen=True, slots=True)
class Measure:
    """The cost of a graph. Regions count once, however often they run."""

    ops: Mapping[str, int]
    """How many ops of each kind compute something."""
    macs: int
    """Multiply-accumulates. Named ops count as their expansion does, those without one as 0."""
    weight_bytes: int
    peak_bytes: int
    """Peak of the bytes of values live at once, the caller's included, weights not: that of the plan,
    once there is one; before, every value has memory of its own and ops run in the printed order."""

    @property
    def count(self) -> int:
        """How many ops there are."""
        return sum(self.ops.values())

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "ops": dict(sorted(self.ops.items())), "count": self.count}


def measure(graph: Graph) -> Measure:
    """What a graph costs, at any level."""
    kinds: Counter[str] = Counter()
    weights = 0
    for op in _all_ops(graph):
        if isinstance(op.operator, Constant):
            weights += op.types[0].nbytes
        elif not isinstance(op.operator, Input | Output):
            kinds[op.operator.label] += 1
    planned = graph.annotations.get("peak_bytes_with_io")
    peak = planned if isinstance(planned, int) else _peak(graph)
    return Measure(dict(kinds), _macs(graph), weights, peak)


def _all_ops(graph: Graph) -> list[Op]:
    found = graph.ops
    return found + [
        inner for op in found for body in op.operator.regions() for inner in _all_ops(body)
    ]


def _macs(graph: Graph) -> int:
    if any(isinstance(op.operator, OnnxOperator) for op in graph.ops):
        graph = graph.copy()
        for op in graph.ops:
            try:
                expand_op(op)
            except DlcError:
                continue  # counts nothing
    return sum(op.operator.cost(op.operand_types, op.types).macs for op in _all_ops(graph))


def _peak(graph: Graph) -> int:
    ops = graph.ops
    last: dict[Value, int] = {}
    for step, op in enumerate(ops):
        last.update((value, step) for value in (*op.results, *op.operands) if value is not None)
    dying: dict[int, int] = {}
    for value, step in last.items():
        if not isinstance(value.op.operator, Constant):
            dying[step] = dying.get(step, 0) + value.type.nbytes
    live = peak = 0
    for step, op in enumerate(ops):
        if not isinstance(op.operator, Constant):
            live += sum(type.nbytes for type in op.types)
        peak = max(peak, live)
        live -= dying.get(step, 0)
    return peak


@dataclass(frozen=True, slots=True)
class Row:
    """What one run of one pass did."""

    name: str
    seconds: float
    changed: bool
    before: Measure
    after: Measure

    @property
    def added(self) -> dict[str, int]:
        """Ops there are more of, by kind."""
        return dict(sorted((Counter(self.after.ops) - Counter(self.before.ops)).items()))

    @property
    def removed(self) -> dict[str, int]:
        """Ops there are fewer of, by kind."""
        return dict(sorted((Counter(self.before.ops) - Counter(self.after.ops)).items()))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "pass": self.name, "seconds": self.seconds, "changed": self.changed,
            "added": self.added, "removed": self.removed,
            "before": self.before.as_dict(), "after": self.after.as_dict(),
        }  # fmt: skip


@dataclass
class Statistics(Instrument):
    """Measures the graph around each pass, in ``rows``."""

    rows: list[Row] = field(default_factory=list)
    _last: Measure | None = field(default=None, repr=False)

    def before(self, step: Pass, graph: Graph) -> None:
        if self._last is None:
            self._last = measure(graph)

    def after(self, record: PassRecord, graph: Graph) -> None:
        assert self._last is not None
        after = measure(graph) if record.changed else self._last
        self.rows.append(Row(record.name, record.seconds, record.changed, self._last, after))
        self._last = after
