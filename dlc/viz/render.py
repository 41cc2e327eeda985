"""Writing pictures to files."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from dlc.errors import BuildError
from dlc.ir.graph import Graph
from dlc.viz.dot import dot_text
from dlc.viz.picture import pictures
from dlc.viz.plain import svg_text

_SECONDS = 60
#: beyond this many boxes graphviz needs minutes
_MOST_BOXES = 1500
SUFFIXES = (".svg", ".dot", ".png", ".pdf")


def render(graphs: Sequence[tuple[str, Graph]], path: str | Path, *, plain: bool = False,
           notify: Callable[[str], None] = lambda _: None) -> None:  # fmt: skip
    """Draw titled graphs side by side into a file: ``.svg``, ``.dot``, ``.png`` or ``.pdf``.

    An ``.svg`` is drawn without graphviz when it is not installed, gives up, or ``plain`` is asked
    for; ``notify`` hears of it. Raises BuildError for another suffix, and for a ``.png`` or
    ``.pdf`` without graphviz.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise BuildError(f"{path}: the suffix says the format; use {', '.join(SUFFIXES)}")
    drawn = pictures(graphs)
    if path.suffix == ".dot":
        path.write_text(dot_text(drawn), encoding="utf-8")
        return
    problem = "" if plain else _graphviz(dot_text(drawn), path, sum(len(p.boxes) for p in drawn))
    if not plain and not problem:
        return
    if path.suffix != ".svg":
        raise BuildError(
            f"{path}: {problem or 'the plain picture is an .svg'}; write an .svg instead"
        )
    if problem:
        notify(f"{problem}: the picture is a plain one")
    path.write_text(svg_text(drawn), encoding="utf-8")


def _graphviz(text: str, path: Path, boxes: int) -> str:
    """Draw with ``dot``; why it could not be done, or nothing."""
    program = shutil.which("dot")
    if program is None:
        return "graphviz (dot) is not installed"
    if boxes > _MOST_BOXES:
        return f"{boxes} boxes are too many for graphviz"
    command = [program, f"-T{path.suffix[1:]}", "-o", str(path)]
    try:
        done = subprocess.run(command, input=text, text=True, capture_output=True, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        return f"graphviz needs more than {_SECONDS} s"
    except OSError as error:
        return f"graphviz cannot be run ({error.strerror})"
    return f"graphviz failed: {' '.join(done.stderr.split())}" if done.returncode else ""
