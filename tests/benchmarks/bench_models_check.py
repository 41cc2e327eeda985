"""Agreement and memory of every model: python tests/benchmarks/bench_models_check.py [--write]

Each .onnx of the shared models that compiles with its own sizes, and of the zoo (large ones made by
its script): ``dlc check`` on random inputs, arena, lower bound, both with the caller's buffers.
``--write`` renews the table in docs/benchmarks.md.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from dlc import api
from dlc.errors import DlcError

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("DLC_SHARED", ROOT.parent / "shared"))
PAGE = ROOT / "docs" / "benchmarks.md"
MARK = "<!-- check -->"
HEADS = ["model", "agrees", "largest difference", "elements by magnitude", "arena KiB", "bound KiB",
         "with caller's KiB", "weights KiB"]  # fmt: skip


def row(path: Path) -> list[str]:
    try:
        report = api.check(path)
    except DlcError as error:
        return ["", str(error).replace("|", "/"), *[""] * 5]
    sizes = (
        report.arena_bytes,
        report.lower_bound,
        report.peak_bytes_with_io,
        report.weights_bytes,
    )
    beyond = sum(d.near_zero for d in report.differences)
    return ["yes" if report.ok else "NO", f"{report.worst.worst:.2g}", str(beyond),
            *(f"{size / 1024:.2f}" for size in sizes)]  # fmt: skip


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        fill = [sys.executable, SHARED / "zoo" / "fill.py", folder]
        subprocess.run(fill, check=True, capture_output=True)
        named = [(p.parent.name, p) for p in sorted((SHARED / "models").glob("*/*.onnx"))]
        for place in (SHARED / "zoo", Path(folder)):
            named += [(f"zoo/{p.stem}", p) for p in sorted(place.glob("*.onnx"))]
        for name, path in named:
            rows.append([name, *row(path)])
            print(rows[-1], flush=True)
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in [HEADS, ["---"] * len(HEADS), *rows])
    if "--write" in sys.argv:
        head, _, rest = PAGE.read_text().partition(MARK)
        _, _, tail = rest.partition(MARK)
        PAGE.write_text(f"{head}{MARK}\n{table}\n{MARK}{tail}")


if __name__ == "__main__":
    main()
