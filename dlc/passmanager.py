"""Pipelines: parse them, run their passes in order, verify and time each.

    PassManager.parse("fold-bn,fuse-conv-relu{max_size=32},cleanup(dce,cse)").run(graph)

``name{option=value,...}`` is a pass, the name of a pipeline (``O2``) stands for its passes, and
``label(pass,...)`` repeats its passes until they change nothing.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from dlc.errors import DlcError, ParseError, PassError, VerifyError
from dlc.ir.collector import collector_paused
from dlc.ir.graph import Graph, Op
from dlc.ir.operator import Constant, Input, Output
from dlc.rewrite.base import Pass, registered_passes
from dlc.rewrite.discovery import find_pass, known_passes, load_file
from dlc.rewrite.driver import Refusal, recording
from dlc.rewrite.options import build, describe

__all__ = [
    "PIPELINES",
    "Group",
    "Instrument",
    "PassManager",
    "PassRecord",
    "count_ops",
    "find_pass",
    "for_onnx",
    "known_passes",
    "load_file",
]  # fmt: skip

#: sees weights as they are stored, so before they are folded
_QUANTISED = "lower-quantised"
_PREPARE = "fold-constants,drop-identity,fold-bn,drop-expand"
_MOVE = (
    "strength-reduce,split-concat,fold-pad,fold-transpose,sink-reshape,fold-constants,drop-identity"
)
_LOWER = "expand-ops,dce,trim-bodies,fold-constants,drop-identity"
_FUSE = "fuse-maps,fuse-conv-relu"
_BLOCK = "assign-layout,pack-weights,fold-constants,drop-identity"
_PLACE = "hoist-constants,pack-constants,liveness,plan-arena"
#: pipelines by name
PIPELINES: dict[str, str] = {
    "O0": f"expand-ops,dce,{_PLACE}",
    "O1": f"{_QUANTISED},{_PREPARE},{_LOWER},{_FUSE},dce,{_PLACE}",
    # what fusion into a conv leaves behind may fuse with each other, and become equal
    "O2": f"{_QUANTISED},{_PREPARE},{_MOVE},{_LOWER},cse,{_FUSE},fuse-maps,{_BLOCK},cse,dce,{_PLACE}",
}
# small code: every step is a C function, so ops are merged until none can be
PIPELINES["Os"] = f"{_QUANTISED},{_PREPARE},{_MOVE},{_LOWER},shrink(cse,{_FUSE},dce),{_PLACE}"
# microcontrollers: small, and buffers at words, which their loads ask for and no more
PIPELINES["mcu"] = PIPELINES["Os"].replace("plan-arena", "plan-arena{align=4}")
# servers: buffers start on cache lines, which the widest vector loads never straddle
PIPELINES["server"] = PIPELINES["O2"].replace("plan-arena", "plan-arena{align=64}")
PIPELINES["default"] = PIPELINES["O2"]
# ONNX in, ONNX out: what keeps to named ops, so that any runtime finds the ops it knows, and its
# integer kernels the quantisation around them
_ONNX = _PREPARE.replace("fold-constants", "fold-constants{keep_quantised=true}")
PIPELINES["onnx"] = (
    f"{_ONNX},strength-reduce{{signed_zeros=false}},fold-softmax,fold-pad,fold-transpose,"
    "merge-parallel-matmul,fuse-matmul-bias,split-concat,concat-to-pad,"
    "recognise-layernorm,recognise-gelu,recognise-hardswish,recognise-prelu,recognise-softmax,"
    f"again({_ONNX},fold-conv-affine,fold-norm-affine,hoist-reshape,fold-transpose,cse,dce)"
)

_MAX_ROUNDS = 10


def for_onnx(level: str) -> str:
    """The pipeline that stands for a level (``O1``, ``O2``, ...) when the result is to be ONNX."""
    return "" if level == "O0" else PIPELINES["onnx"]


@dataclass(frozen=True, slots=True)
class Group:
    """Passes repeated until none of them changes the graph (10 times at most)."""

    label: str
    steps: tuple[Pass | Group, ...]

    def __str__(self) -> str:
        return f"{self.label}({','.join(map(_step_text, self.steps))})"


@dataclass(frozen=True, slots=True)
class PassRecord:
    """What one run of one pass did."""

    name: str
    """The pass with its options, as in a pipeline."""
    seconds: float
    changed: bool
    ops_before: int
    """Ops without inputs, outputs and constants."""
    ops_after: int
    refusals: tuple[Refusal, ...] = ()
    """Why rules left ops alone (only when asked for)."""


class Instrument:
    """Watches a pipeline run (``dlc.instrument`` has those of the command line).

    A subclass overrides what it wants to see. Graphs are the manager's own: look, do not touch.
    """

    def before(self, step: Pass, graph: Graph) -> None:
        """Called before each pass."""

    def after(self, record: PassRecord, graph: Graph) -> None:
        """Called after each pass that worked."""

    def failed(self, step: Pass, graph: Graph, error: DlcError) -> None:
        """Called when a pass failed or left a broken graph; ``graph`` is as the pass left it."""


@dataclass
class PassManager:
    """A pipeline that can run. ``report`` has the records of the last run."""

    steps: tuple[Pass | Group, ...]
    verify: bool = True
    """Check the graph after each pass that changed it."""
    explain: bool = False
    """Collect the refusals of rules in the report."""
    before: Callable[[Pass, Graph], None] | None = None
    """Called before each pass."""
    after: Callable[[PassRecord, Graph], None] | None = None
    """Called after each pass."""
    report: list[PassRecord] = field(default_factory=list)
    instruments: list[Instrument] = field(default_factory=list)
    """Told of each pass, in this order."""
    _ensured: set[str] = field(default_factory=set, repr=False)

    @classmethod
    def parse(cls, pipeline: str, *, verify: bool = True, explain: bool = False) -> PassManager:
        """The pass manager of a pipeline's text.

        Raises ParseError for bad syntax, PassError for an unknown pass or a bad option.
        """
        return cls(tuple(_Parser(pipeline).pipeline()), verify, explain)

    def __str__(self) -> str:
        """The pipeline's text, named pipelines written out."""
        return ",".join(map(_step_text, self.steps))

    @collector_paused()
    def run(self, graph: Graph) -> Graph:
        """Run the passes on a copy of ``graph``.

        Raises PassError when a pass comes too early, fails, or leaves a broken graph; errors a pass
        raises about the model (UnsupportedError ...) pass through.
        """
        graph = graph.copy()
        self.report = []
        self._ensured = set()
        for step in self.steps:
            graph, _ = self._run_step(step, graph)
        return graph

    def _run_step(self, step: Pass | Group, graph: Graph) -> tuple[Graph, bool]:
        if isinstance(step, Pass):
            return self._run_pass(step, graph)
        any_change = False
        for _ in range(_MAX_ROUNDS):
            changed = False
            for inner in step.steps:
                graph, did = self._run_step(inner, graph)
                changed |= did
            if not changed:
                break
            any_change = True
        return graph, any_change

    def _run_pass(self, step: Pass, graph: Graph) -> tuple[Graph, bool]:
        _require(step, graph, self._ensured)
        if self.before is not None:
            self.before(step, graph)
        for instrument in self.instruments:
            instrument.before(step, graph)
        ops_before, start = count_ops(graph), time.perf_counter()
        try:
            graph, changed, refusals = self._apply(step, graph)
            seconds = time.perf_counter() - start
            if self.verify and changed:
                _verify(step, graph)
        except DlcError as error:
            for instrument in self.instruments:
                instrument.failed(step, graph, error)
            raise
        self._ensured.add(step.ensures)
        ops_after = count_ops(graph) if changed else ops_before
        record = PassRecord(describe(step), seconds, changed, ops_before, ops_after, refusals)
        self.report.append(record)
        if self.after is not None:
            self.after(record, graph)
        for instrument in self.instruments:
            instrument.after(record, graph)
        return graph, changed

    def _apply(self, step: Pass, graph: Graph) -> tuple[Graph, bool, tuple[Refusal, ...]]:
        """Run one pass; what it raises that is no DlcError becomes a PassError."""
        try:
            if not self.explain:
                return *_run_nested(step, graph), ()
            with recording() as log:
                graph, changed = _run_nested(step, graph)
            return graph, changed, tuple(log.values())
        except DlcError:
            raise
        except Exception as error:
            raise PassError(f"pass {step.name} failed: {type(error).__name__}: {error}") from error


