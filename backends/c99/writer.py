"""Writing C lines: indentation, blocks, and calls wrapped at the margin."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence

MARGIN = 100


class Writer:
    """Collects lines of C; ``text`` joins them."""

    def __init__(self, depth: int = 0) -> None:
        self.lines: list[str] = []
        self._depth = depth

    def line(self, text: str = "") -> None:
        self.lines.append("    " * self._depth + text if text else "")

    def extend(self, lines: Iterable[str]) -> None:
        for text in lines:
            self.line(text)

    @contextlib.contextmanager
    def block(self, head: str) -> Iterator[None]:
        """``head {`` ... ``}``."""
        self.line(f"{head} {{".lstrip())
        self._depth += 1
        yield
        self._depth -= 1
        self.line("}")

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Braces around what is written inside, unless it is a single statement."""
        start, indent = len(self.lines), 4 * self._depth
        yield
        written = self.lines[start:]
        if sum(not line[indent:].startswith((" ", "}")) for line in written) > 1:
            braces = " " * indent
            self.lines[start:] = [
                f"{braces}{{",
                *(f"    {line}" for line in written),
                f"{braces}}}",
            ]

    def listed(self, head: str, items: Sequence[str], tail: str) -> None:
        """``head`` item, item, ... ``tail``, broken after commas where a line would be too long."""
        width = MARGIN - 4 * self._depth
        self.extend(wrap(head, items, tail, width))

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


def wrap(head: str, items: Sequence[str], tail: str, width: int = MARGIN) -> list[str]:
    """As ``Writer.listed``: the lines."""
    lines, current = [], head
    hang = " " * len(head)
    for number, item in enumerate(items):
        last = number == len(items) - 1
        piece = item + (tail if last else ",")
        glue = "" if number == 0 else " "
        if len(current) + len(glue) + len(piece) > width and current != hang:
            lines.append(current)
            current, glue = hang, ""
        current += glue + piece
    lines.append(current if items else head + tail)
    return lines
