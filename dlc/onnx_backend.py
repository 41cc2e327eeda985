"""``onnx.backend.base.Backend``: ONNX's own test suite and tools can run models through dlc."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper
from onnx.backend.base import Backend, BackendRep

from dlc import api
from dlc.errors import DlcError
from dlc.ir.types import DType


class DlcRep(BackendRep):
    """A compiled model: ``compile`` is called with the inputs of each run for a module that fits."""

    def __init__(self, names: Sequence[str], compile: Callable[[Mapping[str, Any]], Any]) -> None:
        self._names = names
        self._compile = compile

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Run on a sequence in the order of the model's inputs, a mapping by name, or one array.

        Sequences are lists, an optional without value is None, in the results, too.
        """
        if isinstance(inputs, Mapping):
            given = dict(inputs)
        else:
            listed = inputs if isinstance(inputs, Sequence) else [inputs]
            given = dict(zip(self._names, listed, strict=True))
        given = {name: _arrays(value) for name, value in given.items()}
        return tuple(self._compile(given).run(given).values())


def _arrays(value: Any) -> Any:
    if isinstance(value, list):
        return [_arrays(item) for item in value]
    return None if value is None else np.asarray(value)


def _sizes(name: str, value: Any) -> tuple[dict[str, int | None], dict[str, tuple[int, ...]]]:
    """Lengths of the sequences and shapes of the tensors in an input, as ``dlc.compile`` takes them."""
    if value is None:
        return {name: None}, {}
    if not isinstance(value, list):
        return {}, {name: value.shape}
    lengths: dict[str, int | None] = {name: len(value)}
    shapes: dict[str, tuple[int, ...]] = {}
    for i, item in enumerate(value):
        inner, sizes = _sizes(f"{name}_{i}", item)
        lengths |= inner
        shapes |= sizes
    return lengths, shapes


def sizes_of(model: onnx.ModelProto, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """``dims`` and ``shapes`` that compile a model for the sequences and optionals among inputs.

    Of a model that takes some, the tensors of open size, too; of others nothing.
    """
    dims: dict[str, int | None] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    plain = all(info.type.HasField("tensor_type") for info in model.graph.input)
    for info in model.graph.input:
        if info.name in inputs and not plain:
            lengths, sizes = _sizes(info.name, _arrays(inputs[info.name]))
            dims |= lengths
            shapes |= sizes
    return {"dims": dims, "shapes": shapes}


class DlcBackend(Backend):
    """Compiles to C99 for the device ``CPU``."""

    @classmethod
    def is_compatible(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> bool:
        """Whether the model imports and every operator of it reaches the core."""
        try:
            api.plan(model)
        except DlcError:
            return False
        return cls.supports_device(device)

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> DlcRep:
        """Compile a model; keyword arguments go to ``dlc.compile``.

        A model that takes sequences or optionals is compiled when they are given, again for others
        of other lengths or sizes.
        """
        if not cls.supports_device(device):
            raise DlcError(f"device {device!r} is not one dlc compiles for; use CPU")
        constants = {tensor.name for tensor in model.graph.initializer}
        infos = [info for info in model.graph.input if info.name not in constants]
        names = [info.name for info in infos]
        if kwargs.get("dims") or all(info.type.HasField("tensor_type") for info in infos):
            module = api.compile(model, **kwargs)
            return DlcRep(names, lambda _: module)
        modules: dict[str, Any] = {}

        def compiled(inputs: Mapping[str, Any]) -> Any:
            sizes = sizes_of(model, inputs)
            key = repr(sizes)
            if key not in modules:
                modules[key] = api.compile(model, **(sizes | kwargs))
            return modules[key]

        return DlcRep(names, compiled)

    @classmethod
    def run_model(cls, model: onnx.ModelProto, inputs: Any, device: str = "CPU",
                  **kwargs: Any) -> tuple[np.ndarray[Any, Any], ...]:  # fmt: skip
        """Compile and run once."""
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(cls, node: onnx.NodeProto, inputs: Any, device: str = "CPU",
                 outputs_info: Any = None, **kwargs: Any) -> tuple[np.ndarray[Any, Any], ...]:  # fmt: skip
        """Wrap one node in a model, compile it and run it."""
        arrays = [np.asarray(array) for array in inputs]
        names = [name for name in node.input if name]
        values = [
            helper.make_tensor_value_info(name, DType.of(array).onnx, array.shape)
            for name, array in zip(names, arrays, strict=True)
        ]
        results = [onnx.ValueInfoProto(name=name) for name in node.output if name]
        graph = helper.make_graph([node], "node", values, results)
        opsets = kwargs.pop("opset_imports", None)
        model = helper.make_model(graph, **({"opset_imports": opsets} if opsets else {}))
        return cls.run_model(model, arrays, device, **kwargs)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """``CPU`` only."""
        return device.split(":")[0] == "CPU"


is_compatible = DlcBackend.is_compatible
prepare = DlcBackend.prepare
run_model = DlcBackend.run_model
run_node = DlcBackend.run_node
supports_device = DlcBackend.supports_device
