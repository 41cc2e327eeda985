"""Options of ``dlc opt`` about checking passes, and what they ask for."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dlc.cli.options import notice

if TYPE_CHECKING:
    from dlc.ir.graph import Graph
    from dlc.passmanager import PassManager
    from dlc.prove import Checker

Function = TypeVar("Function", bound=Callable[..., Any])


class _Runs(click.ParamType[int]):
    name = "N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if not str(value).isdigit() or not 1 <= int(value) <= 10_000:
            self.fail(
                f"{value!r} is no number of runs; write --check or --check=3 behind the model",
                param,
                ctx,
            )
        return int(value)


@dataclass(frozen=True, slots=True)
class Proof:
    """How the passes of one command are to be checked."""

    verify: bool = True
    runs: int = 0
    inputs: Path | None = None
    seed: int = 0
    reproducer: Path | None = None
    needs: str = ""

    def checker(self) -> Checker | None:
        """The checker, if any check was asked for."""
        if not self.runs and self.inputs is None:
            return None
        from dlc.api import read_arrays
        from dlc.prove import Checker

        given = [read_arrays(self.inputs)] if self.inputs else []
        return Checker(self.runs, given, seed=self.seed, notify=notice)

    def run(self, manager: PassManager, graph: Graph) -> Graph:
        """Run a pipeline as asked; what fails is written to the reproducer first."""
        from dlc.prove import run_proved

        manager.verify = self.verify
        return run_proved(
            manager, graph, self.checker(), reproducer=self.reproducer, needs=self.needs
        )


def checking_options(function: Function) -> Function:
    """``--verify-each --check --check-inputs --check-seed``: passed on as ``proof``."""

    @functools.wraps(function)
    def call(*args: Any, verify_each: bool, check: int | None, check_inputs: str | None,
             check_seed: int, **kwargs: Any) -> Any:  # fmt: skip
        given = Path(check_inputs) if check_inputs else None
        plugins = click.get_current_context().params.get("plugins") or ()
        needs = " ".join(f"--load={plugin}" for plugin in plugins)
        proof = Proof(verify_each, check or 0, given, check_seed, needs=needs)
        return function(*args, proof=proof, **kwargs)

    for option in (
        click.option("--check-seed", default=0, metavar="SEED", help="Seed of the random inputs."),
        click.option("--check-inputs", metavar="X.npz", help="Check on these arrays by input name, too."),
        click.option("--check", type=_Runs(), is_flag=False, flag_value="3", metavar="[=N]",
                     help="Run the graph before and after each pass on N random inputs (3), with the "
                     "interpreter and onnxruntime, and hold the pass to its contract."),
        click.option("--verify-each/--no-verify-each", default=True,
                     help="Verify the graph after each pass (the default)."),
    ):  # fmt: skip
        call = option(call)
    return call  # type: ignore[return-value]


def proving_options(function: Function) -> Function:
    """The checking options, ``--reproducer`` and ``--run-reproducer``: passed on as ``proof``, and
    the pipeline of a reproducer as ``pipeline``.
    """

    @functools.wraps(function)
    def call(*args: Any, model: str, pipeline: str, proof: Proof, reproducer: str,
             run_reproducer: bool, **kwargs: Any) -> Any:  # fmt: skip
        path = Path(reproducer)
        if run_reproducer:
            from dlc.prove import read_recipe

            recipe = read_recipe(model)
            pipeline = pipeline or recipe.pipeline
            proof = Proof(
                proof.verify and recipe.verify, proof.runs or recipe.check,
                proof.inputs or recipe.inputs, proof.seed or recipe.seed,
            )  # fmt: skip
            _announce(recipe.needs)
        else:
            proof = Proof(proof.verify, proof.runs, proof.inputs, proof.seed, path, proof.needs)
        return function(*args, model=model, pipeline=pipeline, proof=proof, **kwargs)

    for option in (
        click.option("--run-reproducer", is_flag=True,
                     help="MODEL is a reproducer: run the pipeline in its header."),
        click.option("--reproducer", default="dlc-reproducer.dlc", show_default=True, metavar="FILE",
                     help="Where to write the graph and the pass when a pass fails."),
    ):  # fmt: skip
        call = option(call)
    return checking_options(call)  # type: ignore[return-value]


def _announce(needs: str) -> None:
    """Say which plugins the reproducer was made with, unless some are given."""
    if needs and not click.get_current_context().params.get("plugins"):
        notice(f"the reproducer was made with {needs}")
