"""Operators on sequences and optionals: gone once the model is read (see ``bundles``).

Where a position is only known at run time and the elements have one type, they are stacked and
gathered from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper

from dlc.errors import ModelError, UnsupportedError
from dlc.importer.bundles import ABSENT, Absent, Bundle, Held, is_tensor, kind
from dlc.importer.forms import whole_number
from dlc.importer.text import normalize
from dlc.ir.graph import Value
from dlc.ir.types import DType

if TYPE_CHECKING:
    from dlc.importer.nodes import Builder

Operands = Sequence[Held | None]
#: more elements than this are a mistake or an attack
MAX_LENGTH = 4096


class Desugaring:
    """One node that takes or gives sequences or optionals."""

    def __init__(
        self, builder: Builder, node: onnx.NodeProto, operands: Operands, label: str
    ) -> None:
        self.builder = builder
        self.node = node
        self.operands = operands
        self.label = label

    def attribute(self, name: str, default: Any = None) -> Any:
        """The value of an attribute of the node."""
        found = [a for a in self.node.attribute if a.name == name]
        return helper.get_attribute_value(found[0]) if found else default

    def apply(self, type: str, *operands: Value, results: int | None = None, least: int = 1,
              **attributes: Any) -> Sequence[Value]:  # fmt: skip
        """The results of an op on tensors, of operator set version ``least`` at least."""
        return self.builder.apply(type, operands, self.label, results, least, **attributes)

    def constant(self, array: Any) -> Value:
        return self.builder.graph.add_constant(np.asarray(array), self.label)

    def tensor(self, index: int) -> Value | None:
        """Operand ``index``, which must be a tensor; None when it is absent."""
        held = self.operands[index] if index < len(self.operands) else None
        if not is_tensor(held):
            raise ModelError(f"operand {index} is {kind(held)} where a tensor is needed")  # type: ignore[arg-type]
        return held

    def sequence(self, index: int = 0) -> Bundle:
        """Operand ``index``, which must be a sequence."""
        held = self.operands[index] if index < len(self.operands) else None
        if not isinstance(held, Bundle):
            found = "absent" if held is None else kind(held)
            raise ModelError(f"operand {index} is {found} where a sequence is needed")
        return held

    def squeezed(self, value: Value, axis: int) -> Value:
        return self._axis("Squeeze", value, axis)

    def unsqueezed(self, value: Value, axis: int) -> Value:
        return self._axis("Unsqueeze", value, axis)

    def _axis(self, type: str, value: Value, axis: int) -> Value:
        if self.builder.model.opsets[""] < 13:
            return self.apply(type, value, axes=(axis,))[0]
        return self.apply(type, value, self.constant(np.array([axis], np.int64)))[0]

    def stacked(self, items: Sequence[Held]) -> Value:
        """Elements of one type as one tensor, for a position known at run time only."""
        tensors = [item for item in items if isinstance(item, Value)]
        if len(tensors) < len(items) or len({item.type for item in tensors}) > 1:
            raise UnsupportedError(
                "its position is known at run time only, so the elements must have one type; "
                "make the position a constant"
            )
        rows = [self.unsqueezed(item, 0) for item in tensors]
        return self.apply("Concat", *rows, axis=0)[0]

    def rearranged(
        self, items: Sequence[Held], table: Sequence[Sequence[int]], position: Value
    ) -> Bundle:
        """The elements that row ``position`` of a table of indices picks; all have one type."""
        row = self.apply("Gather", self.constant(np.array(table, np.int64)), position, axis=0)[0]
        row = self.apply("Reshape", row, self.constant(np.array([-1], np.int64)))[0]
        picked = self.apply("Gather", self.stacked(items), row, axis=0)[0]
        found = (self.apply("Gather", picked, self.constant(np.array(i, np.int64)), axis=0)[0]
                 for i in range(len(table[0])))  # fmt: skip
        return bundle(found)


Rule = Callable[[Desugaring], Held | list[Held]]


def bundle(items: Any, dtype: DType | None = None) -> Bundle:
    """A sequence of these elements."""
    items = tuple(items)
    if len(items) > MAX_LENGTH:
        raise UnsupportedError(
            f"a sequence of {len(items)} elements; dlc takes {MAX_LENGTH} at most"
        )
    known = next((item.type.dtype for item in items if isinstance(item, Value)), dtype)
    return Bundle(items, known)


def _known(position: Value | None, count: int, least: int) -> int | None:
    """A position among ``count`` known when compiling, from the front; None when it is not known."""
    if position is None or position.constant is None:
        return None
    index = whole_number(position.constant)
    if not least <= index < count:
        raise ModelError(f"position {index} is out of range for a sequence of {count}")
    return index


def _construct(node: Desugaring) -> Held:
    return bundle(node.operands)


def _empty(node: Desugaring) -> Held:
    return bundle((), DType.of(node.attribute("dtype", onnx.TensorProto.FLOAT)))


def _length(node: Desugaring) -> Held:
    return node.constant(np.array(len(node.sequence().items), np.int64))


def _at(node: Desugaring) -> Held:
    items, position = node.sequence().items, node.tensor(1)
    if position is None or not items:
        raise ModelError("there is no such element")
    index = _known(position, len(items), -len(items))
    if index is not None:
        return items[index]
    if len(items) == 1:
        return items[0]
    row = node.apply("Gather", node.stacked(items), position, axis=0)[0]
    return node.squeezed(row, 0) if position.type.rank else row


def _insert(node: Desugaring) -> Held:
    items, tensor, position = node.sequence().items, node.operands[1], node.tensor(2)
    assert tensor is not None
    count = len(items)
    index = count if position is None else _known(position, count + 1, -count)
    if index is not None or position is None:
        return bundle((*items[:index], tensor, *items[index:]))
    rows = [[*range(i), count, *range(i, count)] for i in (*range(count + 1), *range(count))]
    return node.rearranged([*items, tensor], rows, position)


def _erase(node: Desugaring) -> Held:
    sequence, position = node.sequence(), node.tensor(1)
    items, count = sequence.items, len(sequence.items)
    if not items:
        raise ModelError("there is nothing to erase in an empty sequence")
    index = count - 1 if position is None else _known(position, count, -count)
    if index is None and position is not None and count > 1:
        rows = [[*range(i), *range(i + 1, count)] for i in range(count)]
        return node.rearranged(items, rows, position)
    kept = [item for i, item in enumerate(items) if i != (index or 0) % count]
    return bundle(kept, sequence.dtype)


def _split(node: Desugaring) -> Held:
    """Parts of the sizes given, of one size but for the last, or of size 1 (and then squeezed)."""
    data, split = node.tensor(0), node.tensor(1)
    assert data is not None
    axis = node.attribute("axis", 0)
    if not -data.type.rank <= axis < data.type.rank:
        raise ModelError(f"{data.type} has no axis {axis}")
    extent = data.type.shape[axis]
    if not isinstance(extent, int):
        raise UnsupportedError(f"the size of axis {axis} must be known when compiling")
    if split is not None and split.constant is None:
        return _run_time_parts(node, data, split, axis)
    table = np.array(1) if split is None else split.constant
    assert table is not None
    if table.ndim != 1:
        step = whole_number(table)
        if step < 1:
            raise ModelError(f"it splits into parts of {step}")
        sizes = [min(step, extent - start) for start in range(0, extent, step)]
    else:
        sizes = [whole_number(size) for size in table]
    if min(sizes, default=0) < 0 or sum(sizes) != extent:
        raise ModelError(f"it splits an axis of {extent} into parts of {sizes[:8]}")
    if len(sizes) > MAX_LENGTH:
        raise UnsupportedError(f"it splits into {len(sizes)} parts; dlc takes {MAX_LENGTH} at most")
    parts = _parts(node, data, sizes, axis)
    if split is None and not node.attribute("keepdims", 1):
        parts = [node.squeezed(part, axis) for part in parts]
    return bundle(parts, data.type.dtype)


def _run_time_parts(node: Desugaring, data: Value, split: Value, axis: int) -> Held:
    """Parts whose number is known, but not their sizes."""
    if split.type.rank != 1 or not split.type.is_static:
        raise UnsupportedError(
            "into how many parts it splits must be known when compiling: make its second operand a "
            "constant, or a vector of known length"
        )
    count = split.type.dims[0]
    if count > MAX_LENGTH:
        raise UnsupportedError(f"it splits into {count} parts; dlc takes {MAX_LENGTH} at most")
    return bundle(node.apply("Split", data, split, results=count, least=13, axis=axis))


def _parts(node: Desugaring, data: Value, sizes: Sequence[int], axis: int) -> Sequence[Value]:
    if not sizes:
        return []
    if node.builder.model.opsets[""] < 13:
        return node.apply("Split", data, results=len(sizes), axis=axis, split=tuple(sizes))
    table = node.constant(np.array(sizes, np.int64))
    return node.apply("Split", data, table, results=len(sizes), axis=axis)


def _concat(node: Desugaring) -> Held:
    axis = node.attribute("axis")
    items = [item for item in node.sequence().items if isinstance(item, Value)]
    if not items:
        raise ModelError("there is nothing to concatenate in an empty sequence")
    if node.attribute("new_axis", 0):
        items = [node.unsqueezed(item, axis) for item in items]
    return node.apply("Concat", *items, axis=axis)[0]


def _map(node: Desugaring) -> list[Held]:
    """The body once for each element."""
    body = node.attribute("body")
    count = len(node.sequence().items)
    for index, held in enumerate(node.operands):
        if isinstance(held, Bundle) and len(held.items) != count:
            raise ModelError(f"operand {index} has {len(held.items)} elements, not {count}")
    rows = [
        node.builder.inlined(
            body, [h.items[i] if isinstance(h, Bundle) else h for h in node.operands], node.label
        )
        for i in range(count)
    ]
    return [bundle(row[k] for row in rows) for k in range(len(body.output))]


def _optional(node: Desugaring) -> Held:
    return ABSENT if not node.operands or node.operands[0] is None else node.operands[0]


def _get(node: Desugaring) -> Held:
    held = node.operands[0] if node.operands else ABSENT
    if held is None or isinstance(held, Absent):
        raise ModelError("the optional holds nothing")
    return held


def _has(node: Desugaring) -> Held:
    held = node.operands[0] if node.operands else ABSENT
    return node.constant(np.array(not (held is None or isinstance(held, Absent))))


def _identity(node: Desugaring) -> Held:
    (held,) = node.operands
    assert held is not None
    return held


_RULES: dict[str, Rule] = {
    "SequenceConstruct": _construct,
    "SequenceEmpty": _empty,
    "SequenceLength": _length,
    "SequenceAt": _at,
    "SequenceInsert": _insert,
    "SequenceErase": _erase,
    "SequenceMap": _map,
    "SplitToSequence": _split,
    "ConcatFromSequence": _concat,
    "Optional": _optional,
    "OptionalGetElement": _get,
    "OptionalHasElement": _has,
    "StringNormalizer": normalize,
}

TAKEN_APART = frozenset(_RULES)
"""Operators of which nothing is left once a model is read."""


def find_rule(type: str, operands: Operands) -> Rule | None:
    """The rule for an operator of the default domain that is gone once the model is read."""
    if type == "Identity" and not all(map(is_tensor, operands)):
        return _identity
    if type == "Loop" and not all(map(is_tensor, operands)):
        from dlc.importer.unroll import unroll

        return unroll
    return _RULES.get(type)
