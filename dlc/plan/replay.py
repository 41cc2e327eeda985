"""Symbolic replay of a stated plan: which content each byte holds, step after step.

Content is named by the tensor it was first stored as and the byte of that tensor; a vanished copy
stores nothing, its result is its operand's content under another name. A step must find, at the
addresses of what it reads, exactly the content of those tensors.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from dlc.errors import PlanError
from dlc.plan.emitted import Stated, StatedElision, StatedStep, StatedTensor

Segment = tuple[int, int, int, int]
"""Bytes ``[0]`` to ``[1]`` of a tensor are those of tensor ``[2]`` from its byte ``[3]`` on."""


@dataclass(slots=True)
class Memory:
    """Disjoint ranges that hold known content, by address."""

    starts: list[int] = field(default_factory=list)
    #: end, tensor, address its byte 0 would have
    rest: list[tuple[int, int, int]] = field(default_factory=list)

    def forget(self, start: int, end: int) -> None:
        """Nothing is known of these bytes any more."""
        at = bisect_right(self.starts, start)
        if at and self.rest[at - 1][0] > start:
            at -= 1
        until = bisect_left(self.starts, end)
        pieces = []
        for low, (high, tensor, zero) in zip(
            self.starts[at:until], self.rest[at:until], strict=True
        ):
            if low < start:
                pieces.append((low, (start, tensor, zero)))
            if high > end:
                pieces.append((end, (high, tensor, zero)))
        self.starts[at:until] = [low for low, _ in pieces]
        self.rest[at:until] = [rest for _, rest in pieces]

    def store(self, start: int, end: int, tensor: int, byte: int) -> None:
        """These bytes now hold a tensor's, from its byte ``byte`` on."""
        if start < end:
            self.forget(start, end)
            at = bisect_left(self.starts, start)
            self.starts.insert(at, start)
            self.rest.insert(at, (end, tensor, start - byte))

    def differs(
        self, start: int, end: int, tensor: int, byte: int
    ) -> tuple[int, int | None] | None:
        """The first address that does not hold a tensor's bytes, and what it holds; None if all do."""
        at = bisect_right(self.starts, start) - 1
        while start < end:
            if at < 0 or at >= len(self.starts) or not self.starts[at] <= start < self.rest[at][0]:
                return start, None
            high, found, zero = self.rest[at]
            if found != tensor or zero != start - byte:
                return start, found
            byte += high - start
            start, at = high, at + 1
        return None


