"""What model.c really passes to its functions, compared with what metadata.json states."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from dlc.errors import PlanError
from dlc.plan.emitted import Stated, StatedStep

Address = tuple[str, int]
_COMMENT = re.compile(r"/\*(.*?)\*/", re.DOTALL)
_STEP = re.compile(r"\s*(\d+): ")
_DEAD = re.compile(r"\bDLC_DEAD\((\d+), (\d+)\);")
_CAST = re.compile(r"^\((?:const )?[a-z0-9_ ]+? \*(?:const )?\*?\)")
_SUM = re.compile(r"^(.+?) \+ (\d+)$")


def check_calls(stated: Stated, path: Path) -> int:
    """Compare every address in the body of NAME_run with the plan; how many there were.

    PlanError names the step that passes, poisons or copies something else than is stated.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise PlanError(f"{path} cannot be read; compile the model again") from error
    start, *sections = _sections(_function(stated, text, path))
    if len(sections) != len(stated.steps):
        raise PlanError(
            f"{path} runs {len(sections)} steps, metadata.json states {len(stated.steps)}"
        )
    names = _Names(stated)
    count = 0
    for step, section in zip(stated.steps, sections, strict=True):
        count += _check_step(stated, step, section, names)
    _check_copies(stated, sections[-1] if sections else start, names)
    return count


def _function(stated: Stated, text: str, path: Path) -> str:
    """The text of the one function that runs a plan, from its name on."""
    name = stated.c_name if stated.is_body else f"{stated.c_name}_run"
    heads = list(re.finditer(rf"^(?:static )?(?:int|void) {re.escape(name)}\(", text, re.MULTILINE))
    if len(heads) != 1:
        raise PlanError(f"{path} has no function {name}, or several")
    end = text.find("\n}\n", heads[0].start())
    return text[heads[0].start() : end]


def _sections(body: str) -> Iterator[str]:
    """The text before the first step and that of each step, in order, without comments and with
    single blanks; PlanError when steps are not numbered in order.
    """
    parts = _COMMENT.split(body)
    current, expected = [parts[0]], 0
    for comment, code in zip(parts[1::2], parts[2::2], strict=True):
        found = _STEP.match(comment)
        if found:
            if int(found[1]) != expected:
                raise PlanError(f"model.c runs step {found[1]} where step {expected} is due")
            expected += 1
            yield " ".join("".join(current).split())
            current = []
        current.append(code)
    yield " ".join("".join(current).split())


def _check_step(stated: Stated, step: StatedStep, section: str, names: _Names) -> int:
    where = f"step {step.index} ({step.name})"
    tensors = stated.tensors
    reads, writes = ([stated.place(tensors[t]) for t in row] for row in (step.reads, step.writes))
    scratch = [] if step.scratch is None else [stated.place(tensors[step.scratch])]
    passed: list[Address] = []
    if step.function is not None:
        calls = re.findall(rf"\b{re.escape(step.function)}\(", section)
        if len(calls) != 1:
            raise PlanError(f"{where}: model.c does not call {step.function} exactly once")
        arguments = _arguments(section, section.index(calls[0]) + len(calls[0]))
        passed = [names.address(a, where) for a in arguments if a not in stated.symbols]
        _check_order(passed, [*reads, *writes, *scratch], where)
        elided = {j: sum(e.size for e in step.elided if e.result == j) for j in range(len(writes))}
        for j, place in enumerate(writes):
            result = tensors[step.writes[j]]
            brought = elided[j] > 0 if result.sized else elided[j] >= result.size
            if place not in passed and not brought:
                raise PlanError(f"{where}: model.c passes no address for {result.name!r}")
    if not stated.on_heap:
        dead = {(int(a), int(b)) for a, b in _DEAD.findall(section)}
        buffers = [stated.buffers[b] for b in step.frees]
        allowed = {(b.offset, b.size) for b in buffers if b.size}
        scratches = {
            (at, tensors[step.scratch].size) for _, at in scratch if step.scratch is not None
        }
        if not allowed <= dead <= allowed | scratches:
            raise PlanError(
                f"{where}: model.c ends the life of other memory than metadata.json states"
            )
    return len(passed)


