"""Running cases in batches: one call of the compiler for many models."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dlc import api
from dlc.backends.c99.module import Module
from dlc.backends.c99.toolchain import (
    NATIVE,
    RELEASE_FLAGS,
    SANITIZE_FLAGS,
    STRICT_FLAGS,
    Compiler,
    build_shared,
    find_compiler,
)  # fmt: skip
from dlc.errors import BuildError, DlcError
from dlc.onnx_backend import sizes_of
from onnx_suite.cases import Case, cases
from onnx_suite.comparing import difference
from onnx_suite.parameters import with_parameters
from onnx_suite.selection import draws_numbers
from onnx_suite.stripping import stripped

#: tcc knows these of the strict flags, and takes -Wextra and others without heeding them
TCC_STRICT = ("-std=c99", "-Wall", "-Wwrite-strings", "-Wimplicit-function-declaration", "-Werror")
#: what "undefined" leaves out, though it is undefined
SANITIZE = (*SANITIZE_FLAGS, "-fsanitize=float-cast-overflow")
#: a case that takes longer to emit or to run ends its process
SECONDS = 180
#: the reason of cases that cannot pass: whoever draws other numbers gets other results
DRAWN = "RANDOM other numbers are drawn, as ONNX allows; dtypes and shapes agree"


@dataclass(frozen=True)
class Options:
    """How to run cases: the compiler (None: the first found) and what to ask of model and C."""

    compiler: str | None = None
    parameters: bool = False
    """Operands that say how (shapes, axes, pads ...) become initializers."""
    strip: bool = False
    """Declared shapes of results are removed first."""
    strict: bool = False
    """Every file is compiled with the strict flags; those with a warning are reported."""
    sanitize: bool = False
    """Undefined behaviour and accesses out of bounds end the process."""

    def flags(self, tool: Compiler, kind: str) -> tuple[str, ...]:
        if self.sanitize:
            return ("-std=c99", *SANITIZE)
        if tool.family == "tcc":  # it has no optimiser
            return ("-std=c99",)
        return (*RELEASE_FLAGS, NATIVE) if kind == "light" else ("-std=c99", "-O1")

    @staticmethod
    def strict_flags(tool: Compiler) -> tuple[str, ...]:
        return TCC_STRICT if tool.family == "tcc" else STRICT_FLAGS


@dataclass
class Outcome:
    """Why a case does not pass (nothing: it passes), and, if asked, what is not strict C in it."""

    reason: str = ""
    files: int = 0
    unclean: dict[str, str] = field(default_factory=dict)
    """The compiler's first error by file."""

    @property
    def passed(self) -> bool:
        return not self.reason


def run_batch(names: Sequence[str], options: Options | None = None) -> dict[str, Outcome]:
    """Outcome of each case, built with one call of the compiler where that works."""
    options = options or Options()
    outcomes = {name: Outcome() for name in names}
    root = Path(tempfile.mkdtemp(prefix="dlc-suite-"))
    try:
        folders = {name: root / name for name in names}
        for name, folder in folders.items():
            signal.alarm(SECONDS)  # where that is left to kill, the caller of us notices
            outcomes[name].reason = emit_case(cases()[name], folder, options)
        emitted = {name: folders[name] for name in names if outcomes[name].passed}
        signal.alarm(0)
        tool = find_compiler(options.compiler)
        if options.strict and emitted:
            _check_strict(emitted, root, tool, outcomes)
        for library, group in _built(emitted, root, tool, options, outcomes):
            for name, folder in group.items():
                signal.alarm(SECONDS)
                outcomes[name].reason = _outcome(cases()[name], folder, library)
    finally:
        signal.alarm(0)
        shutil.rmtree(root, ignore_errors=True)
    return outcomes


