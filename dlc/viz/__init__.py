"""Pictures of graphs: through graphviz where it is installed, plain ones where it is not."""

from __future__ import annotations

from dlc.viz.picture import Box, Picture, pictures
from dlc.viz.render import render

__all__ = ["Box", "Picture", "pictures", "render"]
