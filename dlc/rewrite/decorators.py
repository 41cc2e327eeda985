"""Passes without a class: a function over the whole graph, or a rule.

@graph_pass("count-relus", contract="exact")
def count_relus(graph, *, limit: int = 10) -> bool: ...

@rule_pass("drop-mul-one")
class DropMulOne(Rule): ...
"""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from dlc.errors import PassError
from dlc.ir.graph import Graph
from dlc.rewrite.base import Pass
from dlc.rewrite.driver import Rule, RulePass

Function = TypeVar("Function", bound=Callable[..., Any])
AnyRule = TypeVar("AnyRule", bound=Rule)


def graph_pass(name: str, *, requires: str = "any", ensures: str = "any", contract: str = "exact",
               into_regions: bool = True) -> Callable[[Function], Function]:  # fmt: skip
    """Make a pass of a function that rewrites a graph in place and says whether it changed it.

    The function's docstring is the pass's page, its keyword parameters (annotated, with defaults)
    are the pass's options. It may return a pair (graph, changed) to give another graph. The
    other arguments are as in ``Pass``. Raises PassError for a function of another form.
    """

    def decorate(function: Function) -> Function:
        options = _options(name, function)

        def run(self: Pass, graph: Graph) -> tuple[Graph, bool]:
            found = function(graph, **{key: getattr(self, key) for key, _, _ in options})
            if isinstance(found, bool):
                return graph, found
            if isinstance(found, tuple) and len(found) == 2 and isinstance(found[0], Graph):
                return found[0], bool(found[1])
            raise PassError(f"pass {name} returned {found!r}; return whether it changed the graph")

        facts = {"requires": requires, "ensures": ensures, "contract": contract,
                 "into_regions": into_regions}  # fmt: skip
        _make(name, function, options, {**facts, "run": run}, Pass)
        return function

    return decorate


def rule_pass(
    name: str, *, contract: str = "exact", requires: str = "any"
) -> Callable[[type[AnyRule]], type[AnyRule]]:
    """Make a pass of a rule, applied until it matches nowhere; the rule's docstring is its page.

    A rule without a name of its own takes the pass's. (Several rules make a ``RulePass``.)
    """

    def decorate(cls: type[AnyRule]) -> type[AnyRule]:
        cls.name = cls.name or name

        def rules(self: RulePass) -> Sequence[Rule]:
            return [cls()]

        _make(name, cls, [], {"requires": requires, "contract": contract, "rules": rules}, RulePass)
        return cls

    return decorate


_Option = tuple[str, Any, Any]


def _options(name: str, function: Callable[..., Any]) -> list[_Option]:
    """Name, type and default of each parameter of a function after its first, the graph."""
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters:
        raise PassError(f"pass {name}: its function takes no graph")
    try:
        hints = typing.get_type_hints(function)
    except NameError as error:
        raise PassError(f"pass {name}: {error} where an option's type is needed") from None
    options = []
    for parameter in parameters[1:]:
        if parameter.default is parameter.empty or parameter.name not in hints:
            raise PassError(
                f"pass {name}: its option {parameter.name} needs a type and a default, as in "
                f"{parameter.name}: int = 0"
            )
        options.append((parameter.name, hints[parameter.name], parameter.default))
    return options


def _make(name: str, origin: Any, options: list[_Option], namespace: dict[str, Any],
          base: type[Pass]) -> None:  # fmt: skip
    """Define (and so register) the class of a pass, as if written where ``origin`` is."""
    namespace |= {"name": name, "__doc__": inspect.getdoc(origin) or "(not documented)",
                  "__module__": origin.__module__, "__qualname__": origin.__qualname__}  # fmt: skip
    fields = [(key, hint, dataclasses.field(default=value)) for key, hint, value in options]
    dataclasses.make_dataclass(origin.__name__, fields, bases=(base,), namespace=namespace,
                               frozen=True)  # fmt: skip
