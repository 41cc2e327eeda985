"""The rules of textual IR for sizes known at run time: ``N<=8``, ``(2 * N<=8 + 1)``, ``max(...)``."""

from __future__ import annotations

import json

from dlc.ir.sizes import FUNCTIONS, Dim, Symbol, apply_function, product
from dlc.ir.text.lexer import Lexer

_ARITY = {"select": 3}


def at_size(lexer: Lexer) -> bool:
    """Whether a size that is no plain number begins at the cursor."""
    here, after = lexer.ahead, lexer.tokens[min(lexer.at + 1, len(lexer.tokens) - 1)]
    return here == "(" or after == "<=" or (here in FUNCTIONS and after == "(")


def read_size(lexer: Lexer, depth: int = 100) -> Dim:
    """The dim at the cursor; ParseError when there is none."""
    if not depth:
        raise lexer.error("a size that nests less deeply")
    if lexer.accept("("):
        total = _sum(lexer, depth)
        lexer.expect(")", "after a sum of sizes")
        return total
    function = lexer.ahead
    if function in FUNCTIONS and lexer.tokens[lexer.at + 1] == "(":
        lexer.take()
        arguments: list[Dim] = []
        while not lexer.accept(")"):
            lexer.expect("," if arguments else "(", f"in the arguments of {function}")
            arguments.append(read_size(lexer, depth - 1))
        if len(arguments) != _ARITY.get(function, 2):
            raise lexer.error(f"{_ARITY.get(function, 2)} arguments of {function}")
        return apply_function(function, *arguments)
    return _symbol(lexer) if at_size(lexer) else _integer(lexer)


def read_dim(lexer: Lexer) -> Dim:
    """As ``read_size``, for the size of an axis: a number in it is not negative."""
    if lexer.ahead[:1] == "-" and not at_size(lexer):
        raise lexer.error("a dim (a number, or a symbol with its bound like N<=8)")
    return read_size(lexer)


def _sum(lexer: Lexer, depth: int) -> Dim:
    total: Dim = 0
    sign = -1 if lexer.accept("-") else 1
    while True:
        factors = [read_size(lexer, depth - 1)]
        while lexer.accept("*"):
            factors.append(read_size(lexer, depth - 1))
        total = total + sign * product(factors)
        if lexer.ahead not in ("+", "-"):
            return total
        sign = 1 if lexer.take() == "+" else -1


def _symbol(lexer: Lexer) -> Symbol:
    low = 0
    if lexer.ahead.lstrip("-").isdigit():
        low = _integer(lexer)
        lexer.expect("<=", "after the lower bound of a symbol")
    name = lexer.take()
    if name[:1] == '"':
        name = json.loads(name)
    elif not (name[:1].isalpha() or name[:1] == "_"):
        raise lexer.error("a symbol with its bound like N<=8")
    lexer.expect("<=", "and the upper bound after a symbol")
    bound = _integer(lexer)
    return Symbol(name, bound, low, _integer(lexer) if lexer.accept("|") else None)


def _integer(lexer: Lexer) -> int:
    if not lexer.ahead.lstrip("-").isdigit():
        raise lexer.error("a dim (a number, or a symbol with its bound like N<=8)")
    return int(lexer.take())
