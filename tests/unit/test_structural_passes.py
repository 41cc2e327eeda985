"""The graphs of tests/ir: each structural pass keeps its contract on them, and twice is once."""

from __future__ import annotations

import pytest
from pass_checks import ir_sections, proved

PASSES = {
    "fold-pad": "fold-pad",
    "fold-transpose": "fold-transpose",
    "fuse-matmul-bias": "fuse-matmul-bias",
    "merge-parallel-conv": "merge-parallel-conv",
    "merge-parallel-matmul": "merge-parallel-matmul",
    "split-concat": "split-concat",
    "strength-reduce": "strength-reduce",
    "sink-reshape": "sink-reshape",
    "hoist-reshape": "hoist-reshape",
    "decompose": "decompose{ops=(HardSwish,BatchNormalization,Gemm)}",
    "freeze-shapes": "freeze-shapes",
    "prune-channels": "prune-channels",
}


@pytest.mark.parametrize("name", PASSES)
def test_the_meaning_stays_and_twice_is_once(name: str) -> None:
    sections = ir_sections(name)
    assert sections
    for graph in sections:
        proved(PASSES[name], graph)