def count_ops(graph: Graph) -> int:
    """How many ops compute something: all but inputs, outputs and constants, regions included."""
    count = 0
    for op in graph.ops:
        count += not isinstance(op.operator, Input | Output | Constant)
        count += sum(count_ops(body) for body in op.operator.regions())
    return count


def _run_nested(step: Pass, graph: Graph) -> tuple[Graph, bool]:
    """Run a pass on the bodies in a graph, innermost first, then on the graph."""
    changed = False
    for op in graph.ops if step.into_regions else ():
        bodies = list(op.operator.regions())
        if bodies:
            results = [_run_nested(step, body) for body in bodies]
            changed |= any(did for _, did in results)
            found = [body for body, _ in results]
            if any(new is not old for new, old in zip(found, bodies, strict=True)):
                graph.set_operator(op, op.operator.with_regions(found), types=op.types)
    graph, did = step.run(graph)
    return graph, changed or did


def _require(step: Pass, graph: Graph, ensured: set[str]) -> None:
    """PassError, naming the pass to put first, unless the graph is as ``step`` requires it."""
    if step.requires == "core":
        named = next(_named_ops(graph), None)
        if named is None:
            return
        problem = (
            f"works on core ops, but the graph still has {named.operator.label} {named.label!r}"
        )
    elif step.requires == "planned":
        if graph.annotations:
            return
        problem = "works on a scheduled graph"
    elif step.requires in ensured or step.requires == "any":
        return
    else:  # a fact that passes agree on by name: known when a pass that ensures it has run
        problem = f"requires {step.requires!r}"
    makers = [name for name, cls in registered_passes().items() if cls.ensures == step.requires]
    makers = makers or [n for n, c in known_passes().items() if c.ensures == step.requires]
    remedy = f"put {' or '.join(makers)} before it" if makers else "which no known pass ensures"
    raise PassError(f"pass {step.name} {problem}; {remedy}")


