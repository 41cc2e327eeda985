"""model.c: a static function per distinct step, and NAME_run that calls them in order."""

from __future__ import annotations

from collections.abc import Sequence

from dlc.backends.c99.dtypes import c_type
from dlc.backends.c99.functions import StepCall, signature
from dlc.backends.c99.layout import ALIGN, Layout
from dlc.backends.c99.names import comment
from dlc.backends.c99.sizes import UNARY, size_text
from dlc.backends.c99.writer import Writer
from dlc.ir.sizes import maximum
from dlc.plan.program import Buffer, FinalCopy

_POISON = """\
/* With -DDLC_POISON memory that holds nothing any more is overwritten, so that reading it shows. */
#ifdef DLC_POISON
#define DLC_DEAD(offset, size) memset(mem + (offset), 0xFF, (size))
#else
#define DLC_DEAD(offset, size) ((void)0)
#endif"""

_PROFILE = """\
/* With -DDLC_PROFILE the function dlc_profile, yours to write, is called before each step with its
 * number, and after the last with the number of steps. */
#ifdef DLC_PROFILE
void dlc_profile(int step);
#define DLC_STEP(step) dlc_profile(step)
#else
#define DLC_STEP(step) ((void)0)
#endif"""


def model_text(layout: Layout) -> str:
    """The text of model.c."""
    own = sorted(layout.headers)
    uses_weights = bool(layout.source_weights)
    system = {"stddef.h", "stdint.h", "string.h", *(["stdlib.h"] if layout.on_heap else [])}
    out = Writer()
    out.line(f"/* {layout.name}: emitted by dlc. This file belongs to the model's user. */")
    out.line('#include "model.h"')
    out.line()
    out.extend(f"#include <{header}>" for header in sorted(system))
    out.line()
    out.extend(f'#include "kernels/{header}"' for header in own)
    out.extend(['#include "weights.h"'] if uses_weights else [])
    out.line()
    in_bodies = any("DLC_DEAD" in f.text for f in layout.functions.distinct)
    if in_bodies or (not layout.on_heap and layout.program.arena_bytes):
        out.extend([*_POISON.split("\n"), ""])
    out.extend([*_PROFILE.split("\n"), ""])
    for function in layout.functions.distinct:
        out.extend([*function.text.split("\n"), ""])
    _write_run(layout, out)
    return out.text


def _write_run(layout: Layout, out: Writer) -> None:
    name, on_heap = layout.name, layout.on_heap
    arena = layout.program.arena_bytes and not on_heap
    body = Writer(depth=1)
    if arena:
        body.line("unsigned char *const mem = arena;")
    elif on_heap:
        body.extend(f"unsigned char *b{b.id} = NULL;" for b in layout.arena_buffers)
    elif layout.arena_buffers:  # all of no bytes: an address that is none of the caller's
        body.line("ptrdiff_t nothing = 0;")
        body.line("unsigned char *const mem = (unsigned char *)&nothing;")
    body.extend(f"ptrdiff_t {name} = 0;" for name in layout.defined_symbols.values())
    fails = on_heap or any(c.function and c.function.fallible for c in layout.functions.calls)
    if fails:
        body.line("int status;")
    if not arena:
        body.line("(void)arena;")
    _write_checks(layout, body)
    if arena:
        body.line(f"DLC_DEAD(0, {layout.program.arena_bytes});")
    born: dict[int, list[Buffer]] = {}
    for buffer in layout.arena_buffers if on_heap else ():
        born.setdefault(max(buffer.first, 0), []).append(buffer)
    for call in layout.functions.calls:
        _write_call(layout, call, born.get(call.step.index, ()), body)
    body.extend(["", f"DLC_STEP({len(layout.functions.calls)});"])
    for copy in layout.program.copies:
        if copy.size:
            out_name = comment(layout.outputs[copy.output].name)
            body.extend(["", f"/* output {out_name}: a copy of what lives elsewhere */"])
            source = layout.pointer(copy.source, layout.outputs[copy.output].type.dtype)
            body.listed("memcpy(", [f"out->{layout.outputs[copy.output].c_name}", source,
                                    _copied_bytes(layout, copy)], ");")  # fmt: skip
    _write_dims(layout, body)
    if on_heap:
        body.line(f"status = {layout.macro}_OK;")
        if layout.arena_buffers:
            body.lines.append("done:")
            body.extend(f"free(b{b.id});" for b in layout.arena_buffers)
        body.line("return status;")
    else:
        body.line(f"return {layout.macro}_OK;")
    out.line(f"int {name}_run(const {name}_inputs *in, {name}_outputs *out, void *arena) {{")
    out.extend([*body.lines, "}"])


