"""The checker of ``tests/ir/*.dlc`` itself."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CONFTEST = Path(__file__).parents[1] / "ir" / "conftest.py"
OUTPUT = "one %1 = f(%0)\ntwo   %12 = g(%1)\nthree\n"


@pytest.fixture(scope="module")
def checker() -> Any:
    spec = importlib.util.spec_from_file_location("text_checks", CONFTEST)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "checks",
    [
        "// CHECK: one\n// CHECK-NEXT: two\n// CHECK-NEXT: three",
        "// CHECK: one\n// CHECK: three",
        "// CHECK: two %12 = g(%1)",
        "// CHECK: [[A:%\\d+]] = f\n// CHECK: g([[A]])",
        "// CHECK: {{^t.o}}",
        "// CHECK-NOT: two\n// CHECK: one\n// CHECK-NOT: one",
    ],
)
def test_checks_that_hold(checker: Any, checks: str) -> None:
    checker.check(checks, OUTPUT)


@pytest.mark.parametrize(
    ("checks", "message"),
    [
        ("", "no CHECK lines"),
        ("// CHECK: four", "is not found"),
        ("// CHECK: two\n// CHECK: one", "is not found after line 2"),
        ("// CHECK: one\n// CHECK-NEXT: three", "CHECK-NEXT: three"),
        ("// CHECK: one\n// CHECK-NOT: two\n// CHECK: three", "CHECK-NOT: two"),
        ("// CHECK-NOT: three", "is found in"),
        ("// CHECK: g({{%2|%3}})", "is not found"),
        ("// CHECK: two %1", "is not found"),
        ("// CHECK: [[A]]", "used before"),
    ],
)
def test_checks_that_fail(checker: Any, checks: str, message: str) -> None:
    with pytest.raises(checker.CheckError, match=message):
        checker.check(checks, OUTPUT)


def test_checks_are_written_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = 'graph "g" {\n  output() {names = []}\n}\n'
    test = f"// RUN: dlc opt %s\n{graph}// CHECK: old\n// ----- another\n{graph}"
    (tmp_path / "conftest.py").write_text(CONFTEST.read_text())
    file = tmp_path / "some.dlc"
    file.write_text(test)

    def run() -> int:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode

    assert run() == 1
    assert file.read_text() == test
    monkeypatch.setenv("DLC_UPDATE_CHECKS", "1")
    assert run() == 0
    monkeypatch.delenv("DLC_UPDATE_CHECKS")
    assert run() == 0
    checks = '// CHECK: graph "g" {\n// CHECK-NEXT: output() {names = []}\n'
    assert (
        file.read_text() == f"// RUN: dlc opt %s\n{graph}{checks}// ----- another\n{graph}{checks}"
    )
