"""dlc opt beside onnxsim, onnxslim and onnxoptimizer: python tests/benchmarks/bench_opt.py [--write]

For every .onnx of the shared models and zoo (large ones made by the zoo's script): nodes before,
after each tool and after ``dlc opt -O2 -o x.onnx``, and onnxruntime's time before and after ours
(one thread, interleaved, medians of 15). Outputs are compared with the original's. A model counts
for a tool only where onnxruntime still runs its result. ``--write`` renews docs/benchmarks.md.
Needs: pip install onnxsim onnxslim onnxoptimizer
"""

from __future__ import annotations

import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

import dlc
from dlc import api
from dlc.exporter import to_onnx
from dlc.passmanager import for_onnx

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("DLC_SHARED", ROOT.parent / "shared"))
PAGE = ROOT / "docs" / "benchmarks.md"
MARK = "<!-- opt -->"


def nodes(model: onnx.ModelProto) -> int:
    """Nodes that do work, in the graph and in the functions it calls; constants are data."""

    def count(graph: onnx.GraphProto | onnx.FunctionProto) -> int:
        total = 0
        for node in graph.node:
            total += node.op_type != "Constant"
            total += sum(count(a.g) for a in node.attribute if a.type == onnx.AttributeProto.GRAPH)
        return total

    return count(model.graph) + sum(count(f) for f in model.functions)


def onnxsim(model: onnx.ModelProto) -> onnx.ModelProto:
    import onnxsim as tool

    return tool.simplify(model)[0]


def onnxslim(model: onnx.ModelProto) -> onnx.ModelProto:
    import onnxslim as tool

    return tool.slim(model)


def onnxoptimizer(model: onnx.ModelProto) -> onnx.ModelProto:
    import onnxoptimizer as tool

    return tool.optimize(model, tool.get_fuse_and_elimination_passes())


def ours(model: onnx.ModelProto) -> onnx.ModelProto:
    return to_onnx(dlc.PassManager.parse(for_onnx("O2")).run(api.load(model)))


TOOLS: list[Callable[[onnx.ModelProto], onnx.ModelProto]] = [onnxsim, onnxslim, onnxoptimizer, ours]


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def models(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted((SHARED / "models").glob("*/*.onnx")):
        yield path.parent.name, path
    subprocess.run(
        [sys.executable, SHARED / "zoo" / "fill.py", folder], check=True, capture_output=True
    )
    for path in [*sorted((SHARED / "zoo").glob("*.onnx")), *sorted(folder.glob("*.onnx"))]:
        yield f"zoo/{path.stem}", path


def fix_sizes(model: onnx.ModelProto, vectors: Path) -> None:
    """Give inputs of free sizes those of the example beside the model."""
    with np.load(vectors) as data:
        shapes = {str(n): data[f"input_{i}"].shape for i, n in enumerate(data["input_names"])}
    for info in model.graph.input:
        dims = info.type.tensor_type.shape.dim
        for dim, size in zip(dims, shapes.get(info.name, ()), strict=False):
            if not dim.dim_value:
                dim.dim_value = size


def measure(path: Path) -> list[str] | str:
    """The row of a model, or why there is none."""
    before = onnx.load(path)
    if (vectors := path.parent / "vectors.npz").exists():
        fix_sizes(before, vectors)
    try:
        graph = api.load(before)
    except dlc.DlcError as error:
        return str(error)
    types = {n: v.type for n, v in zip(graph.input_names, graph.inputs, strict=True)}
    # one form for everybody: the sizes our importer fixed
    for info in before.graph.input:
        if info.name in types:
            shape = info.type.tensor_type.shape
            for dim, size in zip(shape.dim, types[info.name].dims, strict=True):
                dim.dim_value = size
    inputs = api.random_inputs(types, np.random.default_rng(0))
    reference = session(before)
    expected = reference.run(None, inputs)
    counts: list[str] = []
    best, mine = nodes(before), 0
    for tool in TOOLS:
        try:
            copy = onnx.ModelProto()
            copy.CopyFrom(before)
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                after = tool(copy)
            runner = session(after)
            got = runner.run(None, inputs)
        except Exception as error:  # a tool of others may fail in any way
            counts.append("-")
            if tool is ours:
                return f"{type(error).__name__}: {error}"
            continue
        names = [o.name for o in reference.get_outputs()]
        agrees = all(
            api.compare(n, g, e, 1e-3, 1e-5, 1e-4).ok
            for n, g, e in zip(names, got, expected, strict=True)
        )
        counts.append(f"{nodes(after)}{'' if agrees else ' (differs)'}")
        if tool is ours:
            mine = nodes(after)
            optimised = runner
        elif agrees:
            best = min(best, nodes(after))
    spent: tuple[list[float], list[float]] = ([], [])
    for _ in range(16):
        for runner, times in zip((reference, optimised), spent, strict=True):
            start = time.perf_counter()
            runner.run(None, inputs)
            times.append(time.perf_counter() - start)
    a, b = (statistics.median(times[1:]) * 1e3 for times in spent)
    verdict = "yes" if mine <= best else f"no ({mine} > {best})"
    return [str(nodes(before)), *counts, verdict, f"{a:.3f}", f"{b:.3f}", f"{b / a:.2f}"]


def main() -> None:
    warnings.simplefilter("ignore")
    rows, left_out = [], []
    with tempfile.TemporaryDirectory() as folder:
        for name, path in models(Path(folder)):
            row = measure(path)
            print(name, row, flush=True)
            if isinstance(row, str):
                left_out.append(f"- {name}: {row}")
            else:
                rows.append([name, *row])
    heads = [
        "model",
        "nodes",
        *(tool.__name__ for tool in TOOLS),
        "fewest",
        "ms before",
        "ms after",
        "ratio",
    ]
    lines = [" | ".join(["", *cells, ""]).strip() for cells in [heads, ["---"] * len(heads), *rows]]
    table = "\n".join([*lines, "", "Left out:" if left_out else "", "", *left_out])
    if "--write" in sys.argv:
        head, _, rest = PAGE.read_text().partition(MARK)
        _, _, tail = rest.partition(MARK)
        PAGE.write_text(f"{head}{MARK}\n{table}\n{MARK}{tail}")


if __name__ == "__main__":
    main()
