"""The kernels' contracts as one page, made from the comment each header begins with.

``python -m dlc.testing.contracts > docs/kernels.md`` renews the page; a test holds that it is current.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from dlc.kernels_c import DIRECTORY

_INTRODUCTION = """\
# Kernels

Plain C99, `static inline`, one header a kernel, in `kernels_c/`. No allocation, no global state, nothing
of libc but memcpy, memset and, for strings, strcmp and the strto family. A scalar function `f` on dtype
`t` is `dlc_f_t` in `dlc_f.h`; errors are in units in the last place (ulp) against the exact result. Every statement here is tested in
`tests/property/test_kernels_*.py`, with the address space around the arrays forbidden and undefined
behaviour trapped; `docs/fuzzing_kernels.md` shows how.

This page is made from the headers (`python -m dlc.testing.contracts > docs/kernels.md`).
"""

# what other kernels are made of; the rest is known by what it defines
_SHARED = frozenset(
    f"dlc_{part}"
    for part in (
        "bits",
        "exact",
        "fma",
        "kernel",
        "lanes",
        "quadrant",
        "recurrence",
        "sizes",
        "status",
        "tap",
    )
)


def kernel_reference(directory: Path = DIRECTORY) -> str:
    """The text of docs/kernels.md."""
    sections: dict[str, list[str]] = {
        "Kernels over arrays": [], "Scalar functions": [], "Parts that kernels share": []
    }  # fmt: skip
    arrays, scalars, shared = sections.values()
    for path in sorted(directory.glob("*.h")):
        text = path.read_text(encoding="utf-8")
        entries = shared if path.stem in _SHARED else arrays if prototypes(text) else scalars
        entries.append("\n".join(_entry(path.stem, text)))
    parts = [f"## {title}\n\n" + "\n\n".join(entries) for title, entries in sections.items()]
    return _INTRODUCTION + "\n" + "\n\n".join(parts) + "\n"


def contract(header: str) -> str:
    """The comment a header begins with, as plain text. ValueError when it has none."""
    found = re.match(r"/\*(.*?)\*/", header, flags=re.DOTALL)
    if found is None:
        raise ValueError("a kernel header begins with its contract, a comment")
    lines = (re.sub(r"^ \* ?", "", line).rstrip() for line in found[1].split("\n"))
    return "\n".join(lines).strip()


def prototypes(header: str) -> list[str]:
    """Prototypes of the functions of a header that take arrays and are no part of another."""
    guard = re.search(r"#ifndef (\w+)_H\n", header)
    name = guard[1].lower() if guard else ""
    found = re.findall(
        rf"^(?:static inline|DLC_KERNEL)(\s+\w+\s+{name}\([^)]*\*[^)]*\)) {{", header, re.MULTILINE
    )
    return [" ".join(prototype.split()) for prototype in found]


def _entry(name: str, text: str) -> Iterator[str]:
    yield f"### {name}.h"
    yield ""
    yield "```text"
    yield contract(text)
    yield "```"
    if prototypes(text):
        yield ""
        yield "```c"
        for prototype in prototypes(text):
            yield from textwrap.wrap(f"{prototype};", 98, subsequent_indent="    ")
        yield "```"


if __name__ == "__main__":
    print(kernel_reference(), end="")  # the page is the output
