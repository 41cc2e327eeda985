"""Options of a pass as text: ``fold-constants{max_bytes=4096}`` to and from dataclass fields."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from typing import Any

from dlc.errors import PassError
from dlc.rewrite.base import Pass

_ITEM = re.compile(r"""'[^']*'|"[^"]*"|[^,]+""")
_SPECIAL = re.compile(r"""[\s,={}()'"]""")
#: an option without a value is switched on
_BOOLEANS = {"true": True, "1": True, "": True, "false": False, "0": False}


def build(cls: type[Pass], options: dict[str, str]) -> Pass:
    """The pass with these options; PassError names an unknown option or the type of a bad one."""
    hints = option_types(cls)
    values = {}
    for key, text in options.items():
        field = key.replace("-", "_")
        if field not in hints:
            known = ", ".join(f"{name}: {type_name(hint)}" for name, hint in hints.items())
            raise PassError(
                f"pass {cls.name} has no option {key!r}; "
                + (f"its options are {known}" if known else "it has none")
            )
        try:
            values[field] = _parse(text, hints[field])
        except ValueError:
            raise PassError(
                f"option {field} of pass {cls.name} is of type {type_name(hints[field])}, "
                f"which {text!r} is not"
            ) from None
    try:
        return cls(**values)
    except (TypeError, ValueError) as error:
        raise PassError(f"pass {cls.name}: {error}") from None


def option_types(cls: type[Pass]) -> dict[str, Any]:
    """The types of a pass's options by name, in order."""
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in _fields(cls)}


def option_defaults(cls: type[Pass]) -> dict[str, Any]:
    """The defaults of those options of a pass that have one."""
    return {f.name: f.default for f in _fields(cls) if f.default is not dataclasses.MISSING}


def type_name(hint: Any) -> str:
    """A type as an error message shows it."""
    if typing.get_origin(hint) is typing.Literal:
        return "/".join(map(str, typing.get_args(hint)))
    return hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint)


def describe(instance: Pass) -> str:
    """``name`` or ``name{option=value,...}`` with the options that differ from their defaults."""
    given = [
        f"{field.name}={format_value(getattr(instance, field.name))}"
        for field in _fields(type(instance))
        if getattr(instance, field.name) != field.default
    ]
    return instance.name + (f"{{{','.join(given)}}}" if given else "")


def _fields(cls: type[Pass]) -> list[dataclasses.Field[Any]]:
    if not dataclasses.is_dataclass(cls):
        return []  # a pass without options need not be one
    return [field for field in dataclasses.fields(cls) if field.init]


def _parse(text: str, hint: Any) -> Any:
    """``text`` as a value of type ``hint``; ValueError when it is none."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if text == "none" and type(None) in arguments:
            return None
        for choice in arguments:
            try:
                return _parse(text, choice)
            except ValueError:
                continue
        raise ValueError
    if origin is typing.Literal:
        return _one_of(text, {str(choice): choice for choice in arguments})
    if origin is tuple or hint is tuple:
        return _parse_tuple(text, arguments)
    if hint is bool:
        return _one_of(text.lower(), _BOOLEANS)
    if hint is str:
        return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text
    if hint in (int, float):
        return hint(text)
    raise ValueError


def _one_of(text: str, choices: dict[str, Any]) -> Any:
    if text not in choices:
        raise ValueError
    return choices[text]


def _parse_tuple(text: str, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    inner = text[1:-1] if text[:1] == "(" and text[-1:] == ")" else text
    items = [item.strip() for item in _ITEM.findall(inner) if item.strip()]
    if not arguments:
        return tuple(items)
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_parse(item, arguments[0]) for item in items)
    return tuple(_parse(item, hint) for item, hint in zip(items, arguments, strict=True))


def format_value(value: Any) -> str:
    """A value of an option as pipelines write it."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, tuple):
        return f"({','.join(map(format_value, value))})"
    text = str(value)
    if isinstance(value, str) and (not text or _SPECIAL.search(text)):
        return f'"{text}"' if "'" in text else f"'{text}'"
    return text
