"""Parsing textual IR: recursive descent over the grammar of docs/text_ir.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlc.errors import DlcError, ParseError
from dlc.ir.graph import Graph, Op, Value
from dlc.ir.operator import Array, Input, Operator, Output, find_operator
from dlc.ir.signature import Signature
from dlc.ir.text.lexer import END
from dlc.ir.text.values import ValueReader, is_word
from dlc.ir.types import TensorType


def parse_graph(text: str, resources: Mapping[str, Array] | None = None) -> Graph:
    """The graph written as ``text``.

    ``resources`` has, by hex digest, the constants that the text does not hold in full. Result
    types may be left out where the operator can infer them. Raises ParseError with the line.
    """
    reader = _GraphReader(text, resources or {})
    graph = reader.graph()
    if reader.lexer.ahead != END:
        raise reader.lexer.error("the end of the text after the graph")
    return graph


def parse_type(text: str) -> TensorType:
    """The type written as ``text`` (``f32[N<=8,3]``); raises ParseError."""
    reader = ValueReader(text, {})
    result = reader.type()
    if reader.lexer.ahead != END:
        raise reader.lexer.error("the end of the type")
    return result


class _GraphReader(ValueReader):
    def graph(self) -> Graph:
        lexer = self.lexer
        lexer.expect("graph", "to begin a graph")
        graph = Graph(self.string("the graph's name"))
        if lexer.ahead == "{" and lexer.tokens[lexer.at + 1] in ("opsets", "signature"):
            graph.opsets, graph.signature = self.facts()
        # kept for the end, because building drops annotations
        annotations = self.annotations()
        lexer.expect("{", "to begin the graph's body")
        values: dict[str, Value] = {}
        noted: list[tuple[Op, dict[str, Any]]] = []
        while not lexer.accept("}"):
            op, notes = self.op(graph, values)
            if notes:
                noted.append((op, notes))
        graph.annotations = annotations
        for op, notes in noted:
            op.annotations = notes
        return graph

    def facts(self) -> tuple[dict[str, int], Signature | None]:
        """Opsets and signature of a graph."""
        start = self.lexer.at
        facts = self.dict()
        opsets = facts.get("opsets", {})
        if not isinstance(opsets, dict) or not all(
            isinstance(k, str) and type(v) is int for k, v in opsets.items()
        ):
            raise self.wrong(start, 'opsets must be versions by domain, like {"" = 17}')
        if "signature" not in facts:
            return opsets, None
        try:
            return opsets, Signature.of(facts["signature"])
        except ValueError as error:
            raise self.wrong(start, f"the signature: {error}") from error

    def op(self, graph: Graph, values: dict[str, Value]) -> tuple[Op, dict[str, Any]]:
        lexer = self.lexer
        start = lexer.at
        names = self.results(values)
        label = self.label()
        operands = self.operands(values)
        attributes = self.dict() if lexer.ahead == "{" else {}
        origin = self.string("a label") if lexer.ahead[:1] == '"' else ""
        annotations = self.annotations()
        types = self.types() if lexer.accept(":") else None if names else []
        try:
            operator = find_operator(label.partition(":")[0]).from_text(
                label, attributes, graph.opsets
            )
            op = _insert(graph, operator, operands, types, origin)
        except DlcError as error:
            raise self.wrong(start, str(error)) from error
        if len(names) != len(op.results):
            raise self.wrong(
                start, f"{len(names)} results are named, {label} has {len(op.results)}"
            )
        values.update(zip(names, op.results, strict=True))
        return op, annotations

    def results(self, values: dict[str, Value]) -> list[str]:
        lexer = self.lexer
        names: list[str] = []
        while lexer.ahead[:1] == "%":
            if lexer.ahead in values or lexer.ahead in names:
                raise self.wrong(lexer.at, f"{lexer.ahead} is defined twice")
            names.append(lexer.take())
            if not lexer.accept(","):
                lexer.expect("=", "after the results")
                break
        return names

    def label(self) -> str:
        lexer = self.lexer
        if not is_word(lexer.ahead):
            raise lexer.error("an operator, or '}' to end the graph")
        label = lexer.take()
        if label == "op" and lexer.ahead[:1] == '"':  # a name that is no word
            return self.string("an operator")
        if lexer.accept(":"):
            label += f":{self.integer('an opset version')}"
        return label

    def operands(self, values: dict[str, Value]) -> list[Value | None]:
        lexer = self.lexer
        lexer.expect("(", "before the operands")
        operands: list[Value | None] = []
        while not lexer.accept(")"):
            if operands:
                lexer.expect(",", "or ')' after an operand")
            if lexer.accept("_"):
                operands.append(None)
            elif lexer.ahead in values:
                operands.append(values[lexer.take()])
            elif lexer.ahead[:1] == "%":
                raise self.wrong(lexer.at, f"{lexer.ahead} is not defined above")
            else:
                raise lexer.error("an operand (%value, or _ where absent)")
        return operands

    def annotations(self) -> dict[str, Any]:
        return self.dict() if self.lexer.accept("@") else {}

    def types(self) -> list[TensorType]:
        types = [self.type()]
        while self.lexer.accept(","):
            types.append(self.type())
        return types


def _insert(graph: Graph, operator: Operator, operands: list[Value | None],
            types: list[TensorType] | None, label: str) -> Op:  # fmt: skip
    if isinstance(operator, Input):
        if types is None or len(types) != 1 or operands:
            raise ParseError("an input has one type and no operands")
        return graph.add_input(label, types[0]).op
    if isinstance(operator, Output):
        present = [value for value in operands if value is not None]
        if not len(present) == len(operands) == len(operator.names):
            raise ParseError("output needs one operand for each name")
        if graph.has_outputs:
            raise ParseError("the graph has two outputs; list all values in one")
        graph.set_outputs(zip(operator.names, present, strict=True))
        return graph.output
    return graph.add(operator, operands, types=types, label=label)
