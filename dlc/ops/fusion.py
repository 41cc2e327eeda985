"""Composing scalar expressions across ops: what fusing a ``map`` into its neighbour means.

An expression comes with its arguments: the Values it reads, or None for the accumulated value that
an epilogue starts from.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dlc.errors import VerifyError
from dlc.ir.expr import CASTS, NO_LITERAL, Arg, Call, Const, Expr
from dlc.ir.graph import Op, Value
from dlc.ir.types import Dim, DType, broadcast_shapes

Argument = Value | None

#: functions that cost about as much as ten additions or more, and those between
_EXPENSIVE = {
    "exp", "log", "log1p", "pow", "sigmoid", "tanh", "erf", "sin", "cos", "atan", "fmod",
}  # fmt: skip
_MIDDLING = {"div", "sqrt", "round"}


def cost(expr: Expr) -> int:
    """Rough work of one evaluation, in additions."""
    total = 0
    for node in expr.walk():
        if isinstance(node, Call) and node.function not in CASTS:
            function = node.function
            total += 16 if function in _EXPENSIVE else 4 if function in _MIDDLING else 1
    return total


def count_uses(expr: Expr, arguments: Sequence[Argument], value: Value) -> int:
    """How often the expression reads ``value``."""
    return sum(1 for n in expr.walk() if isinstance(n, Arg) and arguments[n.index] is value)


def compose(
    outer: Expr, outer_arguments: Sequence[Argument], value: Value,
    inner: Expr, inner_arguments: Sequence[Argument],
) -> tuple[Expr, list[Argument]]:  # fmt: skip
    """``outer`` with ``inner`` in the place of ``value``; the arguments of ``inner`` come first.

    The dtype of ``inner`` is that of ``value``, so constants beside it keep theirs.
    """
    rest = (a for a in outer_arguments if a is not value)
    arguments = list(dict.fromkeys([*inner_arguments, *rest]))
    place = {argument: Arg(i) for i, argument in enumerate(arguments)}
    if arguments[: len(inner_arguments)] != list(inner_arguments):
        inner = inner.substitute(lambda i: place[inner_arguments[i]])
    expr = outer.substitute(
        lambda i: inner if outer_arguments[i] is value else place[outer_arguments[i]]
    )
    return expr, arguments


def absorb(
    expr: Expr, arguments: Sequence[Argument], shape: tuple[Dim, ...] | None,
    accumulated: DType | None = None,
) -> tuple[Expr, list[Argument]]:  # fmt: skip
    """The same expression with scalar constants written into it, and arguments it does not need
    left out or listed once; ``shape``: what the arguments left must still broadcast to.
    """
    unique = list(dict.fromkeys(arguments))
    used = {arguments[n.index] for n in expr.walk() if isinstance(n, Arg)}
    kept = list(unique)
    for argument in unique:
        if argument is None or (argument in used and not is_scalar_constant(argument)):
            continue
        without = [a for a in kept if a is not argument]
        if shape is None or (without and _broadcast(without) == shape):
            kept = without
    if len(kept) == len(arguments):
        return expr, kept
    place = {argument: i for i, argument in enumerate(kept)}
    dtypes = [accumulated if a is None else a.type.dtype for a in arguments]
    assert None not in dtypes or accumulated is not None
    return _Inliner(arguments, [d for d in dtypes if d is not None], place).rewrite(expr), kept


def is_scalar_constant(value: Value) -> bool:
    """Whether the value can be written into an expression: a constant of one number."""
    array = value.constant
    return array is not None and array.size == 1 and value.type.dtype not in NO_LITERAL


def _broadcast(values: Sequence[Argument]) -> tuple[Dim, ...]:
    return broadcast_shapes(*(value.type.shape for value in values if value is not None))


class _Inliner:
    """Renumbers arguments and turns those that have no place any more into constants.

    A constant takes the dtype of what stands beside it; where nothing there has one, it is cast.
    """

    def __init__(self, arguments: Sequence[Argument], dtypes: Sequence[DType],
                 place: dict[Argument, int]) -> None:  # fmt: skip
        self.arguments, self.dtypes, self.place = arguments, dtypes, place

    def rewrite(self, node: Expr, typed_by_sibling: bool = False) -> Expr:
        if isinstance(node, Arg):
            argument = self.arguments[node.index]
            position = self.place.get(argument)
            if position is not None:
                return Arg(position)
            assert argument is not None
            assert argument.constant is not None
            literal = Const(np.asarray(argument.constant).reshape(()).item())
            if typed_by_sibling or isinstance(literal.value, bool):
                return literal
            return Call(argument.type.dtype.value, (literal,))
        if isinstance(node, Call):
            siblings = node.args[1:] if node.function == "select" else node.args
            typed = node.function not in CASTS and any(self._has_dtype(arg) for arg in siblings)
            return Call(node.function, tuple(self.rewrite(arg, typed) for arg in node.args))
        return node

    def _has_dtype(self, node: Expr) -> bool:
        """Whether the node still has a dtype of its own once constants are written into it."""
        if isinstance(node, Arg):
            return self.arguments[node.index] in self.place
        try:
            node.dtype_of(self.dtypes)
        except VerifyError:
            return False
        # a call whose every operand becomes a constant is cast inside, so it keeps its dtype
        return isinstance(node, Call)


def joined_label(*ops: Op) -> str:
    """One label for what several ops became: their names joined, shortened in the middle."""
    names = list(dict.fromkeys(name for op in ops for name in op.label.split("+") if name))
    if len(names) > 4:
        names = [*names[:2], "...", *names[-2:]]
    return "+".join(dict.fromkeys(names))
