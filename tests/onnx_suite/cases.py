"""The cases of onnx's backend test suite: models, data sets and tolerances, as its runner has them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import onnx
from onnx import numpy_helper

KINDS = ("node", "simple", "pytorch-converted", "pytorch-operator", "light")

DataSet = tuple[list[Any], list[Any]]
"""Inputs and expected outputs: arrays, lists of such for sequences, None for an empty optional."""


@dataclass(frozen=True)
class Case:
    """A test; model and data are read when first asked for."""

    name: str
    kind: str
    rtol: float
    atol: float
    read: Callable[[], tuple[onnx.ModelProto, list[DataSet]]]

    @cached_property
    def _content(self) -> tuple[onnx.ModelProto, list[DataSet]]:
        return self.read()

    @property
    def model(self) -> onnx.ModelProto:
        return self._content[0]

    @property
    def data_sets(self) -> list[DataSet]:
        return self._content[1]

    @property
    def input_names(self) -> list[str]:
        """The inputs that data sets give: those that are no initializers."""
        constants = {tensor.name for tensor in self.model.graph.initializer}
        return [info.name for info in self.model.graph.input if info.name not in constants]


@cache
def cases() -> dict[str, Case]:
    """Every test by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the oracles overflow on purpose
        found = [*_written(), *_stored()]
    by_name = {case.name: case for case in found}
    assert len(by_name) == len(found)
    return by_name


def _written() -> Iterator[Case]:
    """The kinds made by code: they are not, or not all, among the files of the wheel."""
    from onnx.backend.test.case.model import collect_testcases as models
    from onnx.backend.test.case.node import collect_testcases as nodes

    for test in (*nodes(None), *(t for t in models() if t.kind == "simple")):

        def read(test: Any = test) -> tuple[onnx.ModelProto, list[DataSet]]:
            return test.model, [(_plain(list(i)), _plain(list(o))) for i, o in test.data_sets]

        yield Case(test.name, test.kind, test.rtol, test.atol, read)


def _stored() -> Iterator[Case]:
    """The kinds that are files."""
    from onnx.backend.test.loader import load_model_tests

    for kind in ("pytorch-converted", "pytorch-operator"):
        for test in sorted(load_model_tests(kind=kind), key=lambda t: t.name):
            folder = Path(test.model_dir)
            yield Case(test.name, kind, test.rtol, test.atol, lambda f=folder: _read_folder(f))
    for test in sorted(load_model_tests(kind="real"), key=lambda t: t.name):
        path = Path(onnx.__file__).parent.parent / test.url
        yield Case(test.name, "light", test.rtol, test.atol, lambda p=path: _read_light(p))


def _read_folder(folder: Path) -> tuple[onnx.ModelProto, list[DataSet]]:
    model = onnx.load(folder / "model.onnx")
    sets = [(_read_all(data, "input"), _read_all(data, "output"))
            for data in sorted(folder.glob("test_data_set_*"))]  # fmt: skip
    return model, sets


def _read_all(folder: Path, kind: str) -> list[Any]:
    count = len(list(folder.glob(f"{kind}_*.pb")))
    return [_read_tensor(folder / f"{kind}_{i}.pb") for i in range(count)]


def _read_tensor(path: Path) -> Any:
    return numpy_helper.to_array(onnx.TensorProto.FromString(path.read_bytes()))


def _read_light(path: Path) -> tuple[onnx.ModelProto, list[DataSet]]:
    """A network whose weights ConstantOfShape makes, on the suite's own input."""
    from onnx.backend.test.runner import Runner

    model = onnx.load(path)
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [
        Runner.generate_dummy_data(info) for info in model.graph.input if info.name not in constants
    ]
    outputs = [
        _read_tensor(path.with_name(f"{path.stem}_output_{i}.pb"))
        for i in range(len(model.graph.output))
    ]
    return model, [(inputs, outputs)]


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value
