"""The kernel headers a model needs, found by name.

Function ``k`` is in ``k.h``, or in the header of the longest beginning of its name that there is:
``dlc_scatter_add_f32`` in ``dlc_scatter.h``.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from dlc.backends.c99.dtypes import c_type
from dlc.errors import UnsupportedError
from dlc.ir.types import DType
from dlc.ops.emission import kernel_folders

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"(\w+\.h)"', re.MULTILINE)
_POINTEES = {
    **{c_type(t): t for t in (
        DType.F32, DType.F64, DType.I8, DType.I16, DType.I32, DType.I64, DType.U8, DType.U16,
        DType.U32, DType.U64,
    )},
    "unsigned char": DType.U8,
}  # fmt: skip


#: what a step may need besides kernels
SYSTEM = frozenset({"stddef.h", "stdint.h", "stdlib.h", "string.h"})


def read_header(name: str) -> str:
    """The text of a header, looked for as ``dlc.ops.emission.kernel_path`` says.

    UnsupportedError when there is none of that name, or it is not ASCII.
    """
    return _read(name, kernel_folders())


@functools.cache
def _read(name: str, folders: tuple[Path, ...]) -> str:
    for folder in (*folders, resources.files("dlc.kernels_c")):
        try:
            return folder.joinpath(name).read_text(encoding="ascii")
        except FileNotFoundError:
            continue
        except UnicodeDecodeError:
            raise UnsupportedError(f"the C kernel {folder.joinpath(name)} is not ASCII") from None
    looked = "".join(f", and none in {folder}" for folder in folders)
    raise UnsupportedError(f"there is no C kernel {name.removesuffix('.h')} yet{looked}")


def header_of(kernel: str) -> str:
    """The name of the header that holds a kernel; UnsupportedError when there is none."""
    return _header_of(kernel, kernel_folders())


@functools.cache
def _header_of(kernel: str, folders: tuple[Path, ...]) -> str:
    places = (*folders, resources.files("dlc.kernels_c"))
    name = kernel
    while name:
        if any(place.joinpath(f"{name}.h").is_file() for place in places):
            return f"{name}.h"
        name = name.rpartition("_")[0]
    return f"{kernel}.h"  # reading it says what is missing


def closure(names: Iterable[str]) -> dict[str, str]:
    """Text by name of these headers and all they include, sorted by name."""
    found: dict[str, str] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = read_header(name)
            waiting.extend(_INCLUDE.findall(found[name]))
    return dict(sorted(found.items()))


def parameters(kernel: str) -> tuple[str, ...] | None:
    """The C types of a kernel's parameters, without names; None when a macro writes its prototype."""
    return _parameters(kernel, read_header(header_of(kernel)))


@functools.cache
def _parameters(kernel: str, header: str) -> tuple[str, ...] | None:
    text = re.sub(r"/\*.*?\*/", " ", header, flags=re.DOTALL)
    found = re.search(rf"\b{re.escape(kernel)}\s*\(([^()]*)\)\s*[{{;]", text)
    if found is None:
        return None
    types = []
    for parameter in found.group(1).split(","):
        words = re.sub(r"\brestrict\b", " ", parameter).replace("*", " * ").split()
        types.append(" ".join(words[:-1]))
    return tuple(types)


def pointee(parameter: str | None) -> DType | None:
    """The element type a parameter points to, if it is a pointer to numbers."""
    if parameter is None or not parameter.endswith(" *"):
        return None
    return _POINTEES.get(parameter.removeprefix("const ").removesuffix(" *"))
