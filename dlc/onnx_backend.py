"""``onnx.backend.base.Backend``: ONNX's own test suite and tools can run models through dlc."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper
from onnx.backend.base import Backend, BackendRep

from dlc import api
from dlc.errors import DlcError
from dlc.ir.types import DType


class DlcRep(BackendRep):
    """A compiled model."""

    def __init__(self, module: Any) -> None:
        self.module = module

    def run(self, inputs: Any, **kwargs: Any) -> tuple[np.ndarray[Any, Any], ...]:
        """Run on a sequence in the order of the model's inputs, a mapping by name, or one array."""
        names = list(self.module.inputs)
        if isinstance(inputs, Mapping):
            arrays = dict(inputs)
        else:
            given = inputs if isinstance(inputs, Sequence) else [inputs]
            arrays = dict(zip(names, map(np.asarray, given), strict=True))
        return tuple(self.module.run(arrays).values())


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
        """Compile a model; keyword arguments go to ``dlc.compile``."""
        if not cls.supports_device(device):
            raise DlcError(f"device {device!r} is not one dlc compiles for; use CPU")
        return DlcRep(api.compile(model, **kwargs))

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
