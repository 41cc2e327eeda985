"""The verifier: what must hold of every graph at every level, whatever passes did to it."""

from __future__ import annotations

from collections.abc import Iterable

from dlc.errors import UnsupportedError, VerifyError
from dlc.ir.graph import Graph, Op, infer_types
from dlc.ir.operator import Output
from dlc.ir.types import TensorType


def verify(graph: Graph, *, types: bool = True) -> None:
    """Raise VerifyError, citing the op and the constraint, unless the graph is sound.

    G1: every operand is a result of an op of the same graph (regions are isolated from above).
    G2: the edges into an op are its operands, ports 0 to n-1 once each.
    G3: no op depends on itself.
    G4: one terminator names the outputs, one for each operand; inputs are listed once each.
    G5: input names differ from each other, and so do output names.
    G6: an op has one type for each result, with sizes and bounds that are not negative.
    G7: inferring the types again gives the recorded ones.
    G8: regions satisfy all of this.
    G9: a signature is made up of the graph's inputs and outputs, each once.

    Without ``types`` G7 is left out. It also is where an operator says that inference is costly or
    knows less than whoever recorded the types (``Operator.recheck``: the named ONNX ops, whose
    types the importer found), or cannot infer (UnsupportedError, NotImplementedError).
    """
    graph.check_links()
    ops = graph.ops  # G3: sorting fails on a cycle
    members = set(ops)
    seen: set[TensorType] = set()
    for op in ops:
        for port, value in enumerate(op.operands):
            if value is not None and (
                value.op not in members or value.op.results[value.index] is not value
            ):
                raise _broken(op, f"operand {port} is no result of an op in the graph", "G1")
        if len(op.types) != len(op.results):
            raise _broken(op, f"{len(op.results)} results, {len(op.types)} types", "G6")
        for type in op.types:
            if type not in seen:
                if any(size < 0 for size in type.bounds):
                    raise _broken(op, f"{type} has a negative size", "G6")
                seen.add(type)
        if types and op.operator.recheck:
            _check_types(op)
        for region in op.operator.regions():
            try:
                verify(region, types=types)
            except VerifyError as error:
                raise _broken(op, f"region {region.name!r}: {error}", "G8") from error
    _check_interface(graph)


def _check_types(op: Op) -> None:
    # after a pass most ops are what they were after the one before: only news is inferred again
    facts = (op.operator, op.types, *op.operand_types)
    if op.verified == facts:
        return
    try:
        inferred = infer_types(op.operator, op.operands)
    except (UnsupportedError, NotImplementedError):
        return
    except VerifyError as error:
        raise VerifyError(f"{_place(op)}: {error}") from error
    if inferred != op.types:
        raise _broken(op, f"has types {_listed(op.types)}, inferred {_listed(inferred)}", "G7")
    op.verified = facts


def _check_interface(graph: Graph) -> None:
    if not graph.has_outputs:
        raise VerifyError(f"graph {graph.name!r} has no terminator (G4)")
    terminator = graph.output.operator
    assert isinstance(terminator, Output)
    if len(terminator.names) != len(graph.outputs):
        raise _broken(graph.output, "not one name for each output", "G4")
    for kind, names in ("input", graph.input_names), ("output", graph.output_names):
        for name in _repeated(names):
            raise VerifyError(f"graph {graph.name!r} has two {kind}s named {name!r} (G5)")
    if graph.signature is not None:
        made = graph.signature.tensor_names
        if [sorted(names) for names in made] != [
            sorted(graph.input_names),
            sorted(graph.output_names),
        ]:
            raise VerifyError(f"the signature of graph {graph.name!r} names other tensors (G9)")


def _repeated(names: Iterable[str]) -> list[str]:
    seen: set[str] = set()
    return [name for name in names if name in seen or seen.add(name)]  # type: ignore[func-returns-value]


def _listed(types: Iterable[TensorType]) -> str:
    return ", ".join(map(str, types)) or "none"


def _place(op: Op) -> str:
    return f"op {op.id} {op.operator.label} {op.label!r}"


def _broken(op: Op, message: str, constraint: str) -> VerifyError:
    return VerifyError(f"{_place(op)}: {message} ({constraint})")
