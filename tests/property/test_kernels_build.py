"""Kernels as C: strict with every compiler, free of calls, vectorised, formatted, and sanitized."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from kernel_library import SANITIZE

from dlc.backends.c99.toolchain import STRICT_FLAGS, Compiler, available_compilers, compile_with
from dlc.kernels_c import DIRECTORY

HEADERS = sorted(DIRECTORY.glob("*.h"))
COMPILERS = {compiler.family: compiler for compiler in available_compilers()}
X86 = platform.machine() in ("x86_64", "AMD64")
ELEMENTWISE = ["exp", "log", "log1p", "sqrt", "sigmoid", "tanh", "erf", "atan", "floor", "ceil",
               "round", "abs", "sign"]  # fmt: skip


def strict_flags(compiler: Compiler) -> list[str]:
    return [f for f in STRICT_FLAGS if compiler.family != "tcc" or f != "-pedantic-errors"]


@pytest.mark.parametrize("family", ["gcc", "clang", "zig", "tcc"])
def test_every_header_is_strict_c99_alone(family: str, tmp_path: Path) -> None:
    if family not in COMPILERS:
        pytest.skip(f"{family} is not installed")
    compiler, units = COMPILERS[family], []
    for header in HEADERS:
        units.append(tmp_path / f"{header.stem}.c")
        units[-1].write_text(f'#include "{header.name}"\nint unit_{header.stem};\n')
    if family == "zig":  # slow to start: all headers in one go
        units = [tmp_path / "all.c"]
        units[0].write_text("".join(f'#include "{header.name}"\n' for header in HEADERS))
    flags = [*strict_flags(compiler), f"-I{DIRECTORY}"]
    if family in ("gcc", "clang"):
        compile_with(compiler, [*flags, "-fsyntax-only", *map(str, units)])
    else:
        for unit in units:
            compile_with(compiler, [*flags, "-c", str(unit), "-o", str(tmp_path / "unit.o")])


#: what the kernels on strings call
STRINGS = {"strcmp", "strtod", "strtof", "strtoll", "strtoull"}


@pytest.mark.parametrize("optimise", ["-O0", "-O2", "-O3 -march=native"])
@pytest.mark.parametrize("family", ["gcc", "clang"])
def test_nothing_else_is_called(family: str, optimise: str, tmp_path: Path) -> None:
    if family not in COMPILERS or shutil.which("nm") is None:
        pytest.skip(f"{family} or nm is not installed")
    unit, made = tmp_path / "all.c", tmp_path / "all.o"
    # every function becomes an external one, so that all of them are compiled
    includes = [f'#include "{header.name}"' for header in HEADERS]
    system = [
        f"#include <{name}.h>" for name in ("stdbool", "stddef", "stdint", "stdlib", "string")
    ]
    external = ["#define static", "#define inline", "#undef DLC_KERNEL", "#define DLC_KERNEL"]
    unit.write_text("\n".join([*system, '#include "dlc_kernel.h"', *external, *includes, ""]))
    flags = [*STRICT_FLAGS, "-fno-stack-protector", *optimise.split(), f"-I{DIRECTORY}"]
    compile_with(COMPILERS[family], [*flags, "-c", str(unit), "-o", str(made)])
    listed = subprocess.run(["nm", str(made)], capture_output=True, text=True, check=True).stdout
    symbols = [line.split() for line in listed.splitlines()]
    assert sum(s[-2] == "T" and s[-1].startswith("dlc_") for s in symbols) > 150
    assert {s[-1] for s in symbols if s[-2] == "U"} <= {"memcpy", "memset", *STRINGS}


@pytest.mark.parametrize("target", ["-msse2", "-mavx2 -mfma", "-mavx512f -mfma"])
def test_maps_vectorise(target: str, tmp_path: Path) -> None:
    if not X86 or "gcc" not in COMPILERS:
        pytest.skip("gcc on x86 reports what it vectorised")
    lines = [f'#include "dlc_{name}.h"' for name in [*ELEMENTWISE, "max", "min"]]
    lines.append("#include <stddef.h>")
    loops = {}
    for name in [*ELEMENTWISE, "max", "min"]:
        call = f"dlc_{name}_f32({'x[i], z' if name in ('max', 'min') else 'x[i]'})"
        lines.append(f"void map_{name}(ptrdiff_t n, const float *x, float z, float *y) {{ (void)z;")
        lines.append(f"    for (ptrdiff_t i = 0; i < n; i++) y[i] = {call}; }}")
        loops[name] = len(lines)
    unit = tmp_path / "maps.c"
    unit.write_text("\n".join([*lines, ""]))
    flags = ["-std=c99", "-O3", *target.split(), f"-I{DIRECTORY}", "-fopt-info-vec"]
    command = [*COMPILERS["gcc"].command, *flags, "-c", str(unit), "-o", str(tmp_path / "maps.o")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    reported = [s for s in done.stderr.splitlines() if "loop vectorized" in s]
    missing = [n for n, line in loops.items() if not any(f"maps.c:{line}:" in s for s in reported)]
    assert not missing


def test_headers_are_formatted() -> None:
    formatter = shutil.which("clang-format", path=f"{Path(sys.executable).parent}:{os.defpath}")
    if formatter is None:
        pytest.skip("clang-format is not installed")
    subprocess.run([formatter, "--dry-run", "-Werror", *map(str, HEADERS)], check=True)


@pytest.mark.skipif(SANITIZE, reason="this is the sanitized run")
def test_kernels_stay_inside_their_arrays_and_inside_c(tmp_path: Path) -> None:
    """The same property tests once more, arrays between forbidden pages, undefined behaviour a trap."""
    if os.name != "posix":
        pytest.skip("needs mprotect")
    here = Path(__file__).parent
    files = [str(here / f"test_kernels_{part}.py") for part in ("windows", "arrays", "scalars")]
    options = [
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        f"--basetemp={tmp_path / 'inner'}",
    ]
    command = [sys.executable, "-m", "pytest", *options, *files]
    environment = {**os.environ, "DLC_SANITIZE_KERNELS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
