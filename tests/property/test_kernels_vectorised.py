"""Every scalar function gives one element in a vectorised loop what it gives alone.

Compilers do vectorise wrongly: clang 22 for AVX-512 lost the quotient of tanh.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from dlc.backends.c99.toolchain import NATIVE, Compiler, available_compilers, build_executable
from dlc.kernels_c import DIRECTORY

COMPILERS = [c for c in available_compilers() if c.family != "tcc"]  # it has no vectors

PROGRAM = """\
#include <stdio.h>
#include <string.h>
%(includes)s
#define COUNT 4096
#define CHECK(name, T, x, y, call)                                                             \\
    static int check_##name(void) {                                                            \\
        static T together[COUNT], alone[COUNT];                                                \\
        int bad = 0;                                                                           \\
        loop_##name(x, y, together, COUNT);                                                    \\
        for (int i = 0; i < COUNT; i++) {                                                      \\
            loop_##name(x + i, y + i, alone + i, 1);                                           \\
            if (memcmp(together + i, alone + i, sizeof(T)) != 0 && alone[i] == alone[i]) {     \\
                bad++;                                                                         \\
            }                                                                                  \\
        }                                                                                      \\
        if (bad) {                                                                             \\
            printf("%%s: %%d of %%d\\n", #name, bad, COUNT);                                     \\
        }                                                                                      \\
        return bad;                                                                            \\
    }
#if defined(__GNUC__)
#define APART __attribute__((noinline))
#else
#define APART
#endif
#define LOOP(name, T, call)                                                                    \\
    APART static void loop_##name(const T *restrict x, const T *restrict y, T *restrict out,   \\
                                  int count) {                                                 \\
        (void)y;                                                                               \\
        for (int i = 0; i < count; i++) {                                                      \\
            out[i] = call;                                                                     \\
        }                                                                                      \\
    }
static float xf[COUNT], yf[COUNT];
static double xd[COUNT], yd[COUNT];
%(loops)s
static unsigned long long state = 88172645463325252ULL;
static double uniform(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (double)(state >> 11) / 4503599627370496.0 - 1.0;
}
int main(void) {
    const double sizes[] = {1, 4, 20, 100, 1e5, 1e30, 1e-30};
    int bad = 0;
    for (int i = 0; i < COUNT; i++) {
        xd[i] = i %% 61 == 0 ? 0.0 : i %% 97 == 0 ? -0.0 : i %% 101 == 0 ? 1e308 * 10 : uniform() * sizes[i %% 7];
        xd[i] = i %% 103 == 0 ? 0.0 / (xd[i] - xd[i]) : i %% 107 == 0 ? i %% 50 - 25 : xd[i];
        yd[i] = uniform() * 4;
        xf[i] = (float)xd[i];
        yf[i] = (float)yd[i];
    }
%(checks)s
    return bad != 0;
}
"""


def functions() -> list[tuple[str, str, int]]:
    """(header, dtype, operands) of every scalar function of floats."""
    found = []
    for header in sorted(DIRECTORY.glob("dlc_*.h")):
        for dtype, c_type in (("f32", "float"), ("f64", "double")):
            parameters = rf"{c_type} \w+((?:, {c_type} \w+)?)"
            match = re.search(
                rf"static inline {c_type} {header.stem}_{dtype}\({parameters}\)", header.read_text()
            )
            if match:
                found.append((header.stem, dtype, 2 if match[1] else 1))
    return found


@pytest.mark.parametrize("compiler", COMPILERS, ids=[c.family for c in COMPILERS])
@pytest.mark.parametrize("native", [False, True], ids=["any", "native"])
def test_vectorised_loops_equal_single_elements(
    compiler: Compiler, native: bool, tmp_path: Path
) -> None:
    loops, checks = [], []
    names = functions()
    assert len(names) > 30
    for name, dtype, operands in names:
        c_type, suffix = ("float", "f") if dtype == "f32" else ("double", "d")
        call = f"{name}_{dtype}({', '.join(['x[i]', 'y[i]'][:operands])})"
        loops.append(f"LOOP({name}_{dtype}, {c_type}, {call})")
        loops.append(f"CHECK({name}_{dtype}, {c_type}, x{suffix}, y{suffix}, {call})")
        checks.append(f"    bad += check_{name}_{dtype}();")
    includes = "\n".join(f'#include "{name}.h"' for name in dict.fromkeys(n for n, _, _ in names))
    source = tmp_path / "vectorised.c"
    source.write_text(
        PROGRAM % {"includes": includes, "loops": "\n".join(loops), "checks": "\n".join(checks)}
    )
    flags = ["-std=c99", "-O3", *([NATIVE] if native else [])]
    program = build_executable([source], compiler=compiler, flags=flags, include_dirs=[DIRECTORY],
                               out=tmp_path / "vectorised")  # fmt: skip
    done = subprocess.run([program], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
