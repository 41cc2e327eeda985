"""model.h: what a caller needs, and the memory plan as a table."""

from __future__ import annotations

from collections.abc import Sequence

from dlc.backends.c99.dtypes import extra_types, pointer_type
from dlc.backends.c99.layout import ALIGN, Field, Layout
from dlc.backends.c99.lifetimes import Tensor
from dlc.backends.c99.names import comment
from dlc.ir.types import DType
from dlc.plan.program import Space

STATUSES = {"OK": 0, "NULL_POINTER": 1, "BAD_INDEX": 2, "MISALIGNED": 3, "OUT_OF_MEMORY": 4,
            "BAD_SIZE": 5}  # fmt: skip
"""What NAME_run returns."""

_NOTES = {
    DType.BOOL: "; 0 or 1",
    DType.STRING: "; UTF-8 that ends with a NUL",
    **dict.fromkeys((DType.I4, DType.U4, DType.I2, DType.U2, DType.F4E2M1), "; one a byte"),
    **dict.fromkeys((DType.F6E2M3, DType.F6E3M2), "; one a byte"),
}
_MEANINGS = {
    "OK": "the outputs hold the result",
    "NULL_POINTER": "a pointer that is needed is NULL; nothing was written",
    "BAD_INDEX": "an index in the data is out of range; the outputs are undefined",
    "MISALIGNED": "a pointer is not aligned as documented; nothing was written",
    "OUT_OF_MEMORY": "malloc failed; the outputs are undefined",
    "BAD_SIZE": "a size is out of its bounds, or sizes contradict; the outputs are undefined",
}


def interface_text(layout: Layout, tensors: Sequence[Tensor]) -> str:
    """The text of model.h."""
    name, macro = layout.name, layout.macro
    guard = f"{macro}_MODEL_H"
    statuses = [
        f"    {macro}_{status} = {number}{',' if number < len(STATUSES) - 1 else ''} "
        f"/* {_MEANINGS[status]} */"
        for status, number in STATUSES.items()
    ]
    return "\n".join([
        f"/* {name}: a neural network as one C function. This file belongs to the model's user.",
        " *",
        *_plan_table(layout, tensors),
        " */",
        f"#ifndef {guard}", f"#define {guard}", "",
        *(["#include <stddef.h>"] if _has_sizes(layout) else []), "#include <stdint.h>", "",
        *extra_types(t.dtype for op in layout.program.graph.ops for t in op.types),
        *_sizes(layout),
        "", f"/* What {name}_run returns. */", f"enum {name}_status {{", *statuses, "};", "",
        *_struct(layout, "inputs", layout.inputs), "",
        *_struct(layout, "outputs", layout.outputs), "",
        "#ifdef __cplusplus", 'extern "C" {', "#endif", "",
        *_contract(layout),
        f"int {name}_run(const {name}_inputs *in, {name}_outputs *out, void *arena);", "",
        "#ifdef __cplusplus", "}", "#endif", "", f"#endif /* {guard} */", "",
    ])  # fmt: skip


def _has_sizes(layout: Layout) -> bool:
    return any(not f.type.is_static for f in (*layout.inputs, *layout.outputs))


def _sizes(layout: Layout) -> list[str]:
    program, macro = layout.program, layout.macro
    arena = 0 if layout.on_heap else program.arena_bytes
    lines = [
        "/* Bytes of working memory, the alignment they need (64 is fastest), and the least any plan needs. */",
        f"#define {macro}_ARENA_BYTES {arena}",
        f"#define {macro}_ARENA_ALIGN {layout.arena_align}",
        f"#define {macro}_ARENA_LOWER_BOUND {program.lower_bound}",
    ]
    if layout.on_heap:
        lines[0] = (
            "/* Working memory is malloc'd; no plan needs less than the lower bound at once. */"
        )
    if layout.in_file:
        lines += [
            f"/* Bytes of {layout.name}.weights. */",
            f"#define {macro}_WEIGHTS_BYTES {layout.weights_bytes}",
        ]
    sized = [f for f in layout.outputs if not f.type.is_static]
    if sized:
        lines.append(
            "/* Elements there must be room for in outputs whose shapes depend on the run. */"
        )
    lines += [f"#define {layout.capacity_macro(f)} {f.type.capacity}" for f in sized]
    return lines


def _struct(layout: Layout, kind: str, fields: Sequence[Field]) -> list[str]:
    const = kind == "inputs"
    lines = [f"typedef struct {layout.name}_{kind} {{"]
    for field in fields:
        note = _NOTES.get(field.type.dtype, "")
        lines.append(f"    /* {comment(field.name)}: {comment(str(field.type))}{note} */")
        lines.append(f"    {pointer_type(field.type.dtype, const=const)}{field.c_name};")
    if kind == "inputs" and layout.in_file:
        lines.append(
            f"    /* the content of {layout.name}.weights, read or mapped, aligned to {ALIGN} bytes */"
        )
        lines.append("    const void *weights;")
    lines += [line for field in fields if kind == "outputs" and not field.type.is_static for line in (
        f"    /* the shape of {comment(field.name)}, filled by {layout.name}_run */",
        f"    ptrdiff_t {layout.dims_field(field)}[{max(field.type.rank, 1)}];",
    )]  # fmt: skip
    for symbol, name in layout.input_symbols.items() if kind == "inputs" else ():
        lines.append(f"    /* {comment(symbol.name)}: from {symbol.low} to {symbol.bound} */")
        lines.append(f"    ptrdiff_t {name};")
    if len(lines) == 1:
        lines.append("    char none; /* C has no empty structs */")
    return [*lines, f"}} {layout.name}_{kind};"]


def _contract(layout: Layout) -> list[str]:
    macro = layout.macro
    arena = (
        [" * arena is not used and may be NULL."]
        if layout.on_heap
        else [
            f" * arena: {macro}_ARENA_BYTES bytes aligned to {macro}_ARENA_ALIGN, of any content,",
            " * its own for the time of the call (may be NULL when that is 0 bytes).",
        ]
    )
    return [
        "/* Computes the outputs from the inputs: row-major arrays that must not overlap one another.",
        " * Reentrant: it keeps nothing between calls. A field without elements may be NULL.",
        *arena,
        f" * Returns a status of enum {layout.name}_status. */",
    ]


def _plan_table(layout: Layout, tensors: Sequence[Tensor]) -> list[str]:
    program = layout.program
    lines = [
        f" * Arena: {program.arena_bytes} bytes; lower bound {program.lower_bound} bytes.",
        f" * {program.peak_bytes_with_io} bytes with the caller's inputs and outputs.",
        " *",
        " *  first   last      offset       bytes  tensor",
    ]
    for tensor in tensors:
        buffer = program.buffers[tensor.place.buffer]
        if buffer.space is Space.CONSTANT:
            continue
        where: object = buffer.space.value
        if buffer.space is Space.ARENA and buffer.offset is not None:
            where = buffer.offset + tensor.place.offset
        lines.append(
            f" * {tensor.first:6} {tensor.last:6} {where!s:>11} {tensor.size:11}  "
            f"{comment(tensor.name or tensor.kind, 60)}"
        )
    return lines
