"""Reproducers: a graph and the pipeline that fails on it, as one text.

    // reproducer: pass drop-add changes the meaning: output 'y' at [0] is ...
    // RUN: dlc opt %s --pass=drop-add --check=3
    // needs: --load=drop_add.py
    graph "model" { ... }

Large constants are random numbers of the same range where that fails too, and else in the text.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dlc.errors import DlcError, ModelError, ParseError, PassError
from dlc.ir.graph import Graph
from dlc.ir.operator import Constant
from dlc.ir.text import print_graph, save
from dlc.ir.text.seeded import Seeded
from dlc.passmanager import PassManager
from dlc.prove.check import Checker
from dlc.prove.engines import Arrays
from dlc.prove.running import Failure, Steps, attempt, checking

#: constants of more elements are written as random numbers where the failure allows it
LARGE = 1024
DEFAULT_FILE = "dlc-reproducer.dlc"
_RUN = re.compile(r"^// RUN: dlc opt %s(.*)$", re.MULTILINE)
_NEEDS = re.compile(r"^// needs: (.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What the header of a reproducer says: how to make it fail."""

    pipeline: str = ""
    check: int = 0
    """Runs on random inputs after each pass; 0 for none."""
    seed: int = 0
    inputs: Path | None = None
    """The ``.npz`` file of inputs it fails on, if random ones do not do."""
    verify: bool = True
    needs: str = ""
    """Options that must be given besides, such as ``--load=my_pass.py``."""

    def header(self, reason: str = "") -> str:
        """The lines of comments that ``read_recipe`` reads."""
        options = [f"--pass={self.pipeline}"]
        options += [f"--check={self.check}"] * bool(self.check)
        options += [f"--check-seed={self.seed}"] * bool(self.seed)
        options += [f"--check-inputs={self.inputs.name}"] if self.inputs else []
        options += ["--no-verify-each"] * (not self.verify)
        lines = [f"// reproducer: {' '.join(reason.split())}"] if reason else []
        lines.append(f"// RUN: dlc opt %s {shlex.join(options)}")
        lines += [f"// needs: {self.needs}"] * bool(self.needs)
        return "\n".join(lines) + "\n"


def read_recipe(path: str | os.PathLike[str]) -> Recipe:
    """The recipe in the header of a ``.dlc`` file.

    Raises ModelError when the file cannot be read, ParseError when it has no header that says how.
    Nothing is loaded on the word of the file: what it ``needs`` is for its reader to give.
    """
    path = Path(path)
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"cannot read {path}: {error}") from None
    run, needs = _RUN.search(text), _NEEDS.search(text)
    if run is None:
        raise ParseError(
            f"{path} has no line '// RUN: dlc opt %s --pass=...' that says what to run"
        )
    try:
        given = _options().parse_args(shlex.split(run[1]))
    except (argparse.ArgumentError, ValueError, SystemExit):
        raise ParseError(
            f"{path}: its RUN line may have --pass, --check, --check-seed, --check-inputs and "
            f"--no-verify-each only, not {run[1].strip()!r}"
        ) from None
    beside = path.parent / Path(given.inputs).name if given.inputs else None
    return Recipe(
        given.pipeline, given.check, given.seed, beside, given.verify, needs[1] if needs else ""
    )


def _options() -> argparse.ArgumentParser:
    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> None:  # type: ignore[override]  # not the process' end
            raise ValueError(message)

    parser = Parser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--pass", dest="pipeline", default="")
    parser.add_argument("--check", type=int, nargs="?", const=3, default=0)
    parser.add_argument("--check-seed", dest="seed", type=int, default=0)
    parser.add_argument("--check-inputs", dest="inputs")
    parser.add_argument("--no-verify-each", dest="verify", action="store_false")
    parser.add_argument("--verify-each", dest="verify", action="store_true")
    return parser


def reproducer_text(graph: Graph, recipe: Recipe, reason: str = "", *, seeded: bool = False) -> str:
    """A reproducer, complete in one text; ``seeded`` makes large constants up from seeds."""
    shown = with_seeded_constants(graph) if seeded else graph
    return recipe.header(reason) + print_graph(shown, inline_limit=None)


def with_seeded_constants(graph: Graph, larger_than: int = LARGE) -> Graph:
    """A copy with every constant of more elements replaced by random numbers of its range."""
    graph = graph.copy()
    for op in graph.ops:
        if isinstance(op.operator, Constant) and op.operator.value.array.size > larger_than:
            made = Seeded.like(op.operator.value.array, op.id)
            if made is not None:
                graph.set_operator(op, Constant(made))
    return graph


def write_reproducer(failure: Failure, path: str | os.PathLike[str], *, checker: Checker | None = None,
                     verify: bool = True, needs: str = "") -> Path:  # fmt: skip
    """Write what failed as a ``.dlc`` file that fails alike, and its inputs beside it where they matter.

    Raises ModelError when the folder cannot be written, UnsupportedError when the graph has no text.
    """
    path, graph = Path(path), failure.graph
    checker = checker if failure.kind == "meaning" else None
    small = with_seeded_constants(graph)
    if _fails_alike(failure, small, checker, verify):
        graph = small
    inputs = None
    if checker is not None and checker.given:
        alone = Checker(checker.runs, seed=checker.seed)
        if not (checker.runs and _fails_alike(failure, graph, alone, verify)):
            inputs = path.with_name(f"{path.stem}.inputs.npz")
            _save_inputs(checker.given, inputs)
    recipe = Recipe(
        str(PassManager((failure.step,))), checker.runs if checker else 0,
        checker.seed if checker else 0, inputs, verify, needs,
    )  # fmt: skip
    save(graph, path, inline=True, header=recipe.header(str(failure.error)))
    return path


def _save_inputs(given: Sequence[Arrays], path: Path) -> None:
    temporary = path.with_name(f".{path.name}.tmp.npz")
    try:
        np.savez(temporary, **given[0])  # type: ignore[arg-type]  # the stubs mistake names for a flag
        temporary.replace(path)
    except OSError as error:
        raise ModelError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _fails_alike(failure: Failure, graph: Graph, checker: Checker | None, verify: bool) -> bool:
    try:
        return failure.is_like(attempt((failure.step,), graph, checker, verify=verify))
    except DlcError:
        return False


def run_proved(manager: PassManager, graph: Graph, checker: Checker | None = None, *,
               reproducer: str | os.PathLike[str] | None = DEFAULT_FILE, needs: str = "") -> Graph:  # fmt: skip
    """Run a pipeline with every pass held to its contract, if there is a checker.

    A crash, a broken graph or a changed meaning is a PassError (MeaningError) that names the pass; a
    reproducer is written first, unless ``reproducer`` is None, and the sentence says where it is.
    """
    try:
        with checking(manager, checker):
            return manager.run(graph)
    except PassError as error:
        failure = (
            None if reproducer is None else _located(manager.steps, graph, checker, manager.verify)
        )
        if reproducer is None or failure is None:
            raise
        try:
            path = write_reproducer(
                failure, reproducer, checker=checker, verify=manager.verify, needs=needs
            )
        except DlcError as problem:
            raise type(error)(f"{error} (no reproducer: {problem})") from error
        raise type(error)(
            f"{error}. Reproducer: {path}; dlc reduce {path} makes it smaller"
        ) from error


def _located(steps: Steps, graph: Graph, checker: Checker | None, verify: bool) -> Failure | None:
    """The failure again, with the graph as it stood before the pass: kept only now, at no cost to runs
    that succeed.
    """
    try:
        return attempt(steps, graph, checker, verify=verify)
    except PassError:  # a mistake in the pipeline
        return None