def emit_case(case: Case, folder: Path, options: Options) -> str:
    """Emit a case; the reason why not, else nothing."""
    model = stripped(case.model) if options.strip else case.model
    given = dict(zip(case.input_names, case.data_sets[0][0], strict=True))
    if options.parameters:
        model = with_parameters(model, given)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            api.emit(model, folder, name=case.name, **sizes_of(model, given))
    except DlcError as error:
        return f"{type(error).__name__}: {error}"
    except Exception as error:
        return f"BUG {type(error).__name__}: {error}"
    return ""


def _outcome(case: Case, folder: Path, library: Path) -> str:
    """Why the outputs of a module are not those of the case; nothing when they are."""
    module = Module(folder, library)
    taken = dict(module.signature.inputs) if module.signature else module.inputs
    for inputs, expected in case.data_sets:
        given = dict(zip(case.input_names, inputs, strict=True))
        try:
            results = module.run({n: _array(v) for n, v in given.items() if n in taken})
        except DlcError as error:
            return f"RUN {type(error).__name__}: {error}"
        found = difference(case, list(results.values()), expected)
        if found:
            return DRAWN if _differs_by_chance(case, list(results.values()), expected) else found
    return ""


def _differs_by_chance(case: Case, results: Sequence[Any], expected: Sequence[Any]) -> bool:
    """Whether a case that draws random numbers has the dtypes and shapes it should."""
    return draws_numbers(case.name) and not difference(case, results, expected, values=False)


def _array(value: Any) -> Any:
    if isinstance(value, list):
        return [_array(item) for item in value]
    return None if value is None else np.asarray(value)


def _built(group: dict[str, Path], root: Path, tool: Compiler, options: Options,
           outcomes: dict[str, Outcome]) -> Iterator[tuple[Path, dict[str, Path]]]:  # fmt: skip
    """Libraries with what is in them: all in one, or each alone when one does not compile."""
    if not group:
        return
    first = next(iter(group))
    out = root / f"{first}_{len(group)}.so"
    sources = [s for folder in group.values() for s in _sources(folder) if s.name != "selftest.c"]
    try:
        flags = options.flags(tool, cases()[first].kind)
        build_shared(sources, compiler=tool, flags=flags, out=out)
    except DlcError as error:
        if len(group) == 1:
            outcomes[first].reason = f"BUILD {error}"
            return
        for name, folder in group.items():
            yield from _built({name: folder}, root, tool, options, outcomes)
        return
    yield out, group


def _check_strict(group: Mapping[str, Path], root: Path, tool: Compiler,
                  outcomes: dict[str, Outcome]) -> None:  # fmt: skip
    """Compile every file strictly: all in one call, then those of each model, then each alone."""
    for name, folder in group.items():
        outcomes[name].files = len(_sources(folder))
    if not _complaint([s for f in group.values() for s in _sources(f)], root, tool):
        return
    for name, folder in group.items():
        if _complaint(_sources(folder), root, tool):
            found = {s.name: _complaint([s], root, tool) for s in _sources(folder)}
            outcomes[name].unclean = {file: text for file, text in found.items() if text}


def _complaint(sources: Sequence[Path], root: Path, tool: Compiler) -> str:
    """The first error of the compiler under strict flags; nothing when there is none."""
    flags = [*Options.strict_flags(tool), "-O1", "-c"]
    done = subprocess.run([*tool.command, *flags, *map(str, sources)], capture_output=True,
                          text=True, check=False, cwd=root)  # fmt: skip
    if done.returncode == 0:
        return ""
    lines = done.stderr.splitlines()
    return next((line for line in lines if "error" in line), "no message").strip()


def _sources(folder: Path) -> list[Path]:
    """The C files of a model."""
    return sorted(folder.glob("*.c"))


def run_by_backend(case: Case) -> str:
    """As ``run_batch`` for one case, through ``dlc.onnx_backend`` alone."""
    from dlc import onnx_backend

    try:
        prepared = onnx_backend.prepare(case.model)
        for inputs, expected in case.data_sets:
            found = difference(case, prepared.run(list(inputs)), expected)
            if found:
                return found
    except BuildError as error:
        return f"BUILD {error}"
    except DlcError as error:
        return f"{type(error).__name__}: {error}"
    return ""
