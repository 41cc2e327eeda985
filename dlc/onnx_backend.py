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
from dlc.ir.sizes import AtMost
from dlc.ir.types import DType

#: elements of a result whose size nothing bounds
ROOM = 1024


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
        module = self._compile(given)
        taken = dict(module.signature.inputs) if module.signature else module.inputs
        # an input of the model that the module has not is known: it was compiled for this value
        given = {n: v for n, v in given.items() if n in taken or n not in self._names}
        return tuple(module.run(given).values())


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
    """``dims`` and ``shapes`` that compile a model for these inputs.

    Where the model says it all: only ``ROOM`` for what is computed. Integers are given only for
    models with sequences or optionals, and where these do not load without.
    """
    dims: dict[str, Any] = {"any": AtMost(ROOM)}
    shapes: dict[str, tuple[int, ...]] = {}
    plain = not _has_aggregates(model)
    for info in model.graph.input:
        if info.name in inputs and not _is_static(info):
            lengths, sizes = _sizes(info.name, _arrays(inputs[info.name]))
            dims |= lengths
            shapes |= sizes
    if not plain:
        try:
            api.load(model, dims=dims, shapes=shapes)
        except DlcError:
            tensors = [i.name for i in model.graph.input if i.type.HasField("tensor_type")]
            known = {name: _integers(inputs[name]) for name in tensors if name in inputs}
            known = {name: value for name, value in known.items() if value is not None}
            dims |= known
            shapes = {name: shape for name, shape in shapes.items() if name not in known}
    return {"dims": dims, "shapes": shapes}


def _is_static(info: onnx.ValueInfoProto) -> bool:
    """Whether it is declared to be a tensor of one shape."""
    tensor = info.type.tensor_type
    known = info.type.HasField("tensor_type") and tensor.HasField("shape")
    return known and all(
        dim.HasField("dim_value") and dim.dim_value >= 0 for dim in tensor.shape.dim
    )


def _has_aggregates(model: onnx.ModelProto) -> bool:
    infos = (*model.graph.input, *model.graph.output)
    return any(
        info.type.WhichOneof("value") in ("sequence_type", "optional_type") for info in infos
    )


def _integers(value: Any) -> int | list[int] | None:
    """The integers in an array of few, as ``dims`` takes them."""
    array = np.asarray(value)
    if array.dtype.kind not in "bi" or array.ndim > 1 or array.size > 64:
        return None
    return int(array.reshape(-1)[0]) if array.size == 1 else [int(item) for item in array]


class DlcBackend(Backend):
    """Compiles to C99 for the device ``CPU``."""

    @classmethod
    def is_compatible(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> bool:
        """Whether the model imports and every operator of it reaches the core.

        Of a model with sequences or optionals only running it tells: their lengths are in the inputs.
        """
        try:
            if not _has_aggregates(model):
                api.plan(model)
        except DlcError:
            return False
        return cls.supports_device(device)

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> DlcRep:
        """Compile a model; keyword arguments go to ``dlc.compile``.

        A model with sequences, optionals or open sizes is compiled when inputs are given, again for
        others of other lengths or sizes, unless ``dims`` or ``shapes`` say what to compile it for.
        Results whose size nothing else bounds have room for ``ROOM`` elements, unless ``dims`` say.
        """
        if not cls.supports_device(device):
            raise DlcError(f"device {device!r} is not one dlc compiles for; use CPU")
        constants = {tensor.name for tensor in model.graph.initializer}
        infos = [info for info in model.graph.input if info.name not in constants]
        names = [info.name for info in infos]
        told = kwargs.get("dims") or kwargs.get("shapes")
        if told or (all(map(_is_static, infos)) and not _has_aggregates(model)):
            given = {"any": AtMost(ROOM), **(kwargs.get("dims") or {})}
            module = api.compile(model, **{**kwargs, "dims": given})
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
