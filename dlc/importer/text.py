"""StringNormalizer as far as it makes no new text: what it leaves out, it leaves out by Compress."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dlc.errors import UnsupportedError
from dlc.importer.bundles import Held
from dlc.ir.graph import Value
from dlc.ops.onnx.operator import from_attribute

if TYPE_CHECKING:
    from dlc.importer.sequences import Desugaring

#: one comparison of all strings for each
MAX_STOPWORDS = 256


def normalize(node: Desugaring) -> Held:
    """The strings that are no stop words, in order; one empty string where all of them are.

    Raises UnsupportedError for a change of case, which makes text that C has nowhere to put.
    """
    (x,) = (node.tensor(0),)
    assert x is not None
    words = [word.decode("utf-8", "surrogateescape") for word in node.attribute("stopwords", [])]
    if x.constant is not None:  # known now, and no new text
        attributes = {a.name: from_attribute(a) for a in node.node.attribute}
        return node.apply("StringNormalizer", x, **attributes)[0]
    change = node.attribute("case_change_action", b"NONE")
    if change != b"NONE" or (words and not node.attribute("is_case_sensitive", 0)):
        raise UnsupportedError(
            "it changes the case of strings, or compares without it: C has nowhere to put new text; "
            "normalise them before the model runs"
        )
    if not words:
        return x
    if len(words) > MAX_STOPWORDS:
        raise UnsupportedError(f"it has {len(words)} stop words; dlc takes {MAX_STOPWORDS} at most")
    flat = node.apply("Reshape", x, node.constant(np.array([-1], np.int64)))[0]
    kept = _kept(node, flat, words)
    count = node.apply("ReduceSum", node.apply("Cast", kept, to=7)[0], least=13, keepdims=1)[0]
    none = node.apply("Equal", count, node.constant(np.array([0], np.int64)))[0]
    extended = node.apply("Concat", flat, node.constant(np.array([""], object)), axis=0)[0]
    mask = node.apply("Concat", kept, none, axis=0)[0]
    found = node.apply("Compress", extended, mask, axis=0)[0]
    return found if x.type.rank == 1 else node.unsqueezed(found, 0)


def _kept(node: Desugaring, strings: Value, words: list[str]) -> Value:
    """Which strings are none of the words."""
    stopped: Value | None = None
    for word in words:
        equal = node.apply("Equal", strings, node.constant(np.array([word], object)), least=19)[0]
        stopped = equal if stopped is None else node.apply("Or", stopped, equal)[0]
    assert stopped is not None
    return node.apply("Not", stopped)[0]
