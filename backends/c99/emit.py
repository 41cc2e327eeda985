"""``emit``: a planned graph becomes a folder of C99."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from dlc.backends.c99.cmake import cmake_text
from dlc.backends.c99.headers import closure
from dlc.backends.c99.interface import interface_text
from dlc.backends.c99.layout import layout_of
from dlc.backends.c99.lifetimes import tensors_of
from dlc.backends.c99.metadata import GENERATOR, metadata_text
from dlc.backends.c99.model import model_text
from dlc.backends.c99.selftest import Vectors, selftest_text
from dlc.backends.c99.weights import weights_binary, weights_header, weights_text
from dlc.errors import BuildError, DlcError
from dlc.ir.graph import Graph
from dlc.plan.program import Program


def emit(graph: Graph, out_dir: str | Path, *, name: str | None = None, weights: str = "auto",
         memory: str = "arena", vectors: Vectors | None = None) -> Path:  # fmt: skip
    """Write the C folder of a planned graph; returns its path.

    ``name`` (default: the graph's) prefixes every public identifier. ``weights`` is ``c`` (arrays),
    ``file`` (NAME.weights, which the caller reads or maps) or ``auto`` (a file above 4 MiB);
    ``memory`` is ``arena`` (the caller's) or ``heap`` (malloc, freed after last use). ``vectors``
    (inputs and expected outputs by name) make selftest.c compare.

    A folder dlc wrote before is replaced, files that are not dlc's are kept in it; any other
    non-empty folder is refused. The folder appears whole or not at all. Raises BuildError when it
    cannot be written, UnsupportedError when a step has no C form.
    """
    from dlc.plan import program_of

    return emit_program(program_of(graph), out_dir, name=name or graph.name, weights=weights,
                        memory=memory, vectors=vectors)  # fmt: skip


def emit_program(program: Program, out_dir: str | Path, *, name: str, weights: str = "auto",
                 memory: str = "arena", vectors: Vectors | None = None) -> Path:  # fmt: skip
    """As ``emit``, from the program level."""
    files = print_program(program, name=name, weights=weights, memory=memory, vectors=vectors)
    return write_folder(files, Path(out_dir))


def print_program(program: Program, *, name: str, weights: str = "auto", memory: str = "arena",
                  vectors: Vectors | None = None) -> dict[str, bytes]:  # fmt: skip
    """The content of every file of the folder, by relative path; equal input gives equal bytes."""
    for option, value, allowed in (("weights", weights, ("auto", "c", "file")),
                                   ("memory", memory, ("arena", "heap"))):  # fmt: skip
        if value not in allowed:
            raise DlcError(f"{option}={value!r} is not one of {', '.join(allowed)}")
    layout = layout_of(program, name, weights, memory)
    tensors = tensors_of(program)
    texts = {
        "model.c": model_text(layout),
        "model.h": interface_text(layout, tensors.all),
        "selftest.c": selftest_text(layout, vectors),
        "CMakeLists.txt": cmake_text(layout),
    }
    own = closure(layout.headers)
    texts |= {f"kernels/{header}": text for header, text in own.items()}
    files: dict[str, bytes] = {}
    if layout.in_file:
        files[f"{layout.name}.weights"] = weights_binary(layout)
    if layout.source_weights:
        texts |= {"weights.c": weights_text(layout), "weights.h": weights_header(layout)}
    listed = [*texts, *files, "metadata.json"]
    texts["metadata.json"] = metadata_text(layout, tensors, listed)
    return files | {path: text.encode("ascii") for path, text in texts.items()}


def write_folder(files: dict[str, bytes], out_dir: Path) -> Path:
    """Write files into a new folder that then takes the place of ``out_dir``."""
    _refuse_foreign(out_dir)
    out_dir = out_dir.resolve()
    try:
        out_dir.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out_dir.parent, prefix=f".{out_dir.name}-") as aside:
            fresh = Path(aside) / "new"
            for path, content in files.items():
                (fresh / path).parent.mkdir(parents=True, exist_ok=True)
                (fresh / path).write_bytes(content)
            _swap(fresh, out_dir, Path(aside) / "old")
    except OSError as error:
        raise BuildError(
            f"cannot write the folder {out_dir}: {error.strerror or error}; choose another one"
        ) from error
    return out_dir


def _refuse_foreign(out_dir: Path) -> None:
    if out_dir.is_symlink() or (out_dir.exists() and not out_dir.is_dir()):
        raise BuildError(f"{out_dir} is not a folder; choose another output folder")
    if out_dir.is_dir() and any(out_dir.iterdir()) and _written_before(out_dir) is None:
        raise BuildError(
            f"the folder {out_dir} is not empty and was not written by dlc; choose another one"
        )


def _written_before(folder: Path) -> set[str] | None:
    """The files dlc wrote into a folder; None when it is not dlc's."""
    try:
        found = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
        return set(found["files"]) if found["generator"] == GENERATOR else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _swap(fresh: Path, out_dir: Path, old: Path) -> None:
    """Put ``fresh`` in the place of ``out_dir``, keeping files there that are not dlc's."""
    if not out_dir.exists():
        fresh.rename(out_dir)
        return
    ours = {Path(file).parts[0] for file in _written_before(out_dir) or ()}
    out_dir.rename(old)
    try:
        fresh.rename(out_dir)
    except OSError:
        old.rename(out_dir)
        raise
    for entry in old.iterdir():
        if entry.name not in ours and not (out_dir / entry.name).exists():
            shutil.move(entry, out_dir / entry.name)
