"""The library's front door: load, save, compile, check. The command line is a thin coat over it."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlc.errors import DlcError, InputError, ParseError
from dlc.interp import drawn_sizes, largest
from dlc.ir.graph import Graph
from dlc.ir.sizes import Symbol
from dlc.ir.types import DType, TensorType

if TYPE_CHECKING:
    from dlc.backends.c99.module import Module
    from dlc.importer.aggregates import Dims
    from dlc.plan.program import Program

Arrays = dict[str, np.ndarray[Any, Any]]
Notify = Callable[[str], None]


def _silent(text: str) -> None:
    pass


def load(model: Any, *, dims: Dims | None = None,
         shapes: Mapping[str, Sequence[int]] | None = None, notify: Notify | None = None) -> Graph:  # fmt: skip
    """A graph from an ``.onnx`` or ``.dlc`` path, ``"-"`` (textual IR on standard input), bytes, a
    ModelProto, an onnx-graphsurgeon graph, or a Graph (returned as it is).

    ``dims`` fixes symbolic dims by name (or bounds them: ``{"N": AtMost(8)}``), ``shapes`` whole input shapes; ``notify`` hears remarks,
    such as an unbound leading dim taken as 1. Raises ModelError, ParseError or UnsupportedError.
    """
    if isinstance(model, Graph):
        return model
    if isinstance(model, str | os.PathLike) and (str(model) == "-" or Path(model).suffix == ".dlc"):
        return _load_text(model)
    from dlc.importer import load as load_onnx

    return load_onnx(model, dims=dims, shapes=shapes, notify=notify)


def _load_text(path: str | os.PathLike[str]) -> Graph:
    """The graph of textual IR, verified: people write it by hand, and strangers send it."""
    import sys

    from dlc.ir import text
    from dlc.ir.verify import verify

    graph = text.parse_graph(sys.stdin.read()) if str(path) == "-" else text.load(path)
    verify(graph)
    return graph


def save(graph: Graph, path: str | os.PathLike[str], *, inline: bool = False) -> None:
    """Write a graph as ``.onnx`` or ``.dlc``, by the path's suffix.

    ``inline`` writes the constants of a ``.dlc`` into the text instead of a file beside it.
    """
    suffix = Path(path).suffix
    if suffix == ".dlc":
        from dlc.ir.text import save as save_text

        save_text(graph, Path(path), inline=inline)
    elif suffix == ".onnx":
        from dlc.exporter import save as save_onnx

        save_onnx(graph, Path(path))
    else:
        raise ParseError(f"{path}: the suffix says the format; use .onnx or .dlc")


def plan(model: Any, *, passes: str = "O2", dims: Dims | None = None,
         shapes: Mapping[str, Sequence[int]] | None = None, notify: Notify | None = None,
         stage: Notify = _silent) -> Graph:  # fmt: skip
    """Load a model and run the passes; a graph without a plan yet is planned too."""
    from dlc.passmanager import PassManager
    from dlc.plan import is_planned

    stage("reading")
    graph = load(model, dims=dims, shapes=shapes, notify=notify)
    stage("rewriting")
    graph = PassManager.parse(passes).run(graph)
    if not is_planned(graph):
        graph = PassManager.parse(
            "expand-ops,dce,hoist-constants,pack-constants,liveness,plan-arena"
        ).run(graph)
    return graph


def emit(model: Any, out: str | os.PathLike[str], *, passes: str = "O2", name: str | None = None,
         dims: Dims | None = None, shapes: Mapping[str, Sequence[int]] | None = None,
         weights: str = "auto", memory: str = "arena", backend: str = "c99",
         notify: Notify | None = None, stage: Notify = _silent) -> tuple[Path, Program]:  # fmt: skip
    """Write a model as a folder of C99 (see docs/c_api.md); returns the folder and the program.

    Another ``backend`` (``dlc.backends``) may write something else.
    """
    from dlc.backends import find_backend
    from dlc.plan import program_of

    emit_model = find_backend(backend).emit

    graph = plan(model, passes=passes, dims=dims, shapes=shapes, notify=notify, stage=stage)
    stage("writing C")
    default = (
        Path(model).stem
        if isinstance(model, str | os.PathLike) and str(model) != "-"
        else graph.name
    )
    folder = emit_model(graph, Path(out), name=name or default, weights=weights, memory=memory)
    return folder, program_of(graph)


def compile(model: Any, *, passes: str = "O2", name: str | None = None,
            out: str | os.PathLike[str] | None = None, dims: Dims | None = None,
            shapes: Mapping[str, Sequence[int]] | None = None, weights: str = "auto",
            memory: str = "arena", compiler: str | None = None, notify: Notify | None = None,
            stage: Notify = _silent) -> Module:  # fmt: skip
    """Compile a model (anything ``load`` takes) to C, build it and load it.

    ``out`` keeps the emitted folder there; otherwise it lives as long as the module. The module's
    ``run({input name: array})`` returns ``{output name: array}``.
    """
    from dlc.backends.c99.module import build

    holder = Path(tempfile.mkdtemp(prefix="dlc-")) if out is None else None
    try:
        folder, _ = emit(model, holder / "model" if holder is not None else Path(out or ""),
                         passes=passes, name=name, dims=dims, shapes=shapes, weights=weights,
                         memory=memory, notify=notify, stage=stage)  # fmt: skip
        stage("building")
        module = build(folder, compiler=compiler)
    except BaseException:
        if holder is not None:
            shutil.rmtree(holder, ignore_errors=True)
        raise
    if holder is not None:
        weakref.finalize(module, shutil.rmtree, holder, ignore_errors=True)
    return module


@dataclass(frozen=True, slots=True)
class Difference:
    """How far one output is from the reference; ``index`` is where it is furthest out."""

    name: str
    ok: bool
    worst: float
    index: tuple[int, ...] = ()
    got: float = 0.0
    expected: float = 0.0
    near_zero: int = 0
    """Elements that agree by the tensor's magnitude only, not by their own."""
    size: int = 0

    def __str__(self) -> str:
        if self.ok:
            agrees = f"{self.name}: agrees, largest absolute difference {self.worst:.3g}"
            if not self.near_zero:
                return agrees
            return f"{agrees} ({self.near_zero} of {self.size} elements by the tensor's magnitude)"
        return (
            f"{self.name}: DIFFERS, worst at {list(self.index)}: "
            f"{self.got!r}, expected {self.expected!r}"
        )


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The outcome of ``check``: what the C was compared with, and each output's difference."""

    reference: str
    differences: tuple[Difference, ...]
    arena_bytes: int
    lower_bound: int
    peak_bytes_with_io: int
    weights_bytes: int = field(default=0)

    @property
    def ok(self) -> bool:
        return all(d.ok for d in self.differences)

    @property
    def worst(self) -> Difference:
        """The output that is furthest out."""
        return max(self.differences, key=lambda d: (not d.ok, d.worst))

    def lines(self) -> list[str]:
        """The report as lines of text, the worst tensor last when something differs."""
        shown = [f"compared with {self.reference}", *map(str, self.differences)]
        return shown if self.ok else [*shown, f"worst tensor: {self.worst}"]


