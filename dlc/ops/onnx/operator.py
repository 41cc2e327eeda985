"""``onnx.*``: every ONNX operator as one class, its schema derived from ``onnx.defs``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import onnx
from onnx import defs, helper, numpy_helper

from dlc.errors import ParseError, UnsupportedError, VerifyError
from dlc.ir.graph import Graph
from dlc.ir.operator import Array, Arrays, Data, Operator, Types, discover_operators
from dlc.ir.types import DType, TensorType
from dlc.ops.onnx.control import CONTROL, evaluate_control, infer_control
from dlc.ops.onnx.inference import UnknownSizeError, infer_dtypes, infer_node
from dlc.ops.onnx.reference import run_node

if TYPE_CHECKING:
    from dlc.ir.graph import Op

#: attributes that are dlc's, not ONNX's (see OnnxOperator)
OWN_ATTRIBUTES = frozenset({"results", "captures"})
_A = onnx.AttributeProto
_LISTS = frozenset((_A.FLOATS, _A.INTS, _A.STRINGS, _A.TENSORS))
_SIMPLE = _LISTS | {_A.FLOAT, _A.INT, _A.STRING, _A.TENSOR}

Attribute = Any  # int, float, str, DType-free tuples of them, Data (tensor) or Graph (region)


@cache
def schema_of(type: str, version: int, domain: str = "") -> defs.OpSchema:
    """The schema in force at an operator set version; UnsupportedError when there is none."""
    try:
        if domain and not defs.has(type, domain):
            discover_operators()  # a plugin may declare it
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
    of the schema. Two entries are not ONNX's: ``results``, the number of results where it is not
    the schema's minimum (``Split``, a ``Dropout`` whose mask is read), and ``captures``, how many of
    the last operands are values that the regions capture.
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
        return (
            self.label
            if opsets.get(self.domain) == self.version
            else f"{self.label}:{self.version}"
        )

    @classmethod
    def from_text(
        cls, label: str, attributes: Mapping[str, Any], opsets: Mapping[str, int]
    ) -> Self:
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

    @property
    def results(self) -> int:
        """Number of results."""
        return int(self._own("results", max(self.schema.min_output, 1)))

    @property
    def captures(self) -> int:
        """Number of operands, the last ones, that the regions capture."""
        return int(self._own("captures", 0))

    def _own(self, name: str, default: int) -> int:
        return next((value for key, value in self.attrs if key == name), default)

    def node(self, operands: int | Sequence[str], results: int | Sequence[str]) -> onnx.NodeProto:
        """The NodeProto, without regions, between values of the given (or numbered) names."""
        inputs = [f"i{k}" for k in range(operands)] if isinstance(operands, int) else operands
        outputs = [f"o{k}" for k in range(results)] if isinstance(results, int) else results
        node = helper.make_node(self.type, inputs, outputs, domain=self.domain)
        declared = self.schema.attributes
        for key, value in self.attrs:
            if not isinstance(value, Graph) and key not in OWN_ATTRIBUTES:
                kind = attribute_kind(declared[key]) if key in declared else None
                node.attribute.append(to_attribute(key, value, kind))
        return node

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        return self.infer_from(operands, [None] * len(operands))

    def infer_from(self, operands: Types, constants: Arrays) -> tuple[TensorType, ...]:
        """Shape inference of onnx itself on this one node, with the constants it may look at.

        Raises VerifyError when operands or attributes do not fit the schema, UnsupportedError when
        a result's type cannot be known when compiling.
        """
        if self.type in CONTROL and not self.domain:
            return infer_control(self, operands, constants)
        if self.domain:
            from dlc.ops.onnx.custom import (  # it is built on this module
                infer_declared,
                is_its_expansion,
            )

            if is_its_expansion(self):
                return infer_declared(self, operands, constants)
        try:
            return infer_node(self, operands, constants)
        except UnknownSizeError:
            if all(t is None or t.is_static for t in operands):
                raise
            from dlc.ops.onnx.custom import infer_sizes

            return infer_sizes(self, operands, constants)

    def evaluate(self, operands: Arrays) -> tuple[Array, ...]:
        """The reference implementation of onnx of this one node, corrected where it is wrong."""
        if self.type in CONTROL and not self.domain:
            return evaluate_control(self, operands)
        if self.domain:
            from dlc.ops.onnx.custom import evaluate_declared, is_its_expansion

            if is_its_expansion(self):
                return evaluate_declared(self, operands)
        types = [None if a is None else TensorType(DType.of(a), a.shape) for a in operands]
        dtypes: list[DType | None]
        try:
            dtypes = [type.dtype for type in self.infer_from(types, operands)]
        except UnknownSizeError:  # as many elements as there are
            dtypes = infer_dtypes(self, types)
        results = run_node(self, operands)
        return tuple(
            np.asarray(result, None if dtype is None else dtype.numpy)
            for result, dtype in zip(results, dtypes, strict=True)
        )


def is_onnx(op: Op, *types: str) -> bool:
    """Whether an op is one of the named ops of the default ONNX domain."""
    operator = op.operator
    return isinstance(operator, OnnxOperator) and operator.type in types and not operator.domain


def from_attribute(attribute: onnx.AttributeProto) -> Attribute:
    """The Python value of an attribute that is no graph.

    Floats, ints and str for the scalar kinds, Data for tensors, tuples of these for the lists;
    UnsupportedError for sparse tensors, types and lists of graphs.
    """
    if attribute.type not in _SIMPLE:
        kind = onnx.AttributeProto.AttributeType.Name(attribute.type).lower()
        raise UnsupportedError(f"attribute {attribute.name!r} of kind {kind} is not supported")
    if attribute.type in (_A.FLOATS, _A.INTS):  # forests have millions
        return tuple(attribute.floats if attribute.type == _A.FLOATS else attribute.ints)
    value = helper.get_attribute_value(attribute)
    if isinstance(value, bytes | onnx.TensorProto | int | float):
        return _from_item(value)
    return tuple(_from_item(item) for item in value)


def _from_item(item: Any) -> Attribute:
    if isinstance(item, bytes):
        return item.decode("utf-8", "surrogateescape")
    if isinstance(item, onnx.TensorProto):
        return Data(numpy_helper.to_array(item))
    return item


def attribute_kind(declared: defs.OpSchema.Attribute) -> int:
    """The AttributeType that a schema declares."""
    kind: Any = declared.type  # the stubs of onnx do not know it is an enum
    return int(kind.value)


def to_attribute(name: str, value: Attribute, kind: int | None = None) -> onnx.AttributeProto:
    """The AttributeProto of a Python value; ``kind`` is its declared AttributeType, if known."""
    items = [_to_item(item, kind) for item in (value if isinstance(value, tuple) else [value])]
    if not isinstance(value, tuple):
        return helper.make_attribute(name, items[0])
    if not items and kind not in _LISTS:
        raise VerifyError(f"attribute {name!r} is an empty list where none is declared")
    return helper.make_attribute(name, items, attr_type=None if items else kind)


def _to_item(item: Attribute, kind: int | None) -> Any:
    if isinstance(item, Data):
        return numpy_helper.from_array(np.asarray(item.array))
    if isinstance(item, str):
        return item.encode("utf-8", "surrogateescape")
    if kind in (onnx.AttributeProto.FLOAT, onnx.AttributeProto.FLOATS):
        return float(item)
    return int(item) if isinstance(item, np.integer) else item
