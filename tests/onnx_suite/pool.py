"""Running many batches, a few at a time, each in a process that a case may kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from dlc import api
from onnx_suite.cases import cases
from onnx_suite.running import Options, Outcome, run_batch

BATCH = 24


def run(names: Sequence[str], jobs: int = 2, options: Options | None = None,
        notify: Callable[[int], None] = lambda _: None) -> dict[str, Outcome]:  # fmt: skip
    """Outcomes of cases, in their order; a case that kills its process has the reason CRASH.

    ``notify`` hears how many are done.
    """
    options = options or Options()
    outcomes: dict[str, Outcome] = {}
    api.plan(cases()["test_add"].model)  # loads the compiler before processes copy this one
    large = [name for name in names if cases()[name].kind == "light"]
    small = [name for name in names if cases()[name].kind != "light"]
    batches = [[name] for name in large]
    batches += [small[i : i + BATCH] for i in range(0, len(small), BATCH)]
    with (
        tempfile.TemporaryDirectory(prefix="dlc-suite-") as root,
        ThreadPoolExecutor(jobs) as threads,
    ):
        for found in threads.map(lambda batch: _run_apart(batch, options, Path(root)), batches):
            outcomes |= found
            notify(len(outcomes))
    return {name: outcomes[name] for name in names}


def _run_apart(names: Sequence[str], options: Options, root: Path) -> dict[str, Outcome]:
    """Run cases in a process of their own; when it dies, in two, down to the case that kills it."""
    folder = Path(tempfile.mkdtemp(dir=root))
    with ProcessPoolExecutor(1, initializer=_start, initargs=[folder]) as process:
        try:
            return process.submit(run_batch, names, options).result()
        except BrokenProcessPool:
            pass
    if len(names) == 1:
        return {names[0]: Outcome("CRASH")}
    half = len(names) // 2
    return {**_run_apart(names[:half], options, root), **_run_apart(names[half:], options, root)}


def _start(folder: Path) -> None:
    """A folder of its own (reproducers of failures are written to it), and an alarm that kills."""
    os.chdir(folder)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)


def restart_sanitized() -> None:
    """Run this program again with the sanitizers' libraries loaded first, as gcc's need; once.

    What they find they write to standard error; the case that did it is a CRASH.
    """
    if "DLC_SUITE_SANITIZED" in os.environ:
        return
    libraries = [
        subprocess.run(["gcc", f"-print-file-name={library}"], capture_output=True, text=True,
                       check=True).stdout.strip()
        for library in ("libasan.so", "libubsan.so")
    ]  # fmt: skip
    environment = {
        **os.environ, "DLC_SUITE_SANITIZED": "1", "LD_PRELOAD": ":".join(libraries),
        "ASAN_OPTIONS": "detect_leaks=0:halt_on_error=1",
    }  # fmt: skip
    raise SystemExit(
        subprocess.run([sys.executable, *sys.argv], env=environment, check=False).returncode
    )
