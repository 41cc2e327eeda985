"""Kernels as emitted code calls them: inlined with literal sizes, in the loops of a tile.

Compilers treat them very differently then (gcc 12 made wrong code of some shapes of pooling), and
warn of different things. The same kernels called with run-time sizes are the oracle here.
"""

from __future__ import annotations

import ctypes
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from kernel_library import F32, SANITIZE, Array, array_kernel

from dlc.backends.c99.toolchain import NATIVE, STRICT_FLAGS, available_compilers, build_shared
from dlc.kernels_c import DIRECTORY

COMPILERS = {compiler.family: compiler for compiler in available_compilers()}
KERNELS = ["conv", "conv_transpose", "max_pool", "avg_pool"]


@dataclass(frozen=True)
class Call:
    """A tile kernel over a 2-D image: ``cols`` columns from ``ox`` of each of ``height`` rows."""

    kernel: str
    rows: int
    cols: int
    ox: int
    height: int
    channels: int
    window: tuple[int, ...]
    more: tuple[int, ...]

    def arguments(self, oh: int | str) -> tuple[list[int], list[int | str]]:
        """Integers before and after the pointers to image and filters."""
        place = [0, oh, self.ox]
        if self.kernel.endswith("pool"):
            return [self.cols], [*place, *self.window, *self.more]
        taps = self.window[4] * self.window[5]
        apart = [self.rows * taps] if self.kernel == "conv_transpose" else []
        return [self.rows, self.cols], [*place, self.channels, *apart, *self.window]

    @property
    def size(self) -> int:
        return self.rows * self.cols

    def text(self, name: str) -> str:
        before, after = (", ".join(map(str, part)) for part in self.arguments("oh"))
        arrays = "x" if self.kernel.endswith("pool") else "x, w"
        return f"""
void {name}(float *y, const float *x, const float *w);
void {name}(float *y, const float *x, const float *w) {{
    (void)w;
    for (ptrdiff_t oh = 0; oh < {self.height}; oh++) {{
        float acc[{self.size}];
        dlc_{self.kernel}_tile_f32(acc, {before}, {arrays}, {after});
        for (ptrdiff_t i = 0; i < {self.size}; i++) y[oh * {self.size} + i] = acc[i] * 0.5f;
    }}
}}
"""

    def expected(self, x: Array, w: Array) -> Array:
        result = np.zeros((self.height, self.size), F32)
        for oh in range(self.height):
            before, after = self.arguments(oh)
            arrays = [x] if self.kernel.endswith("pool") else [x, w]
            array_kernel(f"dlc_{self.kernel}_tile_f32")(result[oh], *before, *arrays, *after)
        return result * F32(0.5)


def some_call(kernel: str, generator: random.Random) -> Call:
    pick = generator.choice
    size, k = (
        [pick([1, 3, 6, 7, 12, 14, 40]) for _ in range(2)],
        [pick([1, 2, 3]) for _ in range(2)],
    )
    step, spread = [pick([1, 1, 2]) for _ in range(2)], [pick([1, 1, 2]) for _ in range(2)]
    begin, end = [pick([0, 0, 1, 2]) for _ in range(2)], [pick([0, 1, 2]) for _ in range(2)]
    reach = [(k[i] - 1) * spread[i] + 1 for i in range(2)]
    if kernel == "conv_transpose":
        out = [max(1, (size[i] - 1) * step[i] + reach[i] - begin[i]) for i in range(2)]
    else:
        end = [max(end[i], reach[i] - size[i] - begin[i]) for i in range(2)]
        out = [(size[i] + begin[i] + end[i] - reach[i]) // step[i] + 1 for i in range(2)]
    cols = pick([out[1], generator.randint(1, out[1])])
    window = (1, *size, 1, *k, 1, *step, 0, *begin, 1, *spread)
    more = (0, *end, pick([0, 1])) if kernel == "avg_pool" else ()
    rows = 1 if kernel.endswith("pool") else pick([1, 4, 6])
    return Call(kernel, rows, cols, pick([0, out[1] - cols]), out[0], pick([1, 3]), window, more)


@pytest.mark.skipif(SANITIZE, reason="about optimised code")
@pytest.mark.parametrize("optimise", ["-O2", f"-O3 {NATIVE}"])
@pytest.mark.parametrize("family", ["gcc", "clang"])
def test_literal_sizes(family: str, optimise: str, tmp_path: Path) -> None:
    if family not in COMPILERS:
        pytest.skip(f"{family} is not installed")
    generator = random.Random(14)
    calls = [some_call(kernel, generator) for kernel in KERNELS for _ in range(10)]
    unit = tmp_path / "calls.c"
    includes = "".join(f'#include "dlc_{kernel}_tile_f32.h"\n' for kernel in KERNELS)
    unit.write_text(includes + "".join(call.text(f"call{i}") for i, call in enumerate(calls)))
    library = ctypes.CDLL(str(build_shared(
        [unit], compiler=COMPILERS[family], flags=[*STRICT_FLAGS, *optimise.split()],
        include_dirs=[DIRECTORY], out=tmp_path / "calls.so",
    )))  # fmt: skip
    values = np.random.default_rng(0)
    x, w = values.standard_normal(3 * 40 * 40).astype(F32), values.standard_normal(500).astype(F32)
    for i, call in enumerate(calls):
        y = np.zeros((call.height, call.size), F32)
        getattr(library, f"call{i}")(*(ctypes.c_void_p(a.ctypes.data) for a in (y, x, w)))
        np.testing.assert_allclose(y, call.expected(x, w), rtol=1e-5, atol=1e-6, err_msg=str(call))


@pytest.mark.skipif(SANITIZE, reason="about optimised code")
@pytest.mark.parametrize("family", ["gcc", "clang"])
def test_literal_sizes_of_matrix_products(family: str, tmp_path: Path) -> None:
    if family not in COMPILERS:
        pytest.skip(f"{family} is not installed")
    shapes = [(1, 64, 64), (4, 64, 17), (4, 40, 1), (6, 10, 32), (3, 33, 100)]  # rows, cols, depth
    lines, wanted = ['#include "dlc_gemm_tile_f32.h"'], list[Array]()
    values = np.random.default_rng(0)
    a, b = values.standard_normal((2, 6400)).astype(F32)
    for rows, cols, depth in shapes:
        left, right = a[: rows * depth].reshape(rows, depth), b[: depth * cols]
        for steps, matrix in (((cols, 1), right.reshape(depth, cols)),
                              ((1, depth), right.reshape(cols, depth).T)):  # fmt: skip
            head = f"void call{len(wanted)}(float *y, const float *a, const float *b)"
            sizes = f"{rows}, {cols}, {depth}, a, {depth}, 1, b, {steps[0]}, {steps[1]}"
            lines += [f"{head};", f"{head} {{ dlc_gemm_tile_f32(y, {sizes}); }}"]
            wanted.append(left.astype(np.float64) @ matrix)
    unit = tmp_path / "products.c"
    unit.write_text("\n".join([*lines, ""]))
    library = ctypes.CDLL(str(build_shared(
        [unit], compiler=COMPILERS[family], flags=[*STRICT_FLAGS, "-O3", NATIVE],
        include_dirs=[DIRECTORY], out=tmp_path / "products.so",
    )))  # fmt: skip
    for i, want in enumerate(wanted):
        y = np.zeros(want.shape, F32)
        getattr(library, f"call{i}")(*(ctypes.c_void_p(v.ctypes.data) for v in (y, a, b)))
        np.testing.assert_allclose(y, want, rtol=1e-4, atol=1e-4)