def check(model: Any, *, inputs: Arrays | None = None, passes: str = "O2",
          dims: Dims | None = None, shapes: Mapping[str, Sequence[int]] | None = None,
          rtol: float = 1e-3, atol: float = 1e-5, rtol_max: float = 1e-4, runs: int = 1, seed: int = 0,
          notify: Notify | None = None, stage: Notify = _silent) -> CheckReport:  # fmt: skip
    """Compile a model and compare its outputs with onnxruntime's, else with the interpreter's.

    Without ``inputs``, ``runs`` sets of seeded random inputs are tried. An element agrees when
    ``|got - expected| <= atol + rtol * |expected|``, or when the difference is at most ``rtol_max``
    times the tensor's largest magnitude: what is left after large terms cancel carries their
    rounding, in the reference too. The report counts such elements; 0 turns the second rule off.
    """
    graph = load(model, dims=dims, shapes=shapes, notify=notify)
    # the caller's own bytes where there are any: they have not been through our importer
    name, reference = _reference(graph, model, stage)
    module = compile(graph, passes=passes, weights="auto", stage=stage)
    types = {n: v.type for n, v in zip(graph.input_names, graph.inputs, strict=True)}
    worst: dict[str, Difference] = {}
    rng = np.random.default_rng(seed)
    for run in range(1 if inputs is not None else runs):
        # the largest sizes first, then any
        sizes = drawn_sizes(types.values(), rng) if run else {}
        arrays = inputs if inputs is not None else random_inputs(types, rng, sizes)
        stage("running")
        got, expected = module.tensors(arrays), reference(arrays)
        for key, value in got.items():
            found = compare(key, value, expected[key], rtol, atol, rtol_max)
            if key not in worst or (not found.ok, found.worst) > (
                not worst[key].ok,
                worst[key].worst,
            ):
                worst[key] = found
    return CheckReport(
        name, tuple(worst.values()), module.arena_bytes, module.lower_bound,
        module.peak_bytes_with_io, module.weights_bytes,
    )  # fmt: skip


def _reference(graph: Graph, model: Any, stage: Notify) -> tuple[str, Callable[[Arrays], Arrays]]:
    try:
        import onnxruntime
    except ImportError:
        from dlc.interp import run

        return "dlc's interpreter (onnxruntime is not installed)", lambda arrays: run(graph, arrays)
    foreign = _declared_here(graph)
    if foreign is not None:
        from dlc.interp import run

        return f"dlc's interpreter (onnxruntime has no {foreign})", lambda arrays: run(
            graph, arrays
        )
    stage("starting onnxruntime")
    source: Any = model
    if graph.signature is None and _is_onnx_path(model):
        source = str(model)
    elif graph.signature is None and hasattr(model, "SerializeToString"):
        source = model.SerializeToString()
    elif graph.signature is not None or not isinstance(model, bytes):
        from dlc.exporter import to_onnx

        source = to_onnx(graph, tensors=True).SerializeToString()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise DlcError(
            f"onnxruntime cannot load the model: {' '.join(str(error).split())}"
        ) from None
    names = [output.name for output in session.get_outputs()]
    return f"onnxruntime {onnxruntime.__version__}", lambda arrays: dict(
        zip(names, map(np.asarray, session.run(names, arrays)), strict=True)
    )


