"""The plan of an emitted folder as its metadata.json states it: read, and no more believed than
its form requires.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dlc.errors import PlanError
from dlc.ir.types import DType

#: no metadata of a real model is larger
MOST_BYTES = 256 << 20
FORMAT = 1


@dataclass(frozen=True, slots=True)
class StatedBuffer:
    """A row of ``buffers``."""

    id: int
    space: str
    index: int
    size: int
    first: int
    last: int
    offset: int | None


@dataclass(frozen=True, slots=True)
class StatedTensor:
    """A row of ``tensors``; ``align`` is what its elements need."""

    id: int
    name: str
    kind: str
    align: int
    buffer: int
    offset: int
    size: int
    first: int
    last: int
    sized: bool = False
    """Whether ``size`` is only the most it may take: its shape depends on the run."""


@dataclass(frozen=True, slots=True)
class StatedElision:
    """``size`` bytes that are the same memory in an operand and in a result of a step."""

    operand: int
    result: int
    source: int
    target: int
    size: int


@dataclass(frozen=True, slots=True)
class StatedStep:
    """A row of ``steps``; tensors by id."""

    index: int
    name: str
    function: str | None
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    scratch: int | None
    elided: tuple[StatedElision, ...]
    in_place: tuple[tuple[int, int], ...]
    frees: tuple[int, ...]
    bodies: tuple[str, ...] = ()
    """Functions of the bodies it runs."""


@dataclass(frozen=True, slots=True)
class StatedCopy:
    """A row of ``copies``."""

    buffer: int
    offset: int
    output: int
    size: int


@dataclass(frozen=True, slots=True)
class StatedField:
    """An input, an output or a constant: its C name, element size, tensor, offset in a file."""

    c_name: str
    unit: int
    tensor: int | None
    offset: int


@dataclass(frozen=True, slots=True)
class Stated:
    """Everything metadata.json says about memory."""

    c_name: str
    on_heap: bool
    arena_bytes: int
    lower_bound: int
    peak_step: int
    peak_bytes_with_io: int
    inputs: tuple[StatedField, ...]
    outputs: tuple[StatedField, ...]
    constants: tuple[StatedField, ...]
    buffers: tuple[StatedBuffer, ...]
    tensors: tuple[StatedTensor, ...]
    steps: tuple[StatedStep, ...]
    copies: tuple[StatedCopy, ...]
    symbols: frozenset[str] = frozenset()
    """C text that stands for sizes known at run time, not for addresses."""
    is_body: bool = False
    """Whether this is the plan of a body, whose function takes its inputs as parameters."""
    bodies: tuple[Stated, ...] = ()
    """Plans of the bodies that steps run."""

    def address(self, buffer: int, offset: int) -> tuple[str, int]:
        """A memory (``arena``, or one of its own) and an address in it."""
        found = self.buffers[buffer]
        if found.space == "arena" and found.offset is not None and not self.on_heap:
            return "arena", found.offset + offset
        return f"buffer {buffer}", offset

    def place(self, tensor: StatedTensor) -> tuple[str, int]:
        """Where a tensor lies."""
        return self.address(tensor.buffer, tensor.offset)


def read_metadata(folder: Path) -> Stated:
    """Read ``folder/metadata.json``; PlanError when it is missing or not of the documented form."""
    path = folder / "metadata.json"
    try:
        if path.stat().st_size > MOST_BYTES:
            raise PlanError(f"{path} is larger than any metadata dlc writes")
        root = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PlanError(
            f"{path} cannot be read ({error.strerror}); name a compiled folder"
        ) from error
    except (ValueError, RecursionError) as error:
        raise PlanError(f"{path} is not JSON; compile the model again") from error
    stated = _Form(str(path)).root(root)
    for plan in (stated, *stated.bodies):
        _check_ids(plan, path)
    _check_bodies(stated, path)
    return stated


def _check_bodies(stated: Stated, path: Path) -> None:
    """Every body that a step runs is there, and fits the step's scratch; none runs itself."""
    known: dict[str, Stated] = {}
    for plan in (*stated.bodies, stated):  # a body comes after those it runs
        for step in plan.steps:
            room = 0 if step.scratch is None else plan.tensors[step.scratch].size
            for name in step.bodies:
                if name not in known:
                    raise PlanError(f"{path}: step {step.index} runs a body {name!r} there is not")
                if known[name].arena_bytes > room:
                    raise PlanError(
                        f"{path}: step {step.index} has {room} bytes of scratch, but the body "
                        f"{name!r} needs {known[name].arena_bytes}"
                    )
        known[plan.c_name] = plan


