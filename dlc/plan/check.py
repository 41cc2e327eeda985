"""``dlc verify-plan``: the memory plan of an emitted folder, checked independently of the planner.

Nothing here uses the planner or the graph. The steps of metadata.json are replayed symbolically,
byte range by byte range; lifetimes, sizes, alignment and all figures are computed anew; and the
addresses in model.c are compared with those stated.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass
from pathlib import Path

from dlc.errors import PlanError
from dlc.plan.calls import check_calls
from dlc.plan.emitted import Stated, StatedBuffer, read_metadata
from dlc.plan.replay import Replay


@dataclass(frozen=True, slots=True)
class Report:
    """Figures of a plan that was found sound."""

    steps: int
    tensors: int
    buffers: int
    """Arena buffers."""
    in_place: int
    elided: int
    """Bytes of copies that were left out."""
    addresses: int
    """Addresses of model.c that were compared."""
    arena_bytes: int
    lower_bound: int
    peak_step: int
    peak_bytes_with_io: int

    def __str__(self) -> str:
        bound = (
            "the lower bound" if self.arena_bytes == self.lower_bound
            else f"{self.arena_bytes - self.lower_bound} above the lower bound {self.lower_bound}"
        )  # fmt: skip
        return (
            f"the plan is sound: {self.steps} steps, {self.tensors} tensors, "
            f"{self.addresses} addresses compared\n"
            f"arena {self.arena_bytes} bytes in {self.buffers} buffers, {bound}; peak at step "
            f"{self.peak_step}; {self.peak_bytes_with_io} bytes with the caller's buffers\n"
            f"{self.in_place} results in place, {self.elided} bytes of copies left out"
        )


def verify_plan(folder: Path) -> Report:
    """Check the plan of a folder written by the C backend.

    Raises PlanError naming the step and the tensor when a step would not find what it reads, when
    memory overlaps, reaches out of the arena or is misaligned, when a stated lifetime or figure is
    wrong, when model.c uses other addresses, or when the folder cannot be read.
    """
    stated = read_metadata(Path(folder))
    addresses = 0
    for body in stated.bodies:
        try:
            addresses += _verify(body, folder)[1]
        except PlanError as error:
            raise PlanError(f"body {body.c_name!r}: {error}") from error
    (peak, step, with_io), own = _verify(stated, folder)
    addresses += own
    return Report(
        len(stated.steps), len(stated.tensors),
        sum(b.space == "arena" for b in stated.buffers),
        sum(len(s.in_place) for s in stated.steps),
        sum(e.size for s in stated.steps for e in s.elided), addresses,
        stated.arena_bytes, peak, step, with_io,
    )  # fmt: skip


def _verify(stated: Stated, folder: Path) -> tuple[tuple[int, int, int], int]:
    """Check one plan; its peaks, and how many addresses were compared."""
    _check_extents(stated)
    _check_lifetimes(stated)
    check_overlaps(stated)
    Replay(stated).run()
    return _check_figures(stated), check_calls(stated, Path(folder) / "model.c")


def _check_extents(stated: Stated) -> None:
    """Tensors lie in their buffers, buffers in the arena, elements at their alignment."""
    filled = [0] * len(stated.buffers)
    for tensor in stated.tensors:
        filled[tensor.buffer] = max(filled[tensor.buffer], tensor.offset + tensor.size)
        _, address = stated.place(tensor)
        if address % tensor.align:
            raise PlanError(f"tensor {tensor.name!r} at byte {address} is not aligned to {tensor.align}")  # fmt: skip
    top = 0
    for buffer in stated.buffers:
        if buffer.size != filled[buffer.id]:
            raise PlanError(
                f"buffer {buffer.id} has {buffer.size} bytes, its tensors fill {filled[buffer.id]}"
            )
        if buffer.space == "arena" and not stated.on_heap:
            if buffer.offset is None:
                raise PlanError(f"buffer {buffer.id} has no offset in the arena")
            top = max(top, buffer.offset + buffer.size)
    if top != stated.arena_bytes and not stated.on_heap:
        raise PlanError(f"the arena has {stated.arena_bytes} bytes, its buffers reach byte {top}")


def _check_lifetimes(stated: Stated) -> None:
    """Stated lifetimes are those that the steps' reads and writes give."""
    end = len(stated.steps)
    born = {t.id: -1 for t in stated.tensors if t.kind in ("input", "constant")}
    last = dict.fromkeys(born, -1)
    for step in stated.steps:
        for number in (*step.writes, *(() if step.scratch is None else (step.scratch,))):
            if number in born:
                raise PlanError(f"step {step.index} ({step.name}) stores {stated.tensors[number].name!r} again")  # fmt: skip
            born[number] = last[number] = step.index
        last |= dict.fromkeys(step.reads, step.index)
    last |= {field.tensor: end for field in stated.outputs if field.tensor is not None}
    lives: list[tuple[int, int]] = [(end, -1)] * len(stated.buffers)
    for tensor in stated.tensors:
        actual = (born.get(tensor.id, end + 1), last.get(tensor.id, -1))
        if (tensor.first, tensor.last) != actual:
            raise PlanError(
                f"tensor {tensor.name!r} lives from step {actual[0]} to {actual[1]}, "
                f"not from {tensor.first} to {tensor.last}"
            )
        first, until = lives[tensor.buffer]
        lives[tensor.buffer] = min(first, actual[0]), max(until, actual[1])
    dying: dict[int, set[int]] = {}
    for buffer in stated.buffers:
        if (buffer.first, buffer.last) != lives[buffer.id]:
            raise PlanError(
                f"buffer {buffer.id} lives from step {lives[buffer.id][0]} to "
                f"{lives[buffer.id][1]}, not from {buffer.first} to {buffer.last}"
            )
        if buffer.space == "arena" and buffer.last < end:
            dying.setdefault(buffer.last, set()).add(buffer.id)
    for step in stated.steps:
        if set(step.frees) != dying.get(step.index, set()):
            raise PlanError(f"step {step.index} ({step.name}) frees other buffers than die there")


