"""selftest.c: a program that runs the model once and compares with recorded outputs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dlc.backends.c99.dtypes import COMPLEX, FLOATS, c_type, const_type
from dlc.backends.c99.layout import ALIGN, Field, Layout
from dlc.backends.c99.weights import SPECIAL_VALUES, has_special, rows
from dlc.backends.c99.writer import Writer
from dlc.errors import InputError
from dlc.interp import input_sizes
from dlc.ir.operator import Array
from dlc.ir.sizes import Size, Symbol
from dlc.ir.types import DType

RTOL, ATOL, RTOL_MAX = 1e-3, 1e-5, 1e-4
"""As the defaults of ``dlc.check``."""
Vectors = tuple[Mapping[str, Array], Mapping[str, Array]]
"""Inputs and expected outputs by ONNX name."""


def selftest_text(layout: Layout, vectors: Vectors | None) -> str:
    """The text of selftest.c. Without vectors the inputs are zero and only the status is checked.

    Raises InputError when vectors are missing or of the wrong shape.
    """
    out = Writer()
    out.line(f"/* Runs {layout.name} once: 0 when it works"
             f"{' and the outputs are as recorded' if vectors else ''}, 1 otherwise. */")  # fmt: skip
    headers = ["stdint.h", "stdio.h", "stdlib.h", "string.h"]
    out.extend(['#include "model.h"', "", *(f"#include <{header}>" for header in headers), ""])
    if vectors and any(has_special(np.asarray(a)) for arrays in vectors for a in arrays.values()):
        out.extend([*SPECIAL_VALUES.split("\n"), ""])
    for kind, fields in (("in", layout.inputs), ("out", layout.outputs)):
        for field in fields:
            const = "const " if kind == "in" else ""
            vector = _vector(vectors[kind == "out"], field) if vectors else None
            # an output needs room for the most elements, whatever the run gives
            given = vector.size if vector is not None and kind == "in" else field.type.capacity
            size = max(given, 1)
            own = const_type(field.type.dtype) if const else c_type(field.type.dtype)
            declared = f"static {own} {kind}_{field.c_name}[{size}]"
            if vector is not None and kind == "in":
                out.extend([f"{declared} = {{", *rows(vector), "};"])
            else:
                out.line(f"{declared}{_zeros(field) if const else ''};")
            if vector is not None and kind == "out" and vector.size:
                own = const_type(field.type.dtype)
                expected = f"static {own} want_{field.c_name}[{vector.size}]"
                out.extend([f"{expected} = {{", *rows(vector), "};"])
    out.line()
    arena = 0 if layout.on_heap else layout.program.arena_bytes
    out.line(f"static unsigned char arena[{arena + ALIGN}];")
    out.line()
    if layout.in_file:
        out.extend(
            _READ_WEIGHTS.format(align=ALIGN, bytes=f"{layout.macro}_WEIGHTS_BYTES").split("\n")
        )
    _write_main(layout, vectors, out)
    return out.text


_READ_WEIGHTS = """\
static unsigned char weights[{bytes} + {align}];