def _check_ids(stated: Stated, path: Path) -> None:
    """Every number names something."""
    buffers, tensors = len(stated.buffers), len(stated.tensors)
    numbered = {"buffer": [b.id for b in stated.buffers], "tensor": [t.id for t in stated.tensors],
                "step": [s.index for s in stated.steps]}  # fmt: skip
    for kind, numbers in numbered.items():
        for number, own in enumerate(numbers):
            if own != number:
                raise PlanError(f"{path}: {kind} {number} calls itself {own}")
    for number, step in enumerate(stated.steps):
        used = [*step.reads, *step.writes, *([] if step.scratch is None else [step.scratch])]
        pairs = [*step.in_place, *((e.operand, e.result) for e in step.elided)]
        if (
            any(t >= tensors for t in used)
            or any(b >= buffers for b in step.frees)
            or any(i >= len(step.reads) or j >= len(step.writes) for i, j in pairs)
        ):
            raise PlanError(f"{path}: step {number} names a tensor, buffer or operand there is not")
    fields = (*stated.inputs, *stated.outputs, *stated.constants)
    if (
        any(t.buffer >= buffers for t in stated.tensors)
        or any(c.buffer >= buffers or c.output >= len(stated.outputs) for c in stated.copies)
        or any(f.tensor is not None and f.tensor >= tensors for f in fields)
    ):
        raise PlanError(f"{path} names a buffer, tensor or output there is not")
    count = {"input": len(stated.inputs), "output": len(stated.outputs),
             "constant": len(stated.constants), "arena": 1 << 62}  # fmt: skip
    for buffer in stated.buffers:
        if buffer.index >= count.get(buffer.space, 0):
            raise PlanError(f"{path}: buffer {buffer.id} is {buffer.space} {buffer.index}, which there is not")  # fmt: skip


