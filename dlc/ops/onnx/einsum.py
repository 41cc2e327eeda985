"""Expansion of Einsum: operands are combined from left to right, each time by one batched product."""

from __future__ import annotations

import string
from collections.abc import Sequence

from dlc.errors import VerifyError
from dlc.ir.graph import Value
from dlc.ir.sizes import equal, product
from dlc.ops import build
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.onnx.precision import in_f32


@expansion("Einsum")
@in_f32
def einsum(call: Call, *operands: Value) -> Value:
    terms, result = _parse(call, operands)
    pending = [_diagonal(term, value) for term, value in zip(terms, operands, strict=True)]
    labels, value = pending.pop(0)
    while pending:
        other, right = pending.pop(0)
        wanted = set(result).union(*(term for term, _ in pending))
        labels, value = _multiply(labels, value, other, right, wanted)
    labels, value = _sum_out(labels, value, set(result))
    return build.transpose(value, [labels.index(label) for label in result])


def _parse(call: Call, operands: Sequence[Value]) -> tuple[list[str], str]:
    """The labels of each operand and of the result, an ellipsis being spelt out by unused letters."""
    equation = call.attr("equation").replace(" ", "")
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        raise call.unsupported(f"equation {equation!r} does not have {len(operands)} operands")
    free = [c for c in string.ascii_letters if c not in equation]
    hidden = [v.type.rank - len(t.replace("...", "")) for t, v in zip(terms, operands, strict=True)]
    dots = "".join(
        free[: max([h for h, t in zip(hidden, terms, strict=True) if "..." in t], default=0)]
    )
    spelt = [
        t.replace("...", dots[len(dots) - h :] if h else "")
        for t, h in zip(terms, hidden, strict=True)
    ]
    if not arrow:
        counts = {label: left.count(label) for label in sorted(left) if label.isalpha()}
        right = "..." + "".join(label for label, count in counts.items() if count == 1)
    result = right.replace("...", dots)
    for term, value in zip(spelt, operands, strict=True):
        if len(term) != value.type.rank:
            raise call.unsupported(f"equation {equation!r} does not suit an operand {value.type}")
    if not set(result) <= set("".join(spelt)):
        raise call.unsupported(f"equation {equation!r} has a result label no operand has")
    return spelt, result


def _diagonal(labels: str, value: Value) -> tuple[str, Value]:
    """The elements whose indices on axes of one label are equal; every label once."""
    for label in sorted({c for c in labels if labels.count(c) > 1}):
        axes = [i for i, c in enumerate(labels) if c == label]
        kept = [i for i, c in enumerate(labels) if c != label]
        size, *others = dict.fromkeys(value.type.shape[i] for i in axes)
        if any(equal(size, other) == 0 for other in others):
            raise VerifyError(f"the axes {label!r} of an Einsum operand {value.type} differ")
        value = build.transpose(value, [*kept, *axes])
        step = sum(product([size] * i) for i in range(len(axes)))
        shape = value.type.shape[: len(kept)]
        value = build.reshape(value, [*shape, product([size] * len(axes))])
        value = build.slice_(value, [0] * value.type.rank, [*shape, size],
                             [*[1] * len(kept), step])  # fmt: skip
        labels = "".join(labels[i] for i in kept) + label
    return labels, value


def _sum_out(labels: str, value: Value, wanted: set[str]) -> tuple[str, Value]:
    """Without the axes whose labels nobody wants."""
    axes = [i for i, label in enumerate(labels) if label not in wanted]
    if not axes:
        return labels, value
    return "".join(c for c in labels if c in wanted), build.reduce(
        "add", value, axes, keepdims=False
    )


def _multiply(a: str, x: Value, b: str, y: Value, wanted: set[str]) -> tuple[str, Value]:
    """The product of two operands, summed over the labels that only they have."""
    a, x = _sum_out(a, x, wanted | set(b))
    b, y = _sum_out(b, y, wanted | set(a))
    size = dict(zip(b, y.type.shape, strict=True))
    size |= {
        label: dim for label, dim in zip(a, x.type.shape, strict=True) if dim != 1 or label not in b
    }
    batch = [c for c in a if c in b and c in wanted]
    summed = [c for c in a if c in b and c not in wanted]
    rows, cols = [c for c in a if c not in b], [c for c in b if c not in a]

    def arrange(labels: str, value: Value, *groups: list[str]) -> Value:
        """Axes brought into the order of batch and groups, each group made one axis."""
        order = [*batch, *(c for group in groups for c in group)]
        value = build.transpose(value, [labels.index(c) for c in order])
        dims = zip(order, value.type.shape, strict=True)
        value = build.broadcast(value, [d if c in batch else size[c] for c, d in dims])
        joined = (product(size[c] for c in group) for group in groups)
        return build.reshape(value, (*value.type.shape[: len(batch)], *joined))

    result = build.contract(arrange(a, x, rows, summed), arrange(b, y, summed, cols))
    labels = [*batch, *rows, *cols]
    return "".join(labels), build.reshape(
        result, [*result.type.shape[: len(batch)], *(size[c] for c in (*rows, *cols))]
    )
