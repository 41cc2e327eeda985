"""Options that let one see what passes do: printing, diff, timing, statistics, explanations."""

from __future__ import annotations

import contextlib
import functools
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from dlc.instrument import Explain, Statistics
    from dlc.passmanager import PassManager

Function = TypeVar("Function", bound=Callable[..., Any])
_ALL = "*"


class WatchCommand(click.Command):
    """A command some of whose options may stand alone: ``--explain`` is ``--explain=*``.

    (click's own optional values would take the next word, the model, for the value.)
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        alone = {name for p in self.params if isinstance(p, _Optional) for name in p.opts}
        end = args.index("--") if "--" in args else len(args)
        full = [f"{a}={_ALL}" if a in alone else a for a in args[:end]]
        return super().parse_args(ctx, full + args[end:])


class _Optional(click.Option):
    """An option with an optional value; ``*`` stands for none."""


@dataclass(frozen=True)
class Watch:
    """What the user asked to see; all of it goes to standard error."""

    print_before: tuple[str, ...] = ()
    print_after: tuple[str, ...] = ()
    after_change: bool = False
    after_failure: bool = False
    diff: bool = False
    timing: bool = False
    statistics: str | None = None
    explain: str | None = None

    @contextlib.contextmanager
    def watching(self, manager: PassManager) -> Iterator[None]:
        """Watch a run of the manager; tables are printed at its end, also when it failed."""
        measured, reasons = self._attach(manager)
        try:
            yield
        finally:
            if self.timing:
                _print_timing(manager)
            if measured is not None:
                _print_statistics(measured, self.statistics or _ALL)
            for line in reasons.lines(manager.report) if reasons is not None else ():
                _write(f"{line}\n")

    def _attach(self, manager: PassManager) -> tuple[Statistics | None, Explain | None]:
        if self == Watch():
            return None, None  # nothing to import
        from dlc import instrument
        from dlc.passmanager import find_pass

        for name in {*self.print_before, *self.print_after} - {_ALL}:
            find_pass(name)
        if self.print_before or self.print_after or self.after_change or self.after_failure:
            manager.instruments.append(instrument.PrintIR(
                _write, self.print_before, self.print_after, self.after_change, self.after_failure
            ))  # fmt: skip
        if self.diff:
            manager.instruments.append(instrument.Difference(_write, colour=sys.stderr.isatty()))
        measured = reasons = None
        if self.statistics is not None:
            measured = instrument.Statistics()
            manager.instruments.append(measured)
        if self.explain is not None:
            reasons = instrument.Explain(None if self.explain == _ALL else self.explain)
            reasons.check(manager)
            manager.explain = True
        return measured, reasons


def watch_options(function: Function) -> Function:
    """The options of this file, passed on as one ``watch``; the command is a ``WatchCommand``."""

    @functools.wraps(function)
    def call(*args: Any, print_before: tuple[str, ...], print_after: tuple[str, ...], after_change: bool,
             after_failure: bool, diff: bool, timing: bool, statistics: str | None,
             explain: str | None, **kwargs: Any) -> Any:  # fmt: skip
        watch = Watch(print_before, print_after, after_change, after_failure, diff, timing,
                      statistics, explain)  # fmt: skip
        return function(*args, watch=watch, **kwargs)

    for option in reversed((
        click.option("--print-ir-before", "print_before", cls=_Optional, multiple=True,
                     metavar="[=PASS]", help="Print the IR before every pass (or PASS)."),
        click.option("--print-ir-after", "print_after", cls=_Optional, multiple=True,
                     metavar="[=PASS]", help="Print the IR after every pass (or PASS)."),
        click.option("--print-ir-after-change", "after_change", is_flag=True,
                     help="Print the IR after each pass that changed it."),
        click.option("--print-ir-after-failure", "after_failure", is_flag=True,
                     help="Print the IR as a failing pass left it."),
        click.option("--diff", is_flag=True, help="Show what each pass changed in the IR."),
        click.option("--timing", is_flag=True, help="Print how long each pass took."),
        click.option("--statistics", cls=_Optional, metavar="[=json|FILE.json]", callback=_statistics,
                     help="Print ops, MACs, bytes of weights and peak live bytes around each pass."),
        click.option("--explain", cls=_Optional, metavar="[=RULE]",
                     help="Print why rules (or RULE) did not match where they nearly did."),
    )):  # fmt: skip
        call = option(call)
    return call  # type: ignore[return-value]


def _statistics(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None and value not in (_ALL, "json") and not value.endswith(".json"):
        raise click.BadParameter(f"{value!r} is neither json nor a file FILE.json")
    return value


def _write(text: str) -> None:
    click.echo(text, nl=False, err=True)


def _print_timing(manager: PassManager) -> None:
    from dlc.cli.report import print_table
    from dlc.instrument import Timing

    rows = [
        (t.name, str(t.runs), f"{t.seconds * 1e3:.1f}", f"{t.share:.0%}")
        for t in Timing.of(manager.report)
    ]
    total = sum(record.seconds for record in manager.report)
    rows.append(("all passes", str(len(manager.report)), f"{total * 1e3:.1f}", "100%"))
    print_table("time", ("pass", "runs", "ms", "share"), rows)


def _print_statistics(measured: Statistics, form: str) -> None:
    if form != _ALL:
        text = json.dumps([row.as_dict() for row in measured.rows], indent=1) + "\n"
        _write(text) if form == "json" else Path(form).write_text(text, encoding="utf-8")
        return
    from dlc.cli.report import kib, print_table

    rows = [
        (row.name, _change(row.before.count, row.after.count), _change(row.before.macs, row.after.macs),
         _change(row.before.weight_bytes, row.after.weight_bytes, kib),
         _change(row.before.peak_bytes, row.after.peak_bytes, kib), _signed(row.added, row.removed))
        for row in measured.rows
    ]  # fmt: skip
    print_table(
        "statistics", ("pass", "ops", "MACs", "weights", "peak live", "added, removed"), rows
    )


def _change(before: int, after: int, shown: Callable[[int], str] = "{:,}".format) -> str:
    return shown(after) if before == after else f"{shown(before)} → {shown(after)}"


def _signed(added: dict[str, int], removed: dict[str, int]) -> str:
    parts: Sequence[str] = [f"+{n} {kind}" for kind, n in added.items()]
    return ", ".join([*parts, *(f"-{n} {kind}" for kind, n in removed.items())])
