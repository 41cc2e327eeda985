"""Runtimes to compare with: one small class each, imported only when asked for."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from dlc.errors import DlcError, UnsupportedError
from dlc.ir.operator import Array

Call = Callable[[], object]


class Peer:
    """A runtime of ONNX models. A subclass with a ``name`` is found by it."""

    name: ClassVar[str]
    package: ClassVar[str]
    """What pip installs; also the module's name."""

    @classmethod
    def installed(cls) -> bool:
        return importlib.util.find_spec(cls.package) is not None

    def __init__(self) -> None:
        try:
            self.module: Any = importlib.import_module(self.package)
        except ImportError:
            raise UnsupportedError(
                f"{self.name} is not installed; run: pip install {self.package}"
            ) from None

    @property
    def version(self) -> str:
        return str(self.module.__version__)

    def prepare(self, model: str | bytes, inputs: Mapping[str, Array], threads: int) -> Call:
        """A function that runs the model (a path, or the bytes of a ModelProto) on these inputs.

        Preparing is not measured. DlcError when the runtime cannot load the model.
        """
        try:
            return self._prepare(model, inputs, threads)
        except Exception as error:  # runtimes raise what they like
            raise DlcError(
                f"{self.name} cannot run the model: {' '.join(str(error).split())}"
            ) from error

    def _prepare(self, model: str | bytes, inputs: Mapping[str, Array], threads: int) -> Call:
        raise NotImplementedError


class OnnxRuntime(Peer):
    """onnxruntime on the CPU, all graph optimisations, inputs and outputs bound beforehand."""

    name = "onnxruntime"
    package = "onnxruntime"

    def _prepare(self, model: str | bytes, inputs: Mapping[str, Array], threads: int) -> Call:
        options = self.module.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # threads that still spin after a run would take the cores of whoever runs next
        options.add_session_config_entry("session.force_spinning_stop", "1")
        session = self.module.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        binding = session.io_binding()
        for entry in session.get_inputs():
            binding.bind_cpu_input(entry.name, inputs[entry.name])
        for entry in session.get_outputs():
            binding.bind_output(entry.name, "cpu")
        return lambda: session.run_with_iobinding(binding)


class OpenVino(Peer):
    """OpenVINO on the CPU in f32 (its default is bf16 where the processor has it)."""

    name = "openvino"
    package = "openvino"

    def _prepare(self, model: str | bytes, inputs: Mapping[str, Array], threads: int) -> Call:
        core = self.module.Core()
        network = core.read_model(model)
        network.reshape({name: list(array.shape) for name, array in inputs.items()})
        compiled = core.compile_model(network, "CPU", {
            "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": str(threads),
        })  # fmt: skip
        request = compiled.create_infer_request()
        for port in compiled.inputs:
            array = next(inputs[name] for name in port.names if name in inputs)
            request.set_tensor(port, self.module.Tensor(array, shared_memory=True))
        return lambda: request.infer()


def known_peers() -> dict[str, type[Peer]]:
    """Peers by name, installed or not."""
    return {cls.name: cls for cls in Peer.__subclasses__()}


def installed_peers() -> list[str]:
    """Names of the peers that can be imported here."""
    return [name for name, cls in known_peers().items() if cls.installed()]


def find_peer(name: str) -> Peer:
    """The peer of this name; UnsupportedError when there is none, or when it is not installed."""
    known = known_peers()
    if name not in known:
        raise UnsupportedError(f"no peer {name!r}; there are {', '.join(known)}")
    return known[name]()
