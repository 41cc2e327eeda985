"""``.dlc`` files: textual IR, with large constants in a ``.npz`` archive of the same name beside."""

from __future__ import annotations

import os
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO

import numpy as np

from dlc.errors import ModelError, ParseError
from dlc.ir.graph import Graph
from dlc.ir.operator import Array
from dlc.ir.text import dense
from dlc.ir.text.parser import parse_graph
from dlc.ir.text.printer import INLINE_LIMIT, Printer


def save(
    graph: Graph, path: str | os.PathLike[str], *, inline: bool = False, header: str = ""
) -> None:
    """Write a graph as ``path`` (``.dlc``), after ``header`` (lines of comments).

    Constants of more than ``INLINE_LIMIT`` elements go to ``<path>.npz``, keyed by digest, unless
    ``inline`` puts all of them in the text. Each file appears whole or not at all. Raises
    ModelError when the folder cannot be written.
    """
    path = Path(path)
    printer = Printer(None if inline else INLINE_LIMIT)
    text = header + printer.print(graph)
    stored = {
        digest: dense.to_resource(array) for digest, array in sorted(printer.resources.items())
    }
    try:
        if stored:
            _replace(_beside(path), lambda file: _write_arrays(file, stored))
        _replace(path, lambda file: file.write(text.encode()))
    except OSError as error:
        raise ModelError(f"cannot write {path}: {error.strerror or error}") from error


def load(path: str | os.PathLike[str]) -> Graph:
    """Read a graph that ``save`` wrote.

    Raises ModelError when the file cannot be read, ParseError when it does not parse or a constant
    is missing or altered.
    """
    path = Path(path)
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"cannot read {path}: {error}") from error
    archive = _beside(path)
    try:
        if not archive.exists():
            return parse_graph(text)
        if archive.resolve().parent != path.resolve().parent:
            raise ModelError(
                f"{archive} leads out of its folder; constants are read only from there"
            )
        with zipfile.ZipFile(archive) as opened:
            return parse_graph(text, _Archive(opened))
    except ParseError as error:
        raise ParseError(f"{path}: {error}") from error
    except (OSError, zipfile.BadZipFile) as error:
        raise ModelError(f"cannot read {archive}: {error}") from error


class _Archive(Mapping[str, Array]):
    """Arrays of an ``.npz`` file, read when asked for, from a file that may be hostile."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def __getitem__(self, digest: str) -> Array:
        info = self._archive.getinfo(f"{digest}.npy")
        if info.compress_type != zipfile.ZIP_STORED:  # so that none is larger than the file
            raise ParseError(f"constant {digest[:12]}... is compressed; dlc stores them plain")
        try:
            with self._archive.open(info) as member:
                array: Array = np.lib.format.read_array(member, allow_pickle=False)
        except (ValueError, EOFError, MemoryError, zipfile.BadZipFile) as error:
            raise ParseError(f"constant {digest[:12]}... cannot be read: {error}") from error
        return array

    def __iter__(self) -> Iterator[str]:
        return (name.removesuffix(".npy") for name in self._archive.namelist())

    def __len__(self) -> int:
        return len(self._archive.namelist())


def _write_arrays(file: IO[bytes], arrays: Mapping[str, Array]) -> None:
    """What ``np.savez`` writes, an array at a time and with no time stamps."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".npz")


def _replace(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file under another name, then give it its own: readers never see half of it."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        with temporary.open("xb") as file:
            write(file)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
