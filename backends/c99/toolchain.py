"""Finds a C compiler and builds emitted sources with it, cached by content.

Floating-point contraction is left as the compiler has it (gcc -std=c99: off; clang: within an
expression): kernels ask for a fused multiply-add by name where it pays, so forbidding the rest would
cost speed for nothing. Who needs the same bits from every compiler adds ``-ffp-contract=off``.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlc.errors import BuildError

STRICT_FLAGS = (
    "-std=c99", "-pedantic-errors", "-Wall", "-Wextra", "-Wconversion", "-Wdouble-promotion",
    "-Werror",
)  # fmt: skip
"""What every emitted file and every kernel compiles under without a warning."""

RELEASE_FLAGS = ("-std=c99", "-O3")
"""Default flags of a build; add ``NATIVE`` for the machine at hand."""

NATIVE = "-march=native"

SANITIZE_FLAGS = (
    "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
    "-fno-omit-frame-pointer",
)  # fmt: skip
"""Flags under which undefined behaviour and out-of-bounds accesses end the program."""

_INCLUDE = re.compile(rb'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.MULTILINE)
_REMEDY = "install gcc or clang, set CC, or run: pip install 'dlc[zig]'"


@dataclass(frozen=True, slots=True)
class Compiler:
    """A C compiler: the command that starts it and the first line of its ``--version``."""

    command: tuple[str, ...]
    version: str

    @property
    def family(self) -> str:
        """``zig``, ``clang``, ``tcc`` or ``gcc`` (also when unknown: the flags are the same)."""
        if "zig" in " ".join(self.command[-2:]):
            return "zig"
        return next((f for f in ("clang", "tcc") if f in self.version), "gcc")

    def __str__(self) -> str:
        return f"{shlex.join(self.command)} ({self.version})"


def find_compiler(name: str | None = None) -> Compiler:
    """The compiler ``name``, else $CC, else the first of cc, gcc, clang and zig that runs.

    ``name`` and $CC may hold arguments (``gcc -m32``); ``zig`` means ``zig cc``, from the path or from
    the ziglang package. Raises BuildError when ``name`` or $CC does not run, or when nothing does.
    """
    for origin, asked in (("", name), ("CC=", os.environ.get("CC"))):
        if asked:
            found = _probe(asked)
            if found is None:
                raise BuildError(f"the C compiler {origin}{asked} does not run; {_REMEDY}")
            return found
    for candidate in ("cc", "gcc", "clang", "zig"):
        found = _probe(candidate)
        if found is not None:
            return found
    raise BuildError(f"no C compiler found (looked for cc, gcc, clang and zig); {_REMEDY}")


def available_compilers() -> list[Compiler]:
    """Every compiler known by name that runs here, each once (cc is usually one of the others)."""
    found = [_probe(name) for name in ("gcc", "clang", "zig", "tcc")]
    return [compiler for compiler in found if compiler is not None]


def build_shared(
    sources: Sequence[Path], *, compiler: Compiler | None = None, flags: Sequence[str] = RELEASE_FLAGS,
    include_dirs: Sequence[Path] = (), out: Path | None = None,
) -> Path:  # fmt: skip
    """Compile and link ``sources`` into a shared library; returns its path.

    Without ``out`` the library lands in the cache, under a name made of compiler, flags and the
    content of sources and headers, and is built only when absent. With ``out`` it is built there.
    Raises BuildError with the compiler's first error.
    """
    suffix = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
    linking = ("-shared",) if sys.platform == "win32" else ("-shared", "-fPIC")
    return _build(sources, compiler, (*flags, *linking), include_dirs, suffix, out)


def build_executable(
    sources: Sequence[Path], *, compiler: Compiler | None = None, flags: Sequence[str] = RELEASE_FLAGS,
    include_dirs: Sequence[Path] = (), out: Path | None = None, sanitize: bool = False,
) -> Path:  # fmt: skip
    """As ``build_shared``, for a program; ``sanitize`` adds the address and undefined sanitizers."""
    chosen = (*flags, *(SANITIZE_FLAGS if sanitize else ()))
    suffix = ".exe" if sys.platform == "win32" else ""
    return _build(sources, compiler, chosen, include_dirs, suffix, out)


def cache_dir() -> Path:
    """Where built libraries are kept: $DLC_CACHE, else dlc under $XDG_CACHE_HOME, else ~/.cache/dlc."""
    own = os.environ.get("DLC_CACHE")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "dlc"


def compile_with(compiler: Compiler, arguments: Sequence[str], inputs: str = "") -> None:
    """Run the compiler; BuildError with its first error line (``inputs`` names what it compiled)."""
    done = subprocess.run(
        [*compiler.command, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).splitlines()
        text = next((line for line in lines if "error" in line), lines[0] if lines else "")
        what = f" on {inputs}" if inputs else ""
        raise BuildError(
            f"{shlex.join(compiler.command)} failed{what}: {text.strip() or 'no message'}"
        )


def _build(
    sources: Sequence[Path], compiler: Compiler | None, flags: Sequence[str],
    include_dirs: Sequence[Path], suffix: str, out: Path | None,
) -> Path:  # fmt: skip
    compiler = compiler or find_compiler()
    if out is None:
        name = Path(sources[0]).stem
        key = _key(compiler, flags, sources, include_dirs)
        out = cache_dir() / f"{name}-{key[:24]}{suffix}"
        if out.exists():
            return out
    includes = [f"-I{directory}" for directory in include_dirs]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        # built aside and renamed: a reader sees the whole file or none, also with writers in parallel
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=".build-") as directory:
            made = Path(directory) / out.name
            arguments = [*flags, *includes, *map(str, sources), "-o", str(made)]
            compile_with(compiler, arguments, ", ".join(Path(s).name for s in sources[:3]))
            made.replace(out)
    except OSError as error:
        raise BuildError(
            f"cannot write {out}: {error.strerror or error}; set DLC_CACHE to a writable folder"
        ) from error
    return out


def _key(
    compiler: Compiler, flags: Sequence[str], sources: Sequence[Path], include_dirs: Sequence[Path]
) -> str:
    digest = hashlib.sha256(repr((compiler, tuple(flags), platform.machine())).encode())
    if NATIVE in flags:
        digest.update(_processor().encode())  # a cache may be shared between machines
    for path in _contents(sources, include_dirs):
        try:
            content = path.read_bytes()
        except OSError as error:
            raise BuildError(f"cannot read {path}: {error.strerror or error}") from error
        digest.update(f"\0{path.name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _contents(sources: Iterable[Path], include_dirs: Sequence[Path]) -> Iterator[Path]:
    """Sources and every header they include by ``#include "..."``, directly or not."""
    waiting, seen = [Path(source) for source in sources], set[Path]()
    while waiting:
        path = waiting.pop().resolve()
        if path in seen:
            continue
        seen.add(path)
        yield path
        for name in _INCLUDE.findall(path.read_bytes() if path.is_file() else b""):
            places = (Path(d) / os.fsdecode(name) for d in (path.parent, *include_dirs))
            waiting.extend([place for place in places if place.is_file()][:1])


@functools.cache
def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return "".join(sorted({line for line in lines if line.startswith(("model name", "flags"))}))


def _probe(name: str) -> Compiler | None:
    command = shlex.split(name)
    if command == ["zig"]:
        if shutil.which("zig"):
            command = ["zig", "cc"]
        elif importlib.util.find_spec("ziglang") is not None:
            command = [sys.executable, "-m", "ziglang", "cc"]
    program = shutil.which(command[0]) if command else None
    return _version((program, *command[1:])) if program else None


@functools.cache
def _version(command: tuple[str, ...]) -> Compiler | None:
    try:
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return None
    lines = done.stdout.splitlines()
    return Compiler(command, lines[0].strip()) if done.returncode == 0 and lines else None