def _check_order(passed: list[Address], stated: list[Address], where: str) -> None:
    """Arguments are operands in order, then results, then scratch; what is unused or the same
    memory as a result is left out.
    """
    rest = iter(stated)
    for address in passed:
        if address not in rest:
            raise PlanError(
                f"{where}: model.c passes {address[0]} + {address[1]}, "
                f"which metadata.json does not state there"
            )


def _check_copies(stated: Stated, section: str, names: _Names) -> None:
    copies = [c for c in stated.copies if c.size]
    found = []
    for match in re.finditer(r"\bmemcpy\(", section):
        target, source, size = _arguments(section, match.end())
        found.append((names.address(source, "the final copy"), target, size))
    expected = [
        (
            stated.address(c.buffer, c.offset),
            f"{'' if stated.is_body else 'out->'}{stated.outputs[c.output].c_name}",
            str(c.size),
        )
        for c in copies
    ]
    for number, copy in enumerate(copies):
        tensor = stated.outputs[copy.output].tensor
        if tensor is not None and stated.tensors[tensor].sized and number < len(found):
            found[number] = (*found[number][:2], str(copy.size))  # at most that, in terms of sizes
    if found != expected:
        raise PlanError("model.c does not end with the final copies that metadata.json states")


def _arguments(text: str, start: int) -> list[str]:
    """The arguments of a call whose parenthesis opens just before ``start``."""
    depth, last, found = 1, start, []
    for at in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if depth == 0 or (depth == 1 and text[at] == ","):
            found.append(text[last:at].strip())
            last = at + 1
        if depth == 0:
            return [argument for argument in found if argument]
    raise PlanError("model.c ends within a call")


class _Names:
    """Addresses that C text stands for."""

    def __init__(self, stated: Stated) -> None:
        self.stated = stated
        buffers = {(b.space, b.index): b.id for b in stated.buffers if b.space != "arena"}
        self.bases: dict[str, tuple[Address, int]] = {"mem": (("arena", 0), 1)}
        given, made = ("", "") if stated.is_body else ("in->", "out->")
        fields = [("input", given, stated.inputs), ("output", made, stated.outputs),
                  ("constant", "", stated.constants)]  # fmt: skip
        self.weights: dict[int, int] = {}
        for space, prefix, rows in fields:
            for index, row in enumerate(rows):
                if (space, index) in buffers:
                    number = buffers[space, index]
                    self.bases[prefix + row.c_name] = (stated.address(number, 0), row.unit)
                    if space == "constant":
                        self.weights[row.offset] = number
        if stated.on_heap:
            for buffer in stated.buffers:
                if buffer.space == "arena":
                    self.bases[f"b{buffer.id}"] = (stated.address(buffer.id, 0), 1)

    def address(self, text: str, where: str) -> Address:
        """``(float *)(mem + 64)`` and its like; PlanError when the text is none."""
        plain, bytes = text, False
        while found := _CAST.match(plain):
            bytes = bytes or "unsigned char *" in found[0]
            plain = plain[found.end() :]
            if plain.startswith("(") and plain.endswith(")") and not _CAST.match(plain):
                plain = plain[1:-1]
        bytes = bytes or "(unsigned char *)" in plain or "(const unsigned char *)" in plain
        offset = 0
        if found := _SUM.match(plain):
            plain, offset = found[1], int(found[2])
        while found := _CAST.match(plain):
            plain = plain[found.end() :]
        if plain == "weights":
            return self._weight(offset, text, where)
        if plain not in self.bases:
            raise PlanError(
                f"{where}: model.c passes {text!r:.80}, which metadata.json does not name"
            )
        (memory, start), unit = self.bases[plain]
        return memory, start + offset * (1 if bytes else unit)

    def _weight(self, offset: int, text: str, where: str) -> Address:
        """The constant of a weights file that holds a byte of it."""
        at = max((start for start in self.weights if start <= offset), default=-1)
        if at < 0:
            raise PlanError(f"{where}: model.c passes {text!r:.80}, where no weight lies")
        return self.stated.address(self.weights[at], offset - at)