class Replay:
    """The state of all memories while the steps of a plan run in order."""

    def __init__(self, stated: Stated) -> None:
        self.stated = stated
        self.memories: dict[str, Memory] = {}
        self.content: dict[int, list[Segment]] = {}
        for tensor in stated.tensors:
            if tensor.kind in ("input", "constant"):
                self._store(tensor, 0, tensor.size)
                self.content[tensor.id] = [(0, tensor.size, tensor.id, 0)]

    def run(self) -> None:
        """Run every step and hand out the outputs; PlanError names the step and the tensor."""
        for step in self.stated.steps:
            self._step(step)
        self._outputs()

    def _step(self, step: StatedStep) -> None:
        name = f"step {step.index} ({step.name})"
        tensors = self.stated.tensors
        reads, writes = [tensors[t] for t in step.reads], [tensors[t] for t in step.writes]
        for tensor in reads:
            self._expect(tensor, name)
        stored = self._elisions(step, reads, writes, name)
        scratch = [(tensors[step.scratch], 0, tensors[step.scratch].size)] if step.scratch is not None else []  # fmt: skip
        self._apart(step, reads, [*stored, *scratch], name)
        for tensor, start, end in (*scratch, *stored):
            if self.stated.buffers[tensor.buffer].space in ("input", "constant"):
                raise PlanError(f"{name} stores tensor {tensor.name!r} in read-only memory")
            self._store(tensor, start, end)
        for number in step.frees:
            buffer = self.stated.buffers[number]
            where, start = self.stated.address(number, 0)
            self._memory(where).forget(start, start + buffer.size)

    def _elisions(self, step: StatedStep, reads: list[StatedTensor], writes: list[StatedTensor],
                  name: str) -> list[tuple[StatedTensor, int, int]]:  # fmt: skip
        """Name the content of the results; the byte ranges of them that the step really stores."""
        stored = []
        for j, result in enumerate(writes):
            segments: list[Segment] = []
            done = 0
            copies = [e for e in step.elided if e.result == j and e.size]
            for elision in sorted(copies, key=lambda e: e.target):
                operand = reads[elision.operand]
                start, end = elision.target, elision.target + elision.size
                where, address = self.stated.place(operand)
                if (where, address + elision.source) != _moved(self.stated.place(result), start):
                    raise PlanError(
                        f"{name} leaves out the copy of {operand.name!r} into {result.name!r}, "
                        f"but they do not lie at one address"
                    )
                if (
                    start < done
                    or end > result.size
                    or elision.source + elision.size > operand.size
                ):
                    raise PlanError(f"{name} leaves out a copy that does not fit {result.name!r}")
                if _changed(step, elision, result):
                    continue
                if done < start:
                    stored.append((result, done, start))
                    segments.append((done, start, result.id, done))
                segments += self._cut(operand, elision.source, elision.source + elision.size, start)
                done = end
            if done < result.size:
                stored.append((result, done, result.size))
                segments.append((done, result.size, result.id, done))
            if step.function is None and stored and not (copies and result.sized):
                raise PlanError(
                    f"{name} calls nothing, but {result.name!r} has bytes no copy brings"
                )
            self.content[result.id] = segments
        return stored

    def _cut(self, tensor: StatedTensor, low: int, high: int, target: int) -> Iterator[Segment]:
        """The content of bytes ``low`` to ``high`` of a tensor, as that from byte ``target`` on."""
        for start, end, origin, byte in self.content[tensor.id]:
            first, last = max(start, low), min(end, high)
            if first < last:
                yield first - low + target, last - low + target, origin, byte + first - start

    def _apart(self, step: StatedStep, reads: list[StatedTensor],
               stored: list[tuple[StatedTensor, int, int]], name: str) -> None:  # fmt: skip
        """What the step stores overlaps nothing else it uses, but for operands it replaces."""
        tensors = self.stated.tensors
        replaced = {(i, step.writes[j]) for i, j in step.in_place}
        replaced |= {
            (e.operand, step.writes[e.result]) for e in step.elided
            if _changed(step, e, tensors[step.writes[e.result]])
        }  # fmt: skip
        spans = [(t, _span(self.stated.place(t), start, end)) for t, start, end in stored]
        for n, (tensor, span) in enumerate(spans):
            for i, operand in enumerate(reads):
                place = self.stated.place(operand)
                if not _clash(span, _span(place, 0, operand.size)):
                    continue
                same = place == self.stated.place(tensor) and operand.size == tensor.size
                if not (same and (i, tensor.id) in replaced):
                    raise PlanError(
                        f"{name} stores {tensor.name!r} over {operand.name!r}, which it still reads"
                    )
            for other, taken in spans[:n]:
                if _clash(span, taken):
                    raise PlanError(f"{name} stores {tensor.name!r} over {other.name!r}")

    def _outputs(self) -> None:
        stated, delivered = self.stated, set()
        for buffer in stated.buffers:
            if buffer.space == "output":
                delivered.add(buffer.index)
                tensor = self._output(buffer.index)
                if tensor.buffer != buffer.id or tensor.offset:
                    raise PlanError(f"output {buffer.index} ({tensor.name!r}) is not in the caller's buffer")  # fmt: skip
                self._expect(tensor, "the caller")
        for copy in stated.copies:
            tensor = self._output(copy.output)
            if (copy.buffer, copy.offset, copy.size) != (tensor.buffer, tensor.offset, tensor.size):
                raise PlanError(f"the final copy of output {copy.output} is not of {tensor.name!r}")
            if copy.output in delivered:
                raise PlanError(f"output {copy.output} ({tensor.name!r}) is stored twice")
            delivered.add(copy.output)
            self._expect(tensor, "the final copy")
        missing = set(range(len(stated.outputs))) - delivered
        if missing:
            raise PlanError(f"nothing stores output {min(missing)} ({stated.outputs[min(missing)].c_name})")  # fmt: skip

    def _output(self, index: int) -> StatedTensor:
        number = self.stated.outputs[index].tensor
        if number is None:
            raise PlanError(f"output {index} ({self.stated.outputs[index].c_name}) has no tensor")
        return self.stated.tensors[number]

    def _expect(self, tensor: StatedTensor, reader: str) -> None:
        """Every byte of a tensor is where the plan says it is."""
        if tensor.id not in self.content:
            raise PlanError(f"{reader} reads {tensor.name!r} before anything stores it")
        where, address = self.stated.place(tensor)
        for start, end, origin, byte in self.content[tensor.id]:
            wrong = self._memory(where).differs(address + start, address + end, origin, byte)
            if wrong is not None:
                held = "nothing" if wrong[1] is None else repr(self.stated.tensors[wrong[1]].name)
                raise PlanError(
                    f"{reader} reads {tensor.name!r} at byte {wrong[0]} of {where}, "
                    f"which holds {held} by then"
                )

    def _store(self, tensor: StatedTensor, start: int, end: int) -> None:
        where, address = self.stated.place(tensor)
        self._memory(where).store(address + start, address + end, tensor.id, start)

    def _memory(self, where: str) -> Memory:
        return self.memories.setdefault(where, Memory())


def _changed(step: StatedStep, elision: StatedElision, result: StatedTensor) -> bool:
    """Whether the copy left out only brings what the step then changes in place."""
    return (
        step.function is not None
        and elision.size == result.size
        and (elision.operand, elision.result) in step.in_place
    )


def _moved(place: tuple[str, int], by: int) -> tuple[str, int]:
    return place[0], place[1] + by


def _span(place: tuple[str, int], start: int, end: int) -> tuple[str, int, int]:
    return place[0], place[1] + start, place[1] + end


def _clash(a: tuple[str, int, int], b: tuple[str, int, int]) -> bool:
    return a[0] == b[0] and a[1] < b[2] and b[1] < a[2]
