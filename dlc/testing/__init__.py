"""For tests of kernels, passes and models: hypothesis strategies, and C kernels called from numpy.

``docs/fuzzing_kernels.md`` shows how to fuzz a kernel of your own, ``docs/proving.md`` how to print
reproducers; ``dlc.testing.text_tests`` makes tests of ``.dlc`` files.
"""

from __future__ import annotations

from dlc.prove.inputs import special_values
from dlc.testing.graphs import graph_inputs, reproducer
from dlc.testing.kernels import Kernel, load_kernel, load_kernels
from dlc.testing.shapes import (
    dilations,
    divisors,
    pads,
    permutations,
    shapes,
    slices,
    strides,
)
from dlc.testing.values import arrays, dtypes
from dlc.testing.windows import (
    ConvCase,
    ConvTransposeCase,
    PoolCase,
    conv_cases,
    conv_transpose_cases,
    pool_cases,
)

__all__ = [
    "ConvCase",
    "ConvTransposeCase",
    "Kernel",
    "PoolCase",
    "arrays",
    "conv_cases",
    "conv_transpose_cases",
    "dilations",
    "divisors",
    "dtypes",
    "graph_inputs",
    "load_kernel",
    "load_kernels",
    "pads",
    "permutations",
    "pool_cases",
    "reproducer",
    "shapes",
    "slices",
    "special_values",
    "strides",
]
