"""Scalar expressions as C: typed, free of undefined behaviour, each shared subexpression named once.

Floats use C's operators. Integers wrap, as numpy's do, by computing in an unsigned type of at least
32 bits. Every other function ``f`` of dtype ``t`` is ``dlc_f_t`` of the header ``dlc_f.h``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dlc.backends.c99.dtypes import FLOATS, INTEGERS, c_type, limits, literal, unsigned_type
from dlc.errors import UnsupportedError, VerifyError
from dlc.ir.expr import CASTS, Arg, Call, Const, Expr, operand_dtype
from dlc.ir.scalars import SCALARS
from dlc.ir.types import DType

_COMPUTABLE = FLOATS | INTEGERS | {DType.BOOL}
_INTEGER_FUNCTIONS = frozenset(
    {"add", "sub", "mul", "neg", "div", "pow", "fmod", "max", "min", "abs", "sign"}
)
_LOGIC_FUNCTIONS = frozenset({"and", "or", "xor", "not"})
_BOOL_FUNCTIONS = frozenset(name for name, row in SCALARS.items() if row.result == "bool")
_LONGEST = 72  # a longer subexpression gets a name of its own
_OPERATORS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "eq": "==", "lt": "<", "le": "<=",
              "xor": "!="}  # fmt: skip
_COND, _LOGIC, _COMPARE, _SUM, _PRODUCT, _UNARY, _ATOM = range(7)  # how tightly text binds
_LEVELS = {"+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT}


@dataclass(frozen=True, slots=True)
class Typed:
    """C text of a scalar and its dtype."""

    text: str
    dtype: DType


@dataclass(frozen=True, slots=True)
class Body:
    """Statements that define locals, then an expression that uses them."""

    statements: list[str]
    value: Typed
    headers: set[str]


def translate(expr: Expr, arguments: Sequence[Typed], want: DType | None = None) -> Body:
    """``expr`` with C text for its arguments; ``want`` types an expression of constants alone.

    Raises UnsupportedError for functions and dtypes dlc cannot compute with in C.
    """
    translation = _Translation(arguments)
    root = translation.node(expr, want)
    return translation.body(root)


@dataclass(slots=True)
class _Node:
    """A node of the expression as a graph: equal subtrees are one node."""

    function: str  # of the expression; "arg" and "const" for leaves
    operands: tuple[int, ...]
    dtype: DType
    inner: DType  # what it computes in
    text: str = ""  # of leaves


@dataclass(slots=True)
class _Translation:
    arguments: Sequence[Typed]
    nodes: list[_Node] = field(default_factory=list)
    known: dict[tuple[object, ...], int] = field(default_factory=dict)
    headers: set[str] = field(default_factory=set)

    # ---- the expression as a graph ---------------------------------------------------------

    def node(self, expr: Expr, want: DType | None) -> int:
        """Number of the node that computes ``expr``."""
        if isinstance(expr, Arg):
            argument = self.arguments[expr.index]
            return self._add("arg", (), argument.dtype, argument.dtype, argument.text)
        if isinstance(expr, Const):
            dtype = DType.BOOL if isinstance(expr.value, bool) else want
            if dtype is None:
                raise VerifyError(f"the constant {expr} has no dtype; wrap it in a cast")
            return self._const(expr.value, dtype)
        assert isinstance(expr, Call)
        if expr.function in CASTS:
            target = CASTS[expr.function]
            return self._cast_to(target, self.node(expr.args[0], target))
        inner = operand_dtype(expr, [argument.dtype for argument in self.arguments]) or want
        operands = [self.node(arg, inner) for arg in expr.args]
        inner = inner or self.nodes[operands[-1]].dtype
        if expr.function in _LOGIC_FUNCTIONS:
            operands = [self._cast_to(DType.BOOL, operand) for operand in operands]
            inner = DType.BOOL
        elif expr.function == "select":
            operands[0] = self._cast_to(DType.BOOL, operands[0])
        else:
            _check(expr.function, inner)
        return self._simplified(expr.function, operands, inner)

    def _simplified(self, function: str, operands: list[int], inner: DType) -> int:
        """The call; without comparisons whose outcome is certain, for compilers warn of them."""
        if function in ("max", "min") and any(self._is_finite_const(i) for i in operands):
            if self._is_finite_const(operands[0]):
                operands.reverse()  # the constant second: a NaN in the other then stays
            function += "_const"
        if inner not in FLOATS and function in ("eq", "lt", "le", "xor", "max_const", "min_const"):
            left, right = operands
            lowest, highest = (self._const(value, inner) for value in limits(inner))
            if left == right and function in ("eq", "lt", "le", "xor"):
                return self._const(function in ("eq", "le"), DType.BOOL)
            if function == "lt" and (right == lowest or left == highest):
                return self._const(False, DType.BOOL)
            if function == "le" and (left == lowest or right == highest):
                return self._const(True, DType.BOOL)
            if function.endswith("_const") and right in (lowest, highest):
                return left if (function == "max_const") == (right == lowest) else right
        dtype = DType.BOOL if function in _BOOL_FUNCTIONS else inner
        return self._add(function, tuple(operands), dtype, inner)

    def _const(self, value: Any, dtype: DType) -> int:
        with np.errstate(all="ignore"):
            return self._add("const", (), dtype, dtype, literal(value, dtype))

    def _is_finite_const(self, number: int) -> bool:
        node = self.nodes[number]
        return node.function == "const" and "/" not in node.text

    def _cast_to(self, target: DType, operand: int) -> int:
        source = self.nodes[operand].dtype
        if source is target:
            return operand
        for dtype in (source, target):
            if dtype not in _COMPUTABLE:
                raise UnsupportedError(
                    f"a cast from {source.value} to {target.value} cannot be compiled to C yet"
                )
        return self._add(target.value, (operand,), target, source)

    def _add(self, function: str, operands: tuple[int, ...], dtype: DType, inner: DType,
             text: str = "") -> int:  # fmt: skip
        key = (function, operands, dtype, inner, text)
        if key not in self.known:
            self.known[key] = len(self.nodes)
            self.nodes.append(_Node(function, operands, dtype, inner, text))
        return self.known[key]

    # ---- the graph as text -----------------------------------------------------------------

    def body(self, root: int) -> Body:
        uses = self._uses(root)
        texts: list[tuple[str, int]] = []
        statements: list[str] = []
        for number, node in enumerate(self.nodes):
            if not uses[number]:
                texts.append(("", _ATOM))
                continue
            text, level = self._text(node, [texts[operand] for operand in node.operands])
            long = len(text) > _LONGEST and number != root
            if (uses[number] > 1 or long) and node.function != "const" and not text.isidentifier():
                name = f"t{len(statements)}"
                statements.append(f"const {c_type(node.dtype)} {name} = {text};")
                text, level = name, _ATOM
            texts.append((text, level))
        return Body(statements, Typed(texts[root][0], self.nodes[root].dtype), self.headers)

    def _uses(self, root: int) -> list[int]:
        """How often each node is written; 0 where the root does not need it."""
        uses = [0] * len(self.nodes)
        uses[root] = 1
        for number in range(root, -1, -1):  # operands have lower numbers
            node = self.nodes[number]
            for position, operand in enumerate(node.operands if uses[number] else ()):
                # x < 0.0f ? 0.0f : x has x twice
                uses[operand] += 2 if node.function.endswith("_const") and position == 0 else 1
        return uses

    def _text(self, node: _Node, operands: list[tuple[str, int]]) -> tuple[str, int]:
        function, inner = node.function, node.inner

        def at(position: int, level: int) -> str:
            text, own = operands[position]
            return text if own >= level else f"({text})"

        if function == "arg":
            return node.text, _ATOM
        if function == "const":
            return node.text, _UNARY if node.text.startswith("-") else _ATOM
        if function in CASTS:
            return self._cast(node, at(0, _UNARY), operands[0][0])
        if function in ("and", "or"):
            sign = "&&" if function == "and" else "||"
            return f"{at(0, _COMPARE)} {sign} {at(1, _COMPARE)}", _LOGIC
        if function == "not":
            return f"!{at(0, _ATOM)}", _COMPARE  # !a == b alarms compilers, (!a) == b does not
        if function == "select":
            return self._narrowed(
                inner, f"{at(0, _COMPARE)} ? {at(1, _SUM)} : {at(2, _SUM)}", _COND
            )
        if function in ("max_const", "min_const"):
            x, bound = at(0, _SUM), at(1, _SUM)
            sign = "<" if function == "max_const" else ">"
            return self._narrowed(inner, f"{x} {sign} {bound} ? {bound} : {x}", _COND)
        if function in ("eq", "lt", "le", "xor"):
            return f"{at(0, _SUM)} {_OPERATORS[function]} {at(1, _SUM)}", _COMPARE
        if function in ("add", "sub", "mul") and inner in INTEGERS:
            return self._wrapping(_OPERATORS[function], inner, at(0, _UNARY), at(1, _UNARY))
        if function == "neg":
            if inner in INTEGERS:
                return self._wrapping("-", inner, "0", at(0, _UNARY))
            return f"-{at(0, _ATOM)}", _UNARY
        if function in _OPERATORS and inner in FLOATS:
            sign = _OPERATORS[function]
            level = _LEVELS[sign]
            return f"{at(0, level)} {sign} {at(1, level + 1)}", level
        return self._call(function, inner, [text for text, _ in operands]), _ATOM

    def _call(self, function: str, dtype: DType, operands: list[str]) -> str:
        self.headers.add(f"dlc_{function}.h")
        return f"dlc_{function}_{dtype.value}({', '.join(operands)})"

    def _cast(self, node: _Node, tight: str, plain: str) -> tuple[str, int]:
        source, target = node.inner, node.dtype
        if target is DType.BOOL:
            return f"{tight} != 0", _COMPARE
        if source in FLOATS and target in INTEGERS:
            self.headers.add("dlc_cast.h")  # saturates; C leaves what does not fit undefined
            return f"dlc_cast_{source.value}_{target.value}({plain})", _ATOM
        return f"({c_type(target)}){tight}", _UNARY

    def _wrapping(self, sign: str, dtype: DType, left: str, right: str) -> tuple[str, int]:
        wide = unsigned_type(dtype)
        level = _LEVELS[sign]
        cast = "" if wide == c_type(dtype) else f"({wide})"
        left = "0u" if left == "0" else f"{cast}{left}"
        text = f"{left} {sign} {cast}{right}"
        return (f"({c_type(dtype)})({text})", _UNARY) if cast else (text, level)

    def _narrowed(self, dtype: DType, text: str, level: int) -> tuple[str, int]:
        """C computes ``?:`` of types shorter than int in int: back to their own type."""
        if dtype.nbytes < 4:
            return f"({c_type(dtype)})({text})", _UNARY
        return text, level


def _check(function: str, inner: DType) -> None:
    """Raise UnsupportedError unless ``function`` of ``inner`` has a C form."""
    allowed = inner in FLOATS or (inner in _COMPUTABLE and function in ("eq", "lt", "le"))
    if inner in INTEGERS:
        allowed |= function in _INTEGER_FUNCTIONS
    if not allowed:
        raise UnsupportedError(
            f"the scalar function {function} has no C form for {inner.value} yet"
        )
