"""``Module``: an emitted folder, built and loaded, called with numpy arrays."""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import cffi
import numpy as np

from dlc.backends.c99.interface import STATUSES
from dlc.backends.c99.layout import ALIGN
from dlc.backends.c99.strings import pointers_to, strings_at
from dlc.backends.c99.toolchain import NATIVE, RELEASE_FLAGS, Compiler, build_shared, find_compiler
from dlc.errors import BuildError, DlcError, InputError
from dlc.interp import check_inputs, input_sizes, largest
from dlc.ir.operator import Array
from dlc.ir.signature import Signature
from dlc.ir.text.parser import parse_type
from dlc.ir.types import DType, TensorType

DEFAULT_FLAGS = (*RELEASE_FLAGS, NATIVE)
"""A Module runs where it was built, so it is built for this processor; the emitted CMakeLists.txt,
whose result may travel, is not."""


class Module:
    """A compiled model. ``run`` may be called from several threads at once."""

    def __init__(self, source_dir: Path, library: Path) -> None:
        self.source_dir = source_dir
        self.library = library
        self.metadata: dict[str, Any] = read_metadata(source_dir)
        signature = self.metadata.get("signature")
        #: how the tensors make up sequences and optionals; None where the model has none
        self.signature = None if signature is None else Signature.of(signature)
        #: types of the tensors by name, in order
        self.inputs: dict[str, TensorType] = _types(self.metadata["inputs"])
        self.outputs: dict[str, TensorType] = _types(self.metadata["outputs"])
        self.arena_bytes: int = self.metadata["arena_bytes"]
        self.weights_bytes: int = self.metadata["weights"]["bytes"]
        self.lower_bound: int = self.metadata["lower_bound"]
        self.peak_bytes_with_io: int = self.metadata["peak_bytes_with_io"]
        self._ffi = cffi.FFI()
        self._ffi.cdef(_declarations(self.metadata))
        self._library = self._ffi.dlopen(str(library))
        self._function = getattr(self._library, f"{self.metadata['c_name']}_run")
        self._weights = self._read_weights()
        self._arenas: list[Array] = []  # idle ones; append and pop are atomic

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Outputs by name: arrays, and for a model that has them lists of arrays for sequences and
        None for an optional without value; inputs may be these, too.

        InputError for a missing or unknown input, a wrong dtype or shape.
        """
        if self.signature is None:
            return self.tensors(inputs)
        return self.signature.put_together(self.tensors(self.signature.taken_apart(inputs)))

    def tensors(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """As ``run``, of tensors alone, under the names of the fields of the C structs."""
        arrays = _checked(self.inputs, inputs)
        outputs = [_room(t) for t in self.outputs.values()]
        made = self._call(arrays, outputs, self._sizes(inputs))
        fields = zip(self.outputs.items(), self.metadata["outputs"], outputs, strict=True)
        # strings point into the inputs or the library, which are alive here
        return {name: self._read(_cut(array, type, field, made), type)
                for (name, type), field, array in fields}  # fmt: skip

    def _sizes(self, inputs: Mapping[str, Array]) -> dict[str, int]:
        """Values of the fields for symbols, of inputs that were checked."""
        shapes = [np.shape(inputs[name]) for name in self.inputs]
        found = {str(s): n for s, n in input_sizes(list(self.inputs.values()), shapes).items()}
        given = [row for row in self.metadata.get("symbols", ()) if row["given"]]
        return {row["c_name"]: found[row["text"]] for row in given}

    def _read(self, array: Array, type: TensorType) -> Array:
        return strings_at(array, self._ffi) if type.dtype is DType.STRING else array

    def time(self, repetitions: int = 10, inputs: Mapping[str, Array] | None = None) -> float:
        """Median seconds of a call of the C function, after one to warm up.

        By default inputs are zeros, as large as they may be.
        """
        given = inputs or {
            n: np.full(largest(t).dims, "" if t.dtype is DType.STRING else 0, t.dtype.numpy)
            for n, t in self.inputs.items()
        }
        call = self.prepare(given)
        call()
        seconds = []
        for _ in range(max(repetitions, 1)):
            start = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - start)
        return statistics.median(seconds)

    def prepare(self, inputs: Mapping[str, Array]) -> Callable[[], None]:
        """A function that does nothing but call the C function on these inputs, for timing it.

        It is for one thread. Raises InputError as ``run`` does.
        """
        arrays = _checked(self.inputs, inputs)
        outputs = [_room(t) for t in self.outputs.values()]
        given, made = self._structs(arrays, outputs, self._sizes(inputs))
        arena = self._arena()
        address = self._ffi.cast("void *", arena.ctypes.data)
        function, kept = self._function, (arrays, outputs, arena)

        def call(_kept: object = kept) -> None:
            status = function(given, made, address)
            if status:
                self._complain(status)

        return call

    def _structs(self, inputs: Iterable[Array], outputs: Iterable[Array], sizes: Mapping[str, int]
                 ) -> tuple[Any, Any]:  # fmt: skip
        ffi, name = self._ffi, self.metadata["c_name"]
        given, made = ffi.new(f"{name}_inputs *"), ffi.new(f"{name}_outputs *")
        for struct, fields, arrays in ((given, "inputs", inputs), (made, "outputs", outputs)):
            for field, array in zip(self.metadata[fields], arrays, strict=True):
                setattr(struct, field["c_name"], ffi.cast("void *", array.ctypes.data))
        for c_name, size in sizes.items():
            setattr(given, c_name, size)
        if self._weights is not None:
            setattr(given, "weights", ffi.cast("void *", self._weights.ctypes.data))  # noqa: B010
        return given, made

    def _call(self, inputs: Iterable[Array], outputs: Iterable[Array], sizes: Mapping[str, int]
              ) -> Any:  # fmt: skip
        """The outputs struct, filled."""
        given, made = self._structs(inputs, outputs, sizes)
        try:
            arena = self._arenas.pop()
        except IndexError:
            arena = self._arena()
        status = self._function(given, made, self._ffi.cast("void *", arena.ctypes.data))
        self._arenas.append(arena)
        if status != STATUSES["OK"]:
            self._complain(status)
        return made

    def _arena(self) -> Array:
        return _aligned(0 if self.metadata["memory"] == "heap" else self.arena_bytes, ALIGN)

    def _complain(self, status: int) -> NoReturn:
        name = self.metadata["c_name"]
        if status == STATUSES["BAD_INDEX"]:
            raise InputError(f"an index computed or given in the inputs of {name} is out of range")
        if status == STATUSES["BAD_SIZE"]:
            raise InputError(
                f"a size computed from the inputs of {name} is out of its bounds, or two contradict; "
                f"compile with greater bounds, or give inputs that fit one another"
            )
        meaning = next((s for s, n in STATUSES.items() if n == status), "unknown")
        raise DlcError(f"{name}_run returned status {status} ({meaning.lower()})")

    def _read_weights(self) -> Array | None:
        weights = self.metadata["weights"]
        if weights["file"] is None:
            return None
        path = self.source_dir / weights["file"]
        raw = np.fromfile(path, np.uint8)
        if raw.nbytes != weights["file_bytes"]:
            raise BuildError(f"{path} has {raw.nbytes} bytes, not {weights['file_bytes']}")
        aligned = _aligned(raw.nbytes, weights["align"])
        aligned[:] = raw
        return aligned


def build(source_dir: str | Path, *, compiler: Compiler | str | None = None,
          flags: Sequence[str] = DEFAULT_FLAGS, more_sources: Sequence[Path] = ()) -> Module:  # fmt: skip
    """Compile an emitted folder (or find it in the cache), and perhaps more C, and load it.

    Raises BuildError when the folder is not one of dlc's, without a compiler, or when it fails.
    """
    folder = Path(source_dir)
    metadata = read_metadata(folder)
    sources = [folder / file for file in metadata["files"]
               if file.endswith(".c") and file != "selftest.c"]  # fmt: skip
    sources += more_sources
    if compiler is None or isinstance(compiler, str):
        compiler = find_compiler(compiler)
    return Module(folder, build_shared(sources, compiler=compiler, flags=flags))


def read_metadata(folder: Path) -> dict[str, Any]:
    """metadata.json of an emitted folder; BuildError when it is not one."""
    try:
        found = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BuildError(f"{folder} is not a folder dlc compile wrote: {error}") from error
    return dict(found)


def _declarations(metadata: Mapping[str, Any]) -> str:
    name = metadata["c_name"]
    fields = {
        kind: [f"void *{f['c_name']}" for f in metadata[kind]] for kind in ("inputs", "outputs")
    }
    if metadata["weights"]["file"] is not None:
        fields["inputs"].append("void *weights")
    given = (row for row in metadata.get("symbols", ()) if row["given"])
    fields["inputs"] += [f"ptrdiff_t {row['c_name']}" for row in given]
    fields["outputs"] += [f"ptrdiff_t {f['dims']}[{len(f['shape'])}]"
                          for f in metadata["outputs"] if "dims" in f]  # fmt: skip
    structs = "".join(
        f"typedef struct {{ {' '.join(f'{field};' for field in rows) or 'char none;'} }} {name}_{kind};"
        for kind, rows in fields.items()
    )
    return f"{structs} int {name}_run(const {name}_inputs *, {name}_outputs *, void *);"


def _types(fields: Sequence[Mapping[str, Any]]) -> dict[str, TensorType]:
    return {
        f["name"]: parse_type(f"{f['dtype']}[{','.join(map(str, f['shape']))}]") for f in fields
    }


def _checked(types: Mapping[str, TensorType], inputs: Mapping[str, Array]) -> list[Array]:
    """The inputs in order, as aligned row-major arrays."""
    arrays = check_inputs(list(types), list(types.values()), inputs)
    stored = (
        pointers_to(array, name) if type.dtype is DType.STRING else array
        for array, (name, type) in zip(arrays, types.items(), strict=True)
    )
    return [np.require(array, requirements=["C", "A"]) for array in stored]


def _room(type: TensorType) -> Array:
    """Uninitialised memory for an output; strings are pointers until they are read.

    Flat, and for the most elements there may be, where the shape depends on the run.
    """
    shape = type.dims if type.is_static else (type.capacity,)
    return np.empty(shape, np.uintp if type.dtype is DType.STRING else type.dtype.numpy)


def _cut(array: Array, type: TensorType, field: Mapping[str, Any], made: Any) -> Array:
    """An output in the shape it has after the run."""
    if type.is_static:
        return array
    shape = tuple(getattr(made, field["dims"]))
    return array[: math.prod(shape)].reshape(shape).copy()


def _aligned(count: int, align: int) -> Array:
    """Uninitialised bytes at an aligned address."""
    raw = np.empty(count + align, np.uint8)
    start = -raw.ctypes.data & (align - 1)
    return raw[start : start + count]
