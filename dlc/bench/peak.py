"""The measured peak of the machine at hand, by a C probe; kept in the cache once known."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import cffi
import numpy as np

from dlc.backends.c99.module import DEFAULT_FLAGS
from dlc.backends.c99.toolchain import Compiler, build_shared, cache_dir, find_compiler
from dlc.bench.pinning import pinned
from dlc.bench.results import Machine, Peak

SOURCE = Path(__file__).with_name("peak.c")
_DECLARATIONS = """
float dlc_peak_compute(ptrdiff_t rounds, const float *given, double *flops);
void dlc_peak_triad(float *y, const float *a, const float *b, ptrdiff_t n);
"""
_ROUNDS = 1_000_000
_TRIAD_FLOATS = 16 << 20  # 64 MiB a stream: beyond the caches of all but large servers
_REPEATS = 7


@cache
def this_machine() -> Machine:
    """The processor's name, its cores, and the system."""
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    return Machine(_processor(), os.cpu_count() or 1, system)


def measured_peak(
    threads: int = 1, compiler: Compiler | None = None, *, fresh: bool = False
) -> Peak:
    """The peak of ``threads`` cores: the best of several runs, as any disturbance only slows.

    Measured once for each machine, compiler and number of threads unless ``fresh``. BuildError
    without a compiler.
    """
    compiler = compiler or find_compiler()
    kept = _cache_file(threads, compiler)
    if not fresh:
        try:
            return Peak(**json.loads(kept.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            pass  # not measured yet, or by another version
    with pinned(threads):
        peak = _measure(threads, compiler)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        aside = kept.with_suffix(f".{os.getpid()}")
        aside.write_text(json.dumps(dataclasses.asdict(peak)), encoding="utf-8")
        aside.replace(kept)
    except OSError:
        pass  # measured again next time
    return peak


def _cache_file(threads: int, compiler: Compiler) -> Path:
    known = repr((this_machine(), str(compiler), threads, SOURCE.read_text(encoding="utf-8")))
    return cache_dir() / f"peak-{hashlib.sha256(known.encode()).hexdigest()[:24]}.json"


def _measure(threads: int, compiler: Compiler) -> Peak:
    ffi = cffi.FFI()
    ffi.cdef(_DECLARATIONS)
    flags = [*DEFAULT_FLAGS, "-ffp-contract=fast"]  # gcc -std=c99 would not fuse
    library: Any = ffi.dlopen(str(build_shared([SOURCE], compiler=compiler, flags=flags)))
    given = ffi.new("float[3]", [1.0, 0.999, 0.001])  # stays near 1: no overflow, no denormals
    counts = [ffi.new("double *") for _ in range(threads)]
    size = _TRIAD_FLOATS // threads
    streams = [np.ones((3, size), np.float32) for _ in range(threads)]
    addresses = [[ffi.cast("float *", row.ctypes.data) for row in rows] for rows in streams]
    with ThreadPoolExecutor(threads) as pool:  # cffi calls release the interpreter's lock
        compute = _best(
            pool, threads, lambda i: library.dlc_peak_compute(_ROUNDS, given, counts[i])
        )
        triad = _best(pool, threads, lambda i: library.dlc_peak_triad(*addresses[i], size))
    flops = sum(count[0] for count in counts)
    return Peak(flops / compute / 1e9, 12 * size * threads / triad / 1e9, threads)


def _best(pool: ThreadPoolExecutor, threads: int, work: Callable[[int], object]) -> float:
    times = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        list(pool.map(work, range(threads)))
        times.append(time.perf_counter() - start)
    return min(times)


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith(("model name", "Model", "uarch")):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    if platform.system() == "Darwin":
        asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return platform.processor() or platform.machine()