static void *read_weights(const char *path) {{
    void *const start = weights + ({align} - (uintptr_t)weights % {align}) % {align};
    FILE *const file = fopen(path, "rb");
    size_t count = 0;
    if (file != NULL) {{
        count = fread(start, 1, {bytes}, file);
        fclose(file);
    }}
    return count == {bytes} ? start : NULL;
}}
"""


def _write_main(layout: Layout, vectors: Vectors | None, out: Writer) -> None:
    given, expected = vectors or (None, None)
    name, macro = layout.name, layout.macro
    head = "int main(int argc, char **argv) {" if layout.in_file else "int main(void) {"
    out.line(head)
    body = Writer(depth=1)
    body.extend([f"{name}_inputs in;", f"{name}_outputs out;", "int status;", "long bad = 0;"])
    body.extend(f"in.{f.c_name} = in_{f.c_name};" for f in layout.inputs)
    body.extend(f"out.{f.c_name} = out_{f.c_name};" for f in layout.outputs)
    body.extend(f"in.{name} = {size};" for name, size in _sizes(layout, given).items())
    body.extend(["in.none = 0;"] if not layout.inputs and not layout.in_file else [])
    body.extend(["out.none = 0;"] if not layout.outputs else [])
    if layout.in_file:
        body.line(f'in.weights = read_weights(argc > 1 ? argv[1] : "{name}.weights");')
        with body.block("if (in.weights == NULL)"):
            body.line(f'printf("cannot read {name}.weights\\n");')
            body.line("return 1;")
    align = str(ALIGN)
    body.line(f"status = {name}_run(&in, &out,")
    body.line(f"    arena + ({align} - (uintptr_t)arena % {align}) % {align});")
    # sizes read from inputs that are zero may be refused
    refused = f" && status != {macro}_BAD_SIZE" if layout.defined_symbols and not vectors else ""
    with body.block(f"if (status != {macro}_OK{refused})"):
        body.line('printf("status %d\\n", status);')
        body.line("return 1;")
    for field in layout.outputs if expected is not None else ():
        array = np.asarray((expected or {})[field.name])
        if not field.type.is_static:
            dims = layout.dims_field(field)
            body.extend(f"bad += out.{dims}[{axis}] != {n};" for axis, n in enumerate(array.shape))
        if array.size:
            with body.block(f"for (long i = 0; i < {array.size}; ++i)"):
                _write_comparison(field, array, body)
    body.line('printf("%s\\n", bad ? "outputs differ" : "ok");')
    body.line("return bad != 0;")
    out.extend([*body.lines, "}"])


def _write_comparison(field: Field, expected: Array, out: Writer) -> None:
    got, want = f"out_{field.c_name}[i]", f"want_{field.c_name}[i]"
    if field.type.dtype is DType.STRING:
        out.line(f"bad += strcmp({got}, {want}) != 0;")
        return
    if field.type.dtype in COMPLEX:
        out.line(f"bad += memcmp(&{got}, &{want}, sizeof {got}) != 0;  /* moved, never computed */")
        return
    if field.type.dtype not in FLOATS:
        out.line(f"bad += {got} != {want};")
        return
    finite = np.abs(expected[np.isfinite(expected)].astype(np.float64))
    floor = RTOL_MAX * float(finite.max(initial=0.0))  # what cancellation leaves of large terms
    out.extend([
        f"const double got = (double){got}, want = (double){want};",
        "const double gap = got < want ? want - got : got - want;",
        "const double size = want < 0 ? -want : want;",
        f"const int near = gap <= {floor:.9g} || gap <= {ATOL} + {RTOL} * size;",
        "const int close = near && gap - gap == 0;",
        "bad += !(got == want || (got != got && want != want) || close); /* two NaN agree */",
    ])  # fmt: skip


def _sizes(layout: Layout, given: Mapping[str, Array] | None) -> dict[str, int]:
    """Values of the fields for symbols: from the shapes of the vectors, else the greatest."""
    found: dict[Symbol, int] = {}
    if given is not None:
        shapes = [np.shape(_vector(given, f)) for f in layout.inputs]
        found = input_sizes([f.type for f in layout.inputs], shapes)
    return {name: found.get(s, s.bound) for s, name in layout.input_symbols.items()}


def _zeros(field: Field) -> str:
    if field.type.dtype is DType.STRING:
        empty = ", ".join(['""'] * max(field.type.capacity, 1))
        return f" = {{{empty}}}"
    return " = {{0}}" if field.type.dtype in COMPLEX else " = {0}"


def _vector(arrays: Mapping[str, Array], field: Field) -> Array:
    if field.name not in arrays:
        raise InputError(f"the self-test vectors have no {field.name!r}")
    array = np.asarray(arrays[field.name])
    fits = array.ndim == field.type.rank and all(
        isinstance(dim, Size) or size == dim
        for size, dim in zip(array.shape, field.type.shape, strict=True)
    )
    if not fits or array.size > field.type.capacity or array.dtype != field.type.dtype.numpy:
        raise InputError(
            f"the self-test vector {field.name!r} is {array.dtype}{list(array.shape)}, not {field.type}"
        )
    return array
