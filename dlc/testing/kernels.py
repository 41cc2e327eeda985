"""C kernels called from Python: ``static inline`` functions of a header, over numpy arrays."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlc.errors import BuildError, InputError
from dlc.testing.guard import guarded

if TYPE_CHECKING:
    from dlc.backends.c99.toolchain import Compiler

Array = np.ndarray[Any, Any]

_NUMPY = {
    "float": "f4", "double": "f8", "_Bool": "?", "bool": "?", "char": "i1", "signed char": "i1",
    "unsigned char": "u1", "int": "i4", "unsigned": "u4", "unsigned int": "u4", "ptrdiff_t": "i8",
    "size_t": "u8", **{f"int{8 * n}_t": f"i{n}" for n in (1, 2, 4, 8)},
    **{f"uint{8 * n}_t": f"u{n}" for n in (1, 2, 4, 8)},
}  # fmt: skip

_PROTOTYPE = re.compile(
    r"^(?:static\s+|inline\s+)*(?P<result>[\w\s]+?)\s+(?P<name>\w+)\s*\((?P<parameters>[^()]*)\)$"
)
_TRAP = (
    "-O1", "-g", "-fsanitize=undefined,float-cast-overflow",
    "-fsanitize-undefined-trap-on-error",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Parameter:
    text: str  # as C declares it, without the name
    dtype: np.dtype[Any]
    pointer: bool


@dataclass(frozen=True, slots=True)
class Kernel:
    """A C function as a Python callable.

    When no parameter is a pointer the function is applied element by element: arguments are arrays
    (or numbers) that broadcast, the result is an array. Otherwise pointers take C-contiguous arrays of
    the very dtype, which the kernel may write; other arguments are numbers; the result is what the
    C function returns (None for void). Raises InputError for any other argument.
    """

    name: str
    result: np.dtype[Any] | None
    parameters: tuple[_Parameter, ...]
    guards: bool = False
    """Whether arrays are passed as copies between forbidden pages."""
    _ffi: Any = field(repr=False, default=None)
    _function: Any = field(repr=False, default=None)

    @property
    def elementwise(self) -> bool:
        return self.result is not None and not any(p.pointer for p in self.parameters)

    def __call__(self, *arguments: Any) -> Any:
        if len(arguments) != len(self.parameters):
            raise InputError(
                f"{self.name} takes {len(self.parameters)} arguments, not {len(arguments)}"
            )
        return self._map(arguments) if self.elementwise else self._call(arguments)

    def _map(self, arguments: Sequence[Any]) -> Array:
        arrays = [
            np.asarray(a, None if isinstance(a, np.ndarray) else p.dtype)
            for a, p in zip(arguments, self.parameters, strict=True)
        ]
        for number, (array, parameter) in enumerate(zip(arrays, self.parameters, strict=True)):
            self._check(number, array, parameter)
        whole = [np.ascontiguousarray(a) for a in np.broadcast_arrays(*arrays)]
        shape = np.broadcast_shapes(*(a.shape for a in arrays))
        result = np.zeros(shape, self.result)
        self._invoke([result.size, *whole, result])
        return result

    def _call(self, arguments: Sequence[Any]) -> Any:
        for number, (argument, parameter) in enumerate(
            zip(arguments, self.parameters, strict=True)
        ):
            if parameter.pointer:
                self._check(number, argument, parameter)
        return self._invoke(arguments)

    def _check(self, number: int, array: Any, parameter: _Parameter) -> None:
        if not isinstance(array, np.ndarray) or array.dtype != parameter.dtype:
            found = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
            raise InputError(
                f"argument {number} of {self.name} must be an array of {parameter.dtype}, not {found}"
            )
        if parameter.pointer and not array.flags.c_contiguous:
            raise InputError(f"argument {number} of {self.name} must be C-contiguous")

    def _invoke(self, arguments: Sequence[Any]) -> Any:
        if not self.guards:
            return self._function(*map(self._pass, arguments))
        for at_end in (False, True):
            safe = [
                guarded(a, at_end=at_end) if isinstance(a, np.ndarray) else a for a in arguments
            ]
            status = self._function(*map(self._pass, safe))
        for given, copy in zip(arguments, safe, strict=True):
            if isinstance(given, np.ndarray) and given.flags.writeable:
                given[...] = copy
        return status

    def _pass(self, argument: Any) -> Any:
        if isinstance(argument, np.ndarray):
            return self._ffi.cast("void *", argument.ctypes.data)
        return argument.item() if isinstance(argument, np.generic) else argument


def load_kernel(source: str | Path, declaration: str, **options: Any) -> Kernel:
    """Build one C function of ``source`` and return it; options as for ``load_kernels``."""
    (kernel,) = load_kernels(source, [declaration], **options).values()
    return kernel


def load_kernels(
    source: str | Path, declarations: Sequence[str], *, compiler: Compiler | None = None,
    flags: Sequence[str] | None = None, sanitize: bool = False,
) -> dict[str, Kernel]:  # fmt: skip
    """Build C functions and return them by name, as callables over numpy arrays.

    ``source`` is the name of a header of ``dlc.kernels_c`` (``dlc_exp.h``), the path of a C file or
    header, or C text itself; the functions may be ``static inline``. Declarations are prototypes as in
    C (``float dlc_exp_f32(float x)``) over numbers and pointers to numbers. With ``sanitize`` undefined
    behaviour ends the process, as does an access outside the arrays a call is given.

    Raises BuildError when the source does not compile or a declaration is not understood. Builds are
    cached (``dlc.backends.c99.toolchain``).
    """
    import cffi

    from dlc.backends.c99 import toolchain
    from dlc.kernels_c import DIRECTORY

    prototypes = [_parse(text) for text in declarations]
    text, folders = _source_text(source, DIRECTORY)
    shims = [_shim(*prototype) for prototype in prototypes]
    unit = _HEAD + text + "\n" + "\n".join(f"DLC_EXPORT {head} {body}" for head, body in shims)
    flags = flags or (*toolchain.RELEASE_FLAGS, *(_TRAP if sanitize else ()))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.c"
        path.write_text(unit, encoding="utf-8")
        library = toolchain.build_shared(
            [path], compiler=compiler, flags=flags, include_dirs=[*folders, DIRECTORY]
        )
    ffi = cffi.FFI()
    ffi.cdef("\n".join(f"{head};" for head, _ in shims))
    loaded = ffi.dlopen(str(library))
    return {
        name: Kernel(name, result, parameters, sanitize, ffi, getattr(loaded, f"dlc_shim_{name}"))
        for name, result, parameters in prototypes
    }


_Prototype = tuple[str, "np.dtype[Any] | None", tuple[_Parameter, ...]]
_HEAD = """\
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifdef _WIN32
#define DLC_EXPORT __declspec(dllexport)
#else
#define DLC_EXPORT
#endif
"""


def _parse(declaration: str) -> _Prototype:
    found = _PROTOTYPE.match(" ".join(declaration.split()).rstrip("; "))
    if found is None:
        raise BuildError(f"{declaration!r} is not a C prototype such as 'float f(const float *x)'")
    result = " ".join(found["result"].split())
    listed = found["parameters"].strip()
    parameters = [] if listed in ("", "void") else [_parameter(p) for p in listed.split(",")]
    return found["name"], None if result == "void" else _dtype(result), tuple(parameters)


def _parameter(text: str) -> _Parameter:
    words = text.replace("*", " * ").split()
    if len(words) > 1 and words[-1] != "*" and " ".join(words) not in _NUMPY:
        words.pop()  # the parameter's name
    base = " ".join(w for w in words if w not in ("*", "const", "restrict"))
    return _Parameter(" ".join(words), _dtype(base), "*" in words)


def _dtype(c_type: str) -> np.dtype[Any]:
    if c_type not in _NUMPY:
        raise BuildError(f"the C type {c_type!r} has no numpy dtype")
    return np.dtype(_NUMPY[c_type])


def _c_type(dtype: np.dtype[Any]) -> str:
    return next(name for name, code in _NUMPY.items() if np.dtype(code) == dtype)


def _shim(
    name: str, result: np.dtype[Any] | None, parameters: tuple[_Parameter, ...]
) -> tuple[str, str]:
    """An exported function around a kernel: its prototype and its body."""
    numbers = range(len(parameters))
    if result is not None and parameters and not any(p.pointer for p in parameters):
        listed = ["ptrdiff_t n", *(f"const {p.text.replace('const ', '')} *a{i}"
                                   for i, p in enumerate(parameters)), f"{_c_type(result)} *y"]  # fmt: skip
        call = f"{name}({', '.join(f'a{i}[i]' for i in numbers)})"
        body = f"{{ for (ptrdiff_t i = 0; i < n; i++) y[i] = {call}; }}"
        return f"void dlc_shim_{name}({', '.join(listed)})", body
    listed = [f"{p.text} a{i}" for i, p in enumerate(parameters)] or ["void"]
    call = f"{name}({', '.join(f'a{i}' for i in numbers)})"
    returned = "void" if result is None else _c_type(result)
    body = f"{{ {'' if result is None else 'return '}{call}; }}"
    return f"{returned} dlc_shim_{name}({', '.join(listed)})", body


def _source_text(source: str | Path, library: Path) -> tuple[str, list[Path]]:
    """C text that brings the source in, and the folders its includes are looked up in."""
    if isinstance(source, str) and ("\n" in source or "{" in source):
        return source, []
    for path in (Path(source), library / source, library / f"{source}.h"):
        if path.is_file():
            return f'#include "{path.resolve().as_posix()}"', [path.resolve().parent]
    raise BuildError(f"{source} is neither a file, nor a header of dlc.kernels_c, nor C text")
