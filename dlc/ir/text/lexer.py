"""Tokens of textual IR.

All tokens are cut in one call; where they stand is found again only when an error needs it.
"""

from __future__ import annotations

import itertools
import re

from dlc.errors import ParseError
from dlc.ir.types import DType

_DTYPES = "|".join(sorted((dtype.value for dtype in DType), key=len, reverse=True))
# Possessive quantifiers: nothing is tried twice, so no input takes more than linear time.
_TOKEN = re.compile(
    rf"""(?:\s++|//[^\n]*+)*+(
      %\w+
    | (?:{_DTYPES})\[[\d,]*+\]              # a plain type is one token: there are many
    | [A-Za-z_]\w*+(?:\.\w+)*+              # word, operator label
    | -?\d++(?:\.\d++)?(?:[eE][-+]?\d++)?
    | -inf\b
    | "[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"
    | `[^`\n]*+`
    | <=
    | ["`][^\n]*+                           # unterminated
    | .
    | \Z                                    # the end, after blanks and comments
    )""",
    re.VERBOSE | re.ASCII,
)
END = ""


class Lexer:
    """A cursor over the tokens of a text; ``END`` follows the last."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[str] = _TOKEN.findall(text)
        self.at = 0

    @property
    def ahead(self) -> str:
        return self.tokens[self.at]

    def take(self) -> str:
        token = self.tokens[self.at]
        if token != END:
            self.at += 1
        return token

    def accept(self, token: str) -> bool:
        if self.tokens[self.at] == token:
            self.at += 1
            return True
        return False

    def expect(self, token: str, where: str) -> None:
        if not self.accept(token):
            raise self.error(f"{token!r} {where}")

    def error(self, expected: str) -> ParseError:
        """The error that something else stands at the cursor."""
        token = self.ahead
        found = token[:40] + ("..." if token[40:] else "") if token else "the end of the text"
        return ParseError(f"line {self.line()}: expected {expected}, found {found}")

    def line(self, at: int | None = None) -> int:
        """Line number of token ``at`` (the cursor by default), from 1."""
        at = self.at if at is None else at
        match = next(itertools.islice(_TOKEN.finditer(self.text), at, None))
        return self.text.count("\n", 0, match.start(1)) + 1
