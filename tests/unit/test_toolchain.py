"""Finding a compiler, building, and the cache of builds."""

from __future__ import annotations

import ctypes
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dlc.backends.c99 import toolchain
from dlc.backends.c99.toolchain import (
    NATIVE,
    build_executable,
    build_shared,
    cache_dir,
    find_compiler,
)
from dlc.errors import BuildError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLC_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CC", raising=False)
    toolchain._version.cache_clear()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "value.h").write_text("#define VALUE 42\n")
    path = tmp_path / "value.c"
    path.write_text('#include "value.h"\nint value(void) { return VALUE; }\n')
    return path


def script(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_without_any_compiler_one_sentence_tells_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        BuildError, match=r"no C compiler found .*pip install 'dlc\[zig\]'"
    ) as error:
        find_compiler()
    assert "\n" not in str(error.value)


def test_order_argument_then_cc_variable_then_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("gcc", "clang", "other"):
        script(tmp_path, name, f"echo fake {name} 1.0")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_compiler().version == "fake gcc 1.0"
    monkeypatch.setenv("CC", "clang -m32")
    assert find_compiler().command[1:] == ("-m32",)
    assert find_compiler("other").version == "fake other 1.0"


def test_a_compiler_asked_for_must_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BuildError, match="the C compiler no-such-cc does not run"):
        find_compiler("no-such-cc")
    monkeypatch.setenv("CC", str(script(tmp_path, "broken", "exit 1")))
    with pytest.raises(BuildError, match=r"CC=.*broken does not run"):
        find_compiler()


def test_zig_of_the_python_package_when_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ziglang")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_compiler().command[-3:] == ("-m", "ziglang", "cc")
    assert find_compiler().family == "zig"


def test_build_is_cached_by_content(source: Path) -> None:
    first = build_shared([source])
    assert ctypes.CDLL(str(first)).value() == 42
    stamp = first.stat().st_mtime_ns
    assert build_shared([source]) == first
    assert first.stat().st_mtime_ns == stamp
    assert first.parent == cache_dir()
    assert build_shared([source], flags=("-std=c99", "-O1")) != first
    assert build_shared([source], flags=("-std=c99", "-O1", NATIVE)) != first
    (source.parent / "value.h").write_text("#define VALUE 43\n")
    second = build_shared([source])
    assert second != first
    assert ctypes.CDLL(str(second)).value() == 43


def test_headers_of_include_folders_count(tmp_path: Path, source: Path) -> None:
    folder = tmp_path / "include"
    folder.mkdir()
    source.write_text('#include "other.h"\nint value(void) { return OTHER; }\n')
    (folder / "other.h").write_text("#define OTHER 1\n")
    first = build_shared([source], include_dirs=[folder])
    (folder / "other.h").write_text("#define OTHER 2\n")
    assert build_shared([source], include_dirs=[folder]) != first


def test_built_in_parallel_each_sees_a_whole_library(source: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        built = set(pool.map(lambda _: build_shared([source]), range(4)))
    assert len(built) == 1
    assert list(cache_dir().iterdir()) == [built.pop()]  # nothing half-written left behind


def test_given_place(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "libvalue.so"
    assert build_shared([source], out=out) == out
    assert ctypes.CDLL(str(out)).value() == 42


def test_failed_compile_is_the_first_error_line(source: Path) -> None:
    source.write_text("int value(void) { return nothing; }\nint other(void) { return less; }\n")
    with pytest.raises(BuildError, match=r"failed on value\.c: .*error.*nothing") as error:
        build_shared([source])
    assert "\n" not in str(error.value)
    assert not list(cache_dir().iterdir())


def test_missing_source_and_unwritable_cache(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BuildError, match=r"cannot read .*absent\.c"):
        build_shared([tmp_path / "absent.c"])
    monkeypatch.setenv("DLC_CACHE", str(source / "below a file"))
    with pytest.raises(BuildError, match=r"cannot write .*; set DLC_CACHE"):
        build_shared([source])


def test_cache_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DLC_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_dir() == Path("/somewhere/dlc")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir() == Path.home() / ".cache" / "dlc"


def test_sanitized_program_ends_at_an_error(tmp_path: Path) -> None:
    source = tmp_path / "main.c"
    source.write_text(
        "int main(int n, char **v) { int a[2] = {0, 0}; (void)v; return a[n + 2]; }\n"
    )
    try:
        program = build_executable([source], sanitize=True)
    except BuildError as error:
        pytest.skip(f"no sanitizers here: {error}")
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "out of bounds" in done.stderr
