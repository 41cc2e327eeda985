"""``onnx.*``: every ONNX operator as one class, its schema derived from ``onnx.defs``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import onnx
from onnx import defs, helper, numpy_helper, shape_inference

from dlc.errors import ModelError, ParseError, UnsupportedError, VerifyError
from dlc.ir.graph import Graph
from dlc.ir.operator import Array, Arrays, Data, Operator, Types
from dlc.ir.types import DType, Symbol, TensorType

if TYPE_CHECKING:
    from dlc.ir.graph import Op

Attribute = Any  # int, float, str, DType-free tuples of them, Data (tensor) or Graph (region)


@lru_cache(maxsize=None)
def schema_of(type: str, version: int, domain: str = "") -> defs.OpSchema:
    """The schema in force at an operator set version; UnsupportedError when there is none."""
    try:
        return defs.get_schema(type, version, domain)
    except defs.SchemaError:
        where = f"{domain or 'ai.onnx'} {version}"
        raise UnsupportedError(
            f"operator {type} is not in opset {where}; add an operator through --load or the "
            f"dlc.ops entry points"
        ) from None


@dataclass(frozen=True, slots=True)
class OnnxOperator(Operator):
    """One ONNX operator. ``version`` is the operator set version of its domain in the model.

    ``attrs`` are the attributes written in the model, sorted by name; ``attr`` fills in defaults
    of the schema.
    """

    name: ClassVar[str] = "onnx"
    # the importer knows more (data propagation, folded constants), and onnx infers slowly
    recheck: ClassVar[bool] = False
    type: str
    version: int
    attrs: tuple[tuple[str, Attribute], ...] = ()
    domain: str = ""

    @property
    def label(self) -> str:
        return f"{self.domain or 'onnx'}.{self.type}"

    @property
    def schema(self) -> defs.OpSchema:
        return schema_of(self.type, self.version, self.domain)

    def label_in(self, opsets: Mapping[str, int]) -> str:
        """``onnx.Conv``, or ``onnx.Conv:13`` where the graph's opsets do not say version 13."""
        return self.label if opsets.get(self.domain) == self.version else f"{self.label}:{self.version}"

    @classmethod
    def from_text(cls, label: str, attributes: Mapping[str, Any], opsets: Mapping[str, int]) -> Self:
        label, _, version = label.partition(":")
        domain, _, type = label.rpartition(".")
        domain = "" if domain == "onnx" else domain
        if not version and domain not in opsets:
            raise ParseError(
                f"operator {label} needs a version: give domain {domain!r} one in the graph's "
                f"opsets, or write it as {label}:17"
            )
        attrs = tuple(sorted(attributes.items(), key=lambda item: item[0]))
        return cls(type, int(version) if version else opsets[domain], attrs, domain)

    def attributes(self) -> dict[str, Attribute]:
        return dict(self.attrs)

    def attr(self, name: str, default: Attribute = None) -> Attribute:
        """An attribute, else the schema's default, else ``default``."""
        for key, value in self.attrs:
            if key == name:
                return value
        declared = self.schema.attributes.get(name)
        if declared is not None and declared.default_value.name:
            return from_attribute(declared.default_value)
        return default

    def regions(self) -> Iterator[Graph]:
        return (value for _, value in self.attrs if isinstance(value, Graph))

    def node(self, operands: int | list[str], results: int | list[str]) -> onnx.NodeProto:
        """The NodeProto, without regions, between values of the given (or numbered) names."""
        inputs = [f"i{k}" for k in range(operands)] if isinstance(operands, int) else operands
        outputs = [f"o{k}" for k in range(results)] if isinstance(results, int) else results
        node = helper.make_node(self.type, inputs, outputs, domain=self.domain)
        for key, value in self.attrs:
            if not isinstance(value, Graph):
                node.attribute.append(to_attribute(key, value))
        return node

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        return self.infer_from(operands, [None] * len(operands))

    def infer_from(self, operands: Types, constants: Arrays) -> tuple[TensorType, ...]:
        """onnx's own shape inference on this one node, with the constants it may look at."""
        raise NotImplementedError

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        """onnx's reference implementation of this one node."""
        raise NotImplementedError


def is_onnx(op: Op, *types: str) -> bool:
    """Whether an op is one of the named ops of the default ONNX domain."""
    operator = op.operator
    return isinstance(operator, OnnxOperator) and operator.type in types and not operator.domain


def from_attribute(attribute: onnx.AttributeProto) -> Attribute:
    """The Python value of an attribute that is no graph."""
    value = helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, onnx.TensorProto):
        return Data(numpy_helper.to_array(value))
    if isinstance(value, list | tuple) or hasattr(value, "__len__") and not isinstance(value, str):
        return tuple(v.decode() if isinstance(v, bytes) else v for v in value)
    return value


def to_attribute(name: str, value: Attribute) -> onnx.AttributeProto:
    """The AttributeProto of a Python value."""
    if isinstance(value, Data):
        value = numpy_helper.from_array(np.asarray(value.array))
    return helper.make_attribute(name, value)