class _Form:
    """Reads JSON of a known form; PlanError names the file and the key that is wrong."""

    def __init__(self, path: str) -> None:
        self.path = path

    def root(self, row: Any) -> Stated:
        if self.integer(row, "format") != FORMAT:
            raise PlanError(f"{self.path} has format {row['format']}; this dlc reads {FORMAT}")
        on_heap = self.get(row, "memory", str) == "heap"
        stated = self.plan(row, self.get(row, "weights", dict), on_heap)
        bodies = (self.plan(r, {"constants": []}) for r in self.get(row, "bodies", list))
        return replace(stated, bodies=tuple(replace(body, is_body=True) for body in bodies))

    def plan(self, row: Any, weights: Any, on_heap: bool = False) -> Stated:
        return Stated(
            self.get(row, "c_name", str), on_heap,
            self.integer(row, "arena_bytes"), self.integer(row, "lower_bound"),
            self.integer(row, "peak_step", -1), self.integer(row, "peak_bytes_with_io"),
            tuple(self.field(r) for r in self.get(row, "inputs", list)),
            tuple(self.field(r) for r in self.get(row, "outputs", list)),
            tuple(self.field(r) for r in self.get(weights, "constants", list)),
            tuple(self.buffer(r) for r in self.get(row, "buffers", list)),
            tuple(self.tensor(r) for r in self.get(row, "tensors", list)),
            tuple(self.step(r) for r in self.get(row, "steps", list)),
            tuple(self.copy(r) for r in self.get(row, "copies", list)),
            frozenset(text for r in row.get("symbols", []) for text in self.symbol(r)),
        )  # fmt: skip

    def symbol(self, row: Any) -> tuple[str, ...]:
        name = self.get(row, "c_name", str)
        return (f"in->{name}",) if self.get(row, "given", bool) else (name, f"&{name}")

    def field(self, row: Any) -> StatedField:
        return StatedField(
            self.get(row, "c_name", str), self.dtype(row).nbytes,
            self.optional(row, "tensor"), self.optional(row, "offset") or 0,
        )  # fmt: skip

    def buffer(self, row: Any) -> StatedBuffer:
        return StatedBuffer(
            self.integer(row, "id"), self.get(row, "space", str), self.integer(row, "index"),
            self.integer(row, "size"), self.integer(row, "first", -1),
            self.integer(row, "last", -1), self.optional(row, "offset"),
        )  # fmt: skip

    def tensor(self, row: Any) -> StatedTensor:
        scratch = self.get(row, "kind", str) == "scratch"
        return StatedTensor(
            self.integer(row, "id"), self.get(row, "name", str), row["kind"],
            8 if scratch else min(self.dtype(row).nbytes, 8), self.integer(row, "buffer"),
            self.integer(row, "offset"), self.integer(row, "size"),
            self.integer(row, "first", -1), self.integer(row, "last", -1),
            not scratch and not all(isinstance(dim, int) for dim in self.get(row, "shape", list)),
        )  # fmt: skip

    def step(self, row: Any) -> StatedStep:
        function = None if self.item(row, "function") is None else self.get(row, "function", str)
        pairs = self.get(row, "in_place", list)
        if not all(isinstance(p, list) and len(p) == 2 for p in pairs):
            raise PlanError(f"{self.path}: in_place lists pairs of operand and result")
        return StatedStep(
            self.integer(row, "index"), f"{self.get(row, 'op', str)} {self.get(row, 'label', str)!r}",
            function, self.integers(row, "reads"), self.integers(row, "writes"),
            self.optional(row, "scratch"),
            tuple(
                StatedElision(*(self.integer(e, k) for k in ("operand", "result", "source", "target", "size")))
                for e in self.get(row, "elided", list)
            ),
            tuple((self.natural(i), self.natural(j)) for i, j in pairs),
            self.integers(row, "frees"), self.names(row, "bodies"),
        )  # fmt: skip

    def copy(self, row: Any) -> StatedCopy:
        source = self.get(row, "source", dict)
        return StatedCopy(self.integer(source, "buffer"), self.integer(source, "offset"),
                          self.integer(row, "output"), self.integer(row, "size"))  # fmt: skip

    def item(self, row: Any, key: str) -> Any:
        if not isinstance(row, Mapping) or key not in row:
            raise PlanError(f"{self.path} lacks the key {key!r}; compile the model again")
        return row[key]

    def get(self, row: Any, key: str, kind: type) -> Any:
        value = self.item(row, key)
        if not isinstance(value, kind):
            raise PlanError(
                f"{self.path}: {key!r} is {value!r:.40} where a {kind.__name__} is needed"
            )
        return value

    def natural(self, value: Any, least: int = 0) -> int:
        if type(value) is not int or not least <= value < 1 << 62:
            raise PlanError(f"{self.path} has {value!r:.40} where a count is needed")
        return value

    def integer(self, row: Any, key: str, least: int = 0) -> int:
        return self.natural(self.item(row, key), least)

    def optional(self, row: Any, key: str) -> int | None:
        value = row.get(key) if isinstance(row, Mapping) else None
        return None if value is None else self.natural(value)

    def integers(self, row: Any, key: str) -> tuple[int, ...]:
        return tuple(self.natural(value) for value in self.get(row, key, list))

    def names(self, row: Any, key: str) -> tuple[str, ...]:
        found = self.get(row, key, list)
        if not all(isinstance(name, str) for name in found):
            raise PlanError(f"{self.path}: {key!r} lists names")
        return tuple(found)

    def dtype(self, row: Any) -> DType:
        name = self.get(row, "dtype", str)
        try:
            return DType(name)
        except ValueError as error:
            raise PlanError(f"{self.path}: there is no element type {name!r:.40}") from error
