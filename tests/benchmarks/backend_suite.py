"""onnx's own backend tests through C: how many pass, and why the others do not.

    python tests/benchmarks/backend_suite.py [--filter PATTERN] [--jobs 2] [--parameters] [--all]

Models are emitted and built in batches, one compiler call each, by a few processes. With
``--parameters`` operands that say how (shapes, axes, pads ...) are made initializers first, as in
almost every exported model. Prints passed / total, then failures by reason, then (``--all``) each.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from node_suite import cases, run_batch  # found beside this folder

BATCH = 24


def _pool(jobs: int) -> ProcessPoolExecutor:
    """Processes in a folder of their own: reproducers of failures are written to it."""
    return ProcessPoolExecutor(jobs, initializer=os.chdir, initargs=[tempfile.mkdtemp()])


def run(names: Sequence[str], jobs: int, parameters: bool) -> dict[str, str]:
    """Outcomes of cases; a batch whose process dies is run again, each case in a process."""
    outcomes: dict[str, str] = {}
    waiting = [list(names[i : i + BATCH]) for i in range(0, len(names), BATCH)]
    while waiting:
        failed = []
        with _pool(jobs) as pool:
            futures = [(batch, pool.submit(run_batch, batch, parameters)) for batch in waiting]
            for batch, future in futures:
                try:
                    outcomes |= future.result()
                except BrokenProcessPool:
                    failed.append(batch)
        if len(failed) == len(waiting) and all(len(batch) == 1 for batch in failed):
            for (name,) in failed:  # one of them kills the pool of all: each in its own
                with _pool(1) as pool:
                    try:
                        outcomes |= pool.submit(run_batch, [name], parameters).result()
                    except BrokenProcessPool:
                        outcomes[name] = "CRASH"
            failed = []
        waiting = [[name] for batch in failed for name in batch]
    return outcomes


def _kind(name: str, reason: str) -> str:
    """The reason without what differs from case to case."""
    reason = re.sub(r"'[^']*'", "'...'", reason)
    return re.sub(r"\d+(\.\d+)?", "N", reason)[:110]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--filter", default="")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--parameters", action="store_true")
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    start = time.perf_counter()
    names = [name for name in cases() if re.search(options.filter, name)]
    outcomes = run(names, options.jobs, options.parameters)
    reasons = {name: reason for name, reason in outcomes.items() if reason}
    print(
        f"{len(names) - len(reasons)} of {len(names)} passed in {time.perf_counter() - start:.0f} s"
    )
    counts = Counter(_kind(name, reason) for name, reason in reasons.items())
    for reason, count in counts.most_common(None if options.all else 60):
        print(f"{count:5} {reason}")
    if options.all:
        for name, reason in sorted(reasons.items()):
            print(f"{name}: {reason}")


if __name__ == "__main__":
    main()
