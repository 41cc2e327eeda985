"""The dataflow graph. The only file that uses networkx; everybody else sees Op and Value.

Nodes of a private MultiDiGraph are ops (integer ids, never reused), edges are uses, keyed by
``(result index, operand index)``. An edge ``(-1, k)`` leads from the op that defines a run-time size to
one that mentions it (docs/adr/0006). Region bodies are graphs of their own, isolated from above:
what they use of the outside is passed in as an operand (docs/adr/0002).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import networkx as nx

from dlc.errors import DlcError, VerifyError
from dlc.ir.op import Op as Op
from dlc.ir.op import Use as Use
from dlc.ir.op import Value as Value
from dlc.ir.op import infer_types as infer_types
from dlc.ir.op import needed_symbols
from dlc.ir.operator import Constant, Data, Input, Operator, Output
from dlc.ir.signature import Signature
from dlc.ir.sizes import Symbol
from dlc.ir.types import TensorType


class Graph:
    """A dataflow graph at any of the three levels (named ONNX ops, core ops, planned program)."""

    def __init__(self, name: str = "model", opsets: Mapping[str, int] | None = None) -> None:
        self.name = name
        #: ONNX operator set versions by domain, of the named ops in this graph
        self.opsets: dict[str, int] = dict(opsets or {})
        #: what the inputs and outputs make up where the model has sequences or optionals
        self.signature: Signature | None = None
        #: facts about the whole graph (plan, ...); dropped when the graph changes
        self.annotations: dict[str, Any] = {}
        #: the most that sizes may be which nothing else bounds, by label of their op, or "any"
        self.bounds: dict[str, int] = {}
        self._nx: nx.MultiDiGraph[int] = nx.MultiDiGraph()
        self._ops: dict[int, Op] = {}
        self._inputs: list[Op] = []
        self._output: Op | None = None
        self._definers: dict[Symbol, Op] = {}
        self._next_id = 0
        self._order: list[Op] | None = None
        self._label = ""

    # ---- building -------------------------------------------------------------------------

    def add_input(self, name: str, type: TensorType) -> Value:
        """Append a graph input."""
        op = self._insert(Input(), (), (type,), name)
        self._inputs.append(op)
        return op.results[0]

    def add_constant(self, array: Any, label: str = "") -> Value:
        """Add a constant (the array is not copied and must not change any more)."""
        operator = Constant(array if isinstance(array, Data) else Data(array))
        return self._insert(operator, (), operator.infer(()), label or self._label).results[0]

    def add(self, operator: Operator, operands: Sequence[Value | None] = (), *,
            types: Sequence[TensorType] | None = None, label: str | None = None) -> Op:  # fmt: skip
        """Apply an operator. Types are inferred unless given; None is an absent ONNX operand."""
        if types is None:
            types = infer_types(operator, operands)
        return self._insert(operator, tuple(operands), tuple(types), label or self._label)

    def set_outputs(self, outputs: Mapping[str, Value] | Iterable[tuple[str, Value]]) -> None:
        """Declare the graph's outputs, in order (replacing an earlier declaration)."""
        items: Any = outputs.items() if isinstance(outputs, Mapping) else outputs
        pairs: list[tuple[str, Value]] = list(items)
        operator, values = Output(tuple(name for name, _ in pairs)), tuple(v for _, v in pairs)
        self._check_operands(operator, values)
        if self._output is not None:
            self.erase(self._output)
        self._output = self._insert(operator, values, (), "")

    @contextlib.contextmanager
    def labelled(self, label: str) -> Iterator[None]:
        """Ops added inside, unless they say otherwise, carry this label."""
        previous, self._label = self._label, label
        try:
            yield
        finally:
            self._label = previous

    def _insert(self, operator: Operator, operands: tuple[Value | None, ...],
                types: tuple[TensorType, ...], label: str) -> Op:  # fmt: skip
        self._check_operands(operator, operands)
        op = Op(self, self._next_id, operator, operands, types, label)
        self._next_id += 1
        self._ops[op.id] = op
        self._nx.add_node(op.id, op=op)
        self._define(op)
        self._link(op)
        self._changed()
        return op

    def _define(self, op: Op) -> None:
        """Make the op the one that defines its symbols; who mentions them follows it from now on."""
        symbols: Iterable[Symbol] = op.operator.defined
        if isinstance(op.operator, Input) and not op.types[0].is_static:
            symbols = (d for d in op.types[0].shape if isinstance(d, Symbol))
        for symbol in symbols:
            before = self._definers.get(symbol)
            if before is not None and isinstance(op.operator, Input):
                continue  # two inputs share a symbol
            readers = [] if before is None else [self._ops[i] for i in self._readers(before)]
            readers = [reader for reader in readers if symbol in reader.needs]
            for reader in readers:
                self._unlink(reader)
            self._definers[symbol] = op
            for reader in readers:
                self._link(reader)

    def _check_member(self, op: Op) -> None:
        if op not in self:
            raise DlcError(f"{op!r} belongs to another graph or was erased")

    def _check_operands(self, operator: Operator, operands: Sequence[Value | None]) -> None:
        for port, value in enumerate(operands):
            if value is not None and self._ops.get(value.op.id) is not value.op:
                raise DlcError(
                    f"operand {port} of {operator.label} is a result of {value.op!r}, which belongs "
                    f"to another graph or was erased"
                )

    def _link(self, op: Op) -> None:
        for source, target, key in self._edges_into(op):
            self._nx.add_edge(source, target, key=key)

    def _unlink(self, op: Op) -> None:
        for source, target, key in self._edges_into(op):
            self._nx.remove_edge(source, target, key=key)

    def _edges_into(self, op: Op) -> list[tuple[int, int, tuple[int, int]]]:
        edges = [
            (value.op.id, op.id, (value.index, port))
            for port, value in enumerate(op.operands) if value is not None
        ]  # fmt: skip
        for k, symbol in enumerate(op.needs):
            definer = self.definer(symbol)
            if definer is not None and not isinstance(definer.operator, Input):
                edges.append((definer.id, op.id, (-1, k)))
        return edges

    def definer(self, symbol: Symbol) -> Op | None:
        """The op that gives a symbol its value; None when nothing in the graph does."""
        return self._definers.get(symbol)

    def fresh_symbols(self, stem: str, intervals: Sequence[tuple[int, int]],
                      joint: int | None = None) -> tuple[Symbol, ...]:  # fmt: skip
        """Symbols that nothing in the graph defines yet, one for each interval (low, bound).

        Named after ``stem``, and numbered when there are several or their product has a bound.
        """
        taken = {name for symbol in self._definers for name in (symbol.name, symbol.group)}
        name, count = stem, 1
        while name in taken:
            count += 1
            name = f"{stem}_{count}"
        if len(intervals) == 1 and joint is None:
            return (Symbol(name, intervals[0][1], intervals[0][0]),)
        return tuple(
            Symbol(f"{name}.{i}", bound, low, joint) for i, (low, bound) in enumerate(intervals)
        )

    def fresh_symbol(self, stem: str, bound: int, low: int = 0) -> Symbol:
        """As ``fresh_symbols``, for one."""
        return self.fresh_symbols(stem, [(low, bound)])[0]

    @property
    def free_symbols(self) -> tuple[Symbol, ...]:
        """Symbols mentioned in the graph that nothing in it defines."""
        needs = {symbol: None for op in self._ops.values() for symbol in op.needs}
        return tuple(symbol for symbol in needs if symbol not in self._definers)

    # ---- reading --------------------------------------------------------------------------

    @property
    def inputs(self) -> tuple[Value, ...]:
        return tuple(op.results[0] for op in self._inputs)

    @property
    def input_names(self) -> tuple[str, ...]:
        return tuple(op.label for op in self._inputs)

    @property
    def has_outputs(self) -> bool:
        """Whether outputs have been declared (perhaps none)."""
        return self._output is not None

    @property
    def output(self) -> Op:
        """The terminator."""
        if self._output is None:
            raise VerifyError(f"graph {self.name!r} has no outputs")
        return self._output

    @property
    def outputs(self) -> tuple[Value, ...]:
        return tuple(v for v in self.output.operands if v is not None)

    @property
    def output_names(self) -> tuple[str, ...]:
        operator = self.output.operator
        assert isinstance(operator, Output)
        return operator.names

    @property
    def ops(self) -> list[Op]:
        """Every op in topological order; a copy, so the graph may be changed while iterating.

        Inputs come first, then a depth-first walk from the outputs along operands (so the order
        depends on structure alone), then ops nothing reads, then the terminator.
        """
        if self._order is None:
            self._order = self._sorted()
        return list(self._order)

    def __len__(self) -> int:
        return len(self._ops)

    def __contains__(self, op: Op) -> bool:
        return self._ops.get(op.id) is op

    @property
    def nx(self) -> nx.MultiDiGraph[int]:
        """A read-only networkx view (ids as nodes, the Op as node data) for its algorithms."""
        view: nx.MultiDiGraph[int] = nx.freeze(self._nx.copy(as_view=True))
        return view

    def uses_of(self, op: Op, index: int) -> list[Use]:
        """Who reads result ``index`` of an op, in deterministic order."""
        return [
            Use(self._ops[reader], operand)
            for reader, edges in self._readers(op).items()
            for result, operand in sorted(edges)
            if result == index
        ]

    def only_user_of(self, op: Op, index: int) -> Op | None:
        """The only op that reads result ``index`` of an op; None when none or several do."""
        found = None
        for reader, edges in self._readers(op).items():
            if any(result == index for result, _ in edges):
                if found is not None:
                    return None
                found = reader
        return None if found is None else self._ops[found]

    def is_used(self, op: Op) -> bool:
        """Whether anything reads any result of the op."""
        return bool(self._readers(op))

    def _readers(self, op: Op) -> Mapping[int, Mapping[tuple[int, int], Any]]:
        """The edges out of an op by reader, keyed ``(result, operand)``."""
        edges: Any = self._nx.adj[op.id]  # the stubs of networkx take every key for a string
        return edges  # type: ignore[no-any-return]

    def check_links(self) -> None:
        """Hold the graph's edges and lists against what its ops say; VerifyError where they differ.

        Only a bug in this file can make them differ. ``dlc.ir.verify`` states the constraints.
        """
        predecessors: Any = self._nx.pred
        for op in self._ops.values():
            edges = {(source, key) for source, keys in predecessors[op.id].items() for key in keys}
            if edges != {(source, key) for source, _, key in self._edges_into(op)}:
                raise VerifyError(f"the edges into {op!r} are not its operands (G2)")
        terminators = [op for op in self._ops.values() if isinstance(op.operator, Output)]
        if terminators != ([] if self._output is None else [self._output]):
            raise VerifyError(f"graph {self.name!r} has {len(terminators)} terminators (G4)")
        inputs = {op.id for op in self._ops.values() if isinstance(op.operator, Input)}
        if inputs != {op.id for op in self._inputs}:
            raise VerifyError(f"graph {self.name!r} does not list its inputs (G4)")

    def _sorted(self) -> list[Op]:
        order: list[Op] = list(self._inputs)
        state = {op.id: 2 for op in order}  # 1 entered, 2 done
        roots = [self._output] if self._output is not None else []
        roots += [
            op for op in self._ops.values() if not self._readers(op) and op is not self._output
        ]
        roots += list(self._ops.values())  # reached only when every remaining op is on a cycle
        for root in roots:
            stack = [root]
            while stack:
                op = stack[-1]
                mark = state.get(op.id, 0)
                if mark:
                    stack.pop()
                    if mark == 1:
                        state[op.id] = 2
                        order.append(op)
                    continue
                state[op.id] = 1
                for before in reversed(self._before(op)):
                    if state.get(before.id) == 2:
                        continue
                    if state.get(before.id) == 1:
                        raise VerifyError(f"{before!r} depends on itself (G3)")
                    stack.append(before)
        if self._output is not None:
            order.remove(self._output)
            order.append(self._output)
        return order

    def _before(self, op: Op) -> list[Op]:
        """The ops it reads, then those that define what it mentions."""
        ops = [value.op for value in op.operands if value is not None]
        if op.needs:
            definers = map(self.definer, op.needs)
            ops += [definer for definer in definers if definer is not None]
        return ops

    # ---- rewriting ------------------------------------------------------------------------

    def replace_uses(self, old: Value, new: Value) -> None:
        """Make every reader of ``old`` (outputs included) read ``new``.

        The op of ``new`` itself goes on reading ``old``, so that a value can be wrapped.
        """
        if old is new:
            return
        for op in {use.op.id: use.op for use in old.uses if use.op is not new.op}.values():
            self.set_operands(op, [new if v is old else v for v in op.operands])

    def replace(self, op: Op, values: Sequence[Value]) -> None:
        """Make readers of each result of ``op`` read ``values`` instead, then erase ``op``."""
        for old, new in zip(op.results, values, strict=True):
            self.replace_uses(old, new)
        self.erase(op)

    def set_operands(self, op: Op, operands: Sequence[Value | None]) -> None:
        """Change what an op reads (types of its results stay as they are)."""
        self._check_member(op)
        self._check_operands(op.operator, operands)
        self._unlink(op)
        op.operands = tuple(operands)
        op.needs = needed_symbols(op.operator, op.operands, op.types)
        self._link(op)
        self._changed()

    def set_operator(self, op: Op, operator: Operator, operands: Sequence[Value | None] | None = None,
                     types: Sequence[TensorType] | None = None) -> None:  # fmt: skip
        """Change what an op computes, in place; the number of results stays."""
        reads = op.operands if operands is None else tuple(operands)
        found = tuple(types if types is not None else infer_types(operator, reads))
        if len(found) != len(op.results):
            raise VerifyError(f"{op!r} cannot change its number of results in place")
        self._check_member(op)
        self._check_operands(operator, reads)
        self._unlink(op)
        op.operator, op.operands, op.types = operator, reads, found
        op.needs = needed_symbols(operator, reads, found)
        self._define(op)
        self._link(op)
        self._changed()

    def erase(self, op: Op) -> None:
        """Remove an op nothing reads."""
        self._check_member(op)
        if self._readers(op):
            raise VerifyError(f"{op!r} is still read by {self._uses_any(op)!r}")
        self._unlink(op)
        self._nx.remove_node(op.id)
        del self._ops[op.id]
        self._definers = {s: o for s, o in self._definers.items() if o is not op}
        if op is self._output:
            self._output = None
        elif isinstance(op.operator, Input):
            self._inputs.remove(op)
        self._changed()

    def _uses_any(self, op: Op) -> Op:
        return self._ops[next(iter(self._readers(op)))]

    def _changed(self) -> None:
        self._order = None
        if self.annotations:
            self.annotations = {}
            for op in self._ops.values():
                op.annotations = {}

    def copy(self) -> Graph:
        """An independent graph, regions too, with the same ops in the same order (arrays shared)."""
        other = Graph(self.name, self.opsets)
        mapped: dict[Value, Value] = {}
        for op in self.ops:
            operands = tuple(None if v is None else mapped[v] for v in op.operands)
            operator, bodies = op.operator, list(op.operator.regions())
            if bodies:
                operator = operator.with_regions([body.copy() for body in bodies])
            twin = other._insert(operator, operands, op.types, op.label)
            mapped.update(zip(op.results, twin.results, strict=True))
            if isinstance(op.operator, Input):
                other._inputs.append(twin)
            elif op is self._output:
                other._output = twin
        other.signature = self.signature
        other.annotations, other.bounds = dict(self.annotations), dict(self.bounds)
        for op, twin in zip(self.ops, other.ops, strict=True):
            twin.annotations = dict(op.annotations)
            twin.verified = op.verified
        return other
