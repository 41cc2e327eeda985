"""``dlc demo``: the whole way on a model that ships with dlc."""

from __future__ import annotations

import click

from dlc.cli.options import progress


@click.command(short_help="Compile a trained LeNet-5 and classify digits in C.",
               epilog="Examples: dlc demo; dlc demo -o lenet_c")  # fmt: skip
@click.option("-o", "--output", metavar="DIR", help="Keep the emitted C here.")
def command(output: str | None) -> None:
    """Compile a trained LeNet-5 to C99, classify held-out handwritten digits, print the figures."""
    import time

    import numpy as np
    from rich.console import Console
    from rich.table import Table

    from dlc import api, demo
    from dlc.cli.report import kib, print_passes
    from dlc.passmanager import PassManager

    images, labels = demo.heldout_digits()
    with progress("dlc demo") as stage:
        stage("reading the trained model")
        graph = api.load(demo.model_path(), dims={"N": 1})
        manager = PassManager.parse("O2")
        stage("rewriting")
        planned = manager.run(graph)
        stage("building")
        module = api.compile(planned, passes="", name="lenet5", out=output)
        stage("classifying")
        batch = [{"image": image[None].astype(np.float32)} for image in images]
        start = time.perf_counter()
        answers = np.array([module.run(x)["probabilities"].argmax() for x in batch])
        seconds = (time.perf_counter() - start) / len(batch)
        agree = _onnxruntime_agreement(batch, answers)

    print_passes(manager, stderr=False)
    table = Table(
        title="LeNet-5 on held-out digits, in C", box=None, title_justify="left", show_header=False
    )
    correct = int((answers == labels).sum())
    table.add_row("accuracy", f"{correct / len(labels):.1%} ({correct} of {len(labels)} images)")
    table.add_row("same answer as onnxruntime", agree)
    table.add_row("arena", f"{kib(module.arena_bytes)} (lower bound {kib(module.lower_bound)})")
    table.add_row("peak with input and output", kib(module.peak_bytes_with_io))
    table.add_row("weights", kib(module.weights_bytes))
    table.add_row("time per image, from Python", f"{seconds * 1e6:.0f} microseconds")
    table.add_row("time per image, in C", f"{module.time(100, batch[0]) * 1e6:.0f} microseconds")
    if output is not None:
        table.add_row("C source", str(module.source_dir))
    console = Console()
    console.print()
    console.print(table)


def _onnxruntime_agreement(batch: list[dict[str, object]], answers: object) -> str:
    try:
        import onnxruntime
    except ImportError:
        return "onnxruntime is not installed"
    import numpy as np

    from dlc import demo

    session = onnxruntime.InferenceSession(
        str(demo.model_path()), providers=["CPUExecutionProvider"]
    )
    theirs = [np.asarray(session.run(None, x)[0]).argmax() for x in batch]
    return f"{int((np.array(theirs) == answers).sum())} of {len(batch)} images"
