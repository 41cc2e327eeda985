"""Fixed sizes in the place of symbolic ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from dlc.errors import DlcError, ModelError
from dlc.ir.graph import Graph, Op, Value, infer_types
from dlc.ir.operator import Constant, Input, Output
from dlc.ir.sizes import Dim, Symbol, substitute, symbols_of
from dlc.ir.types import TensorType
from dlc.rewrite.base import Pass

Sizes = dict[Symbol, Dim]


@dataclass(frozen=True, slots=True)
class FreezeShapes(Pass):
    """Fix the symbolic dims of the inputs, and every size that follows from them.

    `freeze-shapes{dims=(N=1,T=16)}` fixes dims by name, `shapes=(image=1x3x224x224)` all dims of an
    input; without either, every dim becomes its upper bound. Sizes that depend on data stay symbolic.
    A name the graph does not have is a mistake, so a dim is fixed once. The same results for inputs of
    those sizes; inputs of others are refused from then on. Run `fold-constants` afterwards: what the
    model computes from shapes is known then.

    Before:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[N<=8,3]
          %1 = onnx.Relu(%0) : f32[N<=8,3]
          output(%1) {names = ["y"]}
        }

    After:

        graph "g" {opsets = {"" = 17}} {
          %0 = input() "x" : f32[8,3]
          %1 = onnx.Relu(%0) : f32[8,3]
          output(%1) {names = ["y"]}
        }
    """

    name: ClassVar[str] = "freeze-shapes"
    contract: ClassVar[str] = "exact"
    into_regions: ClassVar[bool] = False  # their symbols are those of the graph around
    dims: tuple[str, ...] = ()
    shapes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for text in self.dims:
            _size(_assignment(text)[1])
        for text in self.shapes:
            _shape(_assignment(text)[1])

    def run(self, graph: Graph) -> tuple[Graph, bool]:
        sizes = self._sizes(graph)
        return graph, bool(sizes) and _freeze(graph, sizes)

    def _sizes(self, graph: Graph) -> Sizes:
        """What the options say each symbol becomes."""
        symbols = {symbol.name: symbol for value in graph.inputs for symbol in _symbols(value.type)}
        sizes: Sizes = {}
        for name, text in map(_assignment, self.dims):
            if name not in symbols:
                raise _unknown("dim", name, symbols)
            _set(sizes, symbols[name], _size(text))
        inputs = dict(zip(graph.input_names, graph.inputs, strict=True))
        for name, text in map(_assignment, self.shapes):
            if name not in inputs:
                raise _unknown("input", name, inputs)
            shape, type = _shape(text), inputs[name].type
            fits = len(shape) == type.rank and all(
                isinstance(dim, Symbol) or dim == size
                for dim, size in zip(type.shape, shape, strict=True)
            )
            if not fits:
                raise ModelError(
                    f"freeze-shapes: input {name!r} is {type}, which cannot become {text}"
                )
            for dim, size in zip(type.shape, shape, strict=True):
                if isinstance(dim, Symbol):
                    _set(sizes, dim, size)
        if not self.dims and not self.shapes:
            sizes = {symbol: symbol.bound for symbol in symbols.values()}
        return sizes


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.rpartition("=")
    if not equals:
        raise ValueError(f"{text!r} is not NAME=SIZE, as in dims=(N=1) or shapes=(x=1x3)")
    return name.strip(), value.strip()


def _size(text: str) -> int:
    if not text.isdigit():
        raise ValueError(f"{text!r} is not a size, as in dims=(N=1) or shapes=(x=1x3)")
    return int(text)


def _shape(text: str) -> list[int]:
    return [_size(size) for size in text.split("x")] if text else []


def _set(sizes: Sizes, symbol: Symbol, size: int) -> None:
    known = sizes.setdefault(symbol, size)
    if size > symbol.bound:
        why = f"it is at most {symbol.bound}"
    elif known != size:
        why = f"another option says {known}"
    else:
        return
    raise ModelError(f"freeze-shapes: dim {symbol.name!r} cannot become {size}: {why}")


def _unknown(kind: str, name: str, known: Iterable[str]) -> ModelError:
    listed = ", ".join(map(repr, known)) or "none"
    return ModelError(f"freeze-shapes: the graph has no {kind} {name!r} to fix; it has {listed}")


def _symbols(type: TensorType) -> Iterator[Symbol]:
    return symbols_of(type.shape)


def _fixed(type: TensorType, sizes: Sizes) -> TensorType:
    return type.with_shape(substitute(dim, sizes) for dim in type.shape)


def _freeze(graph: Graph, sizes: Sizes) -> bool:
    """Replace symbols in all types; a dim that turns out to be fixed is so wherever it occurs."""
    changed = False
    touched: set[Value] = set()
    for op in graph.ops:
        bodies = list(op.operator.regions())
        for body in bodies:
            changed |= _freeze(body, sizes)
        affected = any(value in touched for value in op.operands)
        named = any(True for type in op.types for _ in _symbols(type)) or op.operator.mentioned
        if not named and not (bodies and affected):
            continue
        operator = op.operator.at(sizes)
        types = tuple(_fixed(type, sizes) for type in op.types)
        if affected and not all(type.is_static for type in types):
            types = _inferred(op, types, sizes)
        if types != op.types or operator != op.operator:
            touched.update(op.results)
            graph.set_operator(op, operator, types=types)
            changed = True
    return changed


def _inferred(op: Op, types: tuple[TensorType, ...], sizes: Sizes) -> tuple[TensorType, ...]:
    """The types, with dims that inference fixes now that the operands are; these join ``sizes``."""
    if isinstance(op.operator, Input | Output | Constant):
        return types
    try:
        found = infer_types(op.operator, op.operands)
    except DlcError as error:
        raise ModelError(f"freeze-shapes: these sizes do not suit {op!r}: {error}") from None
    for old, new in zip(types, found, strict=True):
        for before, after in zip(old.shape, new.shape, strict=True):
            if isinstance(before, Symbol) and isinstance(after, int):
                sizes[before] = after
    return tuple(_fixed(type, sizes) for type in types)