def check_overlaps(stated: Stated) -> None:
    """Arena buffers that live at one step do not overlap."""
    if stated.on_heap:
        return
    buffers = [b for b in stated.buffers if b.space == "arena" and b.size and b.offset is not None]
    ending = sorted(buffers, key=lambda b: b.last)
    live: list[tuple[int, int, int]] = []  # start, end, id
    done = 0
    for buffer in sorted(buffers, key=lambda b: b.first):
        while ending[done].last < buffer.first:
            live.remove(_range(ending[done]))
            done += 1
        new = _range(buffer)
        at = bisect_left(live, new)
        beside = live[max(at - 1, 0) : at + 1]
        for start, end, other in beside:
            if start < new[1] and new[0] < end:
                raise PlanError(
                    f"buffers {other} and {buffer.id} overlap in the arena at step {buffer.first} "
                    f"({_tenant(stated, other)} and {_tenant(stated, buffer.id)})"
                )
        insort(live, new)


def _range(buffer: StatedBuffer) -> tuple[int, int, int]:
    assert buffer.offset is not None
    return buffer.offset, buffer.offset + buffer.size, buffer.id


def _tenant(stated: Stated, buffer: int) -> str:
    return repr(next(t.name for t in stated.tensors if t.buffer == buffer))


def _check_figures(stated: Stated) -> tuple[int, int, int]:
    """Peaks, computed step by step from the buffers."""
    steps = len(stated.steps)
    change = [[0, 0] for _ in range(steps + 2)]
    for buffer in stated.buffers:
        if buffer.space == "constant" or buffer.last < 0:
            continue
        for kind in (0, 1) if buffer.space == "arena" else (1,):
            change[max(buffer.first, 0)][kind] += buffer.size
            change[buffer.last + 1][kind] -= buffer.size
    change[steps][1] += sum(copy.size for copy in stated.copies)
    arena = total = peak = with_io = 0
    at = 0 if steps else -1
    for step in range(steps + 1):
        arena += change[step][0]
        total += change[step][1]
        if arena > peak:
            peak, at = arena, step
        with_io = max(with_io, total)
    figures = {"lower_bound": peak, "peak_step": at, "peak_bytes_with_io": with_io}
    for name, value in figures.items():
        if getattr(stated, name) != value:
            raise PlanError(f"metadata.json states {name} {getattr(stated, name)}, it is {value}")
    if stated.arena_bytes < peak and not stated.on_heap:
        raise PlanError(
            f"the arena of {stated.arena_bytes} bytes is below the {peak} live at step {at}"
        )
    return peak, at, with_io
