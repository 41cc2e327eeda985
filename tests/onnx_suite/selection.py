"""The part of the suite that plain embedded C can be asked for without reserve.

``why_special`` says why a case is outside of it. Inside are the cases of which all of this holds:

- inputs and outputs are tensors, and the model declares every size of them;
- element types of inputs, outputs and the values in between are those C has: f32, f64, i8 to i64,
  u8 to u64, bool;
- operators are of the domain ai.onnx or ai.onnx.ml;
- no attribute is a graph;
- no operator draws random numbers (Dropout does when training);
- no operator's result has a size that depends on data: ``SIZED_BY_DATA``.

Operands that say a shape, axes, pads or the like and are given only at run time do not count as data
here: the declared sizes of the results say what they will be. ``takes_parameters`` tells these cases.
"""

from __future__ import annotations

import onnx

from onnx_suite.cases import cases
from onnx_suite.describing import graphs, kind_of, uses
from onnx_suite.parameters import parameter_names

PLAIN = {"f32", "f64", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "bool"}
STANDARD = {"", "ai.onnx.ml"}
RANDOM = {
    "RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial",
    "Bernoulli",
}  # fmt: skip
SIZED_BY_DATA = {"NonZero", "Compress", "Unique", "NonMaxSuppression", "StringSplit",
                 "StringNormalizer", "ImageDecoder"}  # fmt: skip


def why_special(name: str) -> str:
    """What keeps a case out of the plain part; nothing when it is in it."""
    model = cases()[name].model
    io = (*model.graph.input, *model.graph.output)
    found = uses(name)
    kinds = {kind_of(info.type) for info in io} | {use.dtype for use in found if use.dtype}
    if not all(info.type.HasField("tensor_type") for info in io):
        return "input or output that is no tensor"
    if not all(map(_is_static, io)):
        return "open size"
    if not kinds <= PLAIN:
        return "element type that C has not"
    if not {use.domain for use in found} <= STANDARD:
        return "other domain"
    if len(list(graphs(model.graph))) > 1:
        return "subgraph"
    if draws_numbers(name):
        return "random numbers"
    if any(use.type in SIZED_BY_DATA for use in found):
        return "size that depends on data"
    return ""


def takes_parameters(name: str) -> bool:
    """Whether a shape, axes, pads or the like of a case are known at run time only."""
    return bool(parameter_names(cases()[name].model))


def _is_static(info: onnx.ValueInfoProto) -> bool:
    tensor = info.type.tensor_type
    return tensor.HasField("shape") and all(d.HasField("dim_value") for d in tensor.shape.dim)


def draws_numbers(name: str) -> bool:
    """Whether a case has a random operator, or a Dropout that gets the operand that says it trains."""
    nodes = cases()[name].model.graph.node
    return any(use.type in RANDOM for use in uses(name)) or any(
        n.op_type == "Dropout" and len(n.input) > 2 and n.input[2] for n in nodes
    )
