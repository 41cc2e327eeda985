"""The checker of ``tests/ir/*.dlc`` itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dlc.testing import text_tests as checker

CONFTEST = Path(__file__).parents[1] / "ir" / "conftest.py"
OUTPUT = "one %1 = f(%0)\ntwo   %12 = g(%1)\nthree\n"


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
def test_checks_that_hold(checks: str) -> None:
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
def test_checks_that_fail(checks: str, message: str) -> None:
    with pytest.raises(checker.CheckError, match=message):
        checker.check(checks, OUTPUT)


def test_run_lines_load_passes_from_beside_the_test(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST.read_text())
    (tmp_path / "mine.py").write_text(
        "from dlc.rewrite.base import Pass\n"
        "class Rename(Pass):\n"
        '    """Gives the graph another name."""\n'
        "    name = 'mine-rename'\n"
        "    def run(self, graph):\n"
        "        graph.name = 'renamed'\n"
        "        return graph, True\n"
    )
    (tmp_path / "mine.dlc").write_text(
        "// RUN: dlc opt %s --load=%S/mine.py --pass=mine-rename\n"
        'graph "g" {\n  output() {names = []}\n}\n// CHECK: graph "renamed"\n'
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "mine.dlc"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


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
