"""onnx's own backend tests through C: how many pass, and why the others do not.

    python tests/benchmarks/backend_suite.py [--filter PATTERN] [--kind KIND] [--jobs 2] [--all]
        [--compiler gcc|clang|tcc|zig] [--strip-outputs] [--strict] [--sanitize] [--parameters]
        [--write]

Models are emitted and built in batches, one compiler call each, by a few processes. Prints passed /
total per kind, then failures by reason, then (``--all``) each.

``--strip-outputs`` removes every declared shape of a result first. ``--strict`` also compiles every
emitted file with the strict flags (``dlc.backends.c99.toolchain.STRICT_FLAGS``; tcc: those it
knows) and tells how many are clean. ``--sanitize`` (gcc) runs under the address and
undefined-behaviour sanitizers. ``--parameters`` makes operands that say how (shapes, axes, pads
...) initializers first, as in almost every exported model. ``--write`` renews docs/coverage.md,
dlc/ops/support.json and tests/conformance/backend_known.toml from a run of everything.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from onnx_suite import page  # found beside this folder
from onnx_suite.cases import KINDS, cases
from onnx_suite.pool import restart_sanitized, run
from onnx_suite.running import Options, Outcome


def _alike(reason: str) -> str:
    """The reason without what differs from case to case."""
    reason = re.sub(r"'[^']*'", "'...'", reason)
    return re.sub(r"\d+(\.\d+)?", "N", reason)[:110]


def _processor_seconds() -> float:
    """Time all processes took: what the clock says depends on what else the machine does."""
    return sum(os.times()[:4])


def _progress(done: int) -> None:
    if sys.stderr.isatty() or os.environ.get("PROG"):
        print(f"\r{done} of {len(cases())} ", end="", file=sys.stderr, flush=True)


def report(outcomes: dict[str, Outcome], seconds: float, each: bool) -> None:
    for kind in KINDS:
        found = [o for name, o in outcomes.items() if cases()[name].kind == kind]
        if found:
            print(f"{kind:18} {sum(o.passed for o in found):5} of {len(found):5}")
    passed = sum(o.passed for o in outcomes.values())
    print(
        f"{passed} of {len(outcomes)} passed in {seconds:.0f} s, {_processor_seconds():.0f} s of processors"
    )
    files = sum(o.files for o in outcomes.values())
    if files:
        unclean = {n: o.unclean for n, o in outcomes.items() if o.unclean}
        dirty = sum(map(len, unclean.values()))
        print(f"{files - dirty} of {files} C files are strict ({100 * (1 - dirty / files):.2f} %)")
        for name, errors in unclean.items():
            for file, text in errors.items():
                print(f"      {name}/{file}: {text}")
    reasons = {name: o.reason for name, o in outcomes.items() if not o.passed}
    for reason, count in Counter(map(_alike, reasons.values())).most_common(None if each else 60):
        print(f"{count:5} {reason}")
    if each:
        for name, reason in sorted(reasons.items()):
            print(f"{name}: {reason}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--filter", default="", metavar="PATTERN")
    parser.add_argument("--kind", choices=KINDS, action="append")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--compiler")
    for flag in ("--parameters", "--strip-outputs", "--strict", "--sanitize", "--all", "--write"):
        parser.add_argument(flag, action="store_true")
    given = parser.parse_args()
    if given.sanitize:
        restart_sanitized()
    start = time.perf_counter()
    names = [name for name, case in cases().items()
             if re.search(given.filter, name) and case.kind in (given.kind or KINDS)]  # fmt: skip
    compiler = given.compiler or ("gcc" if given.sanitize else None)
    options = Options(compiler, given.parameters, given.strip_outputs, given.strict, given.sanitize)
    outcomes = run(names, given.jobs, options, _progress)
    report(outcomes, time.perf_counter() - start, given.all)
    if given.write:
        if len(names) != len(cases()) or options != Options(compiler):
            parser.error("--write needs a run of everything, without other modes")
        page.write(outcomes)


if __name__ == "__main__":
    main()
