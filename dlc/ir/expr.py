"""Scalar expressions: the body of ``map``, the epilogue of ``conv``, the element of ``reduce``.

An expression is a tree of arguments ``a0, a1, ...``, constants and calls. It is untyped by itself:
``dtype_of`` types it from the dtypes of the arguments. A constant takes the dtype of the operands
beside it; ``f32(0.5)`` (any dtype name) casts (``scalars.convert``), and types a constant that
stands alone.
Text is Python's own expression syntax: ``max(a0 * a1 + 0.5, 0.0)``.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlc.errors import ParseError, VerifyError
from dlc.ir.scalars import SCALARS, convert
from dlc.ir.types import DType

CASTS = {dtype.value: dtype for dtype in DType if dtype is not DType.STRING}
#: dtypes whose constants no expression can write
NO_LITERAL = frozenset({DType.STRING, DType.C64, DType.C128})
MAX_DEPTH = 200  # of nesting that is parsed: what walks trees is recursive
_ARGUMENT = re.compile(r"a[0-9]{1,6}")
_INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
_PRECEDENCE = {"add": 1, "sub": 1, "mul": 2, "div": 2}
_AST_BINARY = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div"}


class Expr:
    """Base of Arg, Const and Call; immutable and hashable."""

    __slots__ = ()

    def __str__(self) -> str:
        return _format(self, 0)

    __repr__ = __str__

    @property
    def arity(self) -> int:
        """One more than the highest argument index used (0 when none is)."""
        return max((node.index + 1 for node in self.walk() if isinstance(node, Arg)), default=0)

    @property
    def size(self) -> int:
        """Number of nodes."""
        return sum(1 for _ in self.walk())

    def walk(self) -> Iterator[Expr]:
        """Every node, parents first."""
        stack: list[Expr] = [self]
        while stack:
            node = stack.pop()
            yield node
            if isinstance(node, Call):
                stack.extend(reversed(node.args))

    def substitute(self, replace: Callable[[int], Expr]) -> Expr:
        """The same expression with argument ``i`` replaced by ``replace(i)``."""
        if isinstance(self, Arg):
            return replace(self.index)
        if isinstance(self, Call):
            return Call(self.function, tuple(arg.substitute(replace) for arg in self.args))
        return self

    def dtype_of(self, arguments: Sequence[DType]) -> DType:
        """Result dtype for arguments of these dtypes; VerifyError when operands disagree."""
        dtype = _dtype(self, arguments)
        if dtype is None:
            raise VerifyError(f"the constant expression {self} has no dtype; wrap it in a cast")
        return dtype

    def evaluate(self, arguments: Sequence[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        """Apply to broadcastable arrays, computing in each node's own dtype."""
        dtypes = [DType.of(a) for a in arguments]
        with np.errstate(all="ignore"):
            return np.asarray(_evaluate(self, arguments, dtypes, None))


@dataclass(frozen=True, slots=True, repr=False)
class Arg(Expr):
    index: int


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Const(Expr):
    value: float | int | bool

    def _key(self) -> tuple[type, str]:
        return (type(self.value), repr(self.value))  # tells -0.0 from 0.0, and NaN equals NaN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Const) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())


@dataclass(frozen=True, slots=True, repr=False)
class Call(Expr):
    function: str
    args: tuple[Expr, ...]


A0 = Arg(0)


