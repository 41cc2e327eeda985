"""Names and comments of emitted C: whatever a model calls its tensors, the C stays harmless.

Model files are not trusted. Identifiers are lower case ASCII, so they cannot meet a macro of a
standard header; comments are printable ASCII without any sequence that could end them, splice
lines or form a trigraph.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

LONGEST = 40
"""C99 promises 63 significant characters inside a file, and dlc adds a prefix."""

_C = (
    "auto break case char const continue default do double else enum extern float for goto if inline "
    "int long register restrict return short signed sizeof static struct switch typedef union "
    "unsigned void volatile while alignas alignof bool constexpr false nullptr static_assert "
    "thread_local true typeof typeof_unqual asm fortran"
)
_CPP = (  # model.h may be included there
    "and and_eq bitand bitor catch char8_t char16_t char32_t class compl concept consteval constinit "
    "const_cast co_await co_return co_yield decltype delete dynamic_cast explicit export friend "
    "mutable namespace new noexcept not not_eq operator or or_eq private protected public "
    "reinterpret_cast requires static_cast template this throw try typeid typename using virtual "
    "wchar_t xor xor_eq import module final override"
)
_MACROS = (  # in lower case, defined by compilers and standard headers; and what model.c calls
    "linux unix i386 arm mips sparc vax sun hpux pixel vector near far small huge pascal cdecl "
    "interface complex imaginary errno stdin stdout stderr assert offsetof setjmp signal noreturn "
    "main memcpy memset malloc free"
)
_KEYWORDS = frozenset(f"{_C} {_CPP} {_MACROS}".split())

_BREAKS = re.compile(r"(?<=\*)(?=/)|(?<=/)(?=\*)|(?<=\?)(?=\?)")


def identifier(text: str, default: str = "x", longest: int = LONGEST) -> str:
    """A C (and C++) identifier that resembles ``text``; ``default`` when nothing of it is left."""
    name = word(text, default, longest)
    return f"{name}_" if name in _KEYWORDS else name


def word(text: str, default: str, longest: int) -> str:
    """As ``identifier``, but perhaps a keyword: for a part of an identifier."""
    name = re.sub(r"[^a-z0-9]+", "_", text.lower(), flags=re.ASCII).strip("_")[:longest].rstrip("_")
    if not name:
        return default
    if name[0].isdigit():
        name = f"{default}_{name}"
    return name


class Names:
    """Hands out identifiers that differ from one another."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._next: dict[str, int] = {}

    def new(self, text: str, default: str = "x") -> str:
        """An identifier that resembles ``text`` and was not handed out before."""
        return self.unique(identifier(text, default))

    def unique(self, base: str) -> str:
        """``base``, which is an identifier, or it with a number where it was handed out before."""
        name = base
        number = self._next.get(base, 2)
        while name in self._taken:
            name = f"{base}_{number}"
            number += 1
        self._next[base] = number
        self._taken.add(name)
        return name


def comment(text: str, longest: int = 200) -> str:
    """``text`` made safe inside ``/* ... */``: one line that can neither end nor extend it."""
    flat = "".join(c if " " <= c <= "~" else "." for c in text[:longest]).replace("\\", "/")
    return _BREAKS.sub(" ", flat) + ("..." if len(text) > longest else "")
