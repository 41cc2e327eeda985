r"""Tests of passes as text: every ``.dlc`` file of a folder is run as its ``// RUN:`` line says, and checked.

A folder of tests has them once its ``conftest.py`` says

    from dlc.testing.text_tests import pytest_collect_file  # noqa: F401

``%s`` in the RUN line is the graph, ``%S`` the folder of the file, as in ``--load=%S/my_pass.py``.

``// RUN: dlc opt %s --pass=cse,dce``   runs once for each section of the file (``// -----`` parts them)
``// CHECK: text``        a later line contains the text
``// CHECK-NEXT: text``   the very next line contains it
``// CHECK-NOT: text``    no line between the checks around it contains it
``// EXPECT-ERROR: text`` the section fails, and the message contains the text

Blanks count as one; ``{{...}}`` is a regular expression, ``[[X:...]]`` one whose match ``[[X]]`` stands
for from there on (``%[[X:\w+]]`` names a value). A file without checks fails. To write the CHECK lines of
new or changed tests from what the passes do now, and then to read the difference:

    DLC_UPDATE_CHECKS=1 pytest tests/ir/cse.dlc && git diff tests/ir
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

UPDATE = "DLC_UPDATE_CHECKS"
_CHECK = re.compile(r"^\s*// (CHECK(?:-NEXT|-NOT)?): ?(.*?)\s*$", re.MULTILINE)
_RUN = re.compile(r"^\s*// RUN: dlc (.*)$", re.MULTILINE)
_ERROR = re.compile(r"^\s*// EXPECT-ERROR: (.*?)\s*$", re.MULTILINE)
_SPLIT = re.compile(r"^// -----.*\n", re.MULTILINE)
_HOLE = re.compile(r"\{\{(.*?)\}\}|\[\[([A-Za-z_]\w*)(?::(.*?))?\]\]")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path.suffix != ".dlc":
        return None
    collector: TextFile = TextFile.from_parent(parent, path=file_path)
    return collector


class TextFile(pytest.File):
    """A test file; its items are its sections."""

    def collect(self) -> Iterator[pytest.Item]:
        text = self.path.read_text("utf-8")
        run = _RUN.search(text)
        if run is None:
            raise self.CollectError(f"{self.path.name} has no line '// RUN: dlc opt %s --pass=...'")
        words = [word.replace("%S", str(self.path.parent)) for word in shlex.split(run[1])]
        arguments = ["-" if word == "%s" else word for word in words]
        line = 1
        for number, section in enumerate(_SPLIT.split(text)):
            item: Section = Section.from_parent(self, name=f"{number}:line{line}")
            item.section, item.arguments, item.number = section, arguments, number
            yield item
            line += section.count("\n") + 1


class Section(pytest.Item):
    """One graph: run the command on it, hold the output against the checks."""

    section: str
    arguments: list[str]
    number: int

    def runtest(self) -> None:
        from dlc.cli import cli
        from dlc.errors import DlcError

        result = CliRunner().invoke(cli, self.arguments, input=self.section, standalone_mode=False)
        error = result.exception
        if error is not None and not isinstance(error, DlcError):
            raise error
        expected = _ERROR.search(self.section)
        if expected is not None:
            if _plain(expected[1]) not in _plain(str(error or "")):
                raise CheckError(f"expected the error: {expected[1]}\nfound: {error}")
        elif error is not None:
            raise error
        elif os.environ.get(UPDATE):
            self._update(result.stdout)
        else:
            check(self.section, result.stdout)

    def _update(self, output: str) -> None:
        body = _CHECK.sub("", self.section)
        body = re.sub(r"\n{2,}", "\n", body).rstrip("\n")
        lines = [line.strip() for line in output.splitlines() if line.strip() not in ("", "}")]
        checks = [f"// CHECK{'-NEXT' if i else ''}: {line}" for i, line in enumerate(lines)]
        text = self.path.read_text("utf-8")
        sections = _SPLIT.split(text)
        sections[self.number] = "\n".join([body, *checks]) + "\n"
        parts = zip(sections, [*_SPLIT.findall(text), ""], strict=True)
        self.path.write_text("".join(section + split for section, split in parts), "utf-8")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException]) -> str:  # type: ignore[override]
        if isinstance(excinfo.value, CheckError):
            return f"{self.path.name}, section {self.number}: {excinfo.value}"
        return str(excinfo.getrepr(style="short"))

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, f"{self.path.name}:{self.name}"


class CheckError(Exception):
    """The output is not as the checks say."""


def check(section: str, output: str) -> None:
    """Raise CheckError unless ``output`` satisfies the CHECK lines of ``section``."""
    checks = _CHECK.findall(section)
    if not checks:
        raise CheckError(f"no CHECK lines; write some, or set {UPDATE}=1 to have them written")
    lines = [_plain(line) for line in output.splitlines()]
    names: dict[str, str] = {}
    at = 0  # the first line not yet matched
    banned: list[str] = []
    for kind, text in checks:
        if kind == "CHECK-NOT":
            banned.append(text)
            continue
        found = _find(text, names, lines, at, at + 1 if kind == "CHECK-NEXT" else len(lines))
        if found is None:
            raise CheckError(f"{kind}: {text}\nis not found after line {at} of\n{output}")
        _refuse(banned, names, lines[at:found], output)
        banned, at = [], found + 1
    _refuse(banned, names, lines[at:], output)


def _find(text: str, names: dict[str, str], lines: list[str], start: int, stop: int) -> int | None:
    pattern = _pattern(text, names)
    for number in range(start, min(stop, len(lines))):
        match = pattern.search(lines[number])
        if match:
            names.update(match.groupdict())
            return number
    return None


def _refuse(banned: list[str], names: dict[str, str], lines: list[str], output: str) -> None:
    for text in banned:
        pattern = _pattern(text, names)
        for line in lines:
            if pattern.search(line):
                raise CheckError(f"CHECK-NOT: {text}\nis found in\n{output}")


def _pattern(text: str, names: dict[str, str]) -> re.Pattern[str]:
    """The regular expression of a CHECK text, with the values of known ``[[X]]`` filled in."""
    parts: list[str] = []
    known: set[str] = set()
    end = 0
    for hole in _HOLE.finditer(text):
        parts.append(re.escape(_squeezed(text[end : hole.start()])))
        expression, name, body = hole.groups()
        if name is None:
            parts.append(f"(?:{expression})")
        elif body is not None:
            parts.append(f"(?P<{name}>{body})")
            known.add(name)
        elif name in known:
            parts.append(f"(?P={name})")
        elif name in names:
            parts.append(re.escape(names[name]))
        else:
            raise CheckError(f"[[{name}]] is used before [[{name}:...]]")
        end = hole.end()
    parts.append(re.escape(_squeezed(text[end:])))
    # a number ends where the text does: %1 is not the start of %12
    return re.compile("".join(parts) + (r"(?!\w)" if text[-1:].isalnum() else ""))


def _plain(text: str) -> str:
    return _squeezed(text).strip()


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", " ", text)
