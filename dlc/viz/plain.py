"""SVG without graphviz: boxes in layers by their longest way from the inputs, arrows as curves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from dlc.viz.picture import Box, Picture
from dlc.viz.style import fill, stroke

_CHAR, _LINE, _PAD = 6.2, 13, 8
_GAP_X, _GAP_Y, _MARGIN = 24, 44, 24
_HEAD = 34


@dataclass(slots=True)
class _Placed:
    box: Box
    width: float
    height: float
    layer: int = 0
    x: float = 0.0
    y: float = 0.0

    @property
    def middle(self) -> float:
        return self.x + self.width / 2


def svg_text(pictures: Sequence[Picture]) -> str:
    """One SVG image with the pictures side by side, each under its title."""
    parts: list[str] = []
    left, height = float(_MARGIN), 0.0
    for picture in pictures:
        placed = _place(picture)
        width = max([p.x + p.width for p in placed.values()] + [_CHAR * 1.4 * len(picture.title)])
        lanes = _lanes(picture, placed)
        body = [*_arrows(picture, placed, width, lanes), *_boxes(placed)]
        title = f'<text x="0" y="-14" font-size="14">{escape(picture.title)}</text>'
        parts += [f'<g transform="translate({left:.0f},{_HEAD + _MARGIN})">', title, *body, "</g>"]
        left += width + 8 * len(lanes) + 3 * _MARGIN
        height = max([height, *(p.y + p.height for p in placed.values())])
    width, height = left - 2 * _MARGIN, height + _HEAD + 2 * _MARGIN
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="Helvetica, Arial, sans-serif" font-size="10">\n'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#666666"/></marker></defs>\n'
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>'
    )
    return "\n".join([head, *parts, "</svg>"]) + "\n"


def _place(picture: Picture) -> dict[int, _Placed]:
    placed = {
        box.id: _Placed(
            box, max(map(len, box.lines)) * _CHAR + 2 * _PAD, len(box.lines) * _LINE + _PAD
        )
        for box in picture.boxes
    }
    sources: dict[int, list[_Placed]] = {number: [] for number in placed}
    for arrow in picture.arrows:
        sources[arrow.target].append(placed[arrow.source])
    readers: dict[int, list[_Placed]] = {number: [] for number in placed}
    for arrow in picture.arrows:
        readers[arrow.source].append(placed[arrow.target])
    for number, item in placed.items():  # boxes are in topological order
        item.layer = max((source.layer + 1 for source in sources[number]), default=0)
    for number, item in placed.items():
        if not sources[number] and readers[number]:  # what reads constants only: where it is needed
            item.layer = min(reader.layer for reader in readers[number]) - 1
    layers: list[list[_Placed]] = [
        [] for _ in range(1 + max((i.layer for i in placed.values()), default=0))
    ]
    for item in placed.values():
        layers[item.layer].append(item)
    layers = [row for row in layers if row]
    widest = max((sum(i.width + _GAP_X for i in row) for row in layers), default=0.0)
    y = 0.0
    for row in layers:
        # under the mean of what they read, in that order
        wished = {
            i.box.id: sum(s.middle for s in sources[i.box.id]) / len(sources[i.box.id])
            if sources[i.box.id] else widest / 2
            for i in row
        }  # fmt: skip
        row.sort(key=lambda i: wished[i.box.id])
        x = (widest - sum(i.width + _GAP_X for i in row) + _GAP_X) / 2
        for item in row:
            item.x, item.y = max(x, 0.0), y
            x = item.x + item.width + _GAP_X
        y += max(i.height for i in row) + _GAP_Y
    return placed


def _lanes(picture: Picture, placed: dict[int, _Placed]) -> dict[tuple[int, int], int]:
    """Arrows that skip layers run at the right side, each in a lane of its own where they overlap."""
    busy_until: list[int] = []
    lanes: dict[tuple[int, int], int] = {}
    for arrow in sorted(picture.arrows, key=lambda a: placed[a.source].layer):
        start, stop = placed[arrow.source].layer, placed[arrow.target].layer
        if stop - start < 2:
            continue
        lane = next((i for i, end in enumerate(busy_until) if end <= start), len(busy_until))
        busy_until[lane : lane + 1] = [stop]
        lanes[arrow.source, arrow.target] = lane
    return lanes


def _arrows(picture: Picture, placed: dict[int, _Placed], right: float,
            lanes: dict[tuple[int, int], int]) -> Iterator[str]:  # fmt: skip
    for arrow in picture.arrows:
        source, target = placed[arrow.source], placed[arrow.target]
        x1, y1, x2, y2 = source.middle, source.y + source.height, target.middle, target.y
        lane = lanes.get((arrow.source, arrow.target))
        if lane is None:
            half = (y1 + y2) / 2
            path = f"M{x1:.1f},{y1:.1f} C{x1:.1f},{half:.1f} {x2:.1f},{half:.1f} {x2:.1f},{y2:.1f}"
        else:
            side = right + 8 * (lane + 1)
            bend = _GAP_Y / 3
            path = (
                f"M{x1:.1f},{y1:.1f} C{x1:.1f},{y1 + bend:.1f} {side:.1f},{y1:.1f} {side:.1f},{y1 + 2 * bend:.1f} "
                f"L{side:.1f},{y2 - 2 * bend:.1f} C{side:.1f},{y2:.1f} {x2:.1f},{y2 - bend:.1f} {x2:.1f},{y2:.1f}"
            )
        yield f'<path d="{path}" fill="none" stroke="#666666" marker-end="url(#tip)">'
        yield f"<title>{escape(arrow.text)}</title></path>"
        if lane is None:
            at = f'x="{(x1 + x2) / 2 + 4:.1f}" y="{(y1 + y2) / 2 + 3:.1f}"'
            yield f'<text {at} font-size="8" fill="#666666">{escape(arrow.text)}</text>'


def _boxes(placed: dict[int, _Placed]) -> Iterator[str]:
    for item in placed.values():
        box = item.box
        yield (
            f'<rect x="{item.x:.1f}" y="{item.y:.1f}" width="{item.width:.1f}" height="{item.height:.1f}" '
            f'rx="5" fill="{fill(box)}" stroke="{stroke(box)}"/>'
        )
        for number, line in enumerate(box.lines):
            weight = ' font-weight="bold"' if number == 0 else ""
            at = f'x="{item.middle:.1f}" y="{item.y + (number + 1) * _LINE:.1f}"'
            yield f'<text {at} text-anchor="middle"{weight}>{escape(line)}</text>'
