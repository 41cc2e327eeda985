"""Pictures as text of graphviz's DOT language."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from dlc.viz.picture import Box, Picture
from dlc.viz.style import fill, stroke


def dot_text(pictures: Sequence[Picture]) -> str:
    """One digraph; several pictures stand side by side in it, as clusters."""
    lines = [
        "digraph dlc {",
        '  graph [fontname="Helvetica", fontsize=14, nodesep=0.25, ranksep=0.35, labelloc=t]',
        '  node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=10, margin="0.12,0.06"]',
        '  edge [fontname="Helvetica", fontsize=8, fontcolor="#666666", color="#666666", arrowsize=0.6]',
    ]
    for number, picture in enumerate(pictures):
        lines.append(f"  subgraph cluster_{number} {{")
        lines.append(f"    label={_quoted(picture.title)}; color={json.dumps('#dddddd')}")
        lines += [f"    {line}" for line in _body(picture, number)]
        lines.append("  }")
    return "\n".join([*lines, "}"]) + "\n"


def _body(picture: Picture, number: int) -> Iterator[str]:
    for box in picture.boxes:
        colours = f'fillcolor="{fill(box)}", color="{stroke(box)}"'
        yield f"n{number}_{box.id} [label={_label(box)}, {colours}]"
    for arrow in picture.arrows:
        ends = f"n{number}_{arrow.source} -> n{number}_{arrow.target}"
        yield f"{ends} [label={_quoted(' ' + arrow.text)}]"


def _label(box: Box) -> str:
    return _quoted("\n".join(box.lines))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