def _named_ops(graph: Graph) -> Iterator[Op]:
    for op in graph.ops:
        if op.operator.name == "onnx":
            yield op
        for body in op.operator.regions():
            yield from _named_ops(body)


def _verify(step: Pass, graph: Graph) -> None:
    from dlc.ir.verify import verify  # only when it runs: parsing a pipeline stays light

    try:
        verify(graph)
    except VerifyError as error:
        raise PassError(f"pass {step.name} left a broken graph: {error}") from error


def _step_text(step: Pass | Group) -> str:
    return str(step) if isinstance(step, Group) else describe(step)


_NAME = re.compile(r"\s*-?([A-Za-z][\w.-]*)\s*")


class _Parser:
    """Recursive descent over ``item {"," item}``; item = name ["{" options "}"] ["(" items ")"]."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def pipeline(self) -> list[Pass | Group]:
        steps = [] if not self.text.strip() else self.items()
        if self.at < len(self.text):
            raise self.error("a comma or the end")
        return steps

    def items(self) -> list[Pass | Group]:
        steps = self.item()
        while self.take(","):
            steps += self.item()
        return steps

    def item(self) -> list[Pass | Group]:
        found = _NAME.match(self.text, self.at)
        if found is None:
            raise self.error("the name of a pass")
        self.at = found.end()
        name = found[1]
        if self.take("("):
            inner = self.items()
            if not self.take(")"):
                raise self.error("')'")
            return [Group(name, tuple(inner))]
        if name in PIPELINES:
            return _Parser(PIPELINES[name]).pipeline()
        cls = find_pass(name)
        return [build(cls, self.options() if self.take("{") else {})]

    def options(self) -> dict[str, str]:
        options: dict[str, str] = {}
        while not self.take("}"):
            start, depth, quote = self.at, 0, ""
            while self.at < len(self.text):
                char = self.text[self.at]
                if quote:
                    quote = "" if char == quote else quote
                elif char in "\"'":
                    quote = char
                elif depth == 0 and char in ",}":
                    break
                else:
                    depth += (char in "([") - (char in ")]")
                self.at += 1
            else:
                raise self.error("'}'")
            key, _, value = self.text[start : self.at].partition("=")
            if not key.strip():
                raise self.error("an option name=value")
            options[key.strip()] = value.strip()
            self.take(",")
        return options

    def take(self, char: str) -> bool:
        while self.text[self.at : self.at + 1].isspace():
            self.at += 1
        if self.text[self.at : self.at + 1] != char:
            return False
        self.at += 1
        while self.text[self.at : self.at + 1].isspace():
            self.at += 1
        return True

    def error(self, wanted: str) -> ParseError:
        rest = self.text[self.at : self.at + 20]
        where = f"before {rest!r}" if rest else "at the end"
        return ParseError(f"pipeline {self.text!r}: expected {wanted} {where}")