def _write_checks(layout: Layout, out: Writer) -> None:
    """Null pointers first, then alignment."""
    program, macro = layout.program, layout.macro
    fields = [("in", f) for f in layout.inputs] + [("out", f) for f in layout.outputs]
    filled = [(f"{struct}->{f.c_name}", f.type) for struct, f in fields if f.type.nbytes]
    nulls = ["in == NULL", "out == NULL", *(f"{text} == NULL" for text, _ in filled)]
    skewed = [
        # what 8-byte elements need differs between processors; never more than a pointer on small ones
        f"(uintptr_t)(const void *){text} % "
        f"{type.dtype.nbytes if type.dtype.nbytes < 8 else 'sizeof(void *)'} != 0"
        for text, type in filled if type.dtype.nbytes > 1
    ]  # fmt: skip
    if layout.in_file:
        nulls.append("in->weights == NULL")
        skewed.append(f"(uintptr_t)in->weights % {ALIGN} != 0")
    if program.arena_bytes and not layout.on_heap:
        nulls.append("mem == NULL")
        if layout.arena_align > 1:
            skewed.append(f"(uintptr_t)arena % {macro}_ARENA_ALIGN != 0")
    for conditions, status in ((nulls, "NULL_POINTER"), (skewed, "MISALIGNED")):
        if conditions:
            joined = [f"{c} ||" for c in conditions[:-1]] + conditions[-1:]
            out.line(f"if ({joined[0]}" + (") {" if len(joined) == 1 else ""))
            out.extend(f"    {c}" for c in joined[1:-1])
            out.extend([f"    {joined[-1]}) {{"] if len(joined) > 1 else [])
            out.extend([f"    return {macro}_{status};", "}"])
    for symbol, name in layout.input_symbols.items():
        with out.block(f"if (in->{name} < {symbol.low} || in->{name} > {symbol.bound})"):
            out.line(f"return {macro}_BAD_SIZE;")
    if layout.in_file:
        out.line("const unsigned char *const weights = in->weights;")


def _copied_bytes(layout: Layout, copy: FinalCopy) -> str:
    type = layout.outputs[copy.output].type
    if type.is_static:
        return str(copy.size)
    count = size_text(maximum(type.count, 0), layout.symbol, set(), UNARY)
    return f"(size_t){count} * sizeof({c_type(type.dtype)})"


def _write_dims(layout: Layout, out: Writer) -> None:
    """Tell the caller the dims of outputs whose shapes depend on the run."""
    for field in layout.outputs:
        if not field.type.is_static:
            out.extend(["", f"/* output {comment(field.name)}: {comment(str(field.type))} */"])
            for axis, dim in enumerate(field.type.shape):
                value = size_text(dim, layout.symbol, set())
                out.line(f"out->{layout.dims_field(field)}[{axis}] = {value};")


def _write_call(layout: Layout, call: StepCall, born: Sequence[Buffer], out: Writer) -> None:
    step = call.step
    macs = step.op.operator.cost(step.op.operand_types, step.op.types).macs
    work = f", {macs} MACs" if macs else ""
    out.line()
    label = f"{comment(step.op.label)}; " if step.op.label else ""
    if call.function is None:
        out.line(f"/* {step.index}: {label}{signature(step)}: in place, nothing to do */")
    else:
        out.line(f"/* {step.index}: {label}{signature(step)}{work} */")
        out.line(f"DLC_STEP({step.index});")
    for buffer in born:
        out.extend(_allocation(layout, buffer))
    scratch = f"DLC_DEAD({_where(layout, call)});" if _has_scratch(layout, call) else ""
    out.extend([scratch] if scratch else [])
    if call.function is not None:
        arguments = [layout.pointer(p.place, p.dtype) for p in call.parameters]
        arguments += [f"&{p.name}" if p.writable else layout.symbol(p.symbol) for p in call.sizes]
        if call.function.fallible:
            out.listed(f"status = {call.function.name}(", arguments, ");")
            leave = "goto done" if layout.arena_buffers and layout.on_heap else "return status"
            out.extend([f"if (status != {layout.macro}_OK) {{", f"    {leave};", "}"])
        else:
            out.listed(f"{call.function.name}(", arguments, ");")
    out.extend([scratch] if scratch else [])
    for number in step.frees:
        buffer = layout.program.buffers[number]
        if layout.on_heap:
            out.extend([f"free(b{number});", f"b{number} = NULL;"])
        elif buffer.size:
            out.line(f"DLC_DEAD({buffer.offset}, {buffer.size});")


def _allocation(layout: Layout, buffer: Buffer) -> list[str]:
    return [
        f"b{buffer.id} = malloc({max(buffer.size, 1)});",
        f"if (b{buffer.id} == NULL) {{",
        f"    status = {layout.macro}_OUT_OF_MEMORY;",
        "    goto done;",
        "}",
    ]


def _has_scratch(layout: Layout, call: StepCall) -> bool:
    return bool(
        call.function and call.step.scratch and call.step.emission.scratch and not layout.on_heap
    )


def _where(layout: Layout, call: StepCall) -> str:
    scratch = call.step.scratch
    assert scratch is not None
    offset = layout.program.buffers[scratch.buffer].offset
    assert offset is not None  # scratch is in the arena
    return f"{offset + scratch.offset}, {call.step.emission.scratch}"
