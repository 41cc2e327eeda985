"""For property tests of passes: inputs of a graph, and a reproducer of what fails."""

from __future__ import annotations

import hypothesis
from hypothesis import strategies as st

from dlc.interp import largest
from dlc.ir.graph import Graph
from dlc.ir.operator import Array
from dlc.ir.sizes import symbols_of
from dlc.prove.reproducer import Recipe, reproducer_text
from dlc.testing.values import arrays


@st.composite
def graph_inputs(
    draw: st.DrawFn, graph: Graph, *, special: bool = False, huge: bool = False
) -> dict[str, Array]:
    """Arrays for the inputs of a graph, by name; a symbolic dim has one size throughout.

    ``special`` and ``huge`` as in ``arrays``.
    """
    types = {name: v.type for name, v in zip(graph.input_names, graph.inputs, strict=True)}
    symbols = dict.fromkeys(s for type in types.values() for s in symbols_of(type.shape))
    sizes = {s: draw(st.integers(min(max(s.low, 1), s.bound), s.bound)) for s in symbols}
    return {
        name: draw(arrays(type.dtype, largest(type, sizes).dims, special=special, huge=huge))
        for name, type in types.items()
    }


def reproducer(graph: Graph, pipeline: str, *, check: int = 3) -> str:
    """The text of a file that ``dlc opt --run-reproducer`` runs: this graph through this pipeline.

    Inside a hypothesis test it is also noted, so that a failure prints the smallest one found.
    """
    text = reproducer_text(graph, Recipe(pipeline, check))
    if hypothesis.currently_in_test_context():
        hypothesis.note(f"reproducer, for dlc opt --run-reproducer and dlc reduce:\n{text}")
    return text
