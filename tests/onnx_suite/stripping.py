"""Models without what they say of their results: dlc has to find every shape by itself."""

from __future__ import annotations

import onnx

from onnx_suite.describing import graphs


def stripped(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without shapes of outputs (element types stay) and without value_info, subgraphs too."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    for graph in graphs(bare.graph):
        del graph.value_info[:]
        for info in graph.output:
            _forget(info.type)
    for function in bare.functions:
        del function.value_info[:]
    return bare


def _forget(type: onnx.TypeProto) -> None:
    kind = type.WhichOneof("value")
    if kind == "tensor_type":
        type.tensor_type.ClearField("shape")
    elif kind in ("sequence_type", "optional_type"):
        _forget(getattr(type, kind).elem_type)
