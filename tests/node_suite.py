"""onnx's own node tests through C: emitted, built with one compiler call a batch, run, compared."""

from __future__ import annotations

import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from dlc import api
from dlc.backends.c99.module import Module
from dlc.backends.c99.toolchain import build_shared
from dlc.errors import DlcError
from dlc.onnx_backend import sizes_of

#: operands that say how, not what: known when compiling in almost every exported model
PARAMETERS = {
    "AffineGrid": [1], "CenterCropPad": [1], "Col2Im": [1, 2], "ConstantOfShape": [0], "DFT": [1, 2],
    "Dropout": [1, 2], "Expand": [1], "OneHot": [1], "Pad": [1, 3], "Range": [0, 1, 2],
    "ReduceL1": [1], "ReduceL2": [1], "ReduceLogSum": [1], "ReduceLogSumExp": [1], "ReduceMax": [1],
    "ReduceMean": [1], "ReduceMin": [1], "ReduceProd": [1], "ReduceSum": [1],
    "ReduceSumSquare": [1], "Reshape": [1], "Resize": [1, 2, 3], "Slice": [1, 2, 3, 4],
    "Split": [1], "Squeeze": [1], "STFT": [1, 3], "Tile": [1], "TopK": [1], "Unsqueeze": [1],
    "Upsample": [1], "BlackmanWindow": [0], "HannWindow": [0], "HammingWindow": [0],
    "MelWeightMatrix": [0, 1, 2, 3, 4], "MaxUnpool": [2], "SequenceAt": [1], "SequenceErase": [1],
    "SequenceInsert": [2], "SplitToSequence": [1],
}  # fmt: skip
#: cases whose results are random: of these, dtypes and shapes are compared
RANDOM = re.compile(r"test_(bernoulli|training_dropout(?!_zero_ratio))")
#: cases that expect an error of f32 where the exact result is 0: 2e-7, found beside sums of hundreds
ROUGH = re.compile(r"test_dft_inverse")
FLAGS = ("-std=c99", "-O1")


@cache
def cases() -> dict[str, Any]:
    """The node tests by name, those of one data set and no external data: all there are."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the oracles overflow on purpose
        return {case.name: case for case in collect_testcases(None)}


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else value


def _with_parameters(model: onnx.ModelProto, arrays: Sequence[Any]) -> onnx.ModelProto:
    """The model with the operands that say how as initializers."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    names = {
        node.input[i] for node in model.graph.node
        for i in _parameters(node, model) if i < len(node.input)
    }  # fmt: skip
    for info, array in zip(model.graph.input, arrays, strict=True):
        if info.name in names:
            fixed.graph.initializer.append(numpy_helper.from_array(np.asarray(array), info.name))
    kept = [info for info in model.graph.input if info.name not in names]
    del fixed.graph.input[:]
    fixed.graph.input.extend(kept)
    return fixed


def _parameters(node: onnx.NodeProto, model: onnx.ModelProto) -> list[int]:
    plain = all(info.type.HasField("tensor_type") for info in model.graph.output)
    if node.op_type in ("If", "Loop") and not plain:  # they say how long sequences become
        return [0] if node.op_type == "If" else [0, 1]
    return PARAMETERS.get(node.op_type, [])


def _emit(name: str, folder: Path, parameters: bool) -> str:
    """Emit a case; the reason why not, else nothing."""
    case = cases()[name]
    model = case.model
    if parameters:
        model = _with_parameters(model, [_plain(value) for value in case.data_sets[0][0]])
    inputs = zip(case.model.graph.input, case.data_sets[0][0], strict=True)
    sizes = sizes_of(model, {info.name: _plain(value) for info, value in inputs})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            api.emit(model, folder, name=name, **sizes)
    except DlcError as error:
        return f"{type(error).__name__}: {error}"
    except Exception as error:
        return f"BUG {type(error).__name__}: {error}"
    return ""


def _outcome(name: str, module: Module) -> str:
    """Why the outputs of a module are not those of the case; nothing when they are."""
    case = cases()[name]
    for inputs, expected in case.data_sets:
        names = [info.name for info in case.model.graph.input]
        taken = dict(module.signature.inputs) if module.signature else module.inputs
        feeds = {n: _plain(v) for n, v in zip(names, inputs, strict=True) if n in taken}
        feeds = {n: np.asarray(v) if isinstance(v, np.generic) else v for n, v in feeds.items()}
        try:
            results = module.run(feeds)
        except DlcError as error:
            return f"run: {error}"
        for ours, theirs in zip(results.values(), map(_plain, expected), strict=True):
            try:
                values, atol = not RANDOM.match(name), 1e-6 if ROUGH.match(name) else case.atol
                _compare(ours, theirs, case.rtol, atol, values)
            except AssertionError as error:
                return "DIFFERS " + " ".join(str(error).split())[:160]
    return ""


def _compare(ours: Any, theirs: Any, rtol: float, atol: float, values: bool = True) -> None:
    if isinstance(theirs, list):
        assert isinstance(ours, list)
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            _compare(one, other, rtol, atol, values)
        return
    theirs = np.asarray(theirs)
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape), (
        f"{ours.dtype}{ours.shape}, not {theirs.dtype}{theirs.shape}"
    )
    if ours.dtype.kind not in "biufcO":
        ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)
    if values:
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=atol)


def run_batch(names: Sequence[str], parameters: bool) -> dict[str, str]:
    """Outcome of each case ("" passed), built with one call of the compiler where that works."""
    outcomes: dict[str, str] = {}
    root = Path(tempfile.mkdtemp(prefix="dlc-suite-"))
    try:
        folders = {name: root / name for name in names}
        outcomes = {name: _emit(name, folder, parameters) for name, folder in folders.items()}
        emitted = [name for name in names if not outcomes[name]]
        for group in _built([(name, folders[name]) for name in emitted], root, outcomes):
            for name, library in group:
                outcomes[name] = _outcome(name, Module(folders[name], library))
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return outcomes


def _built(group: list[tuple[str, Path]], root: Path,
           outcomes: dict[str, str]) -> Iterator[list[tuple[str, Path]]]:  # fmt: skip
    """Groups of (name, library): all in one, or each alone when one of them does not compile."""
    if not group:
        return
    out = root / f"{group[0][0]}_{len(group)}.so"
    try:
        build_shared([s for _, folder in group for s in _sources(folder)], flags=FLAGS, out=out)
    except DlcError as error:
        if len(group) == 1:
            outcomes[group[0][0]] = f"BUILD {error}"
            return
        for item in group:
            yield from _built([item], root, outcomes)
        return
    yield [(name, out) for name, _ in group]


def _sources(folder: Path) -> list[Path]:
    """The C files of the model."""
    return [path for path in folder.glob("*.c") if path.name != "selftest.c"]
