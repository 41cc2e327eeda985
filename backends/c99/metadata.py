"""metadata.json: the interface and the whole memory plan, for tools and independent checks.

``buffers`` are what has an address: ``space`` (arena, input, output, constant), ``index`` in it,
``size``, ``offset`` in the arena, ``first`` and ``last`` step. ``tensors`` are values and scratch:
``buffer``, byte ``offset`` in it, ``size``, ``first`` (-1: before the run) and ``last`` step (number
of steps: read by the caller). ``steps`` name the tensors they read and write; ``elided`` lists the
byte ranges of an operand and a result that are one memory, ``in_place`` the (operand, result) pairs
a step overwrites, ``frees`` the buffers dead after it. ``copies`` happen after the last step. ``bodies`` are the
functions that steps of ``if`` and ``loop`` run (their names are in the step's ``bodies``): each has a plan like the model's, in the step's scratch.

Shapes that depend on the run hold sizes as text, of which ``symbols`` lists the variables; memory is
planned for the most elements (``capacity``), and the run stores the shape in the field ``dims``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from dlc.backends.c99.functions import Functions, StepCall
from dlc.backends.c99.layout import ALIGN, Field, Layout
from dlc.backends.c99.lifetimes import Tensor, Tensors, tensors_of
from dlc.backends.c99.regions import Body
from dlc.ir.graph import Op
from dlc.ir.types import TensorType
from dlc.ops.emission import Copy, as_copy
from dlc.plan.links import joined_bytes
from dlc.plan.program import Placement, Program

GENERATOR = "dlc"
FORMAT = 1


def metadata_text(layout: Layout, tensors: Tensors, files: Iterable[str]) -> str:
    """The text of metadata.json."""
    return json.dumps(metadata_of(layout, tensors, files), indent=1, ensure_ascii=True) + "\n"


def metadata_of(layout: Layout, tensors: Tensors, files: Iterable[str]) -> dict[str, Any]:
    program = layout.program
    return {
        "generator": GENERATOR,
        "format": FORMAT,
        "name": program.graph.name,
        "c_name": layout.name,
        "memory": "heap" if layout.on_heap else "arena",
        "arena_align": layout.arena_align,
        "inputs": _fields(layout.inputs, [tensors.of_value.get(v) for v in program.graph.inputs]),
        "outputs": _outputs(layout, [tensors.of_value.get(v) for v in program.graph.outputs]),
        # how they make up sequences and optionals; null where all are plain tensors
        "signature": program.graph.signature and program.graph.signature.attributes,
        # what inputs and steps give a value at run time, an integer from low to bound
        "symbols": [
            {"name": s.name, "c_name": layout.symbols[s], "low": s.low, "bound": s.bound,
             "text": str(s), "given": s in layout.input_symbols}
            for s in (*layout.input_symbols, *layout.defined_symbols)
        ],
        "weights": _weights(layout),
        **_plan(program, layout.functions.calls, tensors, layout.functions),
        # what `if` and `loop` run: functions with a plan of their own, of scratch memory
        "bodies": [_body(body, layout.functions) for body in layout.functions.bodies],
        "files": sorted(files),
    }  # fmt: skip


def _plan(
    program: Program, calls: Sequence[StepCall], tensors: Tensors, functions: Functions
) -> dict[str, Any]:
    return {
        "arena_bytes": program.arena_bytes,
        "lower_bound": program.lower_bound,
        "peak_step": program.peak_step,
        "peak_bytes_with_io": program.peak_bytes_with_io,
        "buffers": [
            {"id": b.id, "space": b.space.value, "index": b.index, "size": b.size,
             "first": b.first, "last": b.last, "offset": b.offset}
            for b in program.buffers
        ],
        "tensors": [_tensor(tensor) for tensor in tensors.all],
        "steps": [_step(call, tensors, functions) for call in calls],
        "copies": [
            {"source": _place(c.source), "output": c.output, "size": c.size} for c in program.copies
        ],
    }  # fmt: skip


def _body(body: Body, functions: Functions) -> dict[str, Any]:
    program, tensors = body.program, tensors_of(body.program)
    graph = program.graph
    rows = {
        kind: [
            {"name": name, "c_name": f"{stem}{i}", **_type(value.type),
             "tensor": tensors.of_value.get(value)}
            for i, (name, value) in enumerate(zip(names, values, strict=True))
        ]
        for kind, stem, names, values in (
            ("inputs", "in", graph.input_names, graph.inputs),
            ("outputs", "out", graph.output_names, graph.outputs),
        )
    }  # fmt: skip
    return {
        "name": graph.name, "c_name": body.function.name, **rows,
        "symbols": [
            {"name": s.name, "c_name": name, "low": s.low, "bound": s.bound, "text": str(s),
             "given": False}
            for s, name in {p.symbol: p.name for call in body.calls for p in call.sizes}.items()
        ],
        **_plan(program, body.calls, tensors, functions),
    }  # fmt: skip


def _fields(fields: Sequence[Field], tensors: Sequence[int | None]) -> list[dict[str, Any]]:
    return [
        {
            "name": field.name,
            "c_name": field.c_name,
            **_type(field.type),
            "tensor": tensor,
            **({} if field.type.is_static else {"capacity": field.type.capacity}),
        }
        for field, tensor in zip(fields, tensors, strict=True)
    ]


def _outputs(layout: Layout, tensors: Sequence[int | None]) -> list[dict[str, Any]]:
    return [
        row | ({} if field.type.is_static else {"dims": layout.dims_field(field)})
        for field, row in zip(layout.outputs, _fields(layout.outputs, tensors), strict=True)
    ]


def _weights(layout: Layout) -> dict[str, Any]:
    return {
        "storage": "file" if layout.in_file else "c",
        "file": f"{layout.name}.weights" if layout.in_file else None,
        "bytes": sum(w.type.nbytes for w in layout.weights),
        "file_bytes": layout.weights_bytes if layout.in_file else None,
        "align": ALIGN,
        "constants": [
            {"name": w.label, "c_name": w.c_name, **_type(w.type), "size": w.type.nbytes,
             "offset": w.offset}
            for w in layout.weights
        ],
    }  # fmt: skip


def _tensor(tensor: Tensor) -> dict[str, Any]:
    return {
        "id": tensor.id, "name": tensor.name, "kind": tensor.kind,
        **(_type(tensor.type) if tensor.type else {"dtype": None, "shape": None}),
        **_place(tensor.place), "size": tensor.size, "first": tensor.first, "last": tensor.last,
    }  # fmt: skip


def _step(call: StepCall, tensors: Tensors, functions: Functions) -> dict[str, Any]:
    step, op = call.step, call.step.op
    copies = {number: as_copy(step.emission.parts[number]) for number in sorted(step.elided)}
    return {
        "index": step.index, "op": op.operator.label, "label": op.label,
        "function": call.function.name if call.function else None,
        "reads": [tensors.of_value[v] for v in op.operands if v is not None],
        "writes": [tensors.of_value[v] for v in op.results],
        "scratch": tensors.of_scratch.get(step.index),
        "bodies": list(dict.fromkeys(
            functions.body_names[body]
            for body in op.operator.regions() if body in functions.body_names
        )),
        "macs": op.operator.cost(op.operand_types, op.types).macs,
        "parts": len(step.emission.parts),
        # byte ranges that are one and the same memory in an operand and a result
        "elided": [
            {"part": number, "operand": copy.operand, "result": copy.result,
             "source": copy.source * op.types[copy.result].dtype.nbytes,
             "target": copy.target * op.types[copy.result].dtype.nbytes,
             "size": joined_bytes(copy, *_sides(op, copy))}
            for number, copy in copies.items() if copy is not None
        ],
        # pairs (operand, result) that share an address the step really overwrites
        "in_place": [
            [i, j]
            for i, a in enumerate(step.operands) for j, b in enumerate(step.results)
            if a == b and call.function is not None
            and any(p.place == a and p.writable for p in call.parameters)
            and op.types[j].nbytes
        ],
        "frees": list(step.frees),
    }  # fmt: skip


def _sides(op: Op, copy: Copy) -> tuple[TensorType, TensorType]:
    operand = op.operands[copy.operand]
    assert operand is not None  # core ops have no absent operands
    return operand.type, op.types[copy.result]


def _type(type: TensorType) -> dict[str, Any]:
    return {
        "dtype": type.dtype.value,
        "shape": [d if isinstance(d, int) else str(d) for d in type.shape],
    }


def _place(place: Placement) -> dict[str, Any]:
    return {"buffer": place.buffer, "offset": place.offset}