def parse_expr(text: str) -> Expr:
    """The expression written as ``text``; ParseError says which part is not one."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ParseError(f"{_short(text)!r} is not a scalar expression") from error
    return _from_ast(tree, text)


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."


def _from_ast(node: ast.expr, text: str, depth: int = 0) -> Expr:
    if depth > MAX_DEPTH:
        raise ParseError(f"{_short(text)!r} nests deeper than {MAX_DEPTH}")
    if isinstance(node, ast.Name):
        if _ARGUMENT.fullmatch(node.id):
            return Arg(int(node.id[1:]))
        if node.id in ("inf", "nan"):
            return Const(float(node.id))
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
        return Const(node.value)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        operand = _from_ast(node.operand, text, depth + 1)
        if isinstance(operand, Const) and not isinstance(operand.value, bool):
            return Const(-operand.value)
        return Call("neg", (operand,))
    elif isinstance(node, ast.BinOp) and type(node.op) in _AST_BINARY:
        operands = (
            _from_ast(node.left, text, depth + 1),
            _from_ast(node.right, text, depth + 1),
        )
        return Call(_AST_BINARY[type(node.op)], operands)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        # `and_` because and, or, not are Python keywords
        name = node.func.id.removesuffix("_")
        arity = 1 if name in CASTS else SCALARS[name].arity if name in SCALARS else -1
        if arity == len(node.args):
            return Call(name, tuple(_from_ast(arg, text, depth + 1) for arg in node.args))
    part = ast.get_source_segment(text.strip(), node) or ast.dump(node)
    raise ParseError(f"{_short(part)!r} in {_short(text)!r} is not a scalar expression")


def _format(node: Expr, parent: int) -> str:
    if isinstance(node, Arg):
        return f"a{node.index}"
    if isinstance(node, Const):
        return repr(node.value)
    assert isinstance(node, Call)
    if node.function in _INFIX:
        level = _PRECEDENCE[node.function]
        left, right = _format(node.args[0], level), _format(node.args[1], level + 1)
        text = f"{left} {_INFIX[node.function]} {right}"
        return f"({text})" if level < parent else text
    name = node.function + ("_" if node.function in ("and", "or", "not") else "")
    return f"{name}({', '.join(_format(arg, 0) for arg in node.args)})"


def operand_dtype(node: Call, arguments: Sequence[DType]) -> DType | None:
    """The dtype a call computes in: that of its operands (of the branches, for select)."""
    operands = node.args[1:] if node.function == "select" else node.args
    known = {d for d in (_dtype(arg, arguments) for arg in operands) if d is not None}
    if len(known) > 1:
        names = " and ".join(sorted(d.value for d in known))
        raise VerifyError(f"{node} mixes {names}; cast one of them")
    return next(iter(known), None)


def _dtype(node: Expr, arguments: Sequence[DType]) -> DType | None:
    if isinstance(node, Arg):
        if node.index >= len(arguments):
            raise VerifyError(f"the expression uses a{node.index} of {len(arguments)} operands")
        return arguments[node.index]
    if isinstance(node, Const):
        return DType.BOOL if isinstance(node.value, bool) else None
    assert isinstance(node, Call)
    if node.function in CASTS:
        _dtype(node.args[0], arguments)
        return CASTS[node.function]
    dtype = operand_dtype(node, arguments)
    if SCALARS[node.function].result == "bool":
        return DType.BOOL
    return dtype


def _evaluate(
    node: Expr, arrays: Sequence[Any], dtypes: Sequence[DType], want: DType | None
) -> Any:
    if isinstance(node, Arg):
        return arrays[node.index]
    if isinstance(node, Const):
        dtype = DType.BOOL if isinstance(node.value, bool) else want
        if dtype is None:
            raise VerifyError(f"the constant {node} has no dtype; wrap it in a cast")
        return np.asarray(node.value).astype(dtype.numpy)
    assert isinstance(node, Call)
    if node.function in CASTS:
        target = CASTS[node.function]
        return convert(_evaluate(node.args[0], arrays, dtypes, target), target)
    inner = operand_dtype(node, dtypes) or want
    values = [_evaluate(arg, arrays, dtypes, inner) for arg in node.args]
    return SCALARS[node.function].numpy(*values)


def is_finite_const(node: Expr) -> bool:
    """Whether the node is a constant other than NaN and infinities."""
    return isinstance(node, Const) and math.isfinite(node.value)