def _is_onnx_path(model: Any) -> bool:
    return isinstance(model, str | os.PathLike) and Path(model).suffix == ".onnx"


def _declared_here(graph: Graph) -> str | None:
    """The first operator in the graph that a user declared, which only dlc knows."""
    from dlc.ops.onnx.custom import is_declared
    from dlc.ops.onnx.operator import OnnxOperator

    operators = (op.operator for op in graph.ops)
    named = (o for o in operators if isinstance(o, OnnxOperator) and o.domain)
    return next((operator.label for operator in named if is_declared(operator)), None)


def random_inputs(types: Mapping[str, TensorType], rng: np.random.Generator,
                  sizes: Mapping[Symbol, int] | None = None) -> Arrays:  # fmt: skip
    """Inputs a network can bear: normal floats, small non-negative integers, fair booleans, words.

    Symbols that ``sizes`` lacks have their greatest value.
    """
    arrays: Arrays = {}
    for name, type in types.items():
        shape, dtype = largest(type, sizes).dims, type.dtype
        if dtype is DType.STRING:
            arrays[name] = rng.choice(np.array(["", "text", "words"], object), shape)
        elif dtype.is_float or dtype in (DType.C64, DType.C128):
            arrays[name] = rng.standard_normal(shape).astype(dtype.numpy)
        elif dtype.is_integer:
            arrays[name] = rng.integers(0, 8, shape).astype(dtype.numpy)
        else:
            arrays[name] = rng.integers(0, 2, shape).astype(dtype.numpy)
    return arrays


def compare(name: str, got: np.ndarray[Any, Any], expected: np.ndarray[Any, Any], rtol: float,
            atol: float, rtol_max: float = 0.0) -> Difference:  # fmt: skip
    """The worst element of ``got`` against ``expected``; NaN agrees with NaN only."""
    if got.shape != expected.shape or got.dtype != expected.dtype:
        raise DlcError(
            f"output {name!r} is {got.dtype}{list(got.shape)}, the reference gives "
            f"{expected.dtype}{list(expected.shape)}"
        )
    if got.size == 0:
        return Difference(name, True, 0.0)
    a, b = _numbers(got, expected), _numbers(expected, expected)
    with np.errstate(invalid="ignore"):
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        error = np.where(same, 0.0, np.abs(a - b))
        allowed = atol + rtol * np.abs(b)
        largest = np.max(np.abs(b), where=np.isfinite(b), initial=0.0)
        excess = np.where(same, -np.inf, error - np.maximum(allowed, rtol_max * largest))
    excess = np.where(np.isnan(excess), np.inf, excess)
    at = np.unravel_index(int(np.argmax(excess)), a.shape)
    index = tuple(int(i) for i in at)
    ok = bool(excess[at] <= 0)
    beyond = int(np.count_nonzero(~(error <= allowed)))
    return Difference(
        name, ok, float(np.nanmax(error)), index, float(a[at]), float(b[at]), beyond, a.size
    )


def _numbers(array: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Floats to compare; parts of complex numbers; of strings, whether they are not as expected."""
    if array.dtype == object:
        return np.asarray(array != expected).astype(np.float64)
    if array.dtype.kind == "c":
        return np.stack([array.real, array.imag], -1).astype(np.float64)
    return array.astype(np.float64)


def read_arrays(path: str | os.PathLike[str]) -> Arrays:
    """The arrays of an ``.npz`` file by name; InputError when it is not one."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            if not hasattr(archive, "files"):
                raise InputError(
                    f"{path} holds one unnamed array; save with np.savez(path, name=array)"
                )
            return {name: archive[name] for name in archive.files}
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or 'not an .npz file'}") from None
    except (ValueError, EOFError, KeyError) as error:
        raise InputError(f"{path} is not an .npz file of plain arrays") from error


def write_arrays(path: str | os.PathLike[str], arrays: Arrays) -> None:
    """Write an ``.npz`` file, whole or not at all."""
    target = Path(path)
    try:
        handle, name = tempfile.mkstemp(dir=target.parent or ".", suffix=".npz")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None
    with os.fdopen(handle, "wb") as file:
        # strings as text of fixed width: objects would be pickled, which is not read back
        stored = {n: a.astype(str) if a.dtype == object else a for n, a in arrays.items()}
        np.savez(file, **stored)  # type: ignore[arg-type]  # numpy's stub knows no **mapping
    Path(name).replace(target)
