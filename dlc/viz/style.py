"""Colours, the same in both kinds of pictures."""

from __future__ import annotations

from dlc.viz.picture import Box

_FILL = {"input": "#eef2ff", "output": "#eef2ff", "op": "#ffffff"}
_STATES = {"gone": ("#fee2e2", "#b91c1c"), "new": ("#dcfce7", "#15803d")}


def fill(box: Box) -> str:
    """Red where the op has gone, green where it is new, blue at the ends."""
    return _STATES[box.state][0] if box.state in _STATES else _FILL[box.role]


def stroke(box: Box) -> str:
    """The colour of the border."""
    return _STATES[box.state][1] if box.state in _STATES else "#666666"
