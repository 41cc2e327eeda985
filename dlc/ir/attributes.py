"""Attributes from plain values: a dataclass rebuilt from what textual IR or an option could hold.

Plain values are numbers, strings, None, tuples, dicts with string keys, and the IR's own value
classes (DType, Expr, Data, Graph ...). Enums are written as their values and nested dataclasses as
dicts; the type hints of the fields say which they were, and everything else must match them.
"""

from __future__ import annotations

import enum
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from dlc.errors import ParseError

T = TypeVar("T")


def rebuild_fields(cls: type[T], values: Mapping[str, Any], what: str) -> T:
    """The instance of a frozen dataclass with these field values; defaults fill the rest.

    Raises ParseError, naming ``what``, for an unknown, missing or ill-typed field.
    """
    hints, required = _fields(cast("Any", cls))
    for name in values:
        if name not in hints:
            known = ", ".join(hints) or "none"
            raise ParseError(f"{what} has no attribute {name!r} (it has: {known})")
    for name in required:
        if name not in values:
            raise ParseError(f"{what} lacks the attribute {name!r}")
    built = {n: rebuild(v, hints[n], f"attribute {n!r} of {what}") for n, v in values.items()}
    try:
        return cls(**built)
    except (ValueError, TypeError) as error:
        raise ParseError(f"{what}: {error}") from error


def field_names(cls: Any) -> Iterable[str]:
    """Names of the fields of a dataclass, in order (none when it is no dataclass)."""
    return _fields(cls)[0]


def field_hints(cls: Any) -> Mapping[str, Any]:
    """Type hints of the fields of a dataclass, in order."""
    return _fields(cls)[0]


@cache
def _fields(cls: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Hints of the fields a caller may set, and the names of those without a default."""
    settable = [f for f in fields(cls) if f.init] if is_dataclass(cls) else []
    try:
        hints = get_type_hints(cls)
    except NameError:  # a hint imported for the type checker only
        hints = {}
    return (
        {f.name: hints.get(f.name, Any) for f in settable},
        tuple(f.name for f in settable if f.default is MISSING and f.default_factory is MISSING),
    )


def rebuild(value: Any, hint: Any, what: str) -> Any:
    """``value`` as an instance of the type hint; ParseError, naming ``what``, when it is none."""
    found, result = _fit(value, hint, what)
    if not found:
        raise ParseError(f"{what} must be {_name(hint)}, not {value!r}")
    return result


def _fit(value: Any, hint: Any, what: str) -> tuple[bool, Any]:
    if hint is Any or hint is object:
        return True, value
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        for choice in get_args(hint):
            found, result = _fit(value, choice, what)
            if found:
                return True, result
        return False, None
    if origin is Literal:
        return value in get_args(hint), value
    if origin in (tuple, Sequence, list):
        return _fit_sequence(value, origin, get_args(hint), what)
    if origin is not None:
        return isinstance(value, origin), value
    if hint is None or hint is type(None):
        return value is None, None
    if not isinstance(hint, type):
        return True, value  # a type variable or a string: nothing to hold it against
    if hint is float and type(value) is int:
        return True, value  # as it was written: an int64 need not fit a float
    if isinstance(value, bool) and hint is not bool:
        return False, None
    if isinstance(value, hint):
        return True, value
    if issubclass(hint, enum.Enum):
        return _fit_enum(value, hint)
    if is_dataclass(hint) and isinstance(value, Mapping):
        return True, rebuild_fields(hint, value, what)
    return False, None


def _fit_sequence(value: Any, origin: Any, items: tuple[Any, ...], what: str) -> tuple[bool, Any]:
    if not isinstance(value, tuple | list):
        return False, None
    if origin is not tuple or items[-1:] == (...,):
        hints = [items[0]] * len(value)
    elif len(items) == len(value):
        hints = list(items)
    else:
        return False, None
    fitted = [_fit(v, hint, what) for v, hint in zip(value, hints, strict=True)]
    if not all(found for found, _ in fitted):
        return False, None
    result = [item for _, item in fitted]
    return True, result if origin is list else tuple(result)


def _fit_enum(value: Any, hint: type[enum.Enum]) -> tuple[bool, Any]:
    try:
        return True, hint(value)
    except ValueError:
        return False, None


def _name(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint)
