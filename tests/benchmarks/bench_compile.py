"""Python side of a compile, without the C compiler: python tests/benchmarks/bench_compile.py [--write]

Medians of 5 runs in one process: reading, rewriting, planning and printing C for lenet5 and
mobilenetv2 (made by the shared zoo's script), and importing and running all passes on chains of
5 000 to 50 000 ops (once). ``--write`` renews the table in docs/benchmarks.md.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from dlc import api
from dlc.passmanager import PassManager

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("DLC_SHARED", ROOT.parent / "shared"))
PAGE = ROOT / "docs" / "benchmarks.md"
MARK = "<!-- compile-time -->"


def chain(length: int) -> onnx.ModelProto:
    """``length`` nodes in a row, a quarter each of Conv 1x1, BatchNormalization, Relu and Add."""
    nodes, tensors, x = [], [], "x"
    rng = np.random.default_rng(0)
    ones = [
        numpy_helper.from_array(rng.uniform(0.5, 1.5, 4).astype(np.float32), f"s{i}")
        for i in range(4)
    ]
    kinds = ["Conv", "BatchNormalization", "Relu", "Add"]
    for i in range(length):
        kind, y = kinds[i % 4], f"t{i}"
        operands = [x]
        if kind == "Conv":
            weight = numpy_helper.from_array(
                (0.5 * rng.standard_normal((4, 4, 1, 1))).astype(np.float32), f"w{i}"
            )
            tensors.append(weight)
            operands.append(weight.name)
        elif kind == "BatchNormalization":
            operands += ["s0", "s1", "s2", "s3"]
        elif kind == "Add":
            operands.append("x")
        nodes.append(helper.make_node(kind, operands, [y], f"{kind}_{i}"))
        x = y
    graph = helper.make_graph(
        nodes, "chain",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 2, 2])],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, [1, 4, 2, 2])],
        tensors + ones,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def median(run: Callable[[], object], times: int = 5) -> float:
    """Seconds of the median of ``times`` runs, after one to warm up."""
    run()
    spent = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        spent.append(time.perf_counter() - start)
    return statistics.median(spent)


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, SHARED / "zoo" / "fill.py", folder, "mobilenetv2"], check=True,
                       capture_output=True)  # fmt: skip
        for name, path in (
            ("lenet5", SHARED / "zoo" / "lenet5.onnx"),
            ("mobilenetv2", Path(folder) / "mobilenetv2.onnx"),
        ):
            out = Path(folder) / f"{name}_c"
            rows.append(
                (f"{name}: load, -O2, emit C", median(lambda p=path, o=out: api.emit(p, o)))
            )
    for length in (5_000, 10_000, 20_000, 50_000):
        model = chain(length)
        graph = api.load(model)
        rows.append((f"chain of {length}: import", median(lambda m=model: api.load(m), 1)))
        rows.append(
            (
                f"chain of {length}: all passes of -O2",
                median(lambda g=graph: PassManager.parse("O2").run(g), 1),
            )
        )
    table = "\n".join(["| what | seconds |", "|---|---|", *(f"| {n} | {s:.3f} |" for n, s in rows)])
    print(table)
    if "--write" in sys.argv:
        head, _, rest = PAGE.read_text().partition(MARK)
        _, _, tail = rest.partition(MARK)
        PAGE.write_text(f"{head}{MARK}\n{table}\n{MARK}{tail}")


if __name__ == "__main__":
    main()
