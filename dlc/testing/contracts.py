"""The kernels' contracts as one page, made from the comment each header begins with.

``python -m dlc.testing.contracts > docs/kernels.md`` renews the page; a test holds that it is current.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from dlc.kernels_c import DIRECTORY

_INTRODUCTION = """\
# Kernels

Plain C99, `static inline`, one header a kernel, in `kernels_c/`. No allocation, no global state, nothing
of libc but memcpy and memset. A scalar function `f` on dtype `t` is `dlc_f_t` in `dlc_f.h`; errors are in
units in the last place (ulp) against the exact result. Every statement here is tested in
`tests/property/test_kernels_*.py`, with the address space around the arrays forbidden and undefined
behaviour trapped; `docs/fuzzing_kernels.md` shows how.

This page is made from the headers (`python -m dlc.testing.contracts > docs/kernels.md`).
"""

_SECTIONS = (
    ("Kernels over arrays", r"static inline \w+ {name}\([^)]*\*"),
    ("Scalar functions", r"\b(dlc_\w+_(f32|##name)|dlc_cast_##from##_##to)\((float|T|F) "),
    ("Parts that kernels share", r""),
)


def kernel_reference(directory: Path = DIRECTORY) -> str:
    """The text of docs/kernels.md."""
    sections: dict[str, list[str]] = {title: [] for title, _ in _SECTIONS}
    for path in sorted(directory.glob("*.h")):
        text = path.read_text(encoding="utf-8")
        flat = " ".join(text.split())
        shared = path.stem in ("dlc_fma", "dlc_bits", "dlc_exact", "dlc_quadrant")
        title = _SECTIONS[-1][0] if shared else next(
            title for title, mark in _SECTIONS if re.search(mark.format(name=path.stem), flat)
        )  # fmt: skip
        sections[title].append("\n".join(_entry(path.stem, text)))
    parts = [f"## {title}\n\n" + "\n\n".join(entries) for title, entries in sections.items()]
    return _INTRODUCTION + "\n" + "\n\n".join(parts) + "\n"


def contract(header: str) -> str:
    """The comment a header begins with, as plain text. ValueError when it has none."""
    found = re.match(r"/\*(.*?)\*/", header, flags=re.DOTALL)
    if found is None:
        raise ValueError("a kernel header begins with its contract, a comment")
    lines = (re.sub(r"^ \* ?", "", line).rstrip() for line in found[1].split("\n"))
    return "\n".join(lines).strip()


def _entry(name: str, text: str) -> Iterator[str]:
    yield f"### {name}.h"
    yield ""
    yield "```text"
    yield contract(text)
    yield "```"
    prototypes = re.findall(rf"^static inline (\w+ \*?{name}\([^)]*\)) {{", text, re.MULTILINE)
    if prototypes:
        yield ""
        yield "```c"
        yield from (f"{prototype};" for prototype in prototypes)
        yield "```"


if __name__ == "__main__":
    print(kernel_reference(), end="")  # noqa: T201  # the page is the output
