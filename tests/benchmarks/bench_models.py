"""The zoo beside its peers: python tests/benchmarks/bench_models.py [NAME ...] [--write] [--json FILE]

Measures as ``dlc bench`` does, with all peers that are installed. Needs the folder of shared models
(DLC_SHARED), whose script makes the large ones. ``--write`` renews the table in docs/benchmarks.md:
leave the machine alone while it runs.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from dlc.backends.c99.toolchain import find_compiler
from dlc.bench import Report, bench_model, find_peer, installed_peers, measured_peak
from dlc.bench.peak import this_machine
from dlc.bench.report import markdown, model_table, summary_lines
from dlc.errors import DlcError

ROOT = Path(__file__).parents[2]
ZOO = Path(os.environ.get("DLC_SHARED", ROOT.parent / "shared")) / "zoo"
PAGE = ROOT / "docs" / "benchmarks.md"
MARK = "<!-- models -->"
MODELS = (
    "lenet5", "mnist_cnn", "resnet8_cifar", "dscnn_kws", "ad_autoencoder", "mobilenetv1_025_96",
    "mobilenetv2", "mobilenetv3_small", "squeezenet1_1", "resnet18", "resnet50", "yolov4_tiny",
    "fastestdet", "ssd_mobilenetv1", "vit_tiny", "bert_mini", "lstm_small", "gru_small",
)  # fmt: skip


def measure(names: list[str], threads: int, runs: int) -> tuple[Report, list[str]]:
    """The report of the models that run, and why others did not."""
    peers, compiler = [find_peer(name) for name in installed_peers()], find_compiler()
    peak = measured_peak(threads, compiler, fresh=True)
    results, remarks = [], []
    with tempfile.TemporaryDirectory() as folder:
        large = [name for name in names if not (ZOO / f"{name}.onnx").exists()]
        if large:
            subprocess.run(
                [sys.executable, ZOO / "fill.py", folder, *large], check=True, capture_output=True
            )
        for name in names:
            path = (Path(folder) if name in large else ZOO) / f"{name}.onnx"
            try:
                results.append(bench_model(path, peers, threads=threads, runs=runs, compiler=compiler,
                                           notify=remarks.append))  # fmt: skip
            except DlcError as error:
                remarks.append(f"{name}: {error}")
            print(name, "done", file=sys.stderr, flush=True)
    return Report(this_machine(), str(compiler), "O2", threads, runs, peak, tuple(results)), remarks


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="models (default: all)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    report, remarks = measure(options.names or list(MODELS), options.threads, options.runs)
    summary = [f"- {line}" for line in [*summary_lines(report), *remarks]]
    text = "\n".join([*summary, "", markdown(model_table(report))])
    print(text)
    if options.json:
        report.write(options.json)
    if options.write:
        head, _, rest = PAGE.read_text().partition(MARK)
        _, _, tail = rest.partition(MARK)
        PAGE.write_text(f"{head}{MARK}\n{text}\n{MARK}{tail}")


if __name__ == "__main__":
    main()
