"""Reading values of textual IR: numbers, strings, tuples, dicts, types, expressions, constants."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from dlc.errors import DlcError, ParseError
from dlc.ir.expr import Expr, parse_expr
from dlc.ir.graph import Graph
from dlc.ir.operator import Array, Data
from dlc.ir.text import dense
from dlc.ir.text.lexer import Lexer
from dlc.ir.text.seeded import MAX_BYTES, PREFIX, Seeded
from dlc.ir.text.sizes import at_size, read_dim, read_size
from dlc.ir.types import Dim, DType, Quant, TensorType

_DTYPES = {dtype.value: dtype for dtype in DType}
_WORDS: dict[str, Any] = {
    "true": True, "false": False, "none": None,
    "inf": float("inf"), "-inf": float("-inf"), "nan": float("nan"), **_DTYPES,
}  # fmt: skip
_LIMIT = 100  # nesting of values and regions, far below Python's recursion limit


class ValueReader:
    """A rule of the grammar is a method that reads from the cursor on.

    ``resources`` has, by hex digest, the constants that the text does not hold in full.
    """

    def __init__(self, text: str, resources: Mapping[str, Array]) -> None:
        self.lexer = Lexer(text)
        self.resources = resources
        self.depth = 0
        self.made_up = 0

    def graph(self) -> Graph:
        """A region; the graph parser's to read."""
        raise self.lexer.error("a value")

    def wrong(self, at: int, message: str) -> ParseError:
        """The error that what begins at token ``at`` makes no sense."""
        return ParseError(f"line {self.lexer.line(at)}: {message}")

    def value(self) -> Any:
        lexer = self.lexer
        token = lexer.ahead
        first = token[:1]
        if at_size(lexer):
            return read_size(lexer)
        if token in _WORDS or is_word(token):
            return self.word()
        if first.isdigit() or first == "-":
            return self.number()
        if first == '"':
            return self.string("a value")
        if first == "[":
            return self.nested(self.tuple)
        if first == "{":
            return self.nested(self.dict)
        if first == "`":
            return self.expr()
        plain = _plain_type(token)
        if plain is None:
            raise lexer.error("a value")
        lexer.at += 1
        return plain

    def word(self) -> Any:
        lexer = self.lexer
        word = lexer.ahead
        after = lexer.tokens[lexer.at + 1]
        if word in _WORDS:
            if word in _DTYPES and after == "[":
                return self.type()
            return _WORDS[lexer.take()]
        if word == "graph":
            return self.nested(self.graph)
        if word == "dense":
            return self.dense()
        raise lexer.error("a value")

    def nested(self, rule: Callable[[], Any]) -> Any:
        self.depth += 1
        if self.depth > _LIMIT:
            raise self.wrong(self.lexer.at, f"values nest deeper than {_LIMIT}")
        result = rule()
        self.depth -= 1
        return result

    def number(self) -> int | float:
        token = self.lexer.ahead
        try:
            number = int(token) if token.lstrip("-").isdigit() else float(token)
        except ValueError:
            raise self.lexer.error("a number") from None
        self.lexer.at += 1
        return number

    def integer(self, what: str) -> int:
        if not self.lexer.ahead.lstrip("-").isdigit():
            raise self.lexer.error(what)
        return int(self.number())

    def string(self, what: str) -> str:
        token = self.lexer.ahead
        try:
            text = json.loads(token) if token[:1] == '"' else None
        except ValueError:
            text = None
        if not isinstance(text, str):
            raise self.lexer.error(f"{what} (a quoted string)")
        self.lexer.at += 1
        return text

    def tuple(self) -> tuple[Any, ...]:
        lexer = self.lexer
        lexer.expect("[", "to begin a tuple")
        items: list[Any] = []
        while not lexer.accept("]"):
            if items:
                lexer.expect(",", "or ']' in a tuple")
            items.append(self.value())
        return tuple(items)

    def dict(self) -> dict[Any, Any]:
        lexer = self.lexer
        lexer.expect("{", "to begin attributes")
        items: dict[Any, Any] = {}
        while not lexer.accept("}"):
            if items:
                lexer.expect(",", "or '}' after an attribute")
            start = lexer.at
            key = self.key()
            if key in items:
                raise self.wrong(start, f"attribute {key!r} is given twice")
            lexer.expect("=", f"after attribute {key!r}")
            items[key] = self.value()
        return items

    def key(self) -> str | int:
        token = self.lexer.ahead
        if token[:1] == '"':
            return self.string("a key")
        if is_word(token):
            return self.lexer.take()
        return self.integer("the name of an attribute")

    def expr(self) -> Expr:
        try:
            expr = _cached_expr(self.lexer.ahead[1:-1])
        except ParseError as error:
            raise self.wrong(self.lexer.at, str(error)) from error
        self.lexer.at += 1
        return expr

    def type(self) -> TensorType:
        lexer = self.lexer
        plain = _plain_type(lexer.ahead)
        if plain is not None:
            lexer.at += 1
            return plain
        dtype = _DTYPES.get(lexer.ahead)
        if dtype is None:
            raise lexer.error("a type such as f32[1,3]")
        lexer.at += 1
        lexer.expect("[", "after the element type")
        shape: list[Dim] = []
        while lexer.ahead not in ("]", ";"):
            if shape:
                lexer.expect(",", "or ']' after a dim")
            shape.append(self.dim())
        layout: str | None = None
        quant: Quant | None = None
        while lexer.accept(";"):
            if lexer.ahead == "q" and lexer.tokens[lexer.at + 1] == "[":
                quant = self.quant()
            elif is_word(lexer.ahead):
                layout = lexer.take()
            else:
                layout = self.string("a layout")
        lexer.expect("]", "after the shape")
        return TensorType(dtype, tuple(shape), layout, quant)

    def dim(self) -> Dim:
        return read_dim(self.lexer)

    def quant(self) -> Quant:
        lexer = self.lexer
        lexer.expect("q", "to begin quantisation")
        start = lexer.at
        scale = self.tuple()
        zero_point = self.tuple()
        axis = self.integer("an axis") if lexer.accept("axis") else None
        if all(type(v) in (int, float) for v in scale) and all(type(v) is int for v in zero_point):
            return Quant(tuple(float(v) for v in scale), zero_point, axis)
        raise self.wrong(start, "quantisation is q[scales][zero points], floats and integers")

    def dense(self) -> Data:
        lexer = self.lexer
        start = lexer.at
        lexer.expect("dense", "to begin a constant")
        lexer.expect("<", "after dense")
        type = self.type()
        first = lexer.at
        try:
            end = lexer.tokens.index(">", first)
        except ValueError:
            raise self.wrong(start, "dense lacks its closing '>'") from None
        items = lexer.tokens[first:end]
        lexer.at = end + 1
        try:
            if type.dtype is not DType.STRING and "".join(items[:1]).startswith(f'"{dense.DIGEST}'):
                return self.resource(items[0][len(dense.DIGEST) + 1 : -1], type)
            if type.dtype is not DType.STRING and "".join(items[:1]).startswith(f'"{PREFIX}'):
                return self.seeded(items[0][1:-1], type)
            return Data(dense.decode(items, type.dtype, type.dims))
        except (DlcError, ValueError) as error:
            raise self.wrong(start, str(error)) from error

    def seeded(self, spec: str, type: TensorType) -> Data:
        self.made_up += type.nbytes
        if self.made_up > MAX_BYTES:
            raise ParseError(
                f"the random constants of the text take more than {MAX_BYTES >> 20} MiB"
            )
        return Seeded.parse(spec, type.dtype, type.dims)

    def resource(self, digest: str, type: TensorType) -> Data:
        found = self.resources.get(digest)
        if found is None:
            raise ParseError(
                f"constant {type} with digest {digest[:12]}... is not in the text nor beside it; "
                f"print it inline, or keep the .npz file with the text"
            )
        data = Data(dense.from_resource(np.asarray(found), type.dtype, type.dims))
        if data.digest != digest:
            raise ParseError(
                f"the stored constant {type} does not have the digest {digest[:12]}..."
            )
        return data


def is_word(token: str) -> bool:
    """Whether a token is an identifier or operator label (and not a plain type)."""
    return (token[:1].isalpha() and token[-1:] != "]") or token[:1] == "_"


@lru_cache(maxsize=4096)
def _plain_type(token: str) -> TensorType | None:
    """The type of a token like ``f32[1,3]``; None when the token is not one."""
    name, bracket, rest = token.partition("[")
    if not bracket or name not in _DTYPES:
        return None
    dims = rest[:-1].split(",") if rest != "]" else []
    if not all(dim and len(dim) < 20 for dim in dims):
        return None
    return TensorType(_DTYPES[name], tuple(int(dim) for dim in dims))


@lru_cache(maxsize=4096)
def _cached_expr(text: str) -> Expr:
    return parse_expr(text)
