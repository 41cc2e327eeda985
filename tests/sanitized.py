"""Models under the address and undefined-behaviour sanitizers: what they find ends a child process.

Every tensor has memory of its own (``memory="heap"``), so that an access beyond it is noticed. All
models are built with one call of the compiler, and one child runs them. As a program this is the
child.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from dlc import api
from dlc.backends.c99.module import Module
from dlc.backends.c99.toolchain import SANITIZE_FLAGS, Compiler, available_compilers, build_shared
from dlc.errors import DlcError

Arrays = Mapping[str, Any]
FLAGS = ("-std=c99", *SANITIZE_FLAGS, "-fsanitize=float-cast-overflow")


class Refused(Exception):
    """A run that ended with a status: the child's typed error."""


class Sanitized:
    """Models by name, compiled with sanitizers, and the child that runs them."""

    def __init__(self, models: Mapping[str, tuple[onnx.ModelProto, Any]], folder: Path) -> None:
        tool, runtime = _gcc()
        self._runtime = runtime
        self.folders = {}
        for number, (name, (model, dims)) in enumerate(models.items()):
            made, _ = api.emit(model, folder / name, name=f"case{number}", dims=dims, memory="heap")
            self.folders[name] = made
        sources = [s for made in self.folders.values() for s in sorted(made.glob("*.c"))
                   if s.name != "selftest.c"]  # fmt: skip
        out = folder / "sanitized.so"
        self.library = build_shared(sources, compiler=tool, flags=FLAGS, out=out)
        self._child: subprocess.Popen[bytes] | None = None

    def run(self, name: str, inputs: Arrays) -> dict[str, Any]:
        """The outputs; Refused for a typed error, and a failure for a report of a sanitizer."""
        child = self._started()
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            pickle.dump((self.folders[name], self.library, dict(inputs)), child.stdin)
            child.stdin.flush()
            kind, result = pickle.load(child.stdout)
        except (EOFError, BrokenPipeError):
            self._child = None
            _, errors = child.communicate()
            pytest.fail(f"{name} of {inputs} ends the process:\n{errors.decode()[:3000]}")
        if kind == "refused":
            raise Refused(result)
        assert kind == "done", result
        return dict(result)

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.communicate()
            self._child = None

    def _started(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            settings = {
                "LD_PRELOAD": self._runtime,
                "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
                "UBSAN_OPTIONS": "print_stacktrace=1",
            }
            self._child = subprocess.Popen(
                [sys.executable, __file__], env=os.environ | settings, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
        return self._child


def _gcc() -> tuple[Compiler, str]:
    """gcc and the runtime of its address sanitizer, which the child loads first."""
    tool = next((c for c in available_compilers() if c.family == "gcc"), None)
    if tool is None or not sys.platform.startswith("linux"):
        pytest.skip("needs gcc on Linux: another compiler's sanitizer cannot be loaded into Python")
    asked = [*tool.command, "-print-file-name=libasan.so"]
    path = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    if not Path(path).is_absolute():
        pytest.skip("gcc has no address sanitizer here")
    return tool, path


def _serve() -> None:
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    modules: dict[Path, Module] = {}
    while True:
        try:
            folder, library, inputs = pickle.load(requests)
        except EOFError:
            return
        try:
            if folder not in modules:
                modules[folder] = Module(folder, library)
            found = modules[folder].run(inputs)
            answer: tuple[str, Any] = "done", {n: np.array(a) for n, a in found.items()}
        except DlcError as error:
            answer = "refused", f"{type(error).__name__}: {error}"
        except Exception as error:
            answer = "bug", f"{type(error).__name__}: {error}"
        pickle.dump(answer, answers)
        answers.flush()


if __name__ == "__main__":
    _serve()
