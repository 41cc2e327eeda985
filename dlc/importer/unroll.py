"""Loops that carry sequences, turn by turn: the sequence may grow in each."""

from __future__ import annotations

import numpy as np

from dlc.errors import ModelError, UnsupportedError
from dlc.importer.bundles import Held, is_tensor
from dlc.importer.forms import whole_number
from dlc.importer.sequences import Desugaring
from dlc.ir.graph import Value

#: more turns, or more ops in the graph, are a mistake or an attack
MAX_TURNS = 1024
MAX_OPS = 100_000


def unroll(node: Desugaring) -> list[Held]:
    """The results of a Loop by its body once for each turn, which must all be known when compiling.

    Raises UnsupportedError when the number of turns, or whether it goes on after one, is not.
    """
    limit, condition = node.tensor(0), node.tensor(1)
    most = None if limit is None else _known(node, limit)
    going = condition is None or bool(_known(node, condition))
    body = node.attribute("body")
    if body is None or len(body.output) < len(node.operands) - 1:
        raise ModelError("it has no body, or its body has too few results")
    states = [held for held in node.operands[2:] if held is not None]
    rows: list[list[Value]] = []
    turn = 0
    while going and (most is None or turn < most):
        if turn == MAX_TURNS or len(node.builder.graph) > MAX_OPS:
            raise UnsupportedError(
                f"it carries a sequence and takes more than {turn} turns, too many to unroll"
            )
        scalars = [node.constant(np.array(turn, np.int64)), node.constant(np.array(True))]
        again, *results = node.builder.inlined(body, [*scalars, *states], node.label)
        going = bool(_known(node, again))
        states = results[: len(states)]
        rows.append([row for row in results[len(states) :] if isinstance(row, Value)])
        turn += 1
    return [*states, *(_stack(node, [row[k] for row in rows])
                       for k in range(len(body.output) - 1 - len(states)))]  # fmt: skip


def _known(node: Desugaring, held: Held) -> int:
    constant = held.constant if isinstance(held, Value) else None
    if constant is None:
        raise UnsupportedError(
            "it carries a sequence or an optional, so its turns must be known when compiling; make "
            "their number and the condition constants"
        )
    return whole_number(constant)


def _stack(node: Desugaring, rows: list[Value]) -> Value:
    if not rows or not all(map(is_tensor, rows)):
        raise UnsupportedError("it collects a result of each turn, but takes none")
    return node.stacked(rows)
