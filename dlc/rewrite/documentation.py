"""The documentation page of a pass: read from its docstring, its fields and what it states."""

from __future__ import annotations

import inspect
import re
import textwrap
from dataclasses import dataclass
from typing import Any

from dlc.rewrite.base import Pass
from dlc.rewrite.driver import RulePass
from dlc.rewrite.options import format_value, option_defaults, option_types, type_name

_EXAMPLE = re.compile(r"^Before:\n\n(.*?)^After:\n\n(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)


_REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a pass: a field of its dataclass."""

    name: str
    type: str
    default: str


@dataclass(frozen=True, slots=True)
class Example:
    """Textual IR before and after the pass; a test runs it."""

    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Page:
    """All that is documented of a pass."""

    name: str
    summary: str
    """The first paragraph, on one line."""
    text: str
    """The paragraphs after it, without the examples."""
    examples: tuple[Example, ...]
    options: tuple[Option, ...]
    contract: str
    requires: str
    ensures: str
    rules: tuple[str, ...] = ()
    """Names of its rules, for ``--explain``."""

    @classmethod
    def of(cls, of: type[Pass]) -> Page:
        """The page of a pass."""
        doc = inspect.getdoc(of) or ""
        examples = tuple(
            Example(*(textwrap.dedent(part).strip() + "\n" for part in found))
            for found in _EXAMPLE.findall(doc + "\n")
        )
        prose = _EXAMPLE.sub("", doc + "\n").strip()
        summary, _, text = prose.partition("\n\n")
        types, defaults = option_types(of), option_defaults(of)
        options = tuple(
            Option(
                name,
                type_name(hint),
                format_value(defaults[name]) if name in defaults else _REQUIRED,
            )
            for name, hint in types.items()
        )
        return cls(of.name, " ".join(summary.split()), text.strip(), examples, options,
                   of.contract, of.requires, of.ensures, _rules(of, options))  # fmt: skip

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """What the pass states of itself, as name and meaning."""
        found = [("keeps", _CONTRACTS.get(self.contract, self.contract))]
        if self.requires != "any":
            found.append(("requires", _LEVELS.get(self.requires, self.requires)))
        if self.ensures != "any":
            found.append(("ensures", _LEVELS.get(self.ensures, self.ensures)))
        if self.rules:
            found.append(("rules", ", ".join(self.rules)))
        return tuple(found)


def _rules(of: type[Pass], options: tuple[Option, ...]) -> tuple[str, ...]:
    """The rules a pass has with default options."""
    if not issubclass(of, RulePass) or any(option.default == _REQUIRED for option in options):
        return ()
    return tuple(dict.fromkeys(rule.name for rule in of().rules()))


_CONTRACTS: dict[str, str] = {
    "exact": "every bit of the results",
    "reassociates": "the results but for rounding: sums in another order, functions rounded otherwise",
    "approximate": "the results up to an error it documents",
}
_LEVELS: dict[str, str] = {
    "core": "core ops only (expand-ops)",
    "planned": "a schedule and places (liveness)",
}


def page_text(page: Page) -> str:
    """A page as plain text, for a terminal."""
    facts = "\n".join(f"{name}: {text}" for name, text in page.facts)
    parts = [page.name, page.summary, page.text, facts]
    if page.options:
        rows = [f"  {o.name}: {o.type} = {o.default}" for o in page.options]
        parts.append("\n".join(["options:", *rows]))
    for example in page.examples:
        for when in ("before", "after"):
            parts.append(f"{when}:\n\n{textwrap.indent(getattr(example, when), '  ').rstrip()}")
    return "\n\n".join(part for part in parts if part) + "\n"


def first_line(of: type[Any]) -> str:
    """The first line of a class's documentation."""
    return (inspect.getdoc(of) or "(not documented)").splitlines()[0]
